"""How long this machine would train a config, from a few seconds of training of each of its networks."""

import json
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cxr.files import write_json
from cxr.networks.architectures import build_model
from cxr.networks.precision import in_format, set_precision
from cxr.study import settings as stages
from cxr.study.config import Study
from cxr.study.steps import resize_of
from cxr.study.workload import image_count, images_per_epoch, trained_runs
from cxr.training.batches import ImageSet
from cxr.training.epochs import train_epoch

log = logging.getLogger(__name__)
# A measurement of fewer seconds, in which the first step is still much slower than the others, is made again with more
# images.
SHORTEST = 0.4


def write_estimate(config: dict[str, Any], cores: int, estimate: Path) -> None:
    """Train each network of a config on noise for a moment, and say how long this machine would need for all runs.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        cores: CPU cores that the workflow may use; runs share them by the config's ``threads``.
        estimate: JSON to write: ``hours``, ``runs``, ``cores``, and ``networks``, a list of ``experiment`` (the first
            with this network), ``backbone``, ``images`` (that pass through it in all runs), ``seconds_per_image`` and
            ``hours`` (with all cores busy).
    """
    study = Study.from_config(config)
    threads = min(study.config.get("threads", 1), cores)
    at_once = _jobs_at_once(study, cores // threads)
    networks = []
    for settings, images in _work(study):
        seconds = seconds_per_image(settings, threads)
        networks.append(
            {
                "experiment": settings["experiment"],
                "backbone": settings["model"]["backbone"],
                "images": images,
                "seconds_per_image": round(seconds, 6),
                "hours": round(images * seconds / at_once / 3600, 3),
            }
        )
    runs = len(trained_runs(study))
    hours = round(sum(network["hours"] for network in networks), 3)
    log.info("%s", sentence(networks, hours, runs))
    write_json(estimate, {"hours": hours, "runs": runs, "cores": cores, "networks": networks})


def sentence(networks: list[dict[str, Any]], hours: float, runs: int) -> str:
    """Return what a user is told: the time in all, the part of each backbone, and the quick way."""
    parts: Counter[str] = Counter()
    for network in networks:
        parts[network["backbone"]] += network["hours"]
    listed = ", ".join(f"{backbone} {_rounded(part)}" for backbone, part in parts.items())
    return (
        f"This machine would need about {_rounded(hours)} on its CPU to train {runs} runs ({listed}); "
        "`make demo` shows the whole path in minutes."
    )


def _rounded(hours: float) -> str:
    """Return a duration with no more digits than an estimate has: ``12 min``, ``3.5 h``, ``31 h``, ``13 days``."""
    if hours < 1:
        return f"{max(round(hours * 60), 1)} min"
    if hours < 72:
        return f"{hours:.1f} h" if hours < 10 else f"{hours:.0f} h"
    return f"{hours / 24:.0f} days"


def _jobs_at_once(study: Study, most: int) -> int:
    """Return how many jobs train at once: ``one_process`` and ``seeds_in_one_job`` join runs to larger jobs."""
    together, seeds = study.config.get("one_process"), study.config.get("seeds_in_one_job")
    jobs = {
        (protocol, None if together else experiment, None if seeds else seed)
        for protocol, experiment, seed in trained_runs(study)
    }
    return max(1, min(most, len(jobs)))


def _work(study: Study) -> list[tuple[dict[str, Any], int]]:
    """Return, for each network that costs another time, settings of a run with it and how many images pass through it.

    Heads on stored features cost next to nothing; the features cost one pass of the training images for each protocol.
    """
    images = image_count(study)
    first: dict[str, dict[str, Any]] = {}
    passed: dict[str, int] = defaultdict(int)
    featured = set()
    for protocol, experiment, seed in trained_runs(study):
        settings = stages.run_settings(study, experiment, protocol, seed)
        epochs = settings["epochs"]
        if settings.pop("cached_features", False):
            epochs = (protocol, settings["model"]["backbone"]) not in featured
            featured.add((protocol, settings["model"]["backbone"]))
        # The size of the head and the seed change nothing, but which layers train does.
        model = {key: value for key, value in settings["model"].items() if key not in ("head", "weights")}
        name = json.dumps([model, settings["batch_size"]], sort_keys=True)
        first.setdefault(name, settings)
        passed[name] += epochs * images_per_epoch(study, experiment, protocol, images)
    return [(settings, passed[name]) for name, settings in first.items()]


def seconds_per_image(settings: Mapping[str, Any], threads: int) -> float:
    """Return how long a run takes for one image of an epoch, transforms included, measured on noise.

    Args:
        settings: of ``run_settings``.
        threads: CPU threads.
    """
    torch.set_num_threads(threads)
    set_precision(settings)
    network = in_format(build_model(settings["model"], settings["image_size"]), settings)
    optimizer = torch.optim.Adam(parameter for parameter in network.parameters() if parameter.requires_grad)
    images = 1
    while True:
        noise = _noise(settings, images)
        begun = time.perf_counter()
        train_epoch(network, optimizer, noise, settings, 1)
        seconds = time.perf_counter() - begun
        if seconds > SHORTEST:
            return seconds / len(noise)
        images *= 4


def _noise(settings: Mapping[str, Any], count: int) -> ImageSet:
    """Return a training set of noise in the sizes that the transforms start from."""
    transforms = [settings["transforms"][name] for name in settings["training_set"]]
    sizes = {round(resize_of(steps) * settings["image_size"]) for steps in transforms}
    return ImageSet(
        paths=[str(row) for row in range(count)],
        rows=np.arange(count),
        labels=np.arange(count) % 2,
        transforms=transforms,
        arrays={size: torch.randint(0, 255, (count, size, size), dtype=torch.int16) for size in sizes},
        aspects=np.ones(count, np.float32),
        channels=settings["model"]["input_channels"],
        image_size=settings["image_size"],
        pixel_divisor=settings["pixel_divisor"],
        mean=0.5,
        std=0.25,
        device=torch.device("cpu"),
    )
