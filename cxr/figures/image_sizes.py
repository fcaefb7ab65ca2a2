"""The width, the height and the aspect ratio of the image files."""

import numpy as np
from matplotlib.figure import Figure

from cxr.figures.data import FigureData
from cxr.figures.image_data import ImageData
from cxr.figures.style import CLASS_LINES, FULL, TOP_MARGIN, axes_at, legend_above
from cxr.figures.words import fraction, joined
from cxr.images.names import CLASSES

BINS = 40
# What is drawn in each column, with its label.
COLUMNS = {"width": "width (pixels)", "height": "height (pixels)", "ratio": "width / height"}


def draw_image_sizes(figure: Figure, data: FigureData) -> str | None:
    """Draw histograms by folder and class; return how the classes differ, or None where there are no images.

    Of a resized copy, all folders are drawn together: there is one size to show.
    """
    if data.images is None:
        return None
    images = data.images
    table = images.manifest.assign(ratio=images.manifest["width"] / images.manifest["height"])
    if images.resized:
        panels = {"all folders: a resized copy": table}
    else:
        panels = {folder: table[table["official_split"] == folder] for folder in images.folders}
    width, height, above, bottom = (FULL - 0.4) / len(COLUMNS) - 0.3, 0.95, 0.22, 0.4
    figure.set_size_inches(FULL, TOP_MARGIN + len(panels) * (height + above) + bottom)
    for column, (name, label) in enumerate(COLUMNS.items()):
        low, high = float(table[name].min()), float(table[name].max())
        # A single size stands in the middle.
        edges = np.linspace(low, high, BINS + 1) if low < high else np.linspace(0, 2 * low, BINS + 2)
        for row, (title, part) in enumerate(panels.items()):
            place = 0.6 + column * (width + 0.3), TOP_MARGIN + row * (height + above) + above
            axes = axes_at(figure, *place, width, height)
            for kind, look in zip(CLASSES, CLASS_LINES, strict=True):
                values = part.loc[part["class"] == kind, name]
                share = np.histogram(values, edges)[0] / max(len(values), 1)
                axes.stairs(share, edges, label=kind.lower(), **look)
            axes.set(xlim=(edges[0], edges[-1]), ylim=(0, None))
            if column == 0:
                axes.set_title(title, loc="left")
            last = row == len(panels) - 1
            axes.xaxis.set_tick_params(labelbottom=last)
            if last:
                axes.set_xlabel(label)
            if row == 0 and column == len(COLUMNS) - 1:
                legend_above(axes)
    tall = figure.get_size_inches()[1]
    middle = (bottom + (tall - TOP_MARGIN - bottom) / 2) / tall
    figure.text(0.02 / FULL, middle, "share of images", rotation=90, va="center")
    return _finding(images)


def _finding(images: ImageData) -> str:
    table, times = images.manifest, "\N{MULTIPLICATION SIGN}"
    if images.resized:
        width, height = table[["width", "height"]].iloc[0]
        return (
            f"All {len(table):,} images measure {width} {times} {height} px: they are a resized copy. It does not tell "
            f"the sizes and the aspect ratios of the originals, in which the classes differ."
        )
    parts = []
    for kind in CLASSES:
        rows = table[table["class"] == kind]
        ratio = fraction(float((rows["width"] / rows["height"]).median()), 2)
        size = f"{rows['width'].median():,.0f} {times} {rows['height'].median():,.0f} px"
        parts.append(f"{size} with an aspect ratio of {ratio} for {kind.lower()}")
    return f"The median image measures {joined(parts)}."
