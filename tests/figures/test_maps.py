"""What the networks look at: which images, maps and networks are drawn, and what the sentences say of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from result_tree import PAPER, make_study, weigh, write_cohort, write_explanation, write_images, write_run

from cxr.figures.data import FigureData, read_figure_data
from cxr.figures.explanations import read_explanation
from cxr.figures.filters import draw_filters, mosaic_of
from cxr.figures.inside import draw_inside
from cxr.figures.maps import draw_all_maps, draw_cams, draw_maps, main_networks
from cxr.figures.style import paper_style
from cxr.figures.xrays import XRays
from cxr.files import read_json, write_json
from cxr.study import layout

EXPERIMENTS = ["custom", "custom-T1", "resnet18-I-trial", "resnet18-I-10", "resnet18-III"]
STUDY = make_study(experiments=EXPERIMENTS)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Results of a few experiments with their explanations."""
    write_cohort(tmp_path, True)
    write_images(tmp_path, STUDY)
    for experiment in EXPERIMENTS:
        write_run(tmp_path, STUDY, experiment, "published", 42)
        write_explanation(tmp_path, STUDY, experiment, "published", 42)
    weigh(tmp_path, STUDY)
    return tmp_path


def read(root: Path) -> FigureData:
    return read_figure_data(STUDY.config, root, PAPER / "published")


def folder_of(root: Path, experiment: str) -> Path:
    return layout.explanation(root, layout.place_of("published", experiment, 42))


def change(root: Path, experiment: str, **changes: Any) -> None:
    record = folder_of(root, experiment) / "explanation.json"
    write_json(record, {**read_json(record), **changes})


def drawn(draw: Any, *arguments: Any) -> tuple[Figure, str | None]:
    with paper_style():
        figure = Figure()
        return figure, draw(figure, *arguments)


def pictures(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for axes in figure.axes for image in axes.images]


def test_one_network_of_each_strategy_is_shown(root: Path) -> None:
    assert list(main_networks(read(root))) == ["custom", "resnet18-I-10", "resnet18-III"]


def test_nothing_is_drawn_without_an_explanation(root: Path) -> None:
    for experiment in EXPERIMENTS:
        write_json(folder_of(root, experiment) / "explanation.json", {"status": "not made", "reason": "no weights"})
    found = read(root)
    assert not found.explanations
    for draw, *arguments in ((draw_maps,), (draw_all_maps, "resnet18"), (draw_cams,), (draw_filters,), (draw_inside,)):
        assert drawn(draw, found, *arguments)[1] is None
    assert drawn(draw_all_maps, found, "densenet121")[1] is None


def test_a_case_has_its_own_pixels_its_probability_and_maps_that_share_a_scale(root: Path) -> None:
    folder, whole = folder_of(root, "resnet18-III"), read(root).xrays
    assert whole is not None
    rows = whole.rows
    with np.load(folder / "maps.npz") as stored:
        arrays = dict(stored)
    paths, case = arrays["paths"], arrays["case"]
    # The median image follows the most confident one.
    order = [0, 0, *range(1, len(case))]
    arrays = {name: values if name.startswith("filters") else values[order] for name, values in arrays.items()}
    median = next(path for path in rows if path not in paths and "PNEUMONIA/test" in path)
    arrays["paths"][1] = median
    arrays["map/layer4/0"][1], arrays["map/layer4/1"][1] = 0.25, 0.5
    np.savez_compressed(folder / "maps.npz", **arrays)
    images = np.random.default_rng(0).integers(0, 256, (len(rows), 8, 8))
    np.save(root / "8px.npy", (images * 128).astype(np.int16))
    xrays = XRays(root / "8px.npy", rows)
    found = read_explanation(root, layout.place_of("published", "resnet18-III", 42), xrays)
    assert found is not None
    shown = found.cases[str(case[0])]
    np.testing.assert_allclose(shown.xray, images[rows[median]] / 255)
    table = (layout.run(root, layout.place_of("published", "resnet18-III", 42)) / "predictions.csv").read_text()
    assert f"{median},test,1," in table and f",{shown.probability:.9g},{shown.predicted}\n" in table
    np.testing.assert_array_equal(shown.maps["layer4"], [np.full((2, 2), 0.5), np.ones((2, 2))])
    # What speaks against a class is no relevance.
    assert shown.cam is not None
    assert (shown.cam.min(), shown.cam.max()) == (0, 1)


