"""Identical and nearly identical images: planted ones are found, and different ones are not."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image, ImageEnhance
from result_tree import smooth_images

from cxr.preprocessing.arrays import LEVEL, grey_levels
from cxr.preprocessing.duplicates import BITS, LISTED, NEAR, hashes_of, pairs_of, tally

COUNT = 40


def saved_as_jpeg(picture: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=75)
    return Image.open(stream)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "the same": lambda picture: picture,
    "JPEG": saved_as_jpeg,
    "half the size": lambda picture: picture.resize((32, 32), Image.Resampling.BOX).resize((64, 64)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.1),
}


def stored(picture: Image.Image) -> npt.NDArray[np.int16]:
    return np.asarray(picture, np.int16) * LEVEL


@pytest.fixture
def manifest() -> pd.DataFrame:
    """Images of 40 patients in train, but for the last in test."""
    keys = [f"p{row}" for row in range(COUNT)]
    table = pd.DataFrame({"path": keys, "patient_fine": keys, "patient_coarse": keys, "sha256": keys})
    return table.assign(**{"class": "NORMAL", "official_split": ["train"] * (COUNT - 1) + ["test"]})


@pytest.fixture
def images() -> npt.NDArray[np.int16]:
    return smooth_images(COUNT, np.random.default_rng(8))


@pytest.mark.parametrize("kind", COPIES)
def test_a_planted_copy_is_near_and_no_other_pair_is(
    kind: str, manifest: pd.DataFrame, images: npt.NDArray[np.int16]
) -> None:
    images[17] = stored(COPIES[kind](Image.fromarray(grey_levels(images[3]))))
    pairs, distances = pairs_of(manifest, hashes_of(images))
    near = pairs[pairs["distance"] <= NEAR]
    assert near[["a", "b"]].to_numpy().tolist() == [[3, 17]] and not near["identical"].any()
    assert sum(distances["same_patient"]) + sum(distances["different_patients"]) == COUNT * (COUNT - 1) / 2
    assert len(distances["same_patient"]) == BITS + 1


def test_a_mirrored_image_is_another_one(manifest: pd.DataFrame, images: npt.NDArray[np.int16]) -> None:
    images[17] = images[3, :, ::-1]
    pairs, _ = pairs_of(manifest, hashes_of(images))
    assert not len(pairs[pairs["distance"] <= LISTED])


def test_identical_files_are_listed_whatever_their_hashes_are(
    manifest: pd.DataFrame, images: npt.NDArray[np.int16]
) -> None:
    manifest.loc[17, "sha256"] = manifest.loc[3, "sha256"]
    pairs, _ = pairs_of(manifest, hashes_of(images))
    (pair,) = pairs[pairs["identical"]].to_dict("records")
    assert (pair["a"], pair["b"]) == (3, 17) and pair["distance"] > LISTED


def test_borders_are_crossed_in_either_direction(manifest: pd.DataFrame) -> None:
    manifest.loc[5, ["class", "patient_fine"]] = ["PNEUMONIA", "p4"]
    pairs = pd.DataFrame({"a": [0, 4], "b": [COUNT - 1, 5]})
    split = pd.DataFrame({"path": ["p0", f"p{COUNT - 1}", "p4", "p5"], "set": ["test", "validation", "train", "train"]})
    # The official test set holds the validation image, too.
    again = pd.DataFrame({"path": [f"p{COUNT - 1}"], "set": ["official_test"]})
    found = tally(pairs, manifest, {"published": pd.concat([split, again])})
    assert found["pairs"] == 2
    assert found["across"] == {"class": 1, "official_split": 1, "patient_fine": 1, "patient_coarse": 2}
    assert found["sets"] == {"published": {"train, validation": 0, "train, test": 0, "validation, test": 1}}


def test_a_real_x_ray_saved_as_jpeg_is_near_itself(real_images: Path) -> None:
    paths = sorted((real_images / "train" / "PNEUMONIA").iterdir())[:200]
    pictures = [Image.open(path).convert("L").resize((80, 80), Image.Resampling.BILINEAR) for path in paths]
    hashes: dict[str, Any] = {
        "original": hashes_of(np.stack([stored(picture) for picture in pictures])),
        "copy": hashes_of(np.stack([stored(saved_as_jpeg(picture)) for picture in pictures])),
    }
    moved = np.bitwise_count(hashes["original"] ^ hashes["copy"]).sum(axis=1)
    assert np.mean(moved <= NEAR) > 0.98
