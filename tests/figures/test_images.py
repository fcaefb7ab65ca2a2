"""Figures of the images themselves: what they say, and when they are absent."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from result_tree import make_study

from cxr.figures.composition import draw_composition
from cxr.figures.data import FigureData
from cxr.figures.duplicates import draw_duplicates
from cxr.figures.first_batch import draw_first_batch
from cxr.figures.image_data import ImageData, read_image_data
from cxr.figures.image_sizes import draw_image_sizes
from cxr.figures.intensity import draw_intensity
from cxr.figures.pictures import LARGEST, reduced
from cxr.figures.samples import draw_samples
from cxr.figures.style import paper_style, write_svg
from cxr.figures.transforms import draw_augmentation, of_figure_1, parameters_in_words, read_examples

DRAWINGS = (
    draw_augmentation,
    draw_composition,
    draw_duplicates,
    draw_first_batch,
    draw_image_sizes,
    draw_intensity,
    draw_samples,
)


@pytest.fixture
def images(results: Path) -> ImageData:
    found = read_image_data(make_study(), results)
    assert found is not None
    return found


def data_of(images: ImageData | None) -> FigureData:
    return FigureData(
        protocols={"published": "as published"},
        outcomes={},
        experiment_ids=(),
        groups={},
        uncertainty={},
        level=0.95,
        questions={},
        claims=(),
        verdicts={},
        ablations=(),
        networks={},
        synthetic=(),
        notes={},
        may_show_images=True,
        images=images,
    )


def drawn(draw, images: ImageData | None) -> tuple[Figure, str | None]:
    with paper_style():
        figure = Figure()
        return figure, draw(figure, data_of(images))


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize("draw", DRAWINGS)
def test_without_images_nothing_is_drawn(draw) -> None:
    assert drawn(draw, None)[1] is None


def test_results_whose_arrays_were_deleted_have_no_figures_of_images(results: Path, tmp_path: Path) -> None:
    for place in ("images", "preprocessing/duplicates.json", "preprocessing/intensity.json", "preprocessing/published"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).symlink_to((results / place).absolute())
    assert read_image_data(make_study(), tmp_path) is None


def test_sizes_of_originals_are_told_by_class_and_a_resized_copy_says_that_it_is_one(images: ImageData) -> None:
    normal = (images.manifest["class"] == "NORMAL").to_numpy()
    table = images.manifest.assign(width=np.where(normal, 1600, 1200), height=np.where(normal, 1280, 800))
    figure, finding = drawn(draw_image_sizes, replace(images, manifest=table))
    assert finding == (
        "The median image measures 1,600 \N{MULTIPLICATION SIGN} 1,280 px with an aspect ratio of 1.25 for normal and "
        "1,200 \N{MULTIPLICATION SIGN} 800 px with an aspect ratio of 1.50 for pneumonia."
    )
    assert {"train", "normal", "pneumonia"} <= set(words(figure))
    copy = replace(images, manifest=images.manifest.assign(width=80, height=80), resized=True)
    figure, finding = drawn(draw_image_sizes, copy)
    assert finding is not None and " 80 \N{MULTIPLICATION SIGN} 80 px: they are a resized copy." in finding
    assert "all folders: a resized copy" in words(figure)


def test_samples_are_of_every_kind_that_there_is_and_always_the_same(images: ImageData) -> None:
    figure, finding = drawn(draw_samples, images)
    kinds = ["normal", "bacterial\npneumonia", "viral\npneumonia"]
    assert sorted({word for word in words(figure) if word not in ("train", "test")}) == sorted(kinds)
    assert finding is not None and finding.startswith("24 of 408 X-rays")
    # A cohort of one's own may not tell the etiology.
    unknown = images.manifest["etiology"].where(images.manifest["class"] == "NORMAL", "unknown")
    figure, _ = drawn(draw_samples, replace(images, manifest=images.manifest.assign(etiology=unknown)))
    assert "pneumonia,\nunknown\netiology" in words(figure) and "viral\npneumonia" not in words(figure)
    assert drawn(draw_composition, replace(images, manifest=images.manifest.assign(etiology=unknown)))[1]


def test_duplicates_are_counted_and_none_are_said_to_be_none(images: ImageData) -> None:
    figure, finding = drawn(draw_duplicates, images)
    assert finding is not None and finding.startswith(
        "1 group of identical files holds 2 images. The hashes of 1 other pair differ"
    )
    assert "0 bits, train\nsame patient" in words(figure)
    different = [pair for pair in images.duplicates["listed"] if not pair["identical"]]
    nothing = {"groups": 0, "files": 0, "across": {}}
    near = {**images.duplicates["tallies"]["near"], "pairs": 0}
    tallies = {**images.duplicates["tallies"], "near": near}
    changed = {**images.duplicates, "listed": different, "identical": nothing, "tallies": tallies}
    finding = drawn(draw_duplicates, replace(images, duplicates=changed))[1]
    assert finding is not None and finding.startswith("No two files are identical. No other two hashes differ in 10 of")
    assert drawn(draw_duplicates, replace(images, duplicates={**changed, "listed": []}))[1] is None


def test_what_was_drawn_stands_below_each_picture_in_the_order_in_which_it_is_applied(images: ImageData) -> None:
    parameters = {
        "T1.1.angle": np.array([-13.24]),
        "T3.1.brightness": np.array([1.125]),
        "T3.1.contrast": np.array([0.9]),
        "T3.1.brightness_first": np.array([False]),
        "T4.3.angle": np.array([4.0]),
        "T4.1.top": np.array([5]),
        "T4.1.left": np.array([12]),
        "T4.2.mirrored": np.array([False]),
    }
    assert parameters_in_words(parameters, "T0", 0) == ""
    assert parameters_in_words(parameters, "T1", 0) == "\N{MINUS SIGN}13.2\N{DEGREE SIGN}"
    assert parameters_in_words(parameters, "T3", 0) == (
        "contrast \N{MULTIPLICATION SIGN} 0.90\nbrightness \N{MULTIPLICATION SIGN} 1.12"
    )
    assert parameters_in_words(parameters, "T4", 0) == "from (12, 5)\nnot mirrored\n+4.0\N{DEGREE SIGN}"
    figure, finding = drawn(draw_augmentation, images)
    _, stored = read_examples(images.transforms)
    others = [index for index in range(10) if index not in of_figure_1(10)]
    assert len(others) == 7
    assert {parameters_in_words(stored, "T4", index) for index in others} <= set(words(figure))
    assert finding is not None and "7 of 7 images mirrored (T2)" in finding


def test_pictures_are_stored_grey_and_at_their_own_size(tmp_path: Path) -> None:
    picture = np.arange(48 * 48, dtype=np.uint8).reshape(48, 48)
    figure = Figure(figsize=(2, 1))
    for place, extra in enumerate(({"cmap": "gray"}, {"cmap": "viridis"})):
        axes = figure.add_axes((place / 2, 0, 0.5, 1))
        axes.imshow(picture, vmin=0, vmax=255, interpolation="none", **extra)
        axes.set_axis_off()
    write_svg(figure, tmp_path / "pictures.svg")
    found = re.findall(r'base64,([^"]*)"', (tmp_path / "pictures.svg").read_text())
    grey, coloured = (Image.open(io.BytesIO(base64.b64decode(text))) for text in found)
    assert grey.mode == "L" and grey.size == (48, 48) and coloured.mode != "L"
    assert (np.abs(np.asarray(grey, int) - picture) <= 1).all()


def test_large_pictures_are_reduced_and_keep_their_mean() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (224, 224)).astype(np.uint8)
    small = reduced(picture)
    assert small.shape == (LARGEST, LARGEST) and abs(small.mean() - picture.mean()) < 1
    assert reduced(small) is small
