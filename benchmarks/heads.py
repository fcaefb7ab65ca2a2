"""Strategy I on a fixed network: three heads with three seeds, trained with and without stored features."""

import shutil
import time
from typing import Any

import torch

from benchmarks.cohort import prepared
from benchmarks.timing import Row
from cxr.networks.weights import write_weights
from cxr.study.settings import features_settings, heads_on, run_settings
from cxr.training.features import write_features
from cxr.training.train import train

BACKBONE, PROTOCOL, SIZE, IMAGES = "resnet18", "corrected", 64, 150


def rows(threads: int = 2) -> list[Row]:
    """Train all nine heads by the workflow's stages, once with stored features and once without."""
    cohort = prepared(SIZE, PROTOCOL)
    study, folder = cohort.study, cohort.folder
    torch.set_num_threads(threads)
    weights = folder / f"{BACKBONE}.pt"
    write_weights({"backbone": BACKBONE, "source": "random"}, weights, weights.with_suffix(".json"))
    stage: dict[str, Any] = {
        "manifest": folder / "manifest.csv",
        "split": folder / "split.csv",
        "preprocessing": folder / "preprocessing.json",
        "arrays": list(cohort.arrays),
        "threads": threads,
    }
    heads = [(name, seed) for name in heads_on(study, BACKBONE, PROTOCOL) for seed in study.config["seeds"]]
    limit = {"training_rows": IMAGES}

    def seconds(cached: bool) -> float:
        runs = folder / "runs"
        shutil.rmtree(runs, ignore_errors=True)
        start = time.perf_counter()
        features = [folder / "features" / f"{BACKBONE}.npz"] if cached else []
        for path in features:
            settings = features_settings(study, BACKBONE, PROTOCOL) | limit
            write_features(settings, weights=weights, features=path, **stage)
        changes = limit | {"cached_features": cached}
        settings = {
            str(runs / f"{name}-{seed}"): run_settings(study, name, PROTOCOL, seed) | changes for name, seed in heads
        }
        train(settings, weights=[weights], features=features, **stage)
        return time.perf_counter() - start

    ours, theirs = seconds(cached=True), seconds(cached=False)
    note = f"{len(heads)} runs, {2 * IMAGES} images x 2 transforms, 10 epochs, {SIZE} px; measured once"
    name = f"strategy I, {BACKBONE}, features stored"
    return [Row(name, ours, "the whole network in every epoch", theirs, "s", theirs / ours, 20.0, note)]
