"""What a fixed pretrained network makes of the images, computed once for all heads and seeds that train on it.

Under strategy I nothing but the head trains. Where batch normalisation is fixed, too, and the transforms draw nothing
at random, the network up to its head is one function of the image: it need not run again in each epoch of each run.
"""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from cxr.errors import InputError
from cxr.files import read_json, written_whole
from cxr.networks.architectures import build_backbone, set_training_mode, torch_device
from cxr.networks.precision import forward, in_format, set_precision
from cxr.networks.weights import load_weights
from cxr.progress import progress
from cxr.training.batches import ImageSet, generator_for
from cxr.training.sets import image_sets, members_of_sets, stored_images, transforms_of

log = logging.getLogger(__name__)
BATCH = 64


def write_features(
    settings: dict[str, Any],
    manifest: Path,
    split: Path,
    preprocessing: Path,
    arrays: list[Path],
    weights: Path,
    features: Path,
    threads: int = 1,
) -> None:
    """Write the features of a protocol's images under a pretrained backbone.

    Args:
        settings: of ``Study.features_settings``.
        manifest: ``manifest.csv``.
        split: ``split.csv`` of the protocol.
        preprocessing: ``preprocessing.json`` of the protocol.
        arrays: the arrays that the transforms start from.
        weights: file of ``cxr.networks.weights``, with its facts beside it.
        features: npz file to write: for each transform ``<name>.rows``, int64 of shape (k,), rows of the manifest, and
            ``<name>.features``, float32 of shape (k, features). Without weights, a file without arrays.
        threads: CPU threads.

    Raises:
        InputError: the backbone does not do the same twice, such as one with dropout before its head.
    """
    torch.set_num_threads(threads)
    state, facts = load_weights(weights, weights.with_suffix(".json"))
    found: dict[str, Any] = {}
    if state is not None:
        device = torch_device(settings["device"])
        set_precision(settings)
        cohort = pd.read_csv(manifest)
        network = build_backbone(
            settings["model"]["backbone"], settings["model"]["input_channels"], settings["image_size"]
        )
        network.load_state_dict(state)
        head = settings["model"]["head"]["layer"]
        # The mode in which the head trains on the network: what stands beside a head that trains is not fixed.
        network.requires_grad_(False).get_submodule(head).requires_grad_(True)
        set_training_mode(network, "eval")
        network.set_submodule(head, nn.Identity())
        network = in_format(network.to(device), settings)
        members = members_of_sets(settings, cohort, pd.read_csv(split))
        stored = stored_images(tuple(arrays), device)
        for name in settings["transforms"]:
            seen = [table for key, table in members.items() if name in transforms_of(settings, key)]
            # An image may be in several sets, such as the official test set and another: its features are stored once.
            table = pd.concat(seen).drop_duplicates("row")
            chosen = settings | {"training_set": [name]}
            images = image_sets(chosen, {"train": table}, cohort, read_json(preprocessing), stored)["train"]
            found[f"{name}.rows"] = table["row"].to_numpy()
            found[f"{name}.features"] = _features(network, images, settings, f"features of {name}")
    else:
        log.warning("%s: no features, %s", features, facts["reason"])
    with written_whole(features) as part, part.open("wb") as stream:
        np.savez(stream, **found)


@torch.no_grad()
def _features(network: nn.Module, images: ImageSet, settings: Mapping[str, Any], label: str) -> npt.NDArray[np.float32]:
    """Run all images through the network, in the mode that it is in."""
    found = []
    # Without shuffling, and with transforms that draw nothing, the generator's numbers do not matter.
    batches = images.batches(BATCH, generator_for(0, 0, 0), shuffle=False)
    for batch, _ in progress(batches, math.ceil(len(images) / BATCH), f"batches of {BATCH} images", label):
        found.append(forward(network, batch, settings))
        if len(found) == 1:
            again = forward(network, batch, settings)
            network.eval()
            if not (torch.equal(found[0], again) and torch.equal(again, forward(network, batch, settings))):
                model = settings["model"]
                raise InputError(
                    f"{model['backbone']} does not give an image the same features twice in training, as with dropout "
                    f"before its head '{model['head']['layer']}'; let head.layer in paper/experiments.yaml name the "
                    "last layers together, or set 'cached_features: false' in the config."
                )
    return torch.cat(found).cpu().numpy()


def read_features(path: Path) -> dict[str, pd.DataFrame]:
    """Return, for each transform, the features of the images under it: manifest rows as index, a column a feature."""
    with np.load(path) as stored:
        names = [key.removesuffix(".rows") for key in stored if key.endswith(".rows")]
        return {name: pd.DataFrame(stored[f"{name}.features"], index=stored[f"{name}.rows"]) for name in names}
