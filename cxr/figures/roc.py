"""The ROC curves of the test set."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxr.figures.data import FigureData, Outcome
from cxr.figures.palette import BLUE, GREY, VERMILLION
from cxr.figures.panels import estimates_of, extremes, left_out, note, of_several_seeds, test_set_panels, unit_square
from cxr.figures.style import top_note
from cxr.figures.words import part_of


def draw_roc(figure: Figure, data: FigureData, networks: str) -> str | None:
    """Draw the ROC curves of ``networks`` with their bands; return what they show, or None without a run.

    ``networks`` is as ``cxr.figures.panels.test_set_panels`` takes it.
    """

    def draw(axes: Axes, name: str, outcome: Outcome) -> None:
        test = next(iter(outcome.tests.values()))
        band = data.uncertainty["experiments"][name]["roc_band"]
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.6, linestyle=":")
        axes.fill_between(band["false_positive_rate"], band["low"], band["high"], color=BLUE, alpha=0.22, linewidth=0)
        axes.plot(test["roc"]["false_positive_rate"], test["roc"]["true_positive_rate"], color=BLUE, linewidth=1.2)
        if outcome.printed is not None and outcome.printed["confusion_matrix"] is not None:
            rates = [row[1] / sum(row) for row in outcome.printed["confusion_matrix"]]
            axes.plot(*rates, "D", markersize=4, markerfacecolor="none", color=VERMILLION, zorder=3, clip_on=False)
        unit_square(axes)
        note(axes, data.estimate(name, "auroc"), (0.97, 0.05), "right")

    found = test_set_panels(
        figure, data, ("1 \N{MINUS SIGN} specificity (fraction)", "sensitivity (fraction)"), draw, networks
    )
    if not found:
        return None
    printed = any(outcome.printed and outcome.printed["confusion_matrix"] for outcome in found.values())
    diamond = "; diamond: printed by the study" if printed else ""
    top_note(figure, f"number: AUROC{of_several_seeds(found)}; band: {data.level:.0%} interval{diamond}")
    areas = estimates_of(data, found, "auroc")
    chance = [row for row in areas.values() if row["interval"][0] <= 0.5 <= row["interval"][1]]
    return (
        f"{extremes('The area under the curve', areas, data)} "
        f"Chance, 0.5, lies in the {data.level:.0%} interval of {part_of(len(chance), len(found), 'network')}."
        + left_out(data)
    )
