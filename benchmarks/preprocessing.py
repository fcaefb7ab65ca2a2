"""Images per second that are decoded, resized and stored: on all cores, on one, and for the decoder alone."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from benchmarks.cohort import ORIGINAL, prepared
from benchmarks.timing import Row, rates, row_of_rates
from cxr.preprocessing.arrays import write_arrays

SIZE = 224


def writing(threads: int) -> Callable[[], int]:
    """Return a function that writes the arrays of a protocol (224 and 280 px) with a number of threads."""
    cohort = prepared(SIZE, size=ORIGINAL)
    arrays = [cohort.folder / "again" / path.name for path in cohort.arrays]

    def work() -> int:
        write_arrays(cohort.folder / "manifest.csv", cohort.folder / "cohort.json", arrays, threads)
        return len(list_of(cohort.images))

    return work


def decoding() -> int:
    """Decode all images one after the other; return how many."""
    paths = list_of(prepared(SIZE, size=ORIGINAL).images)
    for path in paths:
        with Image.open(path) as image:
            image.convert("L").load()
    return len(paths)


def list_of(folder: Path) -> list[Path]:
    """Return the image files under a folder."""
    return sorted(folder.rglob("*.jp*g"))


def rows(repeats: int) -> list[Row]:
    """Measure the stage ``arrays`` on images of their original size."""
    cores = os.cpu_count() or 1
    measured = rates({"ours": writing(cores), "one core": writing(1), "the decoder alone, one core": decoding}, repeats)
    start, used = time.perf_counter(), time.process_time()
    writing(cores)()
    busy = (time.process_time() - used) / (time.perf_counter() - start)
    note = f"{cores} cores, of which {busy:.1f} were busy; two sizes written"
    return [
        row_of_rates("preprocessing, original size", measured, "ours", "one core", None, note),
        row_of_rates("preprocessing, original size", measured, "ours", "the decoder alone, one core", None, note),
    ]
