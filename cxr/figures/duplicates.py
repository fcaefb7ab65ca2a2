"""Identical files, and the pairs of images that are nearest to each other."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cxr.figures.data import FigureData
from cxr.figures.image_data import ImageData
from cxr.figures.palette import BLUE, GREY, VERMILLION
from cxr.figures.pictures import GAP, LINE, MARGIN, reduced
from cxr.figures.style import FULL, SMALL, TINY, TOP_MARGIN, axes_at
from cxr.figures.words import joined

# So many pairs of each kind are shown.
PAIRS = 4
# The histogram ends at so many bits.
SHOWN = 64
# Where the logarithmic axis of pairs begins.
LEAST = 0.5


def draw_duplicates(figure: Figure, data: FigureData) -> str | None:
    """Draw pairs of identical files, the nearest of the others, and all distances; return what was found.

    Returns None where there are no images, or no two that are close.
    """
    if data.images is None or not data.may_show_images or not data.images.duplicates["listed"]:
        return None
    images, found = data.images, data.images.duplicates
    listed = found["listed"]
    rows = {
        "identical\nfiles": [pair for pair in listed if pair["identical"]][:PAIRS],
        "nearest of\nthe others": [pair for pair in listed if not pair["identical"]][:PAIRS],
    }
    rows = {title: pairs for title, pairs in rows.items() if pairs}
    side = (FULL - MARGIN - (2 * PAIRS - 1) * GAP - (PAIRS - 1) * GAP) / (2 * PAIRS)
    row_height, plot = side + 2 * LINE + 0.1, 1.1
    figure.set_size_inches(FULL, TOP_MARGIN + len(rows) * row_height + 0.15 + plot + 0.42)
    tall = figure.get_size_inches()[1]
    for row, (title, pairs) in enumerate(rows.items()):
        top = TOP_MARGIN + row * row_height
        figure.text(0, 1 - (top + side / 2) / tall, title, fontsize=TINY, ha="left", va="center", linespacing=1.1)
        for column, pair in enumerate(pairs):
            _draw_pair(figure, images, pair, MARGIN + column * (2 * side + 3 * GAP), top, side)
    _draw_distances(figure, found, TOP_MARGIN + len(rows) * row_height + 0.15, plot)
    return _finding(found)


def _draw_pair(
    figure: Figure, images: ImageData, pair: Mapping[str, Any], left: float, top: float, side: float
) -> None:
    rows = images.manifest.index[images.manifest["path"].isin(pair["paths"])].tolist()
    first, second = images.manifest.loc[rows[0]], images.manifest.loc[rows[1]]
    for place, picture in enumerate(images.pictures(rows)):
        axes = axes_at(figure, left + place * (side + GAP), top, side, side)
        axes.imshow(reduced(picture), cmap="gray", vmin=0, vmax=255, interpolation="none", aspect="auto")
        axes.set_axis_off()
    splits = list(dict.fromkeys([first["official_split"], second["official_split"]]))
    patient = "same patient" if first["patient_fine"] == second["patient_fine"] else "different patients"
    words = f"{pair['distance']} bits, {' and '.join(splits)}\n{patient}"
    height = figure.get_size_inches()[1]
    middle = (left + side + GAP / 2) / FULL
    figure.text(middle, 1 - (top + side + 0.02) / height, words, fontsize=TINY, ha="center", va="top", linespacing=1.1)


def _draw_distances(figure: Figure, found: Mapping[str, Any], top: float, height: float) -> None:
    axes = axes_at(figure, MARGIN, top, FULL - MARGIN - 0.05, height)
    edges = np.arange(-0.5, SHOWN + 1)
    for key, colour, label in (
        ("different_patients", GREY, "different patients"),
        ("same_patient", BLUE, "same patient"),
    ):
        # Nothing is clipped: where there is no pair, the line runs along the axis.
        counts = np.array(found["distances"][key][: SHOWN + 1]).clip(LEAST)
        axes.stairs(counts, edges, baseline=None, color=colour, linewidth=1, label=label)
    axes.axvline(found["near"] + 0.5, color=VERMILLION, linewidth=0.8, linestyle="--")
    axes.set(yscale="log", ylim=(LEAST, None), xlim=(-0.5, SHOWN + 0.5), ylabel="pairs of images")
    axes.set_xlabel(f"bits in which the hashes differ (of {found['bits']}); dashed: the limit of near duplicates")
    # Minor ticks would have labels outside the axes where counts are few.
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=SMALL, loc="upper left", bbox_to_anchor=(0.2, 1), borderaxespad=0)


def _finding(found: Mapping[str, Any]) -> str:
    identical, near = found["identical"], found["tallies"]["near"]
    bits = f"in {found['near']} of {found['bits']} bits or fewer"
    if identical["groups"] == 1:
        words = f"1 group of identical files holds {identical['files']} images."
    elif identical["groups"]:
        words = f"{identical['groups']} groups of identical files hold {identical['files']} images."
    else:
        words = "No two files are identical."
    if near["pairs"]:
        words += f" The hashes of {near['pairs']:,} other {'pair' if near['pairs'] == 1 else 'pairs'} differ {bits}."
    else:
        words += f" No other two hashes differ {bits}."
    beyond = [
        pair["distance"] for pair in found["listed"] if not pair["identical"] and pair["distance"] > found["near"]
    ]
    if beyond:
        words += f" Of the pairs beyond this limit the closest differ in {min(beyond)} bits."
    protocol, sets = next(iter(found["tallies"]["identical"]["sets"].items()))
    shared = [
        f"{count + near['sets'][protocol][names]} {names.replace(', ', ' and ')}"
        for names, count in sets.items()
        if count + near["sets"][protocol][names]
    ]
    if shared:
        words += f" Identical or near pairs with one image in either of two sets: {joined(shared)}."
    return words
