"""Checks of a result tree: what was expected, and what was found. They read, and change nothing."""

import importlib.metadata
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from packaging.requirements import Requirement

from cxr.errors import InputError
from cxr.evaluation.predictions import read_predictions
from cxr.evaluation.run_metrics import write_metrics
from cxr.files import read_json, sha256_of
from cxr.images.cohort import is_of_study
from cxr.preprocessing.split import digest_of_test_rows, make_split
from cxr.provenance import PACKAGES
from cxr.study import layout
from cxr.study.config import Study
from cxr.study.differences import TOLERANCE, first_difference
from cxr.study.settings import EXECUTION, run_settings, split_settings
from cxr.training.archive import check_outputs

# The study's split (notebook 1, the cell on train_test_split), and how the digest of its test rows begins.
STUDY_SPLIT = {"method": "permuted_halves", "listing_order": "case_insensitive", "seed": 42}
STUDY_TEST_ROWS = "1d7a6fb2f7fc9b5b"
RUN_FILES = ("run.json", "history.csv", "predictions.csv")


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes:
        name: what.
        expected: what should be there; empty if the check was skipped.
        found: what is there, or why the check was skipped.
        ok: None if it was skipped.
        faults: a sentence for each thing that differs, where many were checked.
    """

    name: str
    expected: str
    found: str
    ok: bool | None
    faults: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """``ok``, ``differs`` or ``skipped``."""
        return "skipped" if self.ok is None else "ok" if self.ok else "differs"


def equal(name: str, expected: Any, found: Any) -> Check:
    """Return a check of one value against another."""
    return Check(name, str(expected), str(found), expected == found)


def skipped(name: str, reason: str) -> Check:
    """Return a check that was not made."""
    return Check(name, "", reason, None)


def each(name: str, total: int, what: str, faults: Iterable[str]) -> Check:
    """Return a check of ``total`` things, for which the faulty ones have sentences; skipped when there are none."""
    found = tuple(faults)
    if total == 0:
        return skipped(name, f"there are no {what}")
    return Check(
        name, f"{total} {what}", f"{len(found)} of them differ" if found else f"{total} {what}", not found, found
    )


def installed_version(package: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def pins_of(lock: Path) -> list[Requirement]:
    """Return the pinned packages of ``requirements.lock``, each with its version and, maybe, a marker."""
    lines = re.findall(r"^([A-Za-z0-9][^\\\n]*==[^\\\n]*?)\s*\\?$", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return list(map(Requirement, lines))


def check_environment(lock: Path, installed: Callable[[str], str | None] = installed_version) -> Iterator[Check]:
    """Compare installed packages with the pins of ``requirements.lock`` that apply to this system.

    The packages that results depend on must be there. Others may be left out, such as CUDA's where torch is the CPU
    build (whose version 2.9.0+cpu agrees with the pin 2.9.0).
    """
    pins = [pin for pin in pins_of(lock) if pin.marker is None or pin.marker.evaluate()]
    versions = {pin.name: installed(pin.name) for pin in pins}
    agrees = {pin.name: pin.specifier.contains(versions[pin.name] or "0", prereleases=True) for pin in pins}
    wanted = {pin.name: str(pin.specifier).removeprefix("==") for pin in pins}
    for name in PACKAGES:
        if name not in wanted:
            yield Check(f"package {name}", f"a pin in {lock.name}", "none", False)
        else:
            yield Check(f"package {name}", wanted[name], versions[name] or "not installed", agrees[name])
    others = [name for name in wanted if name not in PACKAGES and versions[name] is not None]
    faults = [f"{name} is {versions[name]} instead of {wanted[name]}" for name in others if not agrees[name]]
    yield each("other packages", len(others), "as pinned", faults)


def check_data(results: Path, published: Mapping[str, Any], expectation: Mapping[str, Any] | None) -> Iterator[Check]:
    """Compare the images with the study's counts, with the manifest's hashes and with the committed expectation.

    Args:
        results: ``results/<config name>``.
        published: ``paper/published/results.json``.
        expectation: of ``cxr.review.verify.expectation_of``, as committed, or None.
    """
    cohort = read_json(layout.cohort(results))
    manifest = layout.manifest(results)
    if is_of_study(cohort, published["dataset"]):
        for part, counts in published["dataset"].items():
            yield equal(f"images in {part}", _counted(counts), _counted(cohort["counts"][part]))
    else:
        kind = "drawn phantoms" if cohort["synthetic"] else "a cohort of its own"
        yield skipped("numbers of images", f"{kind}, not the study's images")
    rows, root = pd.read_csv(manifest), Path(cohort["root"])
    if root.is_dir():
        wrong = (
            f"{path} is not the image of the manifest"
            for path, digest in zip(rows["path"], rows["sha256"], strict=True)
            if not (root / path).is_file() or sha256_of(root / path) != digest
        )
        yield each("hashes of images", len(rows), "images", wrong)
    else:
        yield skipped("hashes of images", f"{root} is not there")
    if expectation is None:
        yield skipped("manifest", "no expectation is committed")
    else:
        yield equal("manifest", expectation["manifest"][:16], sha256_of(manifest)[:16])


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def check_splits(
    study: Study, results: Path, published: Mapping[str, Any], expectation: Mapping[str, Any] | None
) -> Iterator[Check]:
    """Compare each protocol's split with one made anew, with its digest, the study's and the committed one."""
    manifest = pd.read_csv(layout.manifest(results))
    of_study = is_of_study(read_json(layout.cohort(results)), published["dataset"])
    for protocol, rules in study.protocols.items():
        path, preprocessing = layout.split(results, protocol), layout.preprocessing(results, protocol)
        if not path.exists():
            yield skipped(f"split {protocol}", f"{path} is not there")
            continue
        split = pd.read_csv(path)
        anew = make_split(manifest, split_settings(study, protocol))
        digest = digest_of_test_rows(split)
        same = split.equals(anew)
        yield Check(f"split {protocol}, made anew", f"{len(anew)} rows", "the same" if same else "other rows", same)
        if preprocessing.exists():
            recorded = read_json(preprocessing)["test_rows_sha256"]
            yield equal(f"split {protocol}, recorded test rows", recorded[:16], digest[:16])
        if of_study and rules["split"] == STUDY_SPLIT:
            yield equal(f"split {protocol}, the study's test rows", STUDY_TEST_ROWS, digest[:16])
        if expectation is not None:
            committed = expectation["splits"].get(protocol, "none")
            yield equal(f"split {protocol}, committed", committed[:16], sha256_of(path)[:16])


def run_files(results: Path, place: str) -> list[Path]:
    """Return the files that a run that was evaluated has."""
    return [*(layout.run(results, place) / name for name in RUN_FILES), layout.metrics(results, place)]


def check_runs(study: Study, results: Path) -> Iterator[Check]:
    """Compare the runs with the config: all there, with its settings, and made from the files that are there now."""
    places = dict(zip(study.run_places(), study.runs(), strict=True))
    absent = {place: [path.name for path in run_files(results, place) if not path.exists()] for place in places}
    yield each("runs", len(places), "runs", (f"{place} has no {names[0]}" for place, names in absent.items() if names))
    present = [place for place in places if "run.json" not in absent[place]]
    digest = cache(sha256_of)
    settings, inputs, tables = [], [], []
    for place in present:
        protocol, experiment, seed = places[place]
        record = read_json(layout.run(results, place) / "run.json")
        taken = "source" in record
        asked, ignored = run_settings(study, experiment, protocol, seed), EXECUTION if taken else ()
        difference = first_difference(asked, record["settings"], ignored=ignored)
        settings += [f"{place}: {difference}"] if difference else []
        try:
            check_outputs(layout.run(results, place))
        except InputError as error:
            tables.append(str(error))
        files = {
            "manifest": layout.manifest(results),
            "split": layout.split(results, protocol),
            "preprocessing": layout.preprocessing(results, protocol),
        }
        inputs += [
            f"{place}: was made from another {files[name].name}"
            for name, sha256 in record.get("inputs", {}).items()
            # Constants of other processors differ in their last digits.
            if name in files and not (taken and name == "preprocessing")
            if files[name].exists() and digest(files[name]) != sha256
        ]
    yield each("settings of runs", len(present), "runs", settings)
    yield each("inputs of runs", len(present), "runs", inputs)
    yield each("tables as the runs wrote them", len(present), "runs", tables)


def check_predictions(results: Path, places: Sequence[str]) -> Iterator[Check]:
    """Compare predictions with the split and the manifest, and metrics with those computed anew from predictions.

    Args:
        results: ``results/<config name>``.
        places: the runs that are there, ``runs/<protocol>/<experiment>/seed-<seed>``.
    """
    manifest = pd.read_csv(layout.manifest(results), dtype=str, keep_default_na=False).set_index("path")
    images, metrics = [], []
    for place in places:
        try:
            rows = read_predictions(layout.run(results, place) / "predictions.csv")
        except InputError as error:
            images.append(str(error))
            continue
        split = layout.split(results, place.split("/")[1])
        if len(rows) and not _of_split(rows, pd.read_csv(split), manifest):
            images.append(f"{place}: path, set, label and patients are not those of {split.name} and manifest.csv")
        difference = first_difference(
            read_json(layout.metrics(results, place)), recomputed_metrics(layout.run(results, place))
        )
        metrics += [f"{place}: {difference}"] if difference else []
    yield each("images of predictions", len(places), "runs", images)
    yield each(f"metrics recomputed, to {TOLERANCE:g}", len(places), "runs", metrics)


def _of_split(predictions: pd.DataFrame, split: pd.DataFrame, manifest: pd.DataFrame) -> bool:
    columns = ["path", "set", "label", "patient_coarse", "patient_fine"]
    judged = split[split["set"] != "train"].join(manifest[columns[3:]], on="path")
    return [tuple(row) for row in judged[columns].to_numpy()] == [tuple(row) for row in predictions[columns].to_numpy()]


def recomputed_metrics(run: Path) -> Any:
    """Return the content that ``metrics.json`` of a run should have, by its ``predictions.csv``."""
    with tempfile.TemporaryDirectory() as folder:
        anew = Path(folder, "metrics.json")
        write_metrics([run / "predictions.csv"], [anew])
        return read_json(anew)
