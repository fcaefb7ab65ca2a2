"""A small cohort for the benchmarks, prepared by the workflow's own stages."""

import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from PIL import Image

from benchmarks.timing import scratch
from cxr.files import read_json, write_json
from cxr.images.inspection import list_images
from cxr.images.manifest import write_manifest
from cxr.images.sources import provide_images
from cxr.preprocessing.arrays import write_arrays
from cxr.preprocessing.normalisation import write_normalisation
from cxr.preprocessing.split import write_split
from cxr.study.arrays import all_arrays, array_name
from cxr.study.config import PAPER, Study
from cxr.study.settings import run_settings, split_settings
from cxr.training.batches import ImageSet
from cxr.training.sets import image_sets, members_of_sets, stored_images

# About the median width and height of the study's images, in pixels.
ORIGINAL = (1280, 888)
# The number of images of each class in each folder.
TAKEN = {"train": 150, "val": 8, "test": 40}


@dataclass(frozen=True)
class Prepared:
    """A small cohort, with all files that training reads.

    Attributes:
        study: the config with the experiments and protocols that it names.
        folder: where the files are: ``manifest.csv``, ``cohort.json``, ``split.csv``, ``preprocessing.json``.
        arrays: the arrays of all images.
    """

    study: Study
    folder: Path
    arrays: tuple[Path, ...]

    @property
    def images(self) -> Path:
        """The folder of the images."""
        return Path(read_json(self.folder / "cohort.json")["root"])

    def sets(self, settings: dict[str, Any]) -> dict[str, ImageSet]:
        """Return the training, validation and test sets of a run by name.

        Args:
            settings: of ``Study.run_settings``.
        """
        manifest = pd.read_csv(self.folder / "manifest.csv")
        members = members_of_sets(settings, manifest, pd.read_csv(self.folder / "split.csv"))
        preprocessing = read_json(self.folder / "preprocessing.json")
        return image_sets(settings, members, manifest, preprocessing, stored_images(self.arrays, torch.device("cpu")))


@cache
def all_images() -> Path:
    """Return the folder of the real images that CXR_DATA names, or a folder of phantoms drawn here."""
    if os.environ.get("CXR_DATA"):
        return Path(os.environ["CXR_DATA"])
    folder = scratch("phantoms")
    counts = {part: {"NORMAL": taken, "PNEUMONIA": taken} for part, taken in TAKEN.items()}
    source = {"source": "phantom", "phantom": {"seed": 1, "counts": counts}}
    provide_images(source, folder / "images", folder / "source.json", threads=os.cpu_count() or 1)
    return Path(read_json(folder / "source.json")["root"])


@cache
def some_images(size: tuple[int, int] | None) -> Path:
    """Return a folder with ``TAKEN`` of the images, resized to ``size`` (width, height in pixels) unless it is None."""
    folder = scratch("images" if size is None else f"images-{size[0]}x{size[1]}")
    shutil.rmtree(folder)
    taken: dict[str, int] = {}
    for path in list_images(all_images()):
        part = str(Path(path).parent)
        taken[part] = taken.get(part, 0) + 1
        if taken[part] <= TAKEN[Path(part).parent.name]:
            (folder / part).mkdir(parents=True, exist_ok=True)
            if size is None:
                shutil.copy(all_images() / path, folder / path)
            else:
                with Image.open(all_images() / path) as image:
                    image.convert("L").resize(size).save((folder / path).with_suffix(".jpeg"), quality=92)
    return folder


@cache
def prepared(image_size: int, protocol: str = "published", size: tuple[int, int] | None = None) -> Prepared:
    """Return the cohort of ``some_images(size)``, prepared for training at ``image_size`` px under a protocol."""
    config: dict[str, Any] = {
        "name": "benchmarks",
        "data": {"source": "folder", "folder": str(some_images(size).resolve())},
        "device": "cpu",
        "image_size": image_size,
        "protocols": [protocol],
        "experiments": "all",
        "seeds": [42, 43, 44],
        "weights": {"resnet18": "random", "densenet121": "random"},
    }
    study = Study.from_config(config)
    folder = scratch(f"{protocol}-{image_size}px" + ("" if size is None else f"-{size[0]}x{size[1]}"))
    provide_images(config["data"], folder / "images", folder / "source.json")
    published, manifest = PAPER / "published" / "results.json", folder / "manifest.csv"
    write_manifest(folder / "source.json", published, manifest, folder / "cohort.json", threads=2)
    arrays = [folder / f"{name}.npy" for name in all_arrays(study)]
    write_arrays(manifest, folder / "cohort.json", arrays, threads=2)
    settings = split_settings(study, protocol)
    write_split(manifest, settings, folder / "split.csv")
    array = folder / f"{array_name(study, 1.0, protocol)}.npy"
    write_normalisation(manifest, folder / "split.csv", array, published, settings, folder / "preprocessing.json")
    write_json(folder / "settings.json", {name: run_settings(study, name, protocol, 42) for name in study.experiments})
    return Prepared(study, folder, tuple(arrays))
