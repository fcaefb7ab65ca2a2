"""Verify a result tree, as a reviewer would: nothing in it is changed."""

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cxr.errors import Differs, InputError
from cxr.files import REPOSITORY, read_json, write_json
from cxr.progress import clock
from cxr.provenance import processor
from cxr.review.checks import (
    Check,
    check_data,
    check_environment,
    check_predictions,
    check_runs,
    check_splits,
    run_files,
    skipped,
)
from cxr.review.expectation import check_claims, check_metrics, expectation_of
from cxr.review.tables import aligned
from cxr.study import layout
from cxr.study.arrays import arrays_of
from cxr.study.config import PAPER, Study
from cxr.study.settings import pretrained_backbone

log = logging.getLogger(__name__)

# Of many faults of one kind, the terminal shows so many; the record has all.
SHOWN_FAULTS = 5


def verify(
    config: dict[str, Any],
    results: Path,
    expected: Path,
    record: Path | None = None,
    lock: Path = REPOSITORY / "requirements.lock",
    accept: bool = False,
    repeat: bool = True,
) -> None:
    """Check environment, data, splits, runs, metrics, one repeated run and claims; print a table of the verdicts.

    Args:
        config: the config.
        results: ``results/<config name>``; nothing in it is changed.
        expected: ``paper/expected/<config name>.json``, the committed expectation, as ``expectation_of`` describes it.
        record: also write the checks to this file, as JSON: ``checks``, each with ``name``, ``expected``, ``found``,
            ``verdict`` (ok, differs or skipped) and ``faults``.
        lock: the pinned versions of packages.
        accept: first write what is there as the expectation; the difference in version control is what to judge.
        repeat: train the shortest run a second time, and compare byte for byte.

    Raises:
        InputError: there are no results.
        Differs: something is not as expected.
    """
    study = Study.from_config(config)
    if not layout.manifest(results).exists():
        raise InputError(f"{layout.manifest(results)} does not exist; run the workflow, or name other results.")
    if accept:
        bounds = read_json(expected).get("bounds") if expected.exists() else None
        write_json(expected, expectation_of(study, results, bounds))
    expectation = read_json(expected) if expected.exists() else None
    published = read_json(PAPER / "published" / "results.json")
    whole = [place for place in study.run_places() if all(path.exists() for path in run_files(results, place))]
    checks = [
        *check_environment(lock),
        *check_data(results, published, expectation),
        *check_splits(study, results, published, expectation),
        *check_runs(study, results),
        *check_predictions(results, whole),
        *(check_repetition(study, results, whole) if repeat else [skipped("a run done twice", "not asked for")]),
        *check_metrics(study, results, expectation),
        *check_claims(study, results, expectation),
    ]
    print(table_of(checks))
    if record:
        write_json(record, {"checks": [as_json(check) for check in checks]})
    differing = [check.name for check in checks if check.ok is False]
    if differing:
        raise Differs(f"{len(differing)} of {len(checks)} checks differ: {', '.join(differing)}.")


def check_repetition(study: Study, results: Path, places: Sequence[str]) -> Iterator[Check]:
    """Train the shortest of the runs a second time, in a folder that goes away, and compare its tables byte for byte.

    Equal bytes are promised on the CPU alone, and other processors may add in another order.
    """
    name = "a run done twice"
    records = {place: read_json(layout.run(results, place) / "run.json") for place in places}
    done = {place: record for place, record in records.items() if record["status"] == "done" and "source" not in record}
    if not done:
        yield skipped(name, "no run was trained here")
        return
    place = min(done, key=lambda place: done[place]["wall_seconds"])
    name, record = f"{name}: {place.removeprefix('runs/')}", done[place]
    if record["settings"]["device"] != "cpu":
        yield skipped(name, f"it was made on a GPU ({record['device']['name']}); equal bytes are promised on the CPU")
        return
    if record["hardware"]["processor"] != processor():
        yield skipped(name, f"it was made on another processor ({record['hardware']['processor']})")
        return
    files = training_files(study, results, record["settings"])
    absent = [path for paths in files.values() for path in paths if not path.exists()]
    if absent:
        yield skipped(name, f"{absent[0]} is not there")
        return
    log.info("training %s again, which took %s", place, clock(record["wall_seconds"]))
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder, "run")
        command = [sys.executable, "-m", "cxr", "train", "--runs", json.dumps({str(again): record["settings"]})]
        for option, paths in files.items():
            command += [f"--{option}", *map(str, paths)] if paths else []
        command += ["--threads", str(record["device"]["threads"])]
        finished = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if finished.returncode:
            last = (finished.stderr.strip().splitlines() or ["no message"])[-1]
            yield Check(name, "a run", f"training failed: {last}", False)
            return
        for table in ("history.csv", "predictions.csv"):
            same = (again / table).read_bytes() == (layout.run(results, place) / table).read_bytes()
            yield Check(f"{name}, {table}", "the same bytes", "the same bytes" if same else "other bytes", same)


def training_files(study: Study, results: Path, settings: Mapping[str, Any]) -> dict[str, list[Path]]:
    """Return the files that ``cxr train`` reads for a run, by option."""
    protocol, experiment = settings["protocol"], settings["experiment"]
    backbone = pretrained_backbone(study, experiment, protocol)
    cached = settings.get("cached_features", False)
    return {
        "manifest": [layout.manifest(results)],
        "split": [layout.split(results, protocol)],
        "preprocessing": [layout.preprocessing(results, protocol)],
        "arrays": [layout.array(results, name) for name in arrays_of(study, experiment, protocol)],
        "weights": [layout.weights(results, backbone)] if backbone else [],
        "features": [layout.features(results, protocol, backbone)] if cached and backbone else [],
    }


def table_of(checks: Sequence[Check]) -> str:
    """Return the checks as lines of text, below the table the faults of those that differ, and the counts."""
    rows = [("", "check", "expected", "found")]
    rows += [(check.verdict, check.name, check.expected or "-", check.found) for check in checks]
    lines = [aligned(rows)]
    for check in checks:
        if check.faults:
            left = len(check.faults) - SHOWN_FAULTS
            lines += ["", f"{check.name}:", *(f"  {fault}" for fault in check.faults[:SHOWN_FAULTS])]
            lines += [f"  and {left} more"] if left > 0 else []
    counts = {verdict: sum(check.verdict == verdict for check in checks) for verdict in ("ok", "differs", "skipped")}
    return "\n".join([*lines, "", ", ".join(f"{count} {verdict}" for verdict, count in counts.items())])


def as_json(check: Check) -> dict[str, Any]:
    """Return a check as the record of ``verify`` has it."""
    return {
        "name": check.name,
        "expected": check.expected,
        "found": check.found,
        "verdict": check.verdict,
        "faults": list(check.faults),
    }
