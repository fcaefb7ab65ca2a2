"""Experiments and protocols as ``paper/`` holds them, checked; and a protocol with one of its choices flipped."""

import fnmatch
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxr.errors import InputError, did_you_mean
from cxr.files import REPOSITORY
from cxr.study.schemas import read_yaml, validate
from cxr.study.steps import check_steps

PAPER = REPOSITORY / "paper"
DISCREPANCIES = PAPER / "discrepancies.yaml"


def read_experiments(path: Path) -> dict[str, Any]:
    """Read and check ``paper/experiments.yaml``.

    Raises:
        InputError: the schema is violated, or an experiment names a transform that is not defined.
    """
    catalogue: dict[str, Any] = read_yaml(path)
    validate(catalogue, "experiments", str(path))
    transforms = catalogue["transforms"]
    for name, transform in transforms.items():
        check_steps(transform["steps"], f"{path}: transform '{name}'")
    for name, experiment in catalogue["experiments"].items():
        for used in experiment["training_set"]:
            if used not in transforms:
                raise InputError(f"{path}: '{name}' uses an unknown transform '{used}'{did_you_mean(used, transforms)}")
    if catalogue["evaluation_transform"] not in transforms:
        raise InputError(f"{path}: evaluation_transform names an unknown transform.")
    return catalogue


def protocol_of(paper: Path, name: str, catalogue: Mapping[str, Any]) -> dict[str, Any]:
    """Read and check ``protocols/<name>.yaml``.

    Args:
        paper: the folder ``paper``.
        name: the protocol.
        catalogue: of ``read_experiments``, to check what the protocol overrides.

    Raises:
        InputError: there is no such protocol, its schema is violated, or it names a row, a transform, an experiment or
            a setting that does not exist.
    """
    path = paper / "protocols" / f"{name}.yaml"
    if not path.exists():
        known = sorted(file.stem for file in path.parent.glob("*.yaml"))
        hint = did_you_mean(name, known) or f"; there are {', '.join(known)}."
        raise InputError(f"there is no protocol '{name}' in paper/protocols{hint}")
    protocol: dict[str, Any] = read_yaml(path)
    _check_protocol(protocol, catalogue, str(path))
    rows = read_discrepancies(paper / "discrepancies.yaml")
    for row in (row for taken in protocol["takes"].values() for row in taken):
        if row not in rows:
            raise InputError(f"{path}: takes names an unknown row '{row}'{did_you_mean(row, rows) or '.'}")
    return protocol


@functools.cache
def read_discrepancies(path: Path) -> dict[str, Any]:
    """Read and check ``paper/discrepancies.yaml``.

    Raises:
        InputError: the schema is violated.
    """
    rows: dict[str, Any] = read_yaml(path)
    validate(rows, "discrepancies", str(path))
    return rows


def flipped(protocol: Mapping[str, Any], row: str, catalogue: Mapping[str, Any]) -> dict[str, Any]:
    """Return a protocol with one discrepancy (a row of ``paper/discrepancies.yaml``) switched to its other side.

    Args:
        protocol: of ``read_protocol``.
        row: a row with ``flip``.
        catalogue: of ``read_experiments``.

    Raises:
        InputError: the flip makes no valid protocol.
    """
    changes = dict(read_discrepancies(DISCREPANCIES)[row]["flip"]["changes"])
    overrides = [*protocol.get("overrides", []), *changes.pop("overrides", [])]
    result = merged(protocol, changes) | ({"overrides": overrides} if overrides else {})
    result["title"] = f"{protocol['title']}, {row} flipped"
    _check_protocol(result, catalogue, f"{DISCREPANCIES}: the flip of '{row}'")
    return result


def _check_protocol(protocol: Mapping[str, Any], catalogue: Mapping[str, Any], path: str) -> None:
    validate(protocol, "protocol", path)
    overridden = {**catalogue, "transforms": {**catalogue["transforms"], **protocol.get("transforms", {})}}
    for transform in protocol.get("transforms", {}):
        if transform not in catalogue["transforms"]:
            hint = did_you_mean(transform, catalogue["transforms"]) or "."
            raise InputError(f"{path}: there is no transform '{transform}'{hint}")
    experiments = dict(catalogue["experiments"])
    for override in protocol.get("overrides", []):
        for pattern in override["experiments"]:
            found = fnmatch.filter(experiments, pattern)
            if not found:
                raise InputError(
                    f"{path}: no experiment is called '{pattern}'{did_you_mean(pattern, experiments) or '.'}"
                )
            experiments |= {name: merged(experiments[name], override["settings"]) for name in found}
    validate({**overridden, "experiments": experiments}, "experiments", str(path))
    for transform, content in protocol.get("transforms", {}).items():
        check_steps(content["steps"], f"{path}: transform '{transform}'")


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` updated with the values of ``changes``, recursively."""
    result = dict(base)
    for key, value in changes.items():
        inner = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if inner else value
    return result
