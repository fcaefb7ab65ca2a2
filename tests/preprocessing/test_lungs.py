"""Masks of the lungs: right on phantoms, whose lungs are known, and sensible on what is no chest."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from cxr.files import read_json
from cxr.images.phantom.plan import Radiograph, plan_cohort
from cxr.images.phantom.radiograph import draw_radiograph, lungs_of
from cxr.preprocessing.arrays import resized
from cxr.preprocessing.lungs import (
    SIDE,
    USUAL,
    area_averages,
    box_sums,
    find_lungs,
    place_outlines,
    read_lungs,
    write_lungs,
)

COUNTS = {split: {"NORMAL": 8, "PNEUMONIA": 8} for split in ("train", "val", "test")}


def dice(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    both = (first & second).sum(axis=(1, 2))
    return 2 * both / (first.sum(axis=(1, 2)) + second.sum(axis=(1, 2)))


@pytest.fixture(scope="module")
def phantoms() -> tuple[list[Radiograph], npt.NDArray[np.int16], npt.NDArray[np.bool_]]:
    """A cohort with its images at 96 px and its exact lungs at 64 px."""
    cohort = plan_cohort(3, COUNTS)
    images = [resized(draw_radiograph(image, 3, 1 / 7).astype(np.float32), 96, True) for image in cohort]
    lungs = [resized(255 * lungs_of(image, 3, 1 / 7).astype(np.float32), SIDE, True) for image in cohort]
    return cohort, np.stack(images), np.stack(lungs) > 255 * 128 / 2


def test_masks_are_the_lungs_of_phantoms(
    phantoms: tuple[list[Radiograph], npt.NDArray[np.int16], npt.NDArray[np.bool_]],
) -> None:
    cohort, images, lungs = phantoms
    found = dice(find_lungs(images)[0], lungs)
    assert found.mean() > 0.91
    assert np.quantile(found, 0.1) > 0.85
    # A consolidation does not cost the lung that it lies in.
    assert found[[image.finding != "none" for image in cohort]].mean() > 0.88


def test_masks_do_not_depend_on_the_size_or_on_the_other_images(
    phantoms: tuple[list[Radiograph], npt.NDArray[np.int16], npt.NDArray[np.bool_]],
) -> None:
    _, images, _ = phantoms
    masks, moved = find_lungs(images)
    backwards, moved_backwards = find_lungs(images[::-1])
    np.testing.assert_array_equal(masks, backwards[::-1])
    np.testing.assert_array_equal(moved, moved_backwards[::-1])
    # Each pixel four times: the same areas.
    np.testing.assert_array_equal(masks[:4], find_lungs(images[:4].repeat(2, axis=1).repeat(2, axis=2))[0])


def test_bright_letters_in_a_corner_leave_the_lungs_where_they_are(
    phantoms: tuple[list[Radiograph], npt.NDArray[np.int16], npt.NDArray[np.bool_]],
) -> None:
    _, images, _ = phantoms
    lettered = images.copy()
    lettered[:, 4:14, 3:16] = 255 * 128
    assert dice(find_lungs(lettered)[0], find_lungs(images)[0]).mean() > 0.97


@pytest.mark.parametrize("level", [0, 100, 255])
def test_an_image_without_contrast_has_average_lungs_at_their_usual_place(level: int) -> None:
    masks, moved = find_lungs(np.full((1, 48, 48), level * 128, np.int16))
    assert not moved.any()
    assert dice(masks, (place_outlines(USUAL, SIDE) > 0)[None])[0] > 0.93


def test_area_averages_are_exact_and_rounded_down() -> None:
    images = np.random.default_rng(0).integers(0, 32641, (3, 224, 224)).astype(np.int16)
    # Every pixel twice: 448 / 64 is whole.
    expected = images.repeat(2, axis=1).repeat(2, axis=2).reshape(3, 64, 7, 64, 7).astype(int).sum(axis=(2, 4)) // 49
    np.testing.assert_array_equal(area_averages(images), expected)


def test_box_sums_repeat_the_edge() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 11))
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    np.testing.assert_array_equal(box_sums(images, 5), windows.sum(axis=(3, 4)))


def test_the_stage_writes_masks_in_the_order_of_the_manifest_and_their_shares(
    phantoms: tuple[list[Radiograph], npt.NDArray[np.int16], npt.NDArray[np.bool_]], tmp_path: Path
) -> None:
    cohort, images, _ = phantoms
    rows = [image.path.split("/")[:2] for image in cohort]
    pd.DataFrame(rows, columns=["official_split", "class"]).to_csv(tmp_path / "manifest.csv")
    np.save(tmp_path / "96px.npy", images)
    write_lungs(tmp_path / "manifest.csv", tmp_path / "96px.npy", tmp_path / "lungs.npz", tmp_path / "lungs.json")
    masks, facts = read_lungs(tmp_path / "lungs.npz"), read_json(tmp_path / "lungs.json")
    np.testing.assert_array_equal(masks, find_lungs(images)[0])
    of = [row == ["test", "NORMAL"] for row in rows]
    assert facts["share"]["test"]["NORMAL"] == pytest.approx(masks[of].mean(), abs=1e-6)
    assert {split: set(shares) for split, shares in facts["share"].items()} == {
        split: {"NORMAL", "PNEUMONIA"} for split in COUNTS
    }
    assert (facts["array"], facts["images"]) == ("96px", len(images))
    with np.load(tmp_path / "lungs.npz") as stored:
        assert (stored["masks"].dtype, stored["masks"].shape) == (np.uint8, (len(images), 64, 8))
