"""The confusion matrices of the test set."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxr.figures.data import FigureData, Numbers, Outcome
from cxr.figures.panels import estimates_of, extremes, left_out, test_set_panels
from cxr.figures.style import TINY, top_note
from cxr.figures.words import joined, part_of
from cxr.images.names import CLASSES


def draw_confusion_matrices(figure: Figure, data: FigureData, networks: str) -> str | None:
    """Draw counts and shares of the true class for ``networks``; return what they show, or None without a run.

    ``networks`` is as ``cxr.figures.panels.test_set_panels`` takes it.
    """
    found = test_set_panels(
        figure, data, ("predicted class (N: normal, P: pneumonia)", "true class"), _draw_matrix, networks
    )
    if not found:
        return None
    several = any(len(outcome.tests) > 1 for outcome in found.values())
    top_note(figure, "images, and share of the true class" + ("; means over seeds" if several else ""))
    accuracies = estimates_of(data, found, "accuracy")
    leaning = sum(bool(_mean_matrix(outcome)[0, 1] > _mean_matrix(outcome)[1, 0]) for outcome in found.values())
    one_sided = [outcome.title for outcome in found.values() if (_mean_matrix(outcome).sum(axis=0) == 0).any()]
    finding = (
        f"{extremes('Test accuracy', accuracies, data)} More normal images are taken for pneumonia than the other "
        f"way round by {part_of(leaning, len(found), 'network')}."
    )
    if one_sided:
        finding += f" Only one of the two classes is ever predicted by {joined(one_sided)}."
    return finding + left_out(data)


def _draw_matrix(axes: Axes, _: str, outcome: Outcome) -> None:
    counts, support = _mean_matrix(outcome), _support(outcome)
    shares = counts / support.clip(1)[:, None]
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="#ffffff", linewidth=1)
    printed = (outcome.printed or {}).get("confusion_matrix")
    for (row, column), count in np.ndenumerate(counts):
        # Black and white instead of the ink: these letters stand on the cell, whose colour stays.
        colour = "#ffffff" if shares[row, column] > 0.72 else "#000000"
        lines = [(f"{count:g}" if count == int(count) else f"{count:.1f}", 9.0), (f"{shares[row, column]:.0%}", TINY)]
        if printed:
            lines.append((f"study {printed[row][column] / sum(printed[row]):.0%}", TINY - 0.5))
        for (text, size), height in zip(lines, (0.27, 0.56, 0.8), strict=False):
            axes.text(column + 0.5, row + height, text, fontsize=size, ha="center", va="center", color=colour)
    initials = [kind[0] for kind in CLASSES]
    axes.set(xlim=(0, 2), ylim=(2, 0), xticks=[0.5, 1.5], yticks=[0.5, 1.5], xticklabels=initials, yticklabels=initials)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _mean_matrix(outcome: Outcome) -> Numbers:
    return np.mean([test["confusion_matrix"] for test in outcome.tests.values()], axis=0)  # type: ignore[no-any-return]


def _support(outcome: Outcome) -> Numbers:
    """How many images are of each class; the network may have called some of them neither."""
    classes = next(iter(outcome.tests.values()))["classes"]
    return np.array([classes[name]["support"] for name in CLASSES])
