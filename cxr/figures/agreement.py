"""How far networks agree on the test set, and how often they are wrong by etiology."""

import numpy as np
from matplotlib.figure import Figure

from cxr.figures.data import FigureData
from cxr.figures.palette import BLUE, GREY, INK, VERMILLION
from cxr.figures.style import FULL, TINY, TOP_MARGIN, axes_at, top_note
from cxr.figures.words import fraction, joined

# Inches that the names of networks take beside the axes, and that a row of one network takes.
NAMES, ROW = 1.5, 0.165
# By etiology: the word, the marker and its colour. Normal images have none.
ETIOLOGIES = {
    "none": ("normal", "o", INK),
    "bacteria": ("bacterial", "s", BLUE),
    "virus": ("viral", "^", VERMILLION),
    "unknown": ("pneumonia of unknown cause", "D", BLUE),
}


def draw_kappa(figure: Figure, data: FigureData) -> str | None:
    """Draw Cohen's kappa of each pair of networks; return its range, or None with fewer than two networks."""
    pairs = {(row["a"], row["b"]): row["kappa"] for row in data.agreement.get("kappa", [])}
    if not pairs:
        return None
    names = list(data.predictions)
    count = len(names)
    side = min(0.3, (FULL - NAMES) / (count - 1))
    wide, tall = side * (count - 1), side * (count - 1)
    figure.set_size_inches(FULL, TOP_MARGIN + tall + NAMES)
    axes = axes_at(figure, (FULL + NAMES - wide) / 2, TOP_MARGIN, wide, tall)
    values = np.full((count - 1, count - 1), np.nan)
    for (a, b), kappa in pairs.items():
        row, column = names.index(b) - 1, names.index(a)
        values[row, column] = np.nan if kappa is None else kappa
        dark = kappa is not None and kappa > 0.72
        # Black and white instead of the ink: these letters stand on the cell, whose colour stays.
        axes.text(
            column + 0.5,
            row + 0.5,
            "\N{EN DASH}" if kappa is None else fraction(kappa, 2),
            fontsize=min(TINY, 26 * side),
            ha="center",
            va="center",
            color="#ffffff" if dark else "#000000",
        )
    known = np.ma.masked_invalid(values)
    axes.pcolormesh(known, cmap="Blues", vmin=0, vmax=1, edgecolors="#ffffff", linewidth=0.6)
    places = np.arange(count - 1) + 0.5
    axes.set(xlim=(0, count - 1), ylim=(count - 1, 0), xticks=places, yticks=places)
    axes.set_xticklabels([data.title(name) for name in names[:-1]], rotation=90, fontsize=TINY)
    axes.set_yticklabels([data.title(name) for name in names[1:]], fontsize=TINY)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    found = {pair: kappa for pair, kappa in pairs.items() if kappa is not None}
    if not found:
        return "Cohen's kappa is defined for no pair of networks, as all of them predict one class only."
    low, high = min(found, key=lambda pair: found[pair]), max(found, key=lambda pair: found[pair])
    spread = f"{fraction(found[low])} ({data.title(low[0])} and {data.title(low[1])})"
    if low != high:
        spread = f"from {spread} to {fraction(found[high])} ({data.title(high[0])} and {data.title(high[1])})"
    images = sum(data.agreement["images"].values())
    return (
        f"Cohen's kappa between the predicted classes of two networks, one seed each, on the {images} test images is "
        f"{spread}; its median is {fraction(float(np.median(list(found.values()))))}. It is 1 where they always agree, "
        f"and 0 where they agree as often as by chance."
    )


def draw_errors_by_etiology(figure: Figure, data: FigureData) -> str | None:
    """Draw the share of wrong test images by network and etiology; return its range, or None without a run."""
    errors, images = data.agreement.get("errors", {}), data.agreement.get("images", {})
    if not errors:
        return None
    names = list(errors)
    tall = ROW * len(names)
    figure.set_size_inches(FULL, TOP_MARGIN + tall + 0.42)
    axes = axes_at(figure, NAMES, TOP_MARGIN, FULL - NAMES - 0.15, tall)
    highest = max(row["rate"] for by_etiology in errors.values() for row in by_etiology.values())
    # Room for the marker of the highest rate; at 1 the axis ends.
    right = min(1.0, np.floor(10 * highest + 1) / 10)
    axes.hlines(range(len(names)), 0, right, color=GREY, linewidth=0.3)
    sentences = []
    for etiology in images:
        word, marker, colour = ETIOLOGIES[etiology]
        rates = [errors[name][etiology]["rate"] for name in names]
        axes.plot(rates, range(len(names)), marker, color=colour, markersize=4, markeredgewidth=0.7, fillstyle="none")
        middle = fraction(float(np.median(rates)))
        titles: dict[float, list[str]] = {}
        for name, rate in zip(names, rates, strict=True):
            titles.setdefault(rate, []).append(data.title(name))
        ends = [f"{fraction(rate)} ({joined(titles[rate])})" for rate in sorted({min(rates), max(rates)})]
        sentences.append(f"{word}: {' to '.join(ends)}, median {middle}")
    axes.set(
        xlim=(-0.012 * right, right),
        ylim=(len(names) - 0.5, -0.5),
        yticks=range(len(names)),
        xlabel="share of wrong images (fraction)",
    )
    axes.set_yticklabels([data.title(name) for name in names], fontsize=TINY)
    axes.tick_params(axis="y", length=0)
    shapes = {"o": "circle", "s": "square", "^": "triangle", "D": "diamond"}
    keys = [f"{shapes[ETIOLOGIES[name][1]]}: {count} {ETIOLOGIES[name][0]}" for name, count in images.items()]
    top_note(figure, f"{', '.join(keys)} images")
    counted = [f"{count} {ETIOLOGIES[name][0]}" for name, count in images.items()]
    return f"Share of wrong test images, of {joined(counted)} ones, by network; {'; '.join(sentences)}."
