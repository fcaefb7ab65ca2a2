"""How bright the images are, by class and official split, in grey levels from 0 (black) to 255."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxr.files import read_json, write_json
from cxr.images.cohort import common_side
from cxr.images.names import CLASSES, SPLITS
from cxr.preprocessing.arrays import grey_levels, open_array
from cxr.study import layout
from cxr.study.arrays import array_of_side
from cxr.study.config import Study

# So many grey levels fall into one bin of pixels, and of means of images.
PIXEL_BIN, MEAN_BIN = 4, 8


def write_intensity(config: dict[str, Any], results: Path, intensity: Path) -> None:
    """Write ``intensity.json``.

    Args:
        config: the config.
        results: ``results/<config name>``, with the manifest and the arrays.
        intensity: the file to write: the ``array``; ``pixel_edges`` and ``mean_edges`` of the bins, in grey levels; and
            under ``groups``, by split and class: ``images``; ``mean`` and ``sd`` of the images' mean grey levels;
            ``means``, how many images' means fall into each bin; ``pixels``, the share of pixels in each bin, which
            sums to 1. Null for what no image or, for ``sd``, one image leaves undefined.
    """
    study = Study.from_config(config)
    manifest = pd.read_csv(layout.manifest(results))
    name = array_of_side(study, common_side(read_json(layout.cohort(results))))
    images = open_array(layout.array(results, name))
    counts = np.stack([np.bincount(grey_levels(image).ravel(), minlength=256) for image in images])
    # Whole numbers up to here, so that sums do not depend on their order.
    means = counts @ np.arange(256) / counts.sum(axis=1)
    pixel_edges, mean_edges = np.arange(0, 257, PIXEL_BIN), np.arange(0, 257, MEAN_BIN)
    groups: dict[str, dict[str, Any]] = {split: {} for split in SPLITS}
    for split in SPLITS:
        for kind in CLASSES:
            rows = ((manifest["official_split"] == split) & (manifest["class"] == kind)).to_numpy()
            number = int(rows.sum())
            pixels = counts[rows].sum(axis=0).reshape(-1, PIXEL_BIN).sum(axis=1)
            groups[split][kind] = {
                "images": number,
                "mean": float(means[rows].mean()) if number else None,
                "sd": float(means[rows].std(ddof=1)) if number > 1 else None,
                "means": np.histogram(means[rows], mean_edges)[0].tolist(),
                "pixels": (pixels / pixels.sum()).tolist() if number else None,
            }
    write_json(
        intensity,
        {"array": name, "pixel_edges": pixel_edges.tolist(), "mean_edges": mean_edges.tolist(), "groups": groups},
    )
