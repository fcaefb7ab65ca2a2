"""Loss, accuracy and learning rate by epoch."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from test_draw import drawn, figure_data, outcome, words

from cxr.figures.data import Outcome
from cxr.figures.histories import draw_histories, draw_learning_rates, draw_validation_by_epoch


def trained(title: str, seeds: int = 1, epochs: int = 3, rule: str = "mean_of_images", **changes: Any) -> Outcome:
    """A network whose losses halve with each epoch, and whose accuracies are 0.6, 0.7, ... and 0.1 below that."""
    steps = np.arange(epochs)
    columns = {
        "train_loss": 0.5**steps,
        "val_loss": 0.8 * 0.5**steps,
        "train_accuracy": 0.6 + 0.1 * steps,
        "val_accuracy": 0.5 + 0.1 * steps,
        "learning_rate": 0.001 * 0.1 ** (steps // 2),
    }
    runs = {seed: [0.0] for seed in range(seeds)}
    made = {"histories": dict.fromkeys(runs, columns)}
    records = {seed: {"settings": {"validation_loss": rule}} for seed in runs}
    return outcome(title, runs, records=records, **{**made, **changes})


def lines(figure: Figure) -> int:
    return sum(len(axes.lines) for axes in figure.axes)


@pytest.mark.parametrize(("seeds", "epochs"), [(1, 1), (1, 3), (5, 3)])
def test_every_run_has_its_two_lines_and_the_study_those_it_printed(seeds: int, epochs: int) -> None:
    curve = {"train_loss": [0.4] * epochs, "train_accuracy": [0.9] * epochs, "val_accuracy": [0.8] * epochs}
    made = figure_data(
        {"a": trained("Net A", seeds, epochs, curve=curve), "b": outcome("Net B", {}, absent="no weights")}
    )
    figure, finding = drawn(draw_histories, made, "loss")
    assert lines(figure) == 2 * seeds + 1
    assert finding is not None and finding.endswith("Not run: Net B.") and "not run" in words(figure)
    assert lines(drawn(draw_histories, made, "accuracy")[0]) == 2 * seeds + 2
    assert all(np.isfinite(axes.get_ylim()).all() for axes in figure.axes)


def test_losses_are_told_with_their_networks_and_what_the_validation_loss_is() -> None:
    made = figure_data({"a": trained("Net A", epochs=12), "b": trained("Net B")})
    finding = drawn(draw_histories, made, "loss")[1]
    assert finding == (
        "After the last epoch, training loss is between < 0.001 (Net A) and 0.250 (Net B) and validation loss is "
        "between < 0.001 (Net A) and 0.200 (Net B). Losses below 0.001 are drawn as 0.001."
    )
    last = figure_data({"a": trained("Net A", rule="last_training_batch")})
    assert "that of the last training batch" in str(drawn(draw_histories, last, "loss")[1])
    assert "training batch" not in str(drawn(draw_histories, last, "accuracy")[1])
    assert drawn(draw_histories, figure_data({"a": outcome("Net A", {}, absent="x")}), "loss")[1] is None


def test_learning_rates_have_a_panel_for_each_schedule_and_a_step_where_they_fall() -> None:
    made = figure_data({"a": trained("Net A"), "b": trained("Net B"), "c": trained("Net C", epochs=1)})
    figure, finding = drawn(draw_learning_rates, made)
    assert finding == (
        "The learning rate of Adam falls from 0.001 to 0.0001 in 3 epochs (Net A and 1 more); is 0.001 for one epoch "
        "(Net C)."
    )
    assert len(figure.axes) == 2
    (step,) = figure.axes[0].lines
    assert step.get_drawstyle() == "steps-post" and list(step.get_xdata()) == [0, 1, 2, 3]


def test_validation_accuracy_by_epoch_has_a_row_for_us_and_one_for_the_study() -> None:
    head = {"model": {"head": {"hidden": 10}}, "family": "f", "title": "Net I, n = 10"}
    other = {"model": {"head": {"hidden": 100}}, "family": "f", "title": "Net I, n = 100"}
    curve = {"val_accuracy": [0.9, 0.95]}
    made = figure_data(
        {
            "a": trained("Net I, n = 10", seeds=2, spec=head, curve=curve),
            "b": outcome("Net I, n = 100", {}, absent="no weights", spec=other),
        }
    )
    figure, finding = drawn(draw_validation_by_epoch, made)
    assert finding == (
        "Highest validation accuracy: Net I, here: 0.700 (n = 10, epoch 3); Net I, study: 0.950 (n = 10, epoch 2). Not "
        "run: Net I, n = 100."
    )
    assert {"0.500", "0.600", "0.700", "0.900", "0.950", "not run"} <= set(words(figure))
    assert any("mean of 2 seeds" in word for word in words(figure))
    assert drawn(draw_validation_by_epoch, figure_data({"a": trained("Net A")}))[1] is None, "no family"
