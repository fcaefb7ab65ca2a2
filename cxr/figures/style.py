"""How figures are drawn and written: as SVG whose words are text, in the font that the paper embeds.

The same input gives the same bytes. Layouts are in inches, fixed and not computed: that is quick, and what fits once
fits always.
"""

import base64
import io
import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from cxr.figures.palette import BLUE, GREY, INK, VERMILLION
from cxr.files import written_whole

# The width of the text block, and the height above every drawing that is left for its notes, in inches.
FULL, TOP_MARGIN = 6.3, 0.3
SMALL, TINY = 7.5, 6.5
# The paper's own font is STIX, by which the letters are placed; an SVG that is opened by itself takes what there is.
FONTS = "Paper, STIXGeneral, serif"
# The lines of NORMAL and of PNEUMONIA.
CLASS_LINES: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "linewidth": 1},
    {"color": VERMILLION, "linewidth": 1, "linestyle": (0, (3, 1))},
)
# Inches that a letter takes on average for each point of its size.
LETTER = 0.0066

STYLE: dict[Any, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 8.5,
    "axes.labelsize": 8.5,
    "axes.titlesize": SMALL,
    "axes.titlepad": 3,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.pad": 2,
    "ytick.major.pad": 2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "path.simplify_threshold": 0.2,
    # Letters as paths would take WeasyPrint two milliseconds each.
    "svg.fonttype": "none",
    # Without a salt the ids of clip paths differ from one drawing to the next.
    "svg.hashsalt": "cxr",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    **dict.fromkeys(["text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"], INK),
}


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw in the paper's style; a reader's own matplotlibrc must not change it."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def write_svg(figure: Figure, path: Path, notes: Sequence[str] = ()) -> None:
    """Write a figure, with ``notes`` on its data in its upper right corner.

    Neither date nor program is noted. Axes must hold all that is drawn in them: nothing is clipped.
    """
    if notes:
        top_note(figure, " · ".join(notes), "right", VERMILLION)
    for artist in figure.findobj():
        artist.set_clip_on(False)
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(["Creator", "Date", "Format", "Type"]))
    with written_whole(path) as part:
        part.write_text(lean(buffer.getvalue()), encoding="utf-8")


def lean(drawing: str) -> str:
    """Shorten an SVG of matplotlib's, which gives coordinates to a millionth of a point; name the fonts of its text.

    Pictures without colours are stored with one channel instead of four.
    """

    def shorter(match: re.Match[str]) -> str:
        numbers = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{round(float(number[0]), 2) + 0.0:g}", match[0])
        return re.sub(r"\s+", " ", numbers).strip()

    drawing = re.sub(r' transform="rotate\(-0 [^"]*"', "", drawing).replace("'STIXGeneral'", FONTS)
    drawing = re.sub(r'(?<= d=")[^"]*|(?<=translate\()[^)]*|(?<=rotate\()[^)]*|(?<= [xy]=")[^"]*', shorter, drawing)
    drawing = re.sub(r"(?<=data:image/png;base64,)[^\"]*", _grey_png, drawing)
    return re.sub(r"\n +", "\n", drawing)


def _grey_png(match: re.Match[str]) -> str:
    """Return a PNG, in base64, as a grey one if it has neither colours nor transparent pixels."""
    picture = Image.open(io.BytesIO(base64.b64decode(match[0]))).convert("RGBA")
    red, green, blue, alpha = (channel.tobytes() for channel in picture.split())
    if not (red == green == blue and set(alpha) == {255}):
        return match[0]
    buffer = io.BytesIO()
    picture.getchannel("R").save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def top_note(figure: Figure, words: str, side: str = "left", colour: str = INK) -> None:
    """Write at the top of a figure, which must have its final size; on the left so that the right stays free."""
    width, height = figure.get_size_inches()
    x, y = (0.02 if side == "left" else width - 0.02) / width, 1 - 0.02 / height
    lines = wrapped(words, 3.9, SMALL) if side == "left" else words
    figure.text(x, y, lines, ha=side, va="top", fontsize=SMALL, color=colour)


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes; ``left`` and ``top`` are the distances in inches of its upper left corner from the figure's."""
    full, tall = figure.get_size_inches()
    return figure.add_axes((left / full, 1 - (top + height) / tall, width / full, height / tall))