def test_relevance_colours_its_own_place_and_no_other(root: Path) -> None:
    figure, _ = drawn(draw_all_maps, read(root), "resnet18")
    xray, normal, pneumonia = pictures(figure)[:3]
    assert xray.shape == (64, 64, 3) and (xray[..., 0] == xray[..., 1]).all()
    # The maps of 16 x 16 are warm in the first column alone, NORMAL in row 0 and PNEUMONIA in row 1.
    for row, picture in enumerate((normal, pneumonia)):
        changed = np.argwhere((picture != xray).any(axis=2))
        # Bilinear: half of a neighbour's width further.
        assert changed[:, 1].max() < 1.5 * 4
        assert abs(changed[:, 0].mean() - (4 * row + 1.5)) < 1.5


def test_no_image_is_drawn_where_images_may_not_be_shown(root: Path) -> None:
    # Of patients of one's own.
    write_cohort(root, False)
    found = read(root)
    assert found.xrays is None
    for draw, *arguments in ((draw_maps,), (draw_all_maps, "resnet18"), (draw_cams,)):
        assert drawn(draw, found, *arguments)[1] is None
    assert drawn(draw_inside, found)[1] is not None


def test_large_images_are_drawn_smaller(root: Path) -> None:
    found = read(root).xrays
    assert found is not None
    images = np.load(found.array)
    np.save(found.array, images.repeat(4, axis=1).repeat(4, axis=2))
    assert {picture.shape for picture in pictures(drawn(draw_maps, read(root))[0])[:-1]} == {(128, 128, 3)}


def test_a_case_that_no_image_is_of_is_named(root: Path) -> None:
    folder = folder_of(root, "custom")
    with np.load(folder / "maps.npz") as stored:
        arrays = dict(stored)
    keep = arrays["case"] != "false negative"
    arrays = {name: values if name.startswith("filters") else values[keep] for name, values in arrays.items()}
    np.savez_compressed(folder / "maps.npz", **arrays)
    _, finding = drawn(draw_maps, read(root))
    assert finding is not None and "Custom CNN has no false negative." in finding


def test_the_caption_says_where_cam_is_defined_and_why_not_elsewhere(root: Path) -> None:
    _, finding = drawn(draw_cams, read(root))
    assert finding is not None
    assert "CAM is defined at layer4 (ResNet-18 III)." in finding
    assert "It is not defined for Custom CNN and ResNet-18 I, n = 10, since its head has" in finding
    for experiment in EXPERIMENTS:
        change(root, experiment, cam={"defined": False, "reason": "there is no pooling"})
    assert drawn(draw_cams, read(root))[1] is None


def views(root: Path, values: Mapping[str, float]) -> str:
    for experiment in EXPERIMENTS:
        change(root, experiment, visible=values)
    finding = drawn(draw_inside, read(root))[1]
    assert finding is not None
    return finding


def test_the_finding_about_lungs_follows_from_the_numbers(root: Path) -> None:
    without = views(root, {"whole": 0.9, "lungs": 0.6, "outside": 0.8})
    assert "0.30 of the relevance for pneumonia lies inside the lungs, which take 0.25 of the image" in without
    assert "more than their share in all 3 networks" in without
    assert "for all 3 networks no lower without the lungs" in without
    assert "need not be in the lungs" in without
    within = views(root, {"whole": 0.9, "lungs": 0.85, "outside": 0.6})
    assert "for every network lower without the lungs" in within
    assert "rely on the lungs" in within and "need not be" not in within


def test_maps_without_any_relevance_leave_the_share_open(root: Path) -> None:
    nothing = {"all": {"n": 0, "mean": None, "quartiles": None, "lung_area": None}}
    for experiment in EXPERIMENTS:
        layers = read_json(folder_of(root, experiment) / "explanation.json")["relevance"]
        change(
            root,
            experiment,
            relevance={layer: {target: nothing for target in "01"} for layer in layers},
            randomisation={"steps": [{"spearman": None, "n": 0}]},
        )
    finding = drawn(draw_inside, read(root))[1]
    assert finding is not None
    assert "No map of the deep layer has any relevance" in finding
    assert "no maps are left to compare" in finding


def test_filters_are_grey_at_zero_and_the_strongest_weight_is_black_or_white(root: Path) -> None:
    filters = np.zeros((23, 1, 2, 2))
    filters[0, 0, 0, 0], filters[22, 0, 1, 1] = 2, -2
    mosaic = mosaic_of(filters, 2)
    assert mosaic.shape == (6, 66, 4)
    assert (mosaic[0, 0, :3] == 1).all() and (mosaic[0, 1, :3] == 0.5).all() and (mosaic[4, 1, :3] == 0).all()
    # Between filters, and where there are none, nothing is drawn.
    assert (mosaic[2, :, 3] == 0).all() and (mosaic[3:, 3:, 3] == 0).all()
    _, finding = drawn(draw_filters, read(root))
    assert finding is not None and "Training moved the filters by 1.00 (" in finding
