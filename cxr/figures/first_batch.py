"""The first batch of training, with its labels, as the loader gives it."""

import numpy as np
from matplotlib.figure import Figure

from cxr.figures.data import FigureData
from cxr.figures.pictures import draw_grid
from cxr.figures.words import fraction
from cxr.images.names import CLASSES

COLUMNS = 10


def draw_first_batch(figure: Figure, data: FigureData) -> str | None:
    """Draw the inputs of the first batch; return its range and its labels, or None where there are no images."""
    if data.images is None or not data.may_show_images:
        return None
    with np.load(data.images.first_batch) as stored:
        inputs, labels = stored["inputs"], stored["labels"].tolist()
        black, white = float(stored["black"]), float(stored["white"])
    # Channels are copies of each other.
    shown = ((inputs[:, 0] - black) / (white - black) * 255).clip(0, 255).round().astype(np.uint8)
    starts = range(0, len(shown), COLUMNS)
    draw_grid(
        figure,
        [list(shown[start : start + COLUMNS]) for start in starts],
        [[CLASSES[label].lower() for label in labels[start : start + COLUMNS]] for start in starts],
        columns=COLUMNS,
        above=True,
    )
    title = data.title(data.experiment_ids[0])
    size = " \N{MULTIPLICATION SIGN} ".join(str(number) for number in inputs.shape)
    return (
        f"The batch of {title} has {size} numbers from {fraction(float(inputs.min()), 2)} to "
        f"{fraction(float(inputs.max()), 2)}; black is {fraction(black, 2)}, and white {fraction(white, 2)}. "
        f"{labels.count(1)} of {len(labels)} images are of pneumonia."
    )
