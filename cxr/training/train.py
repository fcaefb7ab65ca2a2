"""Train one network under one protocol with one seed, and predict: a run."""

import logging
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from cxr.errors import InputError
from cxr.files import read_json, sha256_of, write_json
from cxr.networks.architectures import build_model, parameter_counts, torch_device
from cxr.networks.precision import in_format, set_precision
from cxr.networks.weights import load_weights
from cxr.provenance import peak_memory_mib, provenance
from cxr.training.archive import unpack_run
from cxr.training.batches import Batches, ImageSet
from cxr.training.epochs import fit, name_of, save
from cxr.training.features import read_features
from cxr.training.predictions import predictions_of
from cxr.training.sets import feature_sets, image_sets, members_of_sets, stored_images
from cxr.training.tables import write_not_run, write_table

log = logging.getLogger(__name__)

STATE = "unfinished.pt"
OUTPUTS = ("history.csv", "predictions.csv", "checkpoint.pt")


def train(
    runs: dict[str, Any],
    manifest: Path,
    split: Path,
    preprocessing: Path,
    arrays: list[Path],
    weights: list[Path] | None = None,
    features: list[Path] | None = None,
    threads: int = 1,
    archive: Path | None = None,
) -> None:
    """Train networks one after another; of each keep the epoch with the first strictly best validation accuracy.

    A run that was killed continues after its last whole epoch, and ends with the same bytes as one never killed (CPU).
    A run whose pretrained weights are unavailable leaves tables without rows and a ``run.json`` that says why.

    Args:
        runs: settings of ``cxr.study.settings.run_settings`` by the folder that each run writes: ``history.csv``
            (``epoch, learning_rate, train_loss, train_accuracy, val_loss, val_accuracy``), ``predictions.csv``,
            ``checkpoint.pt`` (state_dict of the kept epoch) and ``run.json``, with the SHA-256 of the other three.
        manifest: ``manifest.csv``.
        split: ``split.csv`` of the protocol.
        preprocessing: ``preprocessing.json`` of the protocol, for the normalisation constants.
        arrays: the arrays that the transforms start from.
        weights: files of ``cxr.networks.weights``, each with its facts beside it.
        features: files of ``cxr.training.features``, for the runs that train nothing but a head on a fixed network.
        archive: finished runs (``cxr.training.archive``), from which a run is taken if its weights are unavailable.
        threads: CPU threads; sums over threads differ in the last bits, so the number is kept in ``run.json``.

    Raises:
        InputError: CUDA is not there, memory does not suffice, or the loss is not finite.
    """
    inputs = {"manifest": manifest, "split": split, "preprocessing": preprocessing}
    cohort, rows, constants = pd.read_csv(manifest), pd.read_csv(split), read_json(preprocessing)
    pretrained = {path.stem: load_weights(path, path.with_suffix(".json")) for path in weights or []}
    stored = {path.stem: path for path in features or []}
    # Asked now: a checkout may move on while a long run goes on with the code that it has loaded.
    origin = provenance(inputs)
    folders = [Path(folder) for folder in runs]
    for folder, settings in zip(folders, runs.values(), strict=True):
        device = torch_device(settings["device"])
        set_precision(settings)
        # A head alone is too small to share: threads would wait for each other longer than they work.
        threads_of_run = 1 if settings.get("cached_features") else threads
        torch.set_num_threads(threads_of_run)
        state, facts = None, {"available": True, "original": True, "origin": "random", "seed": settings["seed"]}
        if settings["model"].get("weights", "none") != "none":
            state, facts = pretrained[settings["model"]["backbone"]]
        if not facts["available"]:
            if archive is None or not unpack_run(archive, folder, settings, manifest, split, done=True):
                log.warning("%s: not run, %s", name_of(settings), facts["reason"])
                write_not_run(folder, settings, facts)
            save({}, folder / "checkpoint.pt")
            continue
        started = datetime.now(UTC)
        torch.manual_seed(settings["seed"])
        network = in_format(build_model(settings["model"], settings["image_size"], state).to(device), settings)
        if settings.get("cached_features"):
            # The network up to its head is fixed, and what it makes of the images is stored: the head trains alone.
            trained = network.get_submodule(settings["model"]["head"]["layer"])
            features_of_images = read_features(stored[settings["model"]["backbone"]])
            sets: Mapping[str, Batches] = feature_sets(
                settings, members_of_sets(settings, cohort, rows), features_of_images, device
            )
        else:
            trained, sets = network, _image_sets(settings, cohort, rows, constants, arrays, device)
        try:
            fitted = fit(trained, settings, sets, folder / STATE)
        except torch.OutOfMemoryError:
            raise InputError(
                f"{folder}: the GPU's memory does not suffice for batches of {settings['batch_size']} images of "
                f"{settings['image_size']} px; let fewer runs share the GPU, or lower image_size in the config."
            ) from None
        trained.load_state_dict(fitted["best_weights"])
        write_table(folder / "history.csv", pd.DataFrame(fitted["history"]))
        write_table(folder / "predictions.csv", predictions_of(trained, sets, settings, cohort))
        save({name: value.cpu() for name, value in network.state_dict().items()}, folder / "checkpoint.pt")
        write_json(
            folder / "run.json",
            {
                "status": "done",
                "settings": settings,
                "outputs": {name: sha256_of(folder / name) for name in OUTPUTS},
                "seed": settings["seed"],
                "best_epoch": fitted["best_epoch"],
                "best_val_accuracy": fitted["best_accuracy"],
                "parameters": parameter_counts(network),
                "weights": facts,
                "training_images": len(sets["train"]),
                "steps_per_epoch": math.ceil(len(sets["train"]) / settings["batch_size"]),
                "started": started.isoformat(timespec="seconds"),
                "epoch_seconds": [round(seconds, 3) for seconds in fitted["epoch_seconds"]],
                "wall_seconds": round(sum(fitted["epoch_seconds"]), 3),
                "peak_memory_mib": peak_memory_mib(),
                "device": _device_facts(device, threads_of_run),
                **origin,
            },
        )
    # Snakemake removes the outputs of a job that fails: as long as one run of it may, the others' states stay.
    for folder in folders:
        (folder / STATE).unlink(missing_ok=True)


def _image_sets(
    settings: Mapping[str, Any],
    manifest: pd.DataFrame,
    split: pd.DataFrame,
    preprocessing: Mapping[str, Any],
    arrays: Sequence[Path],
    device: torch.device,
) -> dict[str, ImageSet]:
    members = members_of_sets(settings, manifest, split)
    return image_sets(settings, members, manifest, preprocessing, stored_images(tuple(arrays), device))


def _device_facts(device: torch.device, threads: int) -> dict[str, Any]:
    if device.type == "cuda":
        return {
            "name": torch.cuda.get_device_name(device),
            "threads": threads,
            "peak_memory_mib": round(torch.cuda.max_memory_allocated(device) / 2**20, 1),
        }
    return {"name": "CPU", "threads": threads}
