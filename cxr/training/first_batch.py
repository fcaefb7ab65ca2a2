"""The first batch that an experiment trains on, as the loader gives it, for the figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cxr.files import read_json, written_whole
from cxr.training.batches import TRAINING, generator_for
from cxr.training.sets import image_sets, members_of_sets, stored_images


def write_first_batch(
    settings: dict[str, Any], manifest: Path, split: Path, preprocessing: Path, arrays: list[Path], batch: Path
) -> None:
    """Write the first training batch of epoch 1; it is made on the CPU, whatever device the run trains on.

    Args:
        settings: of ``cxr.study.settings.run_settings``.
        manifest: ``manifest.csv``.
        split: ``split.csv`` of the protocol.
        preprocessing: ``preprocessing.json`` of the protocol.
        arrays: the arrays that the transforms start from.
        batch: npz file to write: ``inputs`` of shape (B, channels, H, W), normalised; ``labels`` of shape (B,), 0
            NORMAL and 1 PNEUMONIA; ``black`` and ``white``, what normalisation makes of grey levels 0 and 255.
    """
    settings = {**settings, "device": "cpu"}
    cohort, stored = pd.read_csv(manifest), stored_images(tuple(arrays), torch.device("cpu"))
    members = members_of_sets(settings, cohort, pd.read_csv(split))
    images = image_sets(settings, members, cohort, read_json(preprocessing), stored)["train"]
    generator = generator_for(settings["seed"], 1, TRAINING)
    inputs, labels = next(images.batches(settings["batch_size"], generator, shuffle=True))
    black, white = ((level / images.pixel_divisor - images.mean) / images.std for level in (0, 255))
    with written_whole(batch) as part:
        np.savez_compressed(part, inputs=inputs.numpy(), labels=labels.numpy(), black=black, white=white)
