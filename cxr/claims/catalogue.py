"""The claims of ``paper/claims.yaml``, read and checked."""

import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxr.claims.evidence import printed_evidence
from cxr.claims.expressions import Expression, read_expression
from cxr.claims.vocabulary import TEST, NotTestable, Vocabulary
from cxr.errors import InputError, did_you_mean
from cxr.files import read_json
from cxr.images.names import listed
from cxr.study.config import PAPER, Study
from cxr.study.schemas import read_yaml, validate


@dataclass(frozen=True)
class Claim:
    """One claim of ``paper/claims.yaml``, checked.

    Attributes:
        id: a letter and a number.
        where: the ones given of ``section`` and ``figure`` of the preprint, ``notebook``.
        says: what is claimed.
        reading: why the quantity stands for that, or None.
        quantity: what it is about; None if no result can test it.
        relation: ``equals``, ``above``, ``below``, ``at_least``, ``at_most`` or ``within_chance_of``; None as above.
        number: to what.
        precision: the last digit printed, 0 if none is.
        tolerance: the largest difference that counts as agreement.
        tolerance_from: where it comes from.
        explained_by: rows of ``paper/discrepancies.yaml``.
        explanation: what else explains a failure, or None.
        not_testable: why no result can test it, or None.
        any_cohort: whether images of other patients than the study's can test it.
        original_files: whether only the original image files can test it, and no resized copy.
    """

    id: str
    where: Mapping[str, Any]
    says: str
    reading: str | None
    quantity: Expression | None
    relation: str | None
    number: float | None
    precision: float
    tolerance: float | None
    tolerance_from: str | None
    explained_by: Sequence[str]
    explanation: str | None
    not_testable: str | None
    any_cohort: bool = False
    original_files: bool = False


def read_claims(path: Path, study: Study) -> list[Claim]:
    """Read and check ``paper/claims.yaml``; claims with rows and columns become one claim for each.

    Raises:
        InputError: the schema is violated, an id stands twice, or a claim names an experiment, a function, a tolerance
            or a row of ``paper/discrepancies.yaml`` that does not exist.
    """
    content = read_yaml(path)
    validate(content, "claims", str(path))
    printed, curves = (read_json(PAPER / "published" / f"{name}.json") for name in ("results", "curves"))
    experiments = study.catalogue["experiments"]
    choices = {
        "experiments": list(experiments),
        "printed": sorted({key for row in printed["metrics"] for key in _printed_columns(row)}),
        "published": _dotted_keys(printed),
        "curves": ["train_loss", "train_accuracy", "val_loss", "val_accuracy"],
    }
    own = Vocabulary(printed_evidence(study, printed, curves), printed, selectors_of(study), seeds=[0])
    discrepancies = read_yaml(PAPER / "discrepancies.yaml")
    claims = []
    rows = [row for short in content["claims"] for row in _expanded(short, experiments, path)]
    for row in rows:
        where = f"{path}, claim {row['id']}"
        tolerance = _known(row.get("tolerance"), content["tolerances"], f"{where}: there is no tolerance")
        for name in row.get("explained_by", []):
            _known(name, discrepancies, f"{where}: explained_by names no row of paper/discrepancies.yaml,")
        relation, target = next(iter(row.get("claimed", {}).items()), (None, None))
        quantity = read_expression(str(row["quantity"]), where, choices) if "quantity" in row else None
        if relation == "within_chance_of" and quantity and quantity.rests_on != TEST:
            raise InputError(f"{where}: within_chance_of takes a quantity of test(), whose interval tells of chance.")
        try:
            number = None if target is None else float(read_expression(str(target), where, choices).values(own)[0])
        except (NotTestable, KeyError) as error:
            raise InputError(f"{where}: '{target}' cannot be claimed, since {error}; correct it.") from None
        claims.append(
            Claim(
                id=row["id"],
                where={key: row[key] for key in ("section", "figure", "notebook") if key in row},
                says=row["says"],
                reading=row.get("reading"),
                quantity=quantity,
                relation=relation,
                number=number,
                precision=row.get("printed_precision", 0),
                tolerance=tolerance and tolerance["value"],
                tolerance_from=tolerance and tolerance["from"],
                explained_by=row.get("explained_by", []),
                explanation=row.get("explanation"),
                not_testable=row.get("not_testable"),
                any_cohort=row.get("scope") == "any_cohort",
                original_files=row.get("needs") == "original_files",
            )
        )
    for name, times in Counter(claim.id for claim in claims).items():
        if times > 1:
            raise InputError(f"{path}: {times} claims are called {name}; give each an id of its own.")
    return claims


def selectors_of(study: Study) -> dict[str, Any]:
    """Return ``published`` of the experiments that the study printed something of, by id."""
    return {name: spec["published"] for name, spec in study.catalogue["experiments"].items() if "published" in spec}


def _printed_columns(row: Mapping[str, Any]) -> list[str]:
    return ["test_accuracy_printed", *(row["preprint_figure_3"] or {})]


def _dotted_keys(content: Mapping[str, Any], before: str = "") -> list[str]:
    keys = []
    for name, value in content.items():
        keys += [before + name, *(_dotted_keys(value, f"{before}{name}.") if isinstance(value, Mapping) else [])]
    return keys


def _known(name: str | None, choices: Mapping[str, Any], otherwise: str) -> Any:
    if name is None:
        return None
    if name not in choices:
        raise InputError(f"{otherwise} '{name}'{did_you_mean(name, choices) or f'; there are {listed(choices)}.'}")
    return choices[name]


def _expanded(row: Mapping[str, Any], experiments: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    """A claim, or the claims that it is short for: one for each row and column, row by row."""
    if "rows" not in row:
        return [dict(row)]
    where = f"{path}, claim {row['id']}"
    for name in row["rows"]:
        _known(name, experiments, f"{where}: rows names an unknown experiment")
    letter, first = row["id"][0], int(row["id"][1:])
    cells = [(name, column) for name in row["rows"] for column in row.get("columns", [{}])]
    claims = []
    for number, (name, column) in enumerate(cells, first):
        words = {**column, "row": name, "title": experiments[name]["title"]}
        fill = functools.partial(_filled, words=words, where=where)
        claims.append({key: fill(value) for key, value in row.items()} | {"id": f"{letter}{number}"})
    return claims


def _filled(content: Any, words: Mapping[str, str], where: str) -> Any:
    """Put ``words`` in place of their names in braces, in all texts."""
    if isinstance(content, dict):
        return {key: _filled(value, words, where) for key, value in content.items()}
    if not isinstance(content, str):
        return content
    for name in re.findall(r"\{(\w*)\}", content):
        _known(name, words, f"{where}: '{content}' names no column,")
    return content.format_map(words)
