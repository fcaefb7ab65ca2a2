"""The constants that training normalises with, and what there is to say about a protocol's preprocessing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxr.files import read_json, write_json
from cxr.images.names import CLASSES
from cxr.preprocessing.arrays import LEVEL, open_array
from cxr.preprocessing.split import digest_of_test_rows, shared_patients


def normalisation_constants(
    images: npt.NDArray[np.int16], rows: Sequence[int], pixel_divisor: float
) -> tuple[float, float]:
    """Return the mean of the images' means and the mean of their unbiased standard deviations.

    Args:
        images: stored images, shape (N, H, W), in 1/128 grey levels.
        rows: the rows that count: the balanced training images.
        pixel_divisor: grey levels are divided by this (the study: 225).

    Source: notebook 1, the cells that print 0.5455 and 0.2587.
    """
    means, deviations = [], []
    # One image at a time: all of them in double precision would take a gigabyte.
    for row in rows:
        pixels = images[row].astype(np.float64) / (LEVEL * pixel_divisor)
        means.append(pixels.mean())
        deviations.append(pixels.std(ddof=1))
    return float(np.mean(means)), float(np.mean(deviations))


def write_normalisation(
    manifest: Path, split: Path, array: Path, published: Path, settings: dict[str, Any], preprocessing: Path
) -> None:
    """Write ``preprocessing.json``: set sizes, the split's digest, normalisation constants beside the printed ones.

    Args:
        manifest: ``manifest.csv``.
        split: ``split.csv`` of the protocol.
        array: the images at image_size.
        published: ``paper/published/results.json``.
        settings: of ``Study.split_settings``.
        preprocessing: the file to write.
    """
    cohort, rows = pd.read_csv(manifest), pd.read_csv(split)
    row_of = pd.Series(cohort.index, index=cohort["path"])
    train = row_of[rows.loc[rows["set"] == "train", "path"]]
    mean, std = normalisation_constants(open_array(array), train.tolist(), settings["pixel_divisor"])
    printed = read_json(published)["normalisation"]
    write_json(
        preprocessing,
        {
            "protocol": settings["protocol"],
            "image_size": settings["image_size"],
            "sets": {
                name: {label: int((members["label"] == CLASSES.index(label)).sum()) for label in CLASSES}
                for name, members in rows.groupby("set", sort=False)
            },
            "test_rows_sha256": digest_of_test_rows(rows),
            "normalisation": {
                "mean": mean,
                "std": std,
                "mean_printed": printed["mean"],
                "std_printed": printed["std"],
                "pixel_divisor": settings["pixel_divisor"],
            },
            "training_images": {
                name: count * len(train) for name, count in settings["transforms_of_experiments"].items()
            },
            "patient_overlap": {key: shared_patients(rows, cohort, f"patient_{key}") for key in ("fine", "coarse")},
        },
    )
