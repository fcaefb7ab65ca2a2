"""Training speed with the workflow's settings of glibc's allocator and without them, in processes that take turns."""

import os
import statistics
import subprocess
import sys

from benchmarks.timing import Row

EXPERIMENTS = ("custom", "resnet18-III", "densenet121-III")


def rows(repeats: int) -> list[Row]:
    """Measure each experiment with this process's ``GLIBC_TUNABLES`` and with glibc's defaults."""
    found = []
    for experiment in EXPERIMENTS:
        code = f"from benchmarks.training import real_rate; print(real_rate({experiment!r}, 2))"
        rates: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(repeats):
            for settings in (True, False):
                environment = {key: value for key, value in os.environ.items() if settings or key != "GLIBC_TUNABLES"}
                command = [sys.executable, "-c", code]
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                rates[settings].append(float(done.stdout.split()[-1]))
        ours, theirs = (statistics.median(rates[settings]) for settings in (True, False))
        found.append(Row(f"allocator, {experiment}", ours, "glibc's defaults", theirs, "images/s", ours / theirs))
    return found
