"""Get the pretrained weights of a backbone from torchvision or from a file, and record where they come from.

The weights become ``<backbone>.pt``, a plain state_dict. ``<backbone>.json`` beside it gives their origin, or the
reason why there are none; runs that need them are then not run.
"""

import logging
import pickle
import socket
import urllib.error
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cxr.errors import InputError
from cxr.files import read_json, sha256_of, write_json, written_whole
from cxr.networks.architectures import build_backbone

log = logging.getLogger(__name__)

TIMEOUT = 20  # seconds without an answer


def write_weights(settings: dict[str, Any], weights: Path, facts: Path) -> None:
    """Download or read the weights of a backbone, check them, and write them; or record why there are none.

    Args:
        settings: of ``weights_settings``; the source ``random`` draws weights from a fixed seed.
        weights: the state_dict to write; it is empty if there are no weights.
        facts: JSON: ``backbone``, ``available``, ``original`` (whether these are torchvision's IMAGENET1K_V1, which the
            study used), ``origin``, ``sha256``, and ``reason`` if they are not available.

    Raises:
        InputError: a file is missing, has another hash, is damaged, holds anything but tensors, or does not fit.
    """
    backbone, source = settings["backbone"], settings["source"]
    state: Mapping[str, Tensor] = {}
    torch.manual_seed(0)
    known: dict[str, Any] = {"available": True, "original": False}
    if source == "random":
        state = build_backbone(backbone, 3, 224).state_dict()
        known |= {"origin": "random weights, standing in"}
    elif source == "none":
        known = {"available": False, "original": False, "reason": "no weights: the config names none for this network"}
    elif source == "file":
        path = Path(settings["path"])
        state = read_weights(path, settings["sha256"], backbone)
        known |= {"origin": f"file {path.name}", "sha256": settings["sha256"]}
    else:
        try:
            state, origin = _torchvision_weights(backbone)
            known |= {"original": True, "origin": origin}
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            reason = f"no weights: torchvision's for {backbone} could not be downloaded ({error})"
            remedy = f"name a file as weights.{backbone}.file in the config, or delete {facts} and run again online"
            log.warning("%s; %s. The runs that need them are not run.", reason, remedy)
            known = {"available": False, "original": True, "reason": reason}
    with written_whole(weights) as part, part.open("wb") as stream:
        torch.save(dict(state), stream)
    write_json(facts, {"backbone": backbone, **known})


def _torchvision_weights(backbone: str) -> tuple[Mapping[str, Tensor], str]:
    """Return torchvision's IMAGENET1K_V1 weights and their origin; torch.hub caches them and checks their hash."""
    import torchvision

    entries = torchvision.models.get_model_weights(backbone)
    weights = entries["IMAGENET1K_V1"]
    # torch.hub sets no limit: behind a firewall that swallows packets it would wait for ever.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        return weights.get_state_dict(progress=True, check_hash=True), f"torchvision {weights}, {weights.url}"
    except RuntimeError as error:
        raise InputError(
            f"the download of {weights.url} has another hash than its name says ({error}); delete it from torch's "
            f"cache ({torch.hub.get_dir()}/checkpoints) and run again."
        ) from None
    finally:
        socket.setdefaulttimeout(before)


def read_weights(path: Path, sha256: str, backbone: str) -> dict[str, Tensor]:
    """Return the state_dict of a file in the network's data types, after checking hash, names and shapes.

    ``torch.load(weights_only=True)`` unpickles tensors only, so the file cannot run code.

    Raises:
        InputError: one sentence for whatever is wrong with the file.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; weights.{backbone}.file must name a state_dict.")
    found = sha256_of(path)
    if found != sha256:
        raise InputError(
            f"{path} has the SHA-256 {found}, the config says {sha256}; download it again or correct the config."
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        first = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(
            f"{path} holds more than tensors, or is damaged, and was not loaded ({first}); save a state_dict."
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        first = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{path} is damaged or no file of torch.save ({first}); download it again.") from None
    tensors = isinstance(state, Mapping) and all(isinstance(value, Tensor) for value in state.values())
    if not tensors:
        raise InputError(f"{path} holds no state_dict (names and tensors); save network.state_dict().")
    expected = build_backbone(backbone, 3, 224).state_dict()
    missing, surplus = expected.keys() - state.keys(), state.keys() - expected.keys()
    if missing or surplus:
        example = sorted(missing or surplus)[0]
        words = "lacks" if missing else "has a surplus"
        raise InputError(f"{path} does not fit {backbone}: it {words} '{example}'; name the file of that network.")
    for name, value in expected.items():
        if state[name].shape != value.shape:
            raise InputError(
                f"{path} does not fit {backbone}: '{name}' has the shape {tuple(state[name].shape)} and not "
                f"{tuple(value.shape)}; name the file of that network."
            )
    return {name: state[name].to(value.dtype) for name, value in expected.items()}


def load_weights(weights: Path, facts: Path) -> tuple[dict[str, Tensor] | None, dict[str, Any]]:
    """Return what ``write_weights`` wrote: the state_dict, or None where there is none, and the facts."""
    known = read_json(facts)
    return (torch.load(weights, weights_only=True) if known["available"] else None), known
