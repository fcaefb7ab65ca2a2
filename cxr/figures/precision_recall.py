"""Precision and recall on the test set."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxr.figures.data import FigureData, Outcome
from cxr.figures.palette import BLUE, GREY
from cxr.figures.panels import estimates_of, extremes, left_out, note, of_several_seeds, test_set_panels, unit_square
from cxr.figures.style import top_note
from cxr.figures.words import fraction, part_of


def draw_precision_recall(figure: Figure, data: FigureData) -> str | None:
    """Draw precision against recall; return what it shows, or None without a run."""

    def draw(axes: Axes, name: str, outcome: Outcome) -> None:
        test = next(iter(outcome.tests.values()))
        share = test["classes"]["PNEUMONIA"]["support"] / max(test["n"], 1)
        axes.axhline(share, color=GREY, linewidth=0.6, linestyle=":")
        curve = test["precision_recall"]
        axes.plot(curve["recall"], curve["precision"], color=BLUE, linewidth=1.2)
        unit_square(axes)
        note(axes, data.estimate(name, "average_precision"), (0.05, 0.05), "left")

    found = test_set_panels(figure, data, ("recall (fraction)", "precision (fraction)"), draw)
    if not found:
        return None
    top_note(figure, f"number: average precision{of_several_seeds(found)}; dotted: share of pneumonia")
    precisions = estimates_of(data, found, "average_precision")
    test = next(iter(next(iter(found.values())).tests.values()))
    share = test["classes"]["PNEUMONIA"]["support"] / max(test["n"], 1)
    better = sum(row["interval"][0] > share for row in precisions.values())
    finding = extremes("Average precision", precisions, data)
    finding += f" Chance would reach the share of pneumonia, {fraction(share)}; it lies below the {data.level:.0%} "
    return f"{finding}interval of {part_of(better, len(found), 'network')}." + left_out(data)
