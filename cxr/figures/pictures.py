"""Grids of X-rays with words below each."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

from cxr.figures.style import FULL, TINY, TOP_MARGIN, axes_at

# Pixels of a picture's side at most: at 0.8 inches, 160 to the inch.
LARGEST = 128
# Inches of a line of words below a picture, of those left of a row, and between pictures.
LINE, MARGIN, GAP = 0.105, 0.75, 0.06

Picture = npt.NDArray[np.uint8]


def reduced(picture: Picture) -> Picture:
    """Return a picture at most ``LARGEST`` px wide, averaged by area."""
    height, width = picture.shape
    scale = max(height, width) / LARGEST
    if scale <= 1:
        return picture
    size = (round(width / scale), round(height / scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def draw_grid(
    figure: Figure,
    rows: Sequence[Sequence[Picture]],
    words: Sequence[Sequence[str]],
    titles: Sequence[str] = (),
    columns: int = 8,
    above: bool = False,
) -> None:
    """Resize a figure and fill it with rows of pictures.

    Args:
        figure: empty.
        rows: the pictures of each row, each of shape (H, W), 0 to 255.
        words: what stands below each picture; lines are not broken.
        titles: what stands left of each row, already broken into lines; none leaves no room for them.
        columns: so many pictures fill the width.
        above: whether the words stand above the pictures.
    """
    left = MARGIN if titles else 0.0
    side = (FULL - left - (columns - 1) * GAP) / columns
    lines = [max((text.count("\n") + 1 if text else 0 for text in row), default=0) for row in words]
    heights = [side + LINE * count + 0.08 for count in lines]
    figure.set_size_inches(FULL, TOP_MARGIN + sum(heights))
    top = TOP_MARGIN
    for row, (pictures, texts) in enumerate(zip(rows, words, strict=True)):
        for column, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
            below = LINE * lines[row] + 0.02 if above else 0.0
            axes = axes_at(figure, left + column * (side + GAP), top + below, side, side)
            # "none" stores the pixels themselves instead of a copy at the resolution of the drawing.
            axes.imshow(reduced(picture), cmap="gray", vmin=0, vmax=255, interpolation="none", aspect="auto")
            axes.set_axis_off()
            if text:
                height, edge = (1.02, "bottom") if above else (-0.02, "top")
                axes.text(
                    0.5, height, text, transform=axes.transAxes, fontsize=TINY, ha="center", va=edge, linespacing=1.1
                )
        if titles:
            height = figure.get_size_inches()[1]
            figure.text(
                0, 1 - (top + side / 2) / height, titles[row], fontsize=TINY, ha="left", va="center", linespacing=1.1
            )
        top += heights[row]
