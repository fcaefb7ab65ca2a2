"""Predict with a network that somebody else trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from cxr.networks.checkpoint_loading import load_checkpoint
from cxr.networks.precision import set_precision
from cxr.training.predictions import predictions_of
from cxr.training.sets import image_sets, members_of_sets, stored_images


def predict_with_checkpoint(
    checkpoint: Path,
    settings: Mapping[str, Any],
    manifest: Path,
    split: Path,
    array: Path,
    normalisation: Mapping[str, float],
    threads: int = 1,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the predictions of a checkpoint on the CPU, as the study computed its own.

    Args:
        checkpoint: as for ``load_checkpoint``.
        settings: of ``run_settings``, for the experiment that the checkpoint belongs to.
        manifest: ``manifest.csv``.
        split: ``split.csv``.
        array: the array of the images at the size of the evaluation transform.
        normalisation: ``mean`` and ``std`` that the network was trained with.
        threads: CPU threads.

    Returns:
        The table of ``predictions_of``, and the facts of ``load_checkpoint``.

    Raises:
        InputError: as ``load_checkpoint``.
    """
    torch.set_num_threads(threads)
    set_precision(settings)
    network, facts = load_checkpoint(checkpoint, settings["experiment"], settings["model"], settings["image_size"])
    cohort = pd.read_csv(manifest)
    members = members_of_sets(settings, cohort, pd.read_csv(split))
    arrays = stored_images((array,), torch.device("cpu"))
    sets = image_sets(settings, members, cohort, {"normalisation": normalisation}, arrays)
    return predictions_of(network, sets, settings, cohort), facts
