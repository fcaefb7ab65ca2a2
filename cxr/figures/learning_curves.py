"""Figures 4 to 7 of the preprint: accuracy by epoch, the study's printed curves thin behind ours."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cxr.figures.data import FigureData, Numbers, Outcome
from cxr.figures.palette import BLUE, VERMILLION
from cxr.figures.style import SMALL, apart, small_multiples, top_note
from cxr.figures.words import fraction, joined, of_seeds

QUANTITIES = {"train": "training", "validation": "validation"}
COLUMNS = {"train": "train_accuracy", "validation": "val_accuracy"}


def draw_curves(figure: Figure, data: FigureData, architecture: str, quantity: str) -> str | None:
    """Draw the accuracy by epoch of the experiments behind the study's table that train one network.

    Args:
        figure: empty.
        data: what there is.
        architecture: of ``data.groups``.
        quantity: ``train`` or ``validation``.

    Returns:
        What it shows, or None if there is no run to show.
    """
    column = COLUMNS[quantity]
    names = [name for (network, _), members in data.groups.items() if network == architecture for name in members]
    outcomes = [data.outcomes[name] for name in names]
    if not any(outcome.records for outcome in outcomes):
        return None
    panels = small_multiples(
        figure,
        [outcome.title for outcome in outcomes],
        ("epoch", f"{QUANTITIES[quantity]} accuracy (fraction)"),
        columns=4,
        ratio=0.55,
        gaps=(0.34, 0.36),
    )
    lines = [_lines(outcome, column) for outcome in outcomes]
    values = np.concatenate([line.ravel() for found in lines for line in found.values()])
    low, high = np.floor(values.min() * 20) / 20, 1.0
    longest = max(line.shape[1] for found in lines for line in found.values())
    for axes, outcome, found in zip(panels, outcomes, lines, strict=True):
        axes.set(xlim=(0.7, longest), ylim=(low, high + 0.01))
        axes.set_xticks([1, *range(5, longest + 1, 5)])
        axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
        for name, line in found.items():
            _draw_line(axes, line, name == "study")
        _name_ends(axes, found)
        if outcome.absent is not None:
            # The reason would cover the study's curve; the text of the paper gives it.
            axes.text(0.5, 0.03, "not run", transform=axes.transAxes, fontsize=SMALL, ha="center", va="bottom")
    seeds = sorted({seed for outcome in outcomes for seed in outcome.records})
    band = ", band: their range" if len(seeds) > 1 else ""
    top_note(figure, f"thick: here, {of_seeds(seeds)}{band}; thin: the study")
    return _finding(outcomes, lines, quantity)


def _lines(outcome: Outcome, column: str) -> dict[str, Numbers]:
    """``here``, (seeds, epochs), and ``study``, (1, epochs), as far as they are there."""
    lines = {}
    if outcome.histories:
        columns = [history[column] for history in outcome.histories.values()]
        epochs = min(map(len, columns))
        lines["here"] = np.array([values[:epochs] for values in columns])
    if outcome.curve is not None:
        lines["study"] = np.array([outcome.curve[column]])
    return lines


def _draw_line(axes: Axes, line: Numbers, behind: bool) -> None:
    seeds, epochs = line.shape
    numbers = np.arange(1, epochs + 1)
    style: dict[str, Any] = (
        {"color": VERMILLION, "linewidth": 0.8, "zorder": 1} if behind else {"color": BLUE, "linewidth": 1.7}
    )
    if epochs == 1:
        # A single epoch has no line.
        style |= {"marker": "o", "markersize": 2.5 if behind else 4, "markeredgewidth": 0}
    if seeds == 1:
        axes.plot(numbers, line[0], **style)
        return
    # Its import takes as long as half of all figures, and without several seeds there is nothing for it to sum up.
    import seaborn as sns

    spread = {"estimator": "mean", "errorbar": ("pi", 100), "err_kws": {"alpha": 0.25, "linewidth": 0}}
    sns.lineplot(x=np.tile(numbers, seeds), y=line.ravel(), ax=axes, legend=False, **style, **spread)
    axes.set(xlabel="", ylabel="")


def _name_ends(axes: Axes, lines: Mapping[str, Numbers]) -> None:
    """Write each line's name beside its end, moved apart where names would touch."""
    low, high = axes.get_ylim()
    height = axes.get_position().height * axes.figure.get_size_inches()[1]  # type: ignore[union-attr]
    gap = (high - low) * 0.115 / height
    ends = [float(line.mean(axis=0)[-1]) for line in lines.values()]
    for (name, line), end in zip(lines.items(), apart(ends, gap, low + gap / 2, high - gap / 2), strict=True):
        x = line.shape[1] + 0.015 * (axes.get_xlim()[1] - axes.get_xlim()[0])
        colour = VERMILLION if name == "study" else BLUE
        axes.text(x + 0.15, end, name, color=colour, fontsize=SMALL, va="center", clip_on=False)


def _finding(outcomes: Sequence[Outcome], lines: Sequence[Mapping[str, Numbers]], quantity: str) -> str:
    """The highest means, and how far the study's curves are from ours over the epochs that both have."""
    sentences = []
    for origin, sentence in (("here", "Here the highest {}"), ("study", "in the study it was")):
        peaks = {
            outcome.title: line[origin].mean(axis=0)
            for outcome, line in zip(outcomes, lines, strict=True)
            if origin in line
        }
        if not peaks:
            continue
        top = max(float(values.max()) for values in peaks.values())
        holders = [
            f"{title} in epoch {int(values.argmax()) + 1}" for title, values in peaks.items() if values.max() == top
        ]
        begun = sentence.format(f"{QUANTITIES[quantity]} accuracy is")
        sentences.append(f"{begun} {fraction(top)} ({joined(holders)})")
    finding = "; ".join(sentences) + "."
    gaps = {}
    for outcome, line in zip(outcomes, lines, strict=True):
        if len(line) == 2:
            common = min(values.shape[1] for values in line.values())
            here, study = (line[origin].mean(axis=0)[:common] for origin in ("here", "study"))
            gaps[outcome.title] = float((here - study).mean())
    if gaps:
        low, high = min(gaps, key=lambda title: gaps[title]), max(gaps, key=lambda title: gaps[title])
        spread = f"{fraction(gaps[low], sign=True)} ({low})"
        if low != high:
            spread = f"from {spread} to {fraction(gaps[high], sign=True)} ({high})"
        finding += f" Over the epochs that both have, ours less the study's is on average {spread}."
    left = [outcome.title for outcome in outcomes if outcome.absent is not None]
    if left:
        finding += f" No curve of ours: {joined(left)}."
    return finding
