"""What the figures of the test set share: a panel for each experiment, and the sentences about their numbers."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxr.figures.data import FigureData, Outcome
from cxr.figures.style import SMALL, small_multiples
from cxr.figures.words import fraction, joined

HALVES = [0, 0.5, 1]
# So many panels fit into two rows.
FEW = 10


def test_set_panels(
    figure: Figure,
    data: FigureData,
    labels: tuple[str, str],
    draw: Callable[[Axes, str, Outcome], None],
    networks: str = "all",
) -> dict[str, Outcome]:
    """Draw a panel for each experiment of the config that has a run.

    Args:
        figure: empty.
        data: what there is.
        labels: of all x axes and of all y axes.
        draw: fills the axes of an experiment, by id, with its outcome.
        networks: ``all``; or ``main``, those whose test accuracy the study printed, or all if they are few; or
            ``others``, those that ``main`` leaves out.

    Returns:
        The experiments with a panel.
    """
    found = {name: data.outcomes[name] for name in data.experiment_ids if data.outcomes[name].tests}
    printed = {name: outcome for name, outcome in found.items() if outcome.printed is not None}
    main = printed if printed and len(found) > FEW else found
    if networks != "all":
        found = main if networks == "main" else {name: found[name] for name in found if name not in main}
    if found:
        titles = [outcome.title for outcome in found.values()]
        axes = small_multiples(figure, titles, labels, 5 if len(found) <= FEW else 6, side=1.15)
        for panel, (name, outcome) in zip(axes, found.items(), strict=True):
            draw(panel, name, outcome)
    return found


def unit_square(axes: Axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.06), xticks=HALVES, yticks=HALVES)
    axes.set_xticklabels(["0", "0.5", "1"])
    axes.set_yticklabels(["0", "0.5", "1"])


def note(axes: Axes, estimate: Mapping[str, Any] | None, place: tuple[float, float], side: str) -> None:
    words = "undefined" if estimate is None else fraction(estimate["mean"])
    axes.text(*place, words, transform=axes.transAxes, ha=side, fontsize=SMALL)


def of_several_seeds(found: Mapping[str, Outcome]) -> str:
    """Label suffix when there are several seeds."""
    several = any(len(outcome.tests) > 1 for outcome in found.values())
    return ", mean over seeds; curve: first seed" if several else ""


def estimates_of(data: FigureData, found: Mapping[str, Outcome], metric: str) -> dict[str, Mapping[str, Any]]:
    """The estimates of a metric by title, as far as it is defined."""
    estimates = {found[name].title: data.estimate(name, metric) for name in found}
    return {title: estimate for title, estimate in estimates.items() if estimate is not None}


def extremes(
    quantity: str, estimates: Mapping[str, Mapping[str, Any]], data: FigureData, with_interval: bool = True
) -> str:
    """``Accuracy goes from 0.5 (A) to 0.9 (B).``; those that tie with the first or the last are named with them."""
    if not estimates:
        return f"{quantity} is defined for no network."
    means = {title: round(estimate["mean"], 9) for title, estimate in estimates.items()}
    ends = []
    for end in sorted({min(means.values()), max(means.values())}, reverse=with_interval):
        titles = [title for title in means if means[title] == end]
        low, high = estimates[titles[0]]["interval"]
        interval = (
            f", {data.level:.0%} interval {fraction(low)} to {fraction(high)}"
            if with_interval and len(titles) == 1
            else ""
        )
        ends.append(f"{fraction(end)} ({joined(titles)}{interval})")
    return f"{quantity} is {ends[0]}." if len(ends) == 1 else f"{quantity} goes from {ends[0]} to {ends[1]}."


def left_out(data: FigureData) -> str:
    titles = [data.title(name) for name in data.experiment_ids if data.outcomes[name].absent is not None]
    return f" Not run: {joined(titles)}." if titles else ""
