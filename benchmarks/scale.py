"""How time and memory grow with the number of images and of runs, at one, two and four times as many."""

import json
import shutil
from pathlib import Path
from typing import Any

import seaborn as sns
from matplotlib.figure import Figure

from benchmarks.cohort import all_images
from benchmarks.timing import scratch, stage
from benchmarks.workflow import DEMO, snakemake
from cxr.files import read_json, write_json
from cxr.images.inspection import list_images
from cxr.study.schemas import read_yaml

FACTORS = (1, 2, 4)


def images() -> list[dict[str, Any]]:
    """Run the stages ``manifest`` and ``arrays`` on a quarter, a half and all of the images."""
    paths = list_images(all_images())
    points = []
    for factor in FACTORS:
        folder = scratch(f"scale-{factor}")
        shutil.rmtree(folder)
        for path in paths[:: 4 // factor]:
            link = folder / "images" / path
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((all_images() / path).resolve())
        source = {"source": "folder", "folder": str((folder / "images").resolve())}
        manifest, cohort = folder / "manifest.csv", folder / "cohort.json"
        stage("images", "--settings", json.dumps(source), "--folder", folder / "unused", "--source", folder / "s.json")
        threads = ["--threads", "2"]
        published = ["--published", "paper/published/results.json"]
        described = ["--manifest", manifest, "--cohort", cohort]
        stages = {
            "manifest": ["--source", folder / "s.json", *published, *described, *threads],
            "arrays": [*described, "--arrays", folder / "224px.npy", folder / "280px.npy", *threads],
        }
        for name, arguments in stages.items():
            memory, seconds = stage(name, *arguments)
            count = len(paths[:: 4 // factor])
            points.append({"of": "images", "count": count, "stage": name, "seconds": seconds, "memory_mib": memory})
        shutil.rmtree(folder)
    return points


def runs() -> list[dict[str, Any]]:
    """Evaluate the demo's predictions once, and copied to two and four seeds."""
    snakemake("--configfile", str(DEMO))
    points = []
    for factor in FACTORS:
        folder = scratch("scale-runs")
        shutil.rmtree(folder)
        config = read_yaml(DEMO) | {"seeds": list(range(factor))}
        for run in Path("results/demo/training/runs").glob("*/*/*"):
            for seed in config["seeds"]:
                copy = (
                    folder / "training" / "runs" / run.parent.relative_to("results/demo/training/runs") / f"seed-{seed}"
                )
                copy.mkdir(parents=True)
                shutil.copy(run / "predictions.csv", copy)
                record = read_json(run / "run.json")
                write_json(copy / "run.json", record | {"seed": seed})
        stages = {
            "evaluate-runs": ["--config", json.dumps(config), "--results", folder, "--threads", "2"],
            "uncertainty": ["--config", json.dumps(config), "--results", folder, "--uncertainty", folder / "u.json"],
        }
        count = len(list(folder.glob("training/runs/*/*/*")))
        for name, arguments in stages.items():
            memory, seconds = stage(name, *arguments)
            points.append({"of": "runs", "count": count, "stage": name, "seconds": seconds, "memory_mib": memory})
        shutil.rmtree(folder)
    return points


def draw(points: list[dict[str, Any]], path: Path) -> None:
    """Draw seconds and peak memory over the number of images and of runs, as an SVG file."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots(2, 2, sharex="col")
    for column, of in enumerate(("images", "runs")):
        mine = [point for point in points if point["of"] == of]
        for row, (key, label) in enumerate((("seconds", "time (s)"), ("memory_mib", "peak memory (MiB)"))):
            axis = axes[row][column]
            for name, colour in zip(
                dict.fromkeys(p["stage"] for p in mine), sns.color_palette("colorblind"), strict=False
            ):
                line = [(point["count"], point[key]) for point in mine if point["stage"] == name]
                axis.plot(*zip(*line, strict=True), marker="o", color=colour, label=name)
            axis.set(ylabel=label, ylim=(0, None), xlabel=of if row else "")
            axis.legend(frameon=False)
            sns.despine(ax=axis)
    figure.savefig(path, metadata={"Date": None})
