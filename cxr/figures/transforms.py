"""Figure 1 of the preprint: the same images under each transform."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cxr.errors import InputError
from cxr.figures.style import FULL, TINY, TOP_MARGIN, axes_at, paper_style, write_svg

# The side of an image in inches.
SIDE = 0.62


def draw_transforms(examples: Path, path: Path, notes: Sequence[str] = (), may_show_images: bool = True) -> None:
    """Draw the same images under each transform, one column for each; only the columns' names if they stay private.

    Args:
        examples: ``transforms.npz``: for each transform an array of shape (N, H, W), 0 (black) to 1.
        path: the SVG to write.
        notes: what the figure says of its data.
        may_show_images: whether figures may show images, as ``cxr.images.cohort.may_show_images`` tells.

    Raises:
        InputError: the arrays differ in their numbers of images.
    """
    with np.load(examples) as stored:
        images = {name: stored[name] for name in stored.files}
    rows = {len(array) for array in images.values()}
    if len(rows) != 1:
        raise InputError(f"{examples}: every transform must hold the same number of images; write it again.")
    with paper_style():
        figure, count = Figure(), rows.pop()
        side, title = min(FULL / len(images), SIDE), 0.2
        left = (FULL - len(images) * side) / 2
        figure.set_size_inches(FULL, TOP_MARGIN + title + count * side)
        for column, (name, array) in enumerate(images.items()):
            for row, image in enumerate(array):
                place = left + (column + 0.015) * side, TOP_MARGIN + title + row * side
                axes = axes_at(figure, *place, 0.97 * side, 0.97 * side)
                # "none" stores the pixels themselves instead of a copy at the resolution of the drawing.
                if may_show_images:
                    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="none", aspect="auto")
                else:
                    axes.text(0.5, 0.5, "not shown", ha="center", va="center", fontsize=TINY)
                axes.set_axis_off()
                if row == 0:
                    axes.set_title(name, fontsize=11, fontweight="bold")
        write_svg(figure, path, notes)
