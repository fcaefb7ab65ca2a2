"""Classes and etiologies by folder and by set, and images per patient."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxr.figures.data import FigureData
from cxr.figures.palette import BLUE, VERMILLION
from cxr.figures.style import CLASS_LINES, FULL, SMALL, TOP_MARGIN, axes_at, legend_above
from cxr.figures.words import fraction, joined
from cxr.images.names import CLASSES, ETIOLOGIES, SPLITS

# Where the logarithmic axis of patients begins.
LEAST = 0.7
SETS = ("train", "validation", "test")
# Colour, hatch and name of each etiology: a shade of its class.
KINDS = {
    "none": (BLUE, "", "normal"),
    "bacteria": (VERMILLION, "", "bacterial pneumonia"),
    "virus": (VERMILLION, "/////", "viral pneumonia"),
    "unknown": (VERMILLION, ".....", "pneumonia of unknown etiology"),
}


def draw_composition(figure: Figure, data: FigureData) -> str | None:
    """Draw what the folders, the sets and the patients consist of; return their shares, or None without images."""
    if data.images is None:
        return None
    table = data.images.manifest
    height, above, left = 1.5, 0.35, 0.75
    figure.set_size_inches(FULL, TOP_MARGIN + above + height + 0.75)
    protocol = next(iter(data.protocols.values()))
    names = {"official_split": ("folders", SPLITS), "set": (f"sets, {protocol}", SETS)}
    for column, (key, (title, values)) in enumerate(names.items()):
        axes = axes_at(figure, left + column * 2.0, TOP_MARGIN + above, 1.15, height)
        axes.set_title(title, loc="left")
        _draw_shares(axes, table, key, values)
    axes = axes_at(figure, left + 4.15, TOP_MARGIN + above, FULL - left - 4.15 - 0.05, height)
    _draw_patients(axes, table)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=SMALL, loc="lower left", ncols=4, borderaxespad=0.2)
    return _finding(table)


def _draw_shares(axes: Axes, table: pd.DataFrame, key: str, values: tuple[str, ...]) -> None:
    """Draw a bar for each folder or set, divided by etiology, with its number of images behind it."""
    kinds = [name for names in ETIOLOGIES.values() for name in names if table["etiology"].eq(name).any()]
    for row, value in enumerate(values):
        etiology = table.loc[table[key] == value, "etiology"]
        start = 0.0
        for kind in kinds:
            colour, hatch, name = KINDS[kind]
            share = float((etiology == kind).sum()) / max(len(etiology), 1)
            look: dict[str, Any] = {
                "color": "#ffffff" if hatch else colour,
                "edgecolor": colour,
                "hatch": hatch,
                "linewidth": 0.6,
            }
            axes.barh(row, share, left=start, height=0.62, label=name if row == 0 else "_", **look)
            start += share
        axes.text(1.03, row, f"{len(etiology):,}", fontsize=SMALL, va="center")
    axes.set(xlim=(0, 1), ylim=(len(values) - 0.5, -0.5), xticks=[0, 0.5, 1], yticks=range(len(values)))
    axes.set_yticklabels(values)
    axes.set_xlabel("share of images")


def _draw_patients(axes: Axes, table: pd.DataFrame) -> None:
    """Draw how many patients have so many images, by class."""
    numbers = table.groupby(["patient_fine", "class"]).size().reset_index(name="images")
    edges = np.arange(0.5, numbers["images"].max() + 1.5)
    for kind, look in zip(CLASSES, CLASS_LINES, strict=True):
        counts = np.histogram(numbers.loc[numbers["class"] == kind, "images"], edges)[0]
        # Nothing is clipped: where there is no patient, the line runs along the axis.
        axes.stairs(counts.clip(LEAST), edges, label=kind.lower(), baseline=LEAST, **look)
    legend_above(axes)
    axes.set(
        yscale="log", ylim=(LEAST, None), xlim=(0, edges[-1] + 0.5), xlabel="images of a patient", ylabel="patients"
    )
    # Minor ticks would have labels outside the axes where counts are few.
    axes.minorticks_off()


def _finding(table: pd.DataFrame) -> str:
    parts = []
    for split in SPLITS:
        of = table[table["official_split"] == split]
        if len(of):
            sick = of[of["class"] == "PNEUMONIA"]
            words = f"{fraction(len(sick) / len(of) * 100, 0)}% of the images in {split} show pneumonia"
            if len(sick) and (known := sick["etiology"].isin(["bacteria", "virus"]).sum()):
                bacterial = (sick["etiology"] == "bacteria").sum() / known
                words += f" ({fraction(bacterial * 100, 0)}% of it bacterial)"
            parts.append(words)
    numbers = table.groupby("patient_fine").size()
    return (
        f"{joined(parts)}. Of {len(numbers):,} patients by the fine key, {(numbers == 1).sum():,} have one image; the "
        f"most is {numbers.max()}."
    )
