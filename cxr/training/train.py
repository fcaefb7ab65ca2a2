"""Train one network under one protocol with one seed, and predict: a run."""

import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from cxr.errors import InputError
from cxr.files import read_json, sha256_of, write_json, written_whole
from cxr.networks.architectures import accelerator, build_model, parameter_counts, set_training_mode
from cxr.networks.precision import forward, in_format, set_precision
from cxr.networks.weights import load_weights
from cxr.progress import clock
from cxr.provenance import peak_memory_mib, provenance
from cxr.training.batches import NETWORK, TRAINING, VALIDATION, Batches, ImageSet, generator_for
from cxr.training.features import read_features
from cxr.training.predictions import PREDICTIONS, predictions_of, write_table
from cxr.training.selection import best_epoch
from cxr.training.sets import feature_sets, image_sets, members_of_sets, stored_images

log = logging.getLogger(__name__)

STATE = "unfinished.pt"
OUTPUTS = ("history.csv", "predictions.csv", "checkpoint.pt")
HISTORY = ["epoch", "learning_rate", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]


def train(
    runs: dict[str, Any],
    manifest: Path,
    split: Path,
    preprocessing: Path,
    arrays: list[Path],
    weights: list[Path] | None = None,
    features: list[Path] | None = None,
    threads: int = 1,
) -> None:
    """Train networks one after another; of each keep the epoch with the first strictly best validation accuracy.

    A run that was killed continues after its last whole epoch, and ends with the same bytes as one never killed (CPU).
    A run whose pretrained weights cannot be had leaves tables without rows and a ``run.json`` that says why.

    Args:
        runs: settings of ``Study.run_settings`` by the folder that each run writes: ``history.csv`` (``epoch,
            learning_rate, train_loss, train_accuracy, val_loss, val_accuracy``), ``predictions.csv``, ``checkpoint.pt``
            (state_dict of the kept epoch) and ``run.json``, which holds the SHA-256 of the other three.
        manifest: ``manifest.csv``.
        split: ``split.csv`` of the protocol.
        preprocessing: ``preprocessing.json`` of the protocol, for the normalisation constants.
        arrays: the arrays that the transforms start from.
        weights: files of ``cxr.networks.weights``, each with its facts beside it.
        features: files of ``cxr.training.features``, for the runs that train nothing but a head on a fixed network.
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
        device = accelerator(settings["device"])
        set_precision(settings)
        # A head alone is too small to share: threads would wait for each other longer than they work.
        threads_of_run = 1 if settings.get("cached_features") else threads
        torch.set_num_threads(threads_of_run)
        state, facts = None, {"available": True, "original": True, "origin": "random", "seed": settings["seed"]}
        if settings["model"].get("weights", "none") != "none":
            state, facts = pretrained[settings["model"]["backbone"]]
        if not facts["available"]:
            log.warning("%s: not run, %s", _name(settings), facts["reason"])
            _write_not_run(folder, settings, facts)
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
            fitted = _fit(trained, settings, sets, folder / STATE)
        except torch.OutOfMemoryError:
            raise InputError(
                f"{folder}: the GPU's memory does not suffice for batches of {settings['batch_size']} images of "
                f"{settings['image_size']} px; let fewer runs share the GPU, or lower image_size in the config."
            ) from None
        trained.load_state_dict(fitted["best_weights"])
        write_table(folder / "history.csv", pd.DataFrame(fitted["history"]))
        write_table(folder / "predictions.csv", predictions_of(trained, sets, settings, cohort))
        _save({name: value.cpu() for name, value in network.state_dict().items()}, folder / "checkpoint.pt")
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


def _write_not_run(folder: Path, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    write_table(folder / "history.csv", pd.DataFrame(columns=HISTORY))
    write_table(folder / "predictions.csv", pd.DataFrame(columns=PREDICTIONS))
    _save({}, folder / "checkpoint.pt")
    record = {"status": "not run", "reason": facts["reason"], "settings": settings, "weights": facts}
    write_json(folder / "run.json", record)


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


def _fit(
    network: nn.Module, settings: Mapping[str, Any], sets: Mapping[str, Batches], state_file: Path
) -> dict[str, Any]:
    """Train for all epochs, or for those that an interrupted run left; return the state after the last."""
    seed = settings["seed"]
    if settings.get("compile"):
        # CUDA graphs on a GPU, where launching kernels takes longer than running them in batches as small as these.
        network.compile(mode="reduce-overhead")
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=settings["learning_rate"], fused=True)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, settings["lr_step"], settings["lr_gamma"])
    state = _unfinished(state_file, settings)
    # What goes on from epoch to epoch; after the last it is not kept.
    parts: dict[str, Any] = {"network": network, "optimizer": optimizer, "scheduler": scheduler}
    if state:
        for name, part in parts.items():
            if state[name] is not None:
                part.load_state_dict(state[name])
        log.info("%s: continues after epoch %d", _name(settings), len(state["history"]))
    else:
        state = {"history": [], "epoch_seconds": []}
    for epoch in range(len(state["history"]) + 1, settings["epochs"] + 1):
        begun = time.monotonic()
        # Dropout draws from torch's global generators.
        torch.manual_seed(generator_for(seed, epoch, NETWORK).initial_seed())
        rate = optimizer.param_groups[0]["lr"]
        train_loss, train_accuracy, last_loss = train_epoch(network, optimizer, sets["train"], settings, epoch)
        scheduler.step()
        val_loss, val_accuracy = _validate(network, sets["validation"], settings, epoch)
        if settings["validation_loss"] == "last_training_batch":
            val_loss = last_loss
        state["history"].append(
            {
                "epoch": epoch,
                "learning_rate": rate,
                "train_loss": train_loss,
                "train_accuracy": train_accuracy,
                "val_loss": val_loss,
                "val_accuracy": val_accuracy,
            }
        )
        if best_epoch([row["val_accuracy"] for row in state["history"]]) == epoch:
            state |= {"best_accuracy": val_accuracy, "best_epoch": epoch}
            state["best_weights"] = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        seconds = time.monotonic() - begun
        state["epoch_seconds"].append(seconds)
        finished = epoch == settings["epochs"]
        going_on = {name: None if finished else part.state_dict() for name, part in parts.items()}
        _save({**state, **going_on, "settings": json.dumps(settings, sort_keys=True)}, state_file)
        left = (settings["epochs"] - epoch) * float(np.mean(state["epoch_seconds"]))
        log.info(
            "%s: epoch %d of %d, validation accuracy %.4f, %.0f images/s, %s left",
            *(_name(settings), epoch, settings["epochs"], val_accuracy, len(sets["train"]) / seconds, clock(left)),
        )
    return state


def _save(content: Any, path: Path) -> None:
    # Given a path, torch.save writes its name into the archive; given a stream, equal content is equal bytes.
    with written_whole(path) as part, part.open("wb") as stream:
        torch.save(content, stream)


def _unfinished(state_file: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The state that an interrupted run of the same settings left, or an empty dictionary."""
    if not state_file.exists():
        return {}
    state: dict[str, Any] = torch.load(state_file, weights_only=True)
    return state if state["settings"] == json.dumps(settings, sort_keys=True) else {}


