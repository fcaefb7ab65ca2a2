"""A forest plot: effects in rows, with their intervals, a column for each metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxr.figures.palette import BLUE, GREY, VERMILLION
from cxr.figures.style import FULL, SMALL, TINY, TOP_MARGIN, axes_at

METRICS = {"accuracy": "accuracy", "auroc": "AUROC"}


@dataclass(frozen=True)
class Effect:
    """A difference to draw: its value, its interval, if there is one, and the study's printed difference, or None."""

    value: float
    interval: tuple[float, float] | None
    printed: float | None = None

    @property
    def clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


def draw_forest(figure: Figure, groups: Mapping[str, Mapping[str, Mapping[str, Effect]]], label: str) -> None:
    """Draw effects by group and row, a column for each metric."""
    line, gap, left, bottom, between = 0.136, 0.06, 2.75, 0.42, 0.3
    places: dict[tuple[str, str], float] = {}
    headings: dict[str, float] = {}
    height = 0.0
    for group, rows in groups.items():
        headings[group] = height + line / 2
        height += line
        for row in rows:
            places[group, row] = height + line / 2
            height += line
        height += gap
    figure.set_size_inches(FULL, TOP_MARGIN + height + bottom)
    width = (FULL - left - 0.12 - between) / len(METRICS)
    for number, (metric, name) in enumerate(METRICS.items()):
        axes = axes_at(figure, left + number * (width + between), TOP_MARGIN, width, height)
        axes.set(ylim=(height, 0), yticks=[], xlabel=label.format(name))
        axes.spines["left"].set_visible(False)
        # Not through the headings, which may be long.
        for group, rows in groups.items():
            top = headings[group] + line / 2
            axes.vlines(0, top, top + line * len(rows), color=GREY, linewidth=0.6)
        _draw_effects(
            axes,
            {
                places[group, row]: effects[metric]
                for group, rows in groups.items()
                for row, effects in rows.items()
                if metric in effects
            },
        )
        axes.locator_params(axis="x", nbins=5)
    names = axes_at(figure, 0, TOP_MARGIN, FULL, height)
    names.set(xlim=(0, FULL), ylim=(height, 0))
    names.set_axis_off()
    for group, place in headings.items():
        names.text(0.02, place, group, fontsize=SMALL, fontweight="bold", va="center")
    for (_, row), place in places.items():
        names.text(left - 0.08, place, row, fontsize=TINY, va="center", ha="right")


def _draw_effects(axes: Axes, effects: Mapping[float, Effect]) -> None:
    for clear, colour, size in ((True, BLUE, 12), (False, GREY, 9)):
        chosen = {place: effect for place, effect in effects.items() if effect.clear is clear}
        bounds = [(place, *effect.interval) for place, effect in chosen.items() if effect.interval is not None]
        if bounds:
            axes.hlines(*np.transpose(bounds), color=colour, linewidth=1.3 if clear else 1)
        axes.scatter(
            [effect.value for effect in chosen.values()], list(chosen), s=size, color=colour, linewidth=0, zorder=3
        )
    printed = {place: effect.printed for place, effect in effects.items() if effect.printed is not None}
    axes.scatter(
        list(printed.values()),
        list(printed),
        s=22,
        marker="D",
        facecolor="none",
        edgecolor=VERMILLION,
        linewidth=0.9,
        zorder=4,
    )


def pair(interval: Sequence[float] | None) -> tuple[float, float] | None:
    return None if interval is None else (interval[0], interval[1])


def is_defined(value: float | None) -> bool:
    return value is not None and not np.isnan(value)
