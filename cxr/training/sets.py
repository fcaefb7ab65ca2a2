"""The sets that a run trains on and is judged by, as images or as the features of a fixed network."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cxr.networks.architectures import torch_device
from cxr.preprocessing.arrays import open_array
from cxr.preprocessing.transforms import Stored, aspect_ratios
from cxr.training.batches import FeatureSet, ImageSet


@functools.lru_cache(maxsize=1)
def stored_images(arrays: tuple[Path, ...], device: torch.device) -> dict[int, Stored]:
    """Return arrays of images by side length: mapped files for the CPU; a GPU keeps all of them in its memory."""
    mapped = [open_array(path) for path in arrays]
    if device.type == "cpu":
        return {array.shape[-1]: array for array in mapped}
    return {array.shape[-1]: torch.from_numpy(array).to(device) for array in mapped}


def members_of_sets(
    settings: Mapping[str, Any], manifest: pd.DataFrame, split: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Return path, label and manifest ``row`` of each set's images, those of training limited as settings say."""
    row_of = pd.Series(np.arange(len(manifest)), index=manifest["path"])
    members = dict(iter(split.assign(row=row_of[split["path"]].to_numpy()).groupby("set", sort=False)))
    members["train"] = members["train"].groupby("label").head(settings["training_rows"] or len(split))
    return {str(name): table for name, table in members.items()}


def transforms_of(settings: Mapping[str, Any], name: str) -> list[str]:
    """Return the names of the transforms under which a set is seen."""
    return list(settings["training_set"]) if name == "train" else [settings["evaluation_transform"]]


def image_sets(
    settings: Mapping[str, Any],
    members: Mapping[str, pd.DataFrame],
    manifest: pd.DataFrame,
    preprocessing: Mapping[str, Any],
    arrays: Mapping[int, Stored],
) -> dict[str, ImageSet]:
    """Return the sets of a run as images.

    Args:
        settings: of ``cxr.study.settings.run_settings``.
        members: of ``members_of_sets``.
        manifest: ``manifest.csv``.
        preprocessing: ``preprocessing.json`` of the protocol.
        arrays: of ``stored_images``.
    """
    return {
        name: ImageSet(
            paths=table["path"].tolist(),
            rows=table["row"].to_numpy(),
            labels=table["label"].to_numpy(),
            transforms=[settings["transforms"][used] for used in transforms_of(settings, name)],
            arrays=arrays,
            aspects=aspect_ratios(manifest),
            channels=settings["model"]["input_channels"],
            image_size=settings["image_size"],
            pixel_divisor=settings["pixel_divisor"],
            mean=preprocessing["normalisation"]["mean"],
            std=preprocessing["normalisation"]["std"],
            device=torch_device(settings["device"]),
        )
        for name, table in members.items()
    }


def feature_sets(
    settings: Mapping[str, Any],
    members: Mapping[str, pd.DataFrame],
    features: Mapping[str, pd.DataFrame],
    device: torch.device,
) -> dict[str, FeatureSet]:
    """Return the sets of a run as the features of their images.

    Args:
        settings: of ``cxr.study.settings.run_settings``.
        members: of ``members_of_sets``.
        features: of ``cxr.training.features.read_features``.
        device: where the features are to be.
    """
    return {
        name: FeatureSet(
            paths=table["path"].tolist(),
            labels=table["label"].to_numpy(),
            transforms=[settings["transforms"][used] for used in transforms_of(settings, name)],
            features=torch.from_numpy(
                np.stack([features[used].loc[table["row"]] for used in transforms_of(settings, name)])
            ).to(device),
            device=device,
        )
        for name, table in members.items()
    }
