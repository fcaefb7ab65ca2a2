"""What the figures of the images themselves are drawn from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxr.files import read_json
from cxr.images.cohort import common_side, is_resized
from cxr.images.names import SPLITS
from cxr.preprocessing.arrays import grey_levels, open_array, read_rows
from cxr.study import layout
from cxr.study.arrays import array_of_side
from cxr.study.config import Study

# Folders with fewer images have no histograms.
FEWEST = 50


@dataclass(frozen=True)
class ImageData:
    """The images of a config, and what was measured of them.

    Attributes:
        manifest: ``manifest.csv``, with the column ``set``: train, validation or test of the config's first protocol,
            empty for images that it leaves out.
        resized: whether all images have one size, as those of a resized copy.
        array: the array of all images, row i for row i of the manifest.
        duplicates: ``duplicates.json``.
        intensity: ``intensity.json``.
        transforms: ``transforms.npz`` of the first protocol.
        transform_titles: what its transforms do, by name.
        first_batch: ``first_batch.npz``.
    """

    manifest: pd.DataFrame
    resized: bool
    array: npt.NDArray[np.int16]
    duplicates: Mapping[str, Any]
    intensity: Mapping[str, Any]
    transforms: Path
    transform_titles: Mapping[str, str]
    first_batch: Path

    @property
    def folders(self) -> list[str]:
        """The folders of which histograms are drawn: those with ``FEWEST`` images (the study's val has 16)."""
        counts = self.manifest["official_split"].value_counts()
        found = [name for name in SPLITS if counts.get(name, 0)]
        return [name for name in found if counts[name] >= FEWEST] or found

    def pictures(self, rows: "list[int] | pd.Index[int]") -> npt.NDArray[np.uint8]:
        """Return images by their rows of the manifest in whole grey levels, shape (len(rows), H, W)."""
        return grey_levels(read_rows(self.array, np.asarray(rows, np.int64)))


def read_image_data(study: Study, results: Path) -> ImageData | None:
    """Read what the figures of the images are drawn from; None where a file of it does not exist.

    Args:
        study: the config and what it names.
        results: ``results/<config name>``.
    """
    protocol = next(iter(study.protocols))
    cohort = read_json(layout.cohort(results))
    manifest, split = layout.manifest(results), layout.split(results, protocol)
    array = layout.array(results, array_of_side(study, common_side(cohort)))
    duplicates, intensity = layout.duplicates(results), layout.intensity(results)
    transforms, first_batch = layout.transforms(results, protocol), layout.first_batch(results)
    if not all(path.exists() for path in (manifest, split, array, duplicates, intensity, transforms, first_batch)):
        return None
    table = pd.read_csv(manifest)
    # Where a protocol also scores the official test set, its images have a set of their own already.
    sets = pd.read_csv(split).drop_duplicates("path").set_index("path")["set"]
    return ImageData(
        manifest=table.assign(set=table["path"].map(sets).fillna("")),
        resized=is_resized(cohort),
        array=open_array(array),
        duplicates=read_json(duplicates),
        intensity=read_json(intensity),
        transforms=transforms,
        transform_titles={name: transform["title"] for name, transform in study.transforms(protocol).items()},
        first_batch=first_batch,
    )
