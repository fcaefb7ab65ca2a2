"""How bright the images are, by class and official split."""

import numpy as np
from matplotlib.figure import Figure

from cxr.figures.data import FigureData
from cxr.figures.style import CLASS_LINES, FULL, TOP_MARGIN, axes_at, legend_above
from cxr.figures.words import fraction, joined
from cxr.images.names import CLASSES

# What is drawn in each row: counts and edges in ``intensity.json``, and the labels of the axes.
ROWS = (
    ("means", "mean_edges", "share of images", "mean grey level of an image"),
    ("pixels", "pixel_edges", "share of pixels", "grey level of a pixel"),
)


def draw_intensity(figure: Figure, data: FigureData) -> str | None:
    """Draw the images' mean grey levels and their pixels; return the means, or None where there are no images."""
    if data.images is None:
        return None
    intensity, folders = data.images.intensity, data.images.folders
    gap, height, above, below = 0.3, 1.05, 0.22, 0.4
    width = (FULL - 0.5 - len(folders) * gap) / len(folders)
    figure.set_size_inches(FULL, TOP_MARGIN + len(ROWS) * (above + height + below))
    for row, (key, edges, y_label, x_label) in enumerate(ROWS):
        top = TOP_MARGIN + row * (above + height + below) + above
        highest = 0.0
        panels = []
        for column, folder in enumerate(folders):
            axes = axes_at(figure, 0.5 + column * (width + gap), top, width, height)
            for kind, look in zip(CLASSES, CLASS_LINES, strict=True):
                found = intensity["groups"][folder][kind]
                if found["images"]:
                    share = np.array(found[key], float) / sum(found[key])
                    highest = max(highest, float(share.max()))
                    axes.stairs(share, intensity[edges], label=f"{found['images']:,} {kind.lower()}", **look)
            axes.set(xlim=(0, 255), xticks=[0, 64, 128, 192, 255], xlabel=x_label)
            axes.set_title(folder, loc="left")
            if row == 0:
                legend_above(axes)
            panels.append(axes)
        for axes in panels:
            axes.set_ylim(0, 1.05 * highest)
        panels[0].set_ylabel(y_label)
    parts = []
    for folder in folders:
        found = intensity["groups"][folder]
        means = [f"{fraction(found[kind]['mean'], 1)} ({kind.lower()})" for kind in CLASSES if found[kind]["images"]]
        parts.append(f"{joined(means)} in {folder}")
    return f"The images' mean grey level, from 0 (black) to 255, is on average {'; '.join(parts)}."
