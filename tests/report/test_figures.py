import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from result_tree import PAPER, write_cohort

from cxr.errors import InputError
from cxr.figures import (
    _name_lines,
    draw_confusion_matrix,
    draw_roc,
    draw_run,
    draw_training_curve,
    draw_transforms,
)
from cxr.files import read_json, write_json

RUN = "runs/published/custom/seed-42"
NAMES = ["loss", "accuracy", "confusion_matrix", "roc"]


def texts(figure: Path) -> list[str]:
    """What is written in a figure: its letters are paths, and a comment before each text holds the words."""
    return [text.strip() for text in re.findall(r"<!--(.*?)-->", figure.read_text(), re.DOTALL)]


def draw(results: Path, figures: Path, printed=None) -> None:
    draw_run(results / RUN, results / "data" / "cohort.json", PAPER / "published", figures, printed)


def test_equal_inputs_give_equal_bytes(results, tmp_path):
    for folder in ("a", "b"):
        draw(results, tmp_path / folder, {"architecture": "custom_cnn", "experiment": "custom"})
    for name in NAMES:
        assert (tmp_path / "a" / f"{name}.svg").read_bytes() == (tmp_path / "b" / f"{name}.svg").read_bytes()
        drawn = (tmp_path / "a" / f"{name}.svg").read_text()
        assert "<dc:date>" not in drawn
        assert "<image" not in drawn


@pytest.mark.parametrize("synthetic", [True, False])
def test_every_figure_says_so_if_the_data_are_synthetic_and_only_then(own_results, synthetic):
    write_cohort(own_results, synthetic)
    draw(own_results, own_results / "new")
    draw_transforms(
        own_results / "preprocessing/published/transforms.npz",
        own_results / "data/cohort.json",
        own_results / "new/transforms.svg",
    )
    for name in [*NAMES, "transforms"]:
        assert ("synthetic phantom data" in texts(own_results / "new" / f"{name}.svg")) == synthetic


def test_the_figures_show_the_numbers_of_the_files(results):
    figures = results / "figures/published/custom/seed-42"
    test = read_json(results / RUN / "metrics.json")["test"]
    (tn, fp), (fn, tp) = test["confusion_matrix"]
    matrix = texts(figures / "confusion_matrix.svg")
    assert {str(tn), str(fp), str(fn), str(tp), f"{fp / (tn + fp):.1%}", "study: 188"} <= set(matrix)
    assert f"AUROC {test['auroc']:.3f}" in texts(figures / "roc.svg")
    kept = read_json(results / RUN / "run.json")["best_epoch"]
    assert f"epoch {kept} kept" in texts(figures / "accuracy.svg")


def test_the_loss_of_the_last_batch_is_not_called_validation_loss(own_results):
    assert "last batch" in texts(own_results / "figures/published/custom/seed-42/loss.svg")
    record = read_json(own_results / RUN / "run.json")
    record["settings"]["validation_loss"] = "cross_entropy"
    write_json(own_results / RUN / "run.json", record)
    draw(own_results, own_results / "new")
    assert {"training", "validation"} <= set(texts(own_results / "new/loss.svg"))


def test_the_studys_curves_are_drawn_only_where_it_printed_some(results, tmp_path):
    draw(results, tmp_path)
    assert not [text for text in texts(tmp_path / "accuracy.svg") if text.startswith("study")]
    with_curves = texts(results / "figures/published/custom/seed-42/accuracy.svg")
    assert {"study: training", "study: validation"} <= set(with_curves)


def test_names_of_lines_that_end_together_do_not_overlap():
    figure = Figure(figsize=(3.1, 2.35))
    axes = figure.subplots()
    axes.set(xlim=(1, 10), ylim=(0, 1))
    _name_lines(axes, [(name, 10, 0.5, "k", False) for name in ("a", "b", "c", "d")])
    figure.draw_without_rendering()
    boxes = sorted((Text.get_window_extent(text) for text in axes.texts), key=lambda box: box.y0)
    assert len(boxes) == 4
    assert all(lower.y1 <= upper.y0 for lower, upper in itertools.pairwise(boxes))


def test_a_single_epoch_and_a_single_class_can_be_drawn(own_results, tmp_path):
    run, cohort = own_results / RUN, own_results / "data/cohort.json"
    lines = (run / "history.csv").read_text().splitlines()[:2]
    (run / "history.csv").write_text("\n".join(lines) + "\n")
    write_json(run / "run.json", read_json(run / "run.json") | {"best_epoch": 1})
    draw_training_curve(run / "history.csv", run / "run.json", cohort, tmp_path / "one.svg", "accuracy")
    assert "epoch 1 kept" in texts(tmp_path / "one.svg")
    metrics = read_json(run / "metrics.json")
    metrics["test"] |= {"auroc": None, "confusion_matrix": [[0, 0], [3, 7]]}
    write_json(run / "metrics.json", metrics)
    draw_roc(run / "metrics.json", cohort, tmp_path / "roc.svg")
    draw_confusion_matrix(run / "metrics.json", cohort, tmp_path / "matrix.svg")
    assert not [text for text in texts(tmp_path / "roc.svg") if "AUROC" in text]
    assert "70.0%" in texts(tmp_path / "matrix.svg")


def test_the_transforms_keep_every_pixel_and_uneven_arrays_are_refused(results, tmp_path):
    drawn = (results / "figures/published/transforms.svg").read_text()
    assert drawn.count("<image") == 15
    assert {"T0", "T4"} <= set(texts(results / "figures/published/transforms.svg"))
    np.savez(tmp_path / "uneven.npz", T0=np.zeros((3, 8, 8)), T1=np.zeros((2, 8, 8)))
    with pytest.raises(InputError, match=r"uneven.npz: every transform must hold the same number of images"):
        draw_transforms(tmp_path / "uneven.npz", results / "data/cohort.json", tmp_path / "x.svg")
    assert not (tmp_path / "x.svg").exists()
