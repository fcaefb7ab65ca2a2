"""Test accuracy against the number of hidden units."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cxr.figures.data import FigureData
from cxr.figures.palette import BLUE, VERMILLION
from cxr.figures.style import absent, small_multiples, top_note
from cxr.figures.words import fraction, joined


def draw_hidden_units(figure: Figure, data: FigureData) -> str | None:
    """Draw test accuracy against the number of hidden units; return what it shows, or None without a run."""
    families: dict[str, list[str]] = {}
    for name in data.experiment_ids:
        if (family := data.outcomes[name].spec.get("family")) is not None:
            families.setdefault(family, []).append(name)
    known = {
        family: {name: estimate for name in names if (estimate := data.estimate(name, "accuracy"))}
        for family, names in families.items()
    }
    if not any(known.values()):
        return None
    sizes = sorted({_hidden(data, name) for names in families.values() for name in names})
    titles = [data.outcomes[names[0]].strategy for names in families.values()]
    panels = small_multiples(figure, titles, ("hidden units n", "test accuracy (fraction)"), 4, 1.0, (0.16, 0.3), 1.4)
    low = min(estimate["interval"][0] for found in known.values() for estimate in found.values())
    for axes, (family, names) in zip(panels, families.items(), strict=True):
        estimates = known[family]
        if not estimates:
            absent(axes, str(data.outcomes[names[0]].absent))
            continue
        places = [sizes.index(_hidden(data, name)) for name in estimates]
        means = [estimate["mean"] for estimate in estimates.values()]
        bounds = np.array([estimate["interval"] for estimate in estimates.values()])
        axes.vlines(places, bounds[:, 0], bounds[:, 1], color=BLUE, linewidth=1)
        axes.plot(places, means, color=BLUE, linewidth=1.2, marker="o", markersize=4, markeredgewidth=0)
        for name in names:
            if (printed := data.outcomes[name].printed) is not None:
                place = sizes.index(_hidden(data, name))
                axes.plot(
                    place, printed["test_accuracy_printed"], "D", markersize=5, markerfacecolor="none", color=VERMILLION
                )
        axes.set(xlim=(-0.5, len(sizes) - 0.5), ylim=(np.floor(10 * low) / 10, 1), xticks=range(len(sizes)))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
        axes.set_xticklabels([str(size) for size in sizes])
    top_note(figure, f"bars: {data.level:.0%} interval over patients; diamond: printed by the study")
    sentences = []
    for title, estimates in zip(titles, known.values(), strict=True):
        if estimates:
            top = max(estimate["mean"] for estimate in estimates.values())
            best = [str(_hidden(data, name)) for name, estimate in estimates.items() if estimate["mean"] == top]
            low, high = (
                edge([estimate["interval"][side] for estimate in estimates.values()])
                for side, edge in ((0, max), (1, min))
            )
            overlap = (
                ""
                if len(estimates) == 1
                else ", all intervals overlap"
                if low <= high
                else ", not all intervals overlap"
            )
            sentences.append(f"{title}: highest with n = {joined(best)} ({fraction(top)}{overlap})")
    left = [data.title(name) for names in families.values() for name in names if data.outcomes[name].absent is not None]
    return f"{'; '.join(sentences)}." + (f" Not run: {joined(left)}." if left else "")


def _hidden(data: FigureData, name: str) -> int:
    return int(data.outcomes[name].spec["model"]["head"]["hidden"])
