"""The epochs of a run: training, validation, the best weights, and going on after an interruption."""

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cxr.errors import InputError
from cxr.files import written_whole
from cxr.networks.architectures import set_training_mode
from cxr.networks.precision import forward
from cxr.progress import clock
from cxr.training.batches import NETWORK, TRAINING, VALIDATION, Batches, generator_for
from cxr.training.selection import best_epoch

log = logging.getLogger(__name__)


def fit(
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
        log.info("%s: continues after epoch %d", name_of(settings), len(state["history"]))
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
        save({**state, **going_on, "settings": json.dumps(settings, sort_keys=True)}, state_file)
        left = (settings["epochs"] - epoch) * float(np.mean(state["epoch_seconds"]))
        log.info(
            "%s: epoch %d of %d, validation accuracy %.4f, %.0f images/s, %s left",
            *(name_of(settings), epoch, settings["epochs"], val_accuracy, len(sets["train"]) / seconds, clock(left)),
        )
    return state


def save(content: Any, path: Path) -> None:
    """Write tensors whole or not at all; equal content gives equal bytes."""
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
            f"{name_of(settings)}: the loss is not finite in epoch {epoch}, batch {first + 1} of {len(losses)}; lower "
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


def name_of(settings: Mapping[str, Any]) -> str:
    """Return what log lines call a run: ``custom/published/seed-42``."""
    return f"{settings['experiment']}/{settings['protocol']}/seed-{settings['seed']}"
