"""Predict the classes of the validation and test images."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from torch import nn

from cxr.networks.precision import forward
from cxr.training.batches import VALIDATION, Batches, generator_for
from cxr.training.tables import PATIENTS, PREDICTIONS


@torch.no_grad()
def predictions_of(
    network: nn.Module, sets: Mapping[str, Batches], settings: Mapping[str, Any], manifest: pd.DataFrame
) -> pd.DataFrame:
    """Return the predictions of a network for all images but those of the training set, in the split's order.

    Args:
        network: returns logits of shape (B, classes); an unchanged ImageNet head has 1,000 classes.
        sets: of ``image_sets`` or ``feature_sets``.
        settings: of ``run_settings``.
        manifest: ``manifest.csv``.

    Returns:
        The columns of ``predictions.csv``: ``path, set, label`` (0 NORMAL, 1 PNEUMONIA), ``patient_coarse,
        patient_fine, probability`` (of PNEUMONIA) and ``predicted`` (the class with the largest logit).
    """
    network.eval()
    tables = []
    for name, images in sets.items():
        if name == "train":
            continue
        batches = images.batches(64, generator_for(0, 0, VALIDATION), shuffle=False)
        logits = torch.cat([forward(network, batch, settings).cpu() for batch, _ in batches])
        columns = {
            "path": images.paths,
            "set": name,
            "label": images.labels,
            "probability": logits.softmax(1)[:, 1].numpy(),
            "predicted": logits.argmax(1).numpy(),
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables).merge(manifest[PATIENTS], on="path")[PREDICTIONS]
