"""The filters of the first convolutions, before and after training."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cxr.figures.data import FigureData
from cxr.figures.explanations import Numbers
from cxr.figures.maps import main_networks
from cxr.figures.style import FULL, SMALL, TINY, TOP_MARGIN, axes_at, text_at
from cxr.figures.words import fraction

COLUMNS = 22
# Inches of a filter with its margin.
CELL = 0.135


def draw_filters(figure: Figure, data: FigureData) -> str | None:
    """Draw the first convolution's filters of one network of each strategy; where they trained, also before.

    Returns:
        How much training changed them; None without an explained network.
    """
    found = main_networks(data)
    if not found:
        return None
    rows = [-(-len(explanation.filters) // COLUMNS) for explanation in found.values()]
    heading, title = 0.2, 0.2
    figure.set_size_inches(FULL, TOP_MARGIN + heading + sum(title + row * CELL + 0.05 for row in rows) + 0.05)
    top, columns = TOP_MARGIN, (0.0, FULL / 2 + 0.05)
    for left, words in zip(columns, ("before training", "after training"), strict=True):
        text_at(figure, left, top, words, TINY, side="left")
    top += heading
    changes = {}
    for (name, explanation), row in zip(found.items(), rows, strict=True):
        after, before = explanation.filters, explanation.filters_before
        weights = "pretrained" if data.outcomes[name].spec["model"].get("weights", "none") != "none" else "random"
        text_at(figure, columns[0], top, f"{data.title(name)}: {_described(after)}", SMALL, side="left", weight="bold")
        top += title
        limit = max(float(np.abs(part).max()) for part in (after, before) if part is not None)
        for left, part in zip(columns, (before, after), strict=True):
            if part is None:
                text_at(figure, left, top, f"fixed: as the {weights} network has them", TINY, side="left")
                continue
            mosaic = mosaic_of(part, limit)
            width = min(COLUMNS, len(part)) * CELL
            axes = axes_at(figure, left, top, width, row * CELL)
            axes.imshow(mosaic, interpolation="none", aspect="auto")
            axes.set_axis_off()
        if before is not None:
            changes[data.title(name)] = float(np.linalg.norm(after - before) / np.linalg.norm(before))
        top += row * CELL + 0.05
    return _finding(changes)


def mosaic_of(filters: Numbers, limit: float) -> Any:
    """Return filters side by side as a picture, shape (H, W, 4), 0 to 1: grey or colour, where 0.5 is a weight of 0.

    Args:
        filters: shape (filters, channels, height, width), of one or three channels.
        limit: the largest absolute weight.
    """
    count, _, height, width = filters.shape
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    picture = np.zeros((rows * (height + 1), columns * (width + 1), 4))
    for number, weights in enumerate(filters):
        row, column = divmod(number, columns)
        down, across = row * (height + 1), column * (width + 1)
        place = picture[down : down + height, across : across + width]
        place[..., :3] = (0.5 + weights / (2 * limit)).transpose(1, 2, 0)
        place[..., 3] = 1
    return picture


def _described(filters: Numbers) -> str:
    count, channels, height, width = filters.shape
    return f"{count} filters of {height} x {width}, {channels} channel{'s' if channels > 1 else ''}"


def _finding(changes: dict[str, float]) -> str:
    colours = "Grey is a weight of 0; filters of three channels are drawn in colour."
    if not changes:
        return f"No first convolution trained. {colours}"
    most, least = (choose(changes, key=lambda title: changes[title]) for choose in (max, min))
    ends = f"{fraction(changes[least], 2)} ({least}) to {fraction(changes[most], 2)} ({most})"
    if most == least:
        ends = f"{fraction(changes[most], 2)} ({most})"
    return f"Training moved the filters by {ends} of their length, as vectors of all weights. {colours}"
