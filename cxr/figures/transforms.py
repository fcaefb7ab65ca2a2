"""The same images under each transform: Figure 1 of the preprint, and more of them with what was drawn for each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from cxr.errors import InputError
from cxr.figures.data import FigureData
from cxr.figures.pictures import MARGIN, draw_grid
from cxr.figures.style import FULL, TINY, TOP_MARGIN, axes_at, paper_style, wrapped, write_svg
from cxr.figures.words import fraction, joined

# The side of an image in inches.
SIDE = 0.62
# Figure 1 has the first image, one from the middle and the last; the supplement has the others.
OF_FIGURE_1 = 3

Arrays = Mapping[str, npt.NDArray[Any]]


def read_examples(path: Path) -> tuple[Arrays, Arrays]:
    """Return the images of ``transforms.npz`` by transform, and the parameters by transform, step and name.

    Raises:
        InputError: the arrays differ in their numbers of images.
    """
    with np.load(path) as stored:
        content = {name: stored[name] for name in stored.files}
    if len({len(array) for array in content.values()}) != 1:
        raise InputError(f"{path}: every transform must hold the same number of images; write it again.")
    images = {name: array for name, array in content.items() if "." not in name}
    return images, {name: array for name, array in content.items() if "." in name}


def of_figure_1(count: int) -> list[int]:
    """Return which of ``count`` images are in Figure 1."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, OF_FIGURE_1)).tolist()})


def draw_transforms(examples: Path, path: Path, notes: Sequence[str] = (), may_show_images: bool = True) -> None:
    """Draw some images under each transform, one column for each; only the columns' names if they stay private.

    Args:
        examples: ``transforms.npz`` (``cxr.preprocessing.examples``).
        path: the SVG to write.
        notes: what the figure says of its data.
        may_show_images: whether figures may show images, as ``cxr.images.cohort.may_show_images`` tells.

    Raises:
        InputError: as ``read_examples``.
    """
    images, _ = read_examples(examples)
    chosen = of_figure_1(len(next(iter(images.values()))))
    with paper_style():
        figure = Figure()
        side, title = min(FULL / len(images), SIDE), 0.2
        left = (FULL - len(images) * side) / 2
        figure.set_size_inches(FULL, TOP_MARGIN + title + len(chosen) * side)
        for column, (name, array) in enumerate(images.items()):
            for row, image in enumerate(array[chosen]):
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


def draw_augmentation(figure: Figure, data: FigureData) -> str | None:
    """Draw further images under each transform with what was drawn for each; return the ranges, or None without any."""
    if data.images is None or not data.may_show_images:
        return None
    images, parameters = read_examples(data.images.transforms)
    count = len(next(iter(images.values())))
    others = [index for index in range(count) if index not in of_figure_1(count)]
    if not others:
        return None
    words = [[parameters_in_words(parameters, name, index) for index in others] for name in images]
    pictures = [list((array[others].clip(0, 1) * 255).round().astype(np.uint8)) for array in images.values()]
    titles = [f"{name}\n{wrapped(data.images.transform_titles[name], MARGIN - 0.05, TINY)}" for name in images]
    draw_grid(figure, pictures, words, titles, columns=len(others))
    return _finding(parameters, others)


def parameters_in_words(parameters: Arrays, transform: str, index: int) -> str:
    """Return what was drawn for an image under a transform, a line for each in the order in which it takes effect.

    Args:
        parameters: of ``read_examples``.
        transform: such as ``T4``.
        index: of the image.
    """
    steps: dict[int, dict[str, Any]] = {}
    for name, values in parameters.items():
        of, step, key = name.split(".")
        if of == transform:
            steps.setdefault(int(step), {})[key] = values[index].item()
    lines = [line for _, drawn in sorted(steps.items()) for line in _lines(drawn)]
    return "\n".join(lines)


def _lines(drawn: Mapping[str, Any]) -> list[str]:
    times = "\N{MULTIPLICATION SIGN}"
    lines = []
    if "angle" in drawn:
        lines.append(f"{fraction(drawn['angle'], 1, sign=True)}\N{DEGREE SIGN}")
    if "mirrored" in drawn:
        lines.append("mirrored" if drawn["mirrored"] else "not mirrored")
    if "left" in drawn:
        lines.append(f"from ({drawn['left']}, {drawn['top']})")
    if "brightness" in drawn:
        both = [f"{name} {times} {fraction(drawn[name], 2)}" for name in ("brightness", "contrast")]
        lines += both if drawn["brightness_first"] else both[::-1]
    return lines


def _finding(parameters: Arrays, others: Sequence[int]) -> str:
    """Say within which range each parameter was drawn for the images that are shown."""
    ranges = []
    names = {"angle": "angles", "brightness": "factors of brightness", "contrast": "factors of contrast"}
    for name, values in parameters.items():
        transform, _, key = name.split(".")
        shown = values[others]
        if key in names:
            low, high = (fraction(float(end), 1 if key == "angle" else 2) for end in (shown.min(), shown.max()))
            unit = "\N{DEGREE SIGN}" if key == "angle" else ""
            ranges.append(f"{names[key]} from {low}{unit} to {high}{unit} ({transform})")
        elif key == "mirrored":
            ranges.append(f"{int(shown.sum())} of {len(shown)} images mirrored ({transform})")
    return (
        f"Each column is one training image. Drawn were {joined(ranges, len(ranges))}. Angles are counter-clockwise; a "
        f"crop is named by its upper left pixel (left, top); of two factors the upper one is applied first."
        if ranges
        else "Each column is one training image. Nothing was drawn at random."
    )
