"""The cost of the workflow itself: the paper from predictions, the largest dry-run, the memory of every stage."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.cohort import all_images
from benchmarks.timing import PEAK, Row, limit_row, scratch
from cxr.study.schemas import read_yaml

DEMO = Path("config/demo.yaml")
SEEDS = 100
# Of any stage, in MiB.
MEMORY_LIMIT = 6144
# Memory depends on the size of images and networks, not on the number of epochs or training images.
LARGE: dict[str, Any] = {
    "name": "benchmarks-memory",
    "device": "cpu",
    "threads": 2,
    "image_size": 224,
    "protocols": ["published", "corrected"],
    "experiments": ["custom", "resnet18-I-100", "resnet18-III", "densenet121-III"],
    "seeds": [42],
    "weights": {"resnet18": "random", "densenet121": "random"},
    "limits": [{"experiments": ["*"], "epochs": 1, "training_images": 45}],
}


def snakemake(*arguments: str) -> float:
    """Run Snakemake; return its seconds.

    Raises:
        RuntimeError: Snakemake failed; the message ends with its standard error.
    """
    start = time.perf_counter()
    command = [sys.executable, "-m", "snakemake", "--cores", "all", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return time.perf_counter() - start


def paper() -> list[Row]:
    """Measure the demo's paper from its predictions; the demo is run first if it has not been."""
    snakemake("--configfile", str(DEMO))
    runs = len(list(Path("results/demo/training/runs").glob("*/*/*/predictions.csv")))
    seconds = snakemake("--configfile", str(DEMO), "--forcerun", "evaluate")
    return [
        limit_row("paper from predictions", seconds, 60, "s", f"{runs} runs: metrics, evidence, figures, HTML, PDF")
    ]


def dry_run() -> list[Row]:
    """Measure a dry-run of all experiments under all protocols with 100 seeds."""
    config = read_yaml(DEMO) | {
        "name": "benchmarks-dry-run",
        "seeds": list(range(SEEDS)),
        "one_process": False,
        "ablations": [],
    }
    path = scratch("dry-run") / "config.json"
    path.write_text(json.dumps(config))
    seconds = snakemake("--dry-run", "--quiet", "all", "--configfile", str(path))
    return [limit_row("dry-run", seconds, 60, "s", f"22 experiments x 3 protocols x {SEEDS} seeds")]


def memory() -> list[Row]:
    """Run the workflow on all images at 224 px; return the peak memory of each stage, from its log, largest first."""
    config = LARGE | {"data": {"source": "folder", "folder": str(all_images().resolve())}}
    folder = Path("results") / config["name"]
    shutil.rmtree(folder, ignore_errors=True)
    path = scratch("memory") / "config.json"
    path.write_text(json.dumps(config))
    snakemake("--configfile", str(path))
    peaks: dict[str, float] = {}
    for log in folder.rglob("*.log"):
        found = PEAK.search(log.read_text(encoding="utf-8"))
        if found:
            stage = f"{found[1]}, {log.parent.parent.name}" if found[1] == "train" else found[1]
            peaks[stage] = max(peaks.get(stage, 0.0), float(found[3]))
    shutil.rmtree(folder / "arrays")
    images = "images of 224 px, mapped files included"
    return [
        limit_row(f"peak memory, {stage}", round(peak), MEMORY_LIMIT, "MiB", images)
        for stage, peak in sorted(peaks.items(), key=lambda item: -item[1])
    ]