def legend_above(axes: Axes) -> None:
    """Explain the lines of axes above their right end, on the height of a title that stands left."""
    place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1.02), "borderaxespad": 0, "borderpad": 0}
    axes.legend(frameon=False, fontsize=SMALL, ncols=2, columnspacing=1, handlelength=1.5, handletextpad=0.5, **place)


def bare_axes(figure: Figure, height: float) -> Axes:
    """Resize a figure to ``height`` inches; add axes without lines over all of it, with inches from above as units."""
    figure.set_size_inches(FULL, height)
    axes = axes_at(figure, 0, 0, FULL, height)
    axes.set(xlim=(0, FULL), ylim=(height, 0))
    axes.set_axis_off()
    return axes


def small_multiples(
    figure: Figure,
    titles: Sequence[str],
    labels: tuple[str, str],
    columns: int = 5,
    ratio: float = 1.0,
    gaps: tuple[float, float] = (0.16, 0.36),
    side: float = 2.4,
) -> list[Axes]:
    """Resize a figure and fill it with axes of one size, which share their labels; return them, one for each title.

    Args:
        figure: without axes.
        titles: one for each of the axes; long ones are wrapped.
        labels: of all x axes and of all y axes.
        columns: at most so many stand side by side.
        ratio: height of the axes over their width.
        gaps: inches between axes, to the right and above, where titles stand.
        side: their largest width in inches.
    """
    columns = min(columns, len(titles))
    rows, (right, above) = math.ceil(len(titles) / columns), gaps
    width = min(side, (FULL - 0.5 - columns * right) / columns)
    left = (FULL + 0.5 - columns * (width + right)) / 2
    height = width * ratio
    bottom = 0.42
    figure.set_size_inches(FULL, TOP_MARGIN + rows * (height + above) + bottom)
    found = []
    for number, title in enumerate(titles):
        row, column = divmod(number, columns)
        place = left + column * (width + right), TOP_MARGIN + row * (height + above) + above
        axes = axes_at(figure, *place, width, height)
        axes.set_title(wrapped(title, width + right - 0.1, SMALL))
        axes.yaxis.set_visible(column == 0)
        axes.xaxis.set_visible(number + columns >= len(titles))
        found.append(axes)
    tall = figure.get_size_inches()[1]
    figure.text(0.5, 0.03 / tall, labels[0], ha="center", va="bottom")
    middle = (bottom + rows * (height + above) / 2) / tall
    figure.text((left - 0.46) / FULL, middle, labels[1], ha="left", va="center", rotation=90)
    return found


def wrapped(words: str, width: float, size: float) -> str:
    """Break a text into lines of ``width`` inches at a size in points; ``n = 10`` stays on one line."""
    kept = words.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")
    return textwrap.fill(kept, max(8, int(width / (LETTER * size))), break_on_hyphens=False)


def absent(axes: Axes, reason: str) -> None:
    """Write in empty axes why they are."""
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=GREY, linestyle=":")
    width = axes.get_position().width * axes.figure.get_size_inches()[0]  # type: ignore[union-attr]
    words = wrapped(f"not run: {reason}", 0.9 * width, TINY)
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", fontsize=TINY)


def apart(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move heights apart so that neighbours are ``gap`` from each other, as near to where they were as can be.

    The order stays; all stay between ``low`` and ``high`` as long as there is room.
    """
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    clusters: list[list[float]] = []
    # A cluster is [middle, how many]; those that touch are joined about their common middle.
    for index in order:
        clusters.append([heights[index], 1])
        while True:
            middle, count = clusters[-1]
            half = gap * (count - 1) / 2
            clusters[-1][0] = min(max(middle, low + half), high - half)
            if len(clusters) == 1:
                break
            before, many = clusters[-2]
            if clusters[-1][0] - half - (before + gap * (many - 1) / 2) >= gap - 1e-9:
                break
            clusters[-2:] = [[(before * many + clusters[-1][0] * count) / (many + count), many + count]]
    moved = [middle + gap * (place - (count - 1) / 2) for middle, count in clusters for place in range(int(count))]
    return [height for _, height in sorted(zip(order, moved, strict=True))]
