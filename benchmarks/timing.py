"""Timing in turns, and the rows of the benchmarks' table."""

import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cxr.provenance import code_version, package_versions, processor

# The allocator settings that the Snakefile gives to its jobs.
TUNABLES = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=68719476736"


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        name: what is measured.
        ours: the value of this project, the median over repeats.
        baseline: the name of the baseline.
        theirs: the value of the baseline, the median over repeats.
        unit: the unit of both values.
        ratio: the median over repeats of ours / theirs, or of theirs / ours where a smaller value is better; higher is
            always better.
        goal: the least ratio that is wanted, or None.
        note: the conditions, for the reader.
    """

    name: str
    ours: float
    baseline: str
    theirs: float
    unit: str
    ratio: float
    goal: float | None = None
    note: str = ""


def rates(measured: Mapping[str, Callable[[], int]], repeats: int, warm_up: bool = True) -> dict[str, list[float]]:
    """Return the items per second of each function, one value per repeat; the functions take turns.

    Args:
        measured: functions by name; each returns how many items (images) it has processed.
        repeats: how often each is timed.
        warm_up: whether each is called once more before, untimed.
    """
    found: dict[str, list[float]] = {name: [] for name in measured}
    for repeat in range(repeats + warm_up):
        for name, function in measured.items():
            start = time.perf_counter()
            count = function()
            if repeat >= warm_up:
                found[name].append(count / (time.perf_counter() - start))
    return found


def row_of_rates(
    name: str, found: Mapping[str, Sequence[float]], ours: str, baseline: str, goal: float | None = None, note: str = ""
) -> Row:
    """Return the row that compares two functions of ``rates``, in images per second."""
    pairs = zip(found[ours], found[baseline], strict=True)
    return Row(
        name,
        statistics.median(found[ours]),
        baseline,
        statistics.median(found[baseline]),
        "images/s",
        statistics.median(mine / other for mine, other in pairs),
        goal,
        note,
    )


def limit_row(name: str, measured: float, limit: float, unit: str, note: str = "") -> Row:
    """Return the row of a value that must stay below a limit."""
    return Row(name, measured, "the limit", limit, unit, limit / measured, 1.0, note)


def hardware() -> dict[str, Any]:
    """Return the machine, the packages and the code version, for the record."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "packages": package_versions(),
        "code": code_version(),
        "allocator": os.environ.get("GLIBC_TUNABLES", "glibc's defaults"),
    }


PEAK = re.compile(r"(\S+): ([\d.]+) s, peak memory (\d+) MiB")


def stage(name: str, *arguments: object) -> tuple[float, float]:
    """Run a command of ``cxr``; return its peak memory in MiB, mapped files included, and its seconds.

    Raises:
        RuntimeError: the command failed; the message ends with its standard error.
    """
    log = scratch("logs") / f"{name}.log"
    command = [sys.executable, "-m", "cxr", "--log", str(log), name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"GLIBC_TUNABLES": TUNABLES})
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:6])} ... failed: {done.stderr[-500:]}")
    found = PEAK.search(log.read_text(encoding="utf-8"))
    assert found, f"{log} has no line with the peak memory"
    return float(found[3]), float(found[2])


def as_dictionaries(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return rows as JSON objects."""
    return [asdict(row) for row in rows]


def restarted_with_allocator(module: str, arguments: Sequence[str]) -> None:
    """Restart this process with the workflow's allocator settings, unless ``GLIBC_TUNABLES`` is set.

    glibc reads them once, when a process starts.
    """
    if "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = TUNABLES
        os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


def scratch(name: str) -> Path:
    """Return a folder for a benchmark's files, below the ignored ``results/``; it may hold files of an earlier call."""
    folder = Path("results") / "benchmarks" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
