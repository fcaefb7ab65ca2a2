"""Networks in one file: safetensors, which hold numbers and cannot run code, with all facts in their metadata.

The metadata has one key, ``cxr``, of which the value is JSON: ``version`` of this layout, ``facts`` of a
``TrainedNetwork``, ``limit`` and ``aspects`` of its likeness, ``sets`` of its own images, and ``sha256`` of all of
these and of the tensors. Tensors are ``network.<name>``, ``likeness.mean``, ``likeness.precision``, ``own.sha256`` and
``own.places``. Equal networks give equal files.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from cxr.errors import InputError
from cxr.files import written_whole
from cxr.prediction.likeness import Likeness
from cxr.prediction.own_images import as_arrays, from_arrays
from cxr.prediction.trained import TrainedNetwork

SUFFIX = ".safetensors"
KEY = "cxr"
VERSION = 1
NETWORK = "network."


def write_export(trained: TrainedNetwork, file: Path) -> None:
    """Write a network to a file, whole or not at all."""
    hashes, places, sets = as_arrays(trained.own)
    tensors = {
        **{f"{NETWORK}{name}": value.contiguous() for name, value in trained.state.items()},
        "likeness.mean": torch.tensor(trained.likeness.mean),
        "likeness.precision": torch.tensor(trained.likeness.precision),
        "own.sha256": torch.tensor(hashes),
        "own.places": torch.tensor(places),
    }
    content = {
        "version": VERSION,
        "facts": trained.facts,
        "limit": trained.likeness.limit,
        "aspects": trained.likeness.aspects,
        "sets": sets,
    }
    text = json.dumps({**content, "sha256": _digest(content, tensors)}, sort_keys=True, ensure_ascii=False)
    with written_whole(file) as part:
        save_file(tensors, part, {KEY: text})


def read_export(file: Path) -> TrainedNetwork:
    """Read and check a file of ``write_export``.

    Raises:
        InputError: it does not exist, is no such file, is damaged, or is of a later version.
    """
    if not file.is_file():
        raise InputError(f"{file} does not exist; name a file that `cxr export` wrote, or the folder of a run.")
    again = "export it again, or copy it anew"
    try:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file} is no safetensors file, or damaged ({error}); {again}.") from None
    if KEY not in metadata:
        raise InputError(f"{file} was not written by `cxr export`; name a file that was, or the folder of a run.")
    try:
        content = json.loads(metadata[KEY])
        version, sha256 = content["version"], content.pop("sha256")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{file} is damaged: its description cannot be read; {again}.") from None
    if version != VERSION:
        raise InputError(f"{file} has version {version} of the format, and {VERSION} is read here; export it again.")
    if sha256 != _digest(content, tensors):
        raise InputError(f"{file} is damaged: its content is not the one that was written; {again}.")
    return TrainedNetwork(
        facts=content["facts"],
        state={name.removeprefix(NETWORK): value for name, value in tensors.items() if name.startswith(NETWORK)},
        likeness=Likeness(
            mean=tensors["likeness.mean"].numpy(),
            precision=tensors["likeness.precision"].numpy(),
            limit=content["limit"],
            aspects=content["aspects"] and tuple(content["aspects"]),
        ),
        own=from_arrays(tensors["own.sha256"].numpy(), tensors["own.places"].numpy(), content["sets"]),
    )


def _digest(content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()
