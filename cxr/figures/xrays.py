"""X-rays in figures: read from the arrays of preprocessing, and drawn in rows with words below each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from cxr.figures.style import FULL, SMALL, TINY, TOP_MARGIN, axes_at, bare_axes, wrapped
from cxr.preprocessing.arrays import grey_levels, open_array, read_rows
from cxr.study import layout
from cxr.study.arrays import array_name
from cxr.study.config import Study
from cxr.study.steps import resize_of

# So many X-rays stand side by side: narrower ones would leave no room for the longest patient key.
COLUMNS = 7
# The largest side of a drawn X-ray in pixels; 0.8 inches at 150 dots an inch.
LARGEST = 128
# Inches of a picture's column that stay free, of the line of a row's title, and of a line of words below a picture.
GAP, TITLE, LINE = 0.07, 0.17, 0.115


@dataclass(frozen=True)
class XRays:
    """The images of a cohort as networks see them, before normalisation.

    Attributes:
        array: an array of ``cxr.preprocessing.arrays``.
        rows: its row by the image's path in ``manifest.csv``.
    """

    array: Path
    rows: Mapping[str, int]

    def read(self, paths: Sequence[str], largest: int = LARGEST) -> npt.NDArray[np.uint8]:
        """Return images as grey levels, shape (N, H, H), 0 (black) to 255.

        Args:
            paths: of ``manifest.csv``.
            largest: images with a larger side are averaged over squares of whole pixels until they are no larger.
        """
        stored = read_rows(open_array(self.array), np.array([self.rows[path] for path in paths], dtype=np.int64))
        grey = grey_levels(stored)
        factor = -(-grey.shape[1] // largest)
        # Whole numbers throughout, so that every processor gives the same pixels.
        return grey if factor == 1 else np.stack([np.asarray(Image.fromarray(image).reduce(factor)) for image in grey])


def find_xrays(study: Study, results: Path, protocol: str) -> XRays | None:
    """Return the images that a protocol's networks are tested on, or None where their array was deleted."""
    evaluation = study.transforms(protocol)[study.catalogue["evaluation_transform"]]
    array = layout.array(results, array_name(study, resize_of(evaluation["steps"]), protocol))
    if not array.exists():
        return None
    paths = pd.read_csv(layout.manifest(results), usecols=["path"])["path"]
    return XRays(array, {path: row for row, path in enumerate(paths)})


@dataclass(frozen=True)
class Picture:
    """An X-ray to draw: its path in ``manifest.csv``, and the lines below it."""

    path: str
    lines: tuple[str, ...]


def draw_rows(figure: Figure, xrays: XRays, groups: Mapping[str, Sequence[Picture]]) -> None:
    """Resize a figure and fill it with X-rays, group by group.

    Args:
        figure: empty.
        xrays: where they are read from.
        groups: the pictures by the title above them, at least one each. A title may be empty.
    """
    width = FULL / COLUMNS
    side = width - GAP
    words = LINE * max(len(picture.lines) for pictures in groups.values() for picture in pictures) + 0.05
    heights = {
        title: TITLE * bool(title) + (side + words) * -(-len(found) // COLUMNS) for title, found in groups.items()
    }
    canvas = bare_axes(figure, TOP_MARGIN + sum(heights.values()))
    top = TOP_MARGIN
    for title, pictures in groups.items():
        canvas.text(0, top, title, va="top", fontsize=SMALL, fontweight="bold")
        images = xrays.read([picture.path for picture in pictures])
        for number, (picture, image) in enumerate(zip(pictures, images, strict=True)):
            row, column = divmod(number, COLUMNS)
            left, above = column * width, top + TITLE * bool(title) + row * (side + words)
            axes = axes_at(figure, left, above, side, side)
            # "none" stores the pixels themselves instead of a copy at the resolution of the drawing.
            axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="none", aspect="auto")
            axes.set_axis_off()
            for line, text in enumerate(picture.lines):
                canvas.text(left, above + side + 0.02 + line * LINE, text, va="top", fontsize=TINY)
        top += heights[title]


def shortened(name: str, letters: int = 19) -> str:
    """Leave out the beginning of a name that is too long to stand below an X-ray."""
    return name if len(name) <= letters else f"…{name[1 - letters :]}"


def below(words: str) -> list[str]:
    """Break words into lines that fit below an X-ray."""
    return wrapped(words, FULL / COLUMNS - GAP, TINY).split("\n")
