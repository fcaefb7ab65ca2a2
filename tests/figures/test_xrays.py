"""Test images in figures: which are drawn, what stands below them, and that private ones appear nowhere."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from result_tree import PAPER, PUBLISHED, make_study, write_cohort, write_tree

from cxr.evaluation.agreement import agreement_of
from cxr.figures.agreement import draw_errors_by_etiology, draw_kappa
from cxr.figures.data import FigureData, Outcome
from cxr.figures.draw import write_paper_figures
from cxr.figures.style import paper_style
from cxr.figures.test_images import draw_certain_mistakes, draw_right_and_wrong, draw_shared_errors
from cxr.figures.transforms import draw_transforms
from cxr.figures.xrays import XRays, shortened
from cxr.files import read_json
from cxr.images.cohort import may_show_images
from cxr.paper.page import render_paper
from cxr.preprocessing.arrays import LEVEL
from cxr.study import layout

IMAGES = "abcdef"
ETIOLOGY = ["none", "none", "none", "bacteria", "virus", "virus"]


@pytest.fixture
def xrays(tmp_path: Path) -> XRays:
    """Six images of 4 px, each of one grey level: 10, 20, ..."""
    levels = np.arange(10, 70, 10, dtype=np.int16) * LEVEL
    np.save(tmp_path / "4px.npy", np.broadcast_to(levels[:, None, None], (6, 4, 4)))
    return XRays(tmp_path / "4px.npy", {path: row for row, path in enumerate(IMAGES)})


def figure_data(xrays: XRays | None, probabilities: dict[str, list[float]], **best: float) -> FigureData:
    """Networks that were run once, with their probabilities for three normal images and three with pneumonia."""
    label = [int(cause != "none") for cause in ETIOLOGY]
    predictions = {
        name: pd.DataFrame(
            {
                "path": list(IMAGES),
                "label": label,
                "patient_fine": [f"patient-{path}" for path in IMAGES],
                "etiology": ETIOLOGY,
                "probability": values,
                "predicted": [int(value > 0.5) for value in values],
            }
        )
        for name, values in probabilities.items()
    }
    outcomes = {
        name: Outcome(f"Net {name}", "", {}, {1: {"best_val_accuracy": best.get(name, 0.5)}}, {}, {}, None, None, None)
        for name in probabilities
    }
    nothing: Any = {}
    return FigureData(
        protocols={"published": "as published"},
        outcomes=outcomes,
        experiment_ids=tuple(outcomes),
        groups=nothing,
        uncertainty=nothing,
        level=0.95,
        questions=nothing,
        claims=(),
        verdicts=nothing,
        ablations=(),
        networks=nothing,
        synthetic=(),
        notes=nothing,
        agreement={"seeds": dict.fromkeys(predictions, 1), **agreement_of(predictions)},
        predictions=predictions,
        may_show_images=xrays is not None,
        xrays=xrays,
    )


def drawn(draw: Any, data: FigureData, **arguments: Any) -> tuple[list[str], list[int], str | None]:
    """The words of a figure, the grey levels of its images in their order, and its sentence."""
    with paper_style():
        figure = Figure()
        finding = draw(figure, data, **arguments)
    words = [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()]
    return words, [int(axes.images[0].get_array()[0, 0]) for axes in figure.axes if axes.images], finding


def test_images_are_read_by_path_as_grey_levels_and_averaged_where_they_are_too_large(xrays: XRays) -> None:
    assert xrays.read(["c", "a"]).tolist() == [[[30] * 4] * 4, [[10] * 4] * 4]
    assert xrays.read(["b"], largest=2).tolist() == [[[20] * 2] * 2]
    assert xrays.read(["b"], largest=3).shape == (1, 2, 2)


def test_right_and_wrong_images_stand_in_rows_from_low_to_high_probability(xrays: XRays) -> None:
    data = figure_data(xrays, {"A": [0.9, 0.2, 0.1, 0.8, 0.4, 0.3]})
    words, levels, finding = drawn(draw_right_and_wrong, data, experiment="A")
    assert levels == [30, 20, 40, 10, 60, 50]
    assert [word for word in words if word.endswith(")")] == [
        "normal, called normal (2 images)",
        "pneumonia, called pneumonia (1 image)",
        "normal, called pneumonia (1 image)",
        "pneumonia, not called pneumonia (2 images)",
    ]
    assert words[1:5] == ["0.100", "patient-c", "0.200", "patient-b"]
    assert finding is not None
    assert finding.startswith("Net A calls 1 of 3 normal images pneumonia and misses 2 of 3 images with pneumonia.")


def test_the_best_network_is_that_of_validation_but_for_the_one_that_has_a_figure(xrays: XRays) -> None:
    probabilities = [0.9, 0.2, 0.1, 0.8, 0.4, 0.3]
    data = figure_data(xrays, {"A": probabilities, "B": probabilities, "C": probabilities}, A=0.9, B=0.7, C=0.8)
    assert drawn(draw_right_and_wrong, data)[2].startswith("Net A calls")  # type: ignore[union-attr]
    assert drawn(draw_right_and_wrong, data, other_than="A")[2].startswith("Net C calls")  # type: ignore[union-attr]
    alone = figure_data(xrays, {"A": probabilities})
    assert drawn(draw_right_and_wrong, alone, other_than="A")[2] is None
    assert drawn(draw_right_and_wrong, alone, experiment="Z")[2] is None


def test_shared_errors_and_certain_mistakes_name_networks_and_patients(xrays: XRays) -> None:
    data = figure_data(xrays, {"A": [0.9999, 0.6, 0.1, 0.8, 0.4, 0.9], "B": [0.9, 0.1, 0.2, 0.7, 0.0001, 0.9]})
    words, levels, finding = drawn(draw_shared_errors, data)
    assert levels == [10, 50] and words[:3] == ["normal, 2 of 2", "mean 0.950", "patient-a"]
    assert finding is not None and "wrong on 2 images (1 normal); all 2 are wrong on 2 images" in finding
    words, levels, finding = drawn(draw_certain_mistakes, data)
    assert levels == [10, 20, 50], "each image once"
    assert words == [
        *("normal, called pneumonia", "> 0.999", "patient-a", "Net A", "0.600", "patient-b", "Net A"),
        *("pneumonia, not called pneumonia", "< 0.001", "patient-e", "Net B"),
    ]
    assert finding is not None and "pneumonia, not called pneumonia: < 0.001 by Net B (patient-e)" in finding


def test_kappa_and_errors_by_etiology_need_no_images(xrays: XRays) -> None:
    made = {
        "A": [0.9, 0.2, 0.1, 0.8, 0.4, 0.3],
        "B": [0.9, 0.2, 0.1, 0.8, 0.4, 0.7],
        "C": [0.1, 0.8, 0.9, 0.2, 0.6, 0.7],
    }
    words, _, finding = drawn(draw_kappa, figure_data(None, made))
    assert words == ["0.67", "\N{MINUS SIGN}0.80", "\N{MINUS SIGN}0.67"]
    assert finding is not None
    assert "from \N{MINUS SIGN}0.800 (Net A and Net C) to 0.667 (Net A and Net B)" in finding
    finding = drawn(draw_errors_by_etiology, figure_data(None, made))[2]
    assert finding is not None
    assert finding.startswith("Share of wrong test images, of 3 normal, 1 bacterial and 2 viral ones")
    assert "viral: 0.000 (Net C) to 1.000 (Net A), median 0.500" in finding
    assert drawn(draw_kappa, figure_data(None, {"A": made["A"]}))[2] is None
    for draw in (draw_right_and_wrong, draw_shared_errors, draw_certain_mistakes):
        assert drawn(draw, figure_data(None, made))[2] is None


def test_a_long_patient_key_loses_its_beginning() -> None:
    assert shortened("person1655_bacteria") == "person1655_bacteria"
    assert shortened("test/NORMAL/a-very-long-name") == "\N{HORIZONTAL ELLIPSIS}L/a-very-long-name"


# -- Who may see the images ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cohort", "config", "shown"),
    [
        ({"source": "embedded", "synthetic": False, "counts": {}}, {}, True),
        ({"source": "phantom", "synthetic": True, "counts": {}}, {}, True),
        ({"source": "folder", "synthetic": False, "counts": {"test": 1}}, {}, False),
        ({"source": "folder", "synthetic": False, "counts": PUBLISHED}, {}, True),
        ({"source": "folder", "synthetic": False, "counts": {"test": 1}}, {"show_images": True}, True),
        ({"source": "kaggle", "synthetic": False, "counts": PUBLISHED}, {"show_images": False}, False),
    ],
)
def test_open_images_are_shown_and_those_of_ones_own_only_on_request(cohort: dict, config: dict, shown: bool) -> None:
    assert may_show_images(config, cohort, PUBLISHED) is shown


def pictures(text: str) -> list[str]:
    return re.findall(r"data:image/[^\"]{20}", text)


def test_private_images_are_in_no_figure_and_on_no_page(tmp_path: Path) -> None:
    study = make_study()
    write_tree(tmp_path, study)
    write_cohort(tmp_path, synthetic=False)
    for config, shown in ((study.config, False), (make_study(show_images=True).config, True)):
        figures = layout.figures(tmp_path)
        write_paper_figures(dict(config), tmp_path, PAPER / "published", figures)
        drawings = {path.name: path.read_text() for path in figures.rglob("*.svg")}
        with_images = {name for name, drawing in drawings.items() if pictures(drawing)}
        of_images = {"augmentation", "duplicates", "first-batch", "samples", "transforms"}
        of_predictions = {"certain-mistakes", "right-and-wrong-custom"}
        assert with_images == ({f"{name}.svg" for name in of_images | of_predictions} if shown else set())
        assert ("not shown" in drawings["transforms.svg"]) is not shown
        assert ("right-and-wrong-custom.svg" in read_json(figures / "paper/index.json")) is shown
        assert bool(read_json(figures / "test_images.json")["images"]) is shown
        page = render_paper(make_study(**({"show_images": True} if shown else {})), tmp_path)
        assert bool(pictures(page)) is shown
        assert ("they are not from an open data set" in page) is not shown


def test_pixels_of_a_figure_are_stored_as_one_channel(tmp_path: Path) -> None:
    np.savez(tmp_path / "transforms.npz", T0=np.full((1, 5, 5), 100 / 255))
    draw_transforms(tmp_path / "transforms.npz", tmp_path / "t.svg")
    (png,) = re.findall(r"data:image/png;base64,([^\"]*)", (tmp_path / "t.svg").read_text())
    image = Image.open(io.BytesIO(base64.b64decode(png)))
    assert image.mode == "L" and set(image.tobytes()) == {100}