def train_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Batches,
    settings: Mapping[str, Any],
    epoch: int,
) -> tuple[float, float, float]:
    """One pass over the training images; return mean loss and accuracy of the batches, and the last batch's loss."""
    set_training_mode(network, settings["fixed_batch_norm"])
    batches = images.batches(settings["batch_size"], generator_for(settings["seed"], epoch, TRAINING), shuffle=True)
    outcomes = []
    for batch, labels in batches:
        optimizer.zero_grad()
        logits = forward(network, batch, settings)
        loss = nn.functional.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        outcomes.append(_outcome(logits, labels, loss))
    losses, correct, counts = torch.stack(outcomes).cpu().unbind(1)
    if not losses.isfinite().all():
        first = int((~losses.isfinite()).nonzero()[0])
        raise InputError(
            f"{_name(settings)}: the loss is not finite in epoch {epoch}, batch {first + 1} of {len(losses)}; lower "
            f"the learning rate, or look for images without contrast."
        )
    return float(losses.mean()), _accuracy(correct, counts, settings), float(losses[-1])


@torch.no_grad()
def _validate(network: nn.Module, images: Batches, settings: Mapping[str, Any], epoch: int) -> tuple[float, float]:
    """Return cross entropy (a mean over images) and accuracy, the latter as the protocol counts it."""
    network.eval()
    batches = images.batches(settings["batch_size"], generator_for(settings["seed"], epoch, VALIDATION), shuffle=True)
    outcomes = []
    for batch, labels in batches:
        logits = forward(network, batch, settings)
        outcomes.append(_outcome(logits, labels, nn.functional.cross_entropy(logits, labels)))
    losses, correct, counts = torch.stack(outcomes).cpu().unbind(1)
    return float((losses * counts).sum() / counts.sum()), _accuracy(correct, counts, settings)


def _outcome(logits: Tensor, labels: Tensor, loss: Tensor) -> Tensor:
    """Loss, number of right answers and number of images of a batch, kept on the device."""
    right = (logits.argmax(1) == labels).sum()
    return torch.stack([loss.detach().double(), right.double(), torch.full_like(right, len(labels)).double()])


def _accuracy(correct: Tensor, counts: Tensor, settings: Mapping[str, Any]) -> float:
    if settings["accuracy"] == "batch_mean":
        return float((correct / counts).mean())
    return float(correct.sum() / counts.sum())


def _name(settings: Mapping[str, Any]) -> str:
    return f"{settings['experiment']}/{settings['protocol']}/seed-{settings['seed']}"


def _device_facts(device: torch.device, threads: int) -> dict[str, Any]:
    if device.type == "cuda":
        return {
            "name": torch.cuda.get_device_name(device),
            "threads": threads,
            "peak_memory_mib": round(torch.cuda.max_memory_allocated(device) / 2**20, 1),
        }
    return {"name": "CPU", "threads": threads}
