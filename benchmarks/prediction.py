"""``cxr predict`` on 1,000 images beside a plain loop of PIL and torch, each in a process of its own, in turns."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.cohort import all_images, prepared
from benchmarks.timing import TUNABLES, Row, scratch, stage
from cxr.files import read_json
from cxr.images.inspection import list_images
from cxr.networks.architectures import build_model
from cxr.prediction.exported import read_export, write_export
from cxr.prediction.likeness import fit_likeness
from cxr.prediction.trained import TrainedNetwork
from cxr.preprocessing.arrays import open_array
from cxr.provenance import peak_memory_mib
from cxr.study.settings import run_settings

SIZE, PROTOCOL, IMAGES, BATCH = 224, "published", 1000, 64
EXPERIMENTS = ("custom", "resnet18-III")
NOTE = f"{IMAGES:,} files of {SIZE} px, one thread for the network; without the import of torch"


def images() -> Path:
    """Return a folder with 1,000 images; where there are fewer, some stand in it several times."""
    folder = scratch("prediction-images")
    shutil.rmtree(folder)
    folder.mkdir()
    for number, path in enumerate(islice(cycle(list_images(all_images())), IMAGES)):
        (folder / f"{number:04d}-{Path(path).name}").symlink_to((all_images() / path).resolve())
    return folder


def network(experiment: str) -> Path:
    """Return an exported network with random weights, which take as long as trained ones."""
    cohort = prepared(SIZE, PROTOCOL)
    settings = run_settings(cohort.study, experiment, PROTOCOL, 42)
    sets = cohort.sets(settings)
    constants = read_json(cohort.folder / "preprocessing.json")["normalisation"]
    array = open_array(next(path for path in cohort.arrays if path.stem == f"{SIZE}px"))
    torch.manual_seed(0)
    facts = {
        "name": f"benchmarks/{experiment}",
        "settings": settings,
        "antialias": False,
        "grey": "luma",
        "mean": constants["mean"],
        "std": constants["std"],
        "calibration": None,
        "metrics": None,
        "cohort": {"title": "Some X-rays"},
        "record": {"device": {"threads": 1}},
    }
    likeness = fit_likeness(array, sets["train"].rows, sets["validation"].rows, None)
    state = build_model(settings["model"], SIZE).state_dict()
    file = scratch("prediction") / f"{experiment}.safetensors"
    write_export(TrainedNetwork(facts, state, likeness, {}), file)
    return file


def plain_loop(folder: Path, file: Path) -> None:
    """Predict as one writes it down: open, resize, normalise, batch by batch; print seconds and peak memory as JSON."""
    torch.set_num_threads(1)
    trained = read_export(file)
    settings = trained.facts["settings"]
    start = time.perf_counter()
    model = build_model(settings["model"], SIZE)
    model.load_state_dict(trained.state)
    model.eval()
    paths, probabilities = sorted(folder.iterdir()), []
    for first in range(0, len(paths), BATCH):
        batch = []
        for path in paths[first : first + BATCH]:
            with Image.open(path) as image:
                grey = torch.from_numpy(np.array(image.convert("L"), np.float32))[None, None]
            grey = torch.nn.functional.interpolate(grey, (SIZE, SIZE), mode="bilinear", align_corners=False)
            batch.append((grey[0] / settings["pixel_divisor"] - trained.facts["mean"]) / trained.facts["std"])
        inputs = torch.stack(batch).expand(-1, settings["model"]["input_channels"], -1, -1)
        with torch.no_grad():
            probabilities.append(model(inputs).softmax(1)[:, 1])
    assert len(torch.cat(probabilities)) == len(paths)
    print(json.dumps([time.perf_counter() - start, peak_memory_mib()]))


def rows(repeats: int) -> list[Row]:
    """Measure time and peak memory for each experiment."""
    found, folder = [], images()
    for experiment in EXPERIMENTS:
        file = network(experiment)
        ours, theirs = [], []
        for _ in range(repeats):
            out = file.with_suffix(".csv")
            memory, seconds = stage("predict", folder, "--run", file, "--csv", out)
            ours.append((seconds, memory))
            theirs.append(_plain(folder, file))
        for index, (unit, what) in enumerate((("s", "time"), ("MiB", "peak memory"))):
            mine, others = ([values[index] for values in side] for side in (ours, theirs))
            ratio = statistics.median(other / own for own, other in zip(mine, others, strict=True))
            name = f"predict, {experiment}, {what}"
            medians = statistics.median(mine), statistics.median(others)
            found.append(Row(name, medians[0], "a plain loop of PIL and torch", medians[1], unit, ratio, None, NOTE))
    return found


def _plain(folder: Path, file: Path) -> tuple[float, float]:
    arguments = f"Path({str(folder)!r}), Path({str(file)!r})"
    code = f"from pathlib import Path; from benchmarks.prediction import plain_loop; plain_loop({arguments})"
    environment = os.environ | {"GLIBC_TUNABLES": TUNABLES}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    seconds, memory = json.loads(done.stdout)
    return seconds, memory
