"""Calibration on the test set."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxr.figures.data import FigureData, Outcome
from cxr.figures.palette import BLUE, GREY
from cxr.figures.panels import estimates_of, extremes, left_out, note, of_several_seeds, test_set_panels, unit_square
from cxr.figures.style import TINY, top_note


def draw_calibration(figure: Figure, data: FigureData) -> str | None:
    """Draw the share of pneumonia by predicted probability; return what it shows, or None without a run."""

    def draw(axes: Axes, name: str, outcome: Outcome) -> None:
        bins = next(iter(outcome.tests.values()))["calibration"]
        count = np.array(bins["count"])
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.6, linestyle=":")
        height = 0.3 * count / max(count.max(), 1)
        axes.stairs(height, bins["bin_edges"], fill=True, color=GREY, alpha=0.55, linewidth=0)
        full = count > 0
        probability, share = (
            np.array(bins[key], dtype=float)[full] for key in ("mean_probability", "fraction_pneumonia")
        )
        axes.plot(
            probability, share, color=BLUE, linewidth=1, marker="o", markersize=2.6, markeredgewidth=0, clip_on=False
        )
        unit_square(axes)
        # Above the unit square nothing is drawn.
        axes.set_ylim(0, 1.35)
        axes.text(0.98, 1.12, f"{count.max()} images", fontsize=TINY, ha="right")
        note(axes, data.estimate(name, "calibration_error"), (0.02, 0.83), "left")

    found = test_set_panels(figure, data, ("predicted probability of pneumonia", "share of pneumonia (fraction)"), draw)
    if not found:
        return None
    top_note(figure, f"number: calibration error{of_several_seeds(found)}; bars: images, with the count of the highest")
    errors = estimates_of(data, found, "calibration_error")
    # The interval of a mean of absolute values lies too high (``cxr.evaluation.bootstrap.interval``).
    return extremes("The expected calibration error", errors, data, with_interval=False) + left_out(data)
