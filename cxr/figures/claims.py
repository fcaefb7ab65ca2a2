"""The verdicts on all claims at a glance."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from cxr.figures.data import FigureData
from cxr.figures.style import FULL, SMALL, TINY, TOP_MARGIN, bare_axes
from cxr.figures.words import joined, part_of

# The verdicts of claims that were not tested.
UNTESTED = ("not testable", "another cohort")
# Claims in a line.
IN_LINE = 32


def draw_claims(figure: Figure, data: FigureData) -> str | None:
    """Draw the verdict on each claim that was tested; return what they show.

    None where none was tested, and under one protocol, whose verdicts the paper's table of claims shows as well.
    """
    tested = [
        claim for claim in data.claims if any(found["verdict"] not in UNTESTED for found in claim["protocols"].values())
    ]
    if not tested or len(data.protocols) == 1:
        return None
    lines: list[list[Mapping[str, Any]]] = []
    for origin in (False, True):
        claims = [claim for claim in tested if (claim["notebook"] is not None) is origin]
        lines += [claims[start : start + IN_LINE] for start in range(0, len(claims), IN_LINE)]
    left, cell, above = 0.85, 0.165, 0.3
    step = above + cell * len(data.protocols)
    axes = bare_axes(figure, TOP_MARGIN + 0.22 + step * len(lines))
    places: dict[str, list[tuple[float, float]]] = {verdict: [] for verdict in data.verdicts}
    for number, line in enumerate(lines):
        top = TOP_MARGIN + 0.22 + number * step + above - 0.12
        for column, claim in enumerate(line):
            x = left + (column + 0.5) * cell
            axes.text(x, top - 0.025, claim["id"], fontsize=5.6, ha="center", va="bottom")
            for row, protocol in enumerate(data.protocols):
                places[claim["protocols"][protocol]["verdict"]].append((x, top + (row + 0.5) * cell))
        for row, title in enumerate(data.protocols.values()):
            axes.text(left - 0.06, top + (row + 0.5) * cell, title, fontsize=TINY, ha="right", va="center")
    for number, (verdict, (word, sign, colour)) in enumerate(data.verdicts.items()):
        key = left + number * (FULL - left) / max(4, len(data.verdicts)) + cell / 2, TOP_MARGIN + 0.1
        axes.text(key[0] + 0.15, key[1], word, fontsize=SMALL, va="center")
        # One path for all of a kind: a page draws it much faster than a path for each.
        square = Outline.unit_rectangle().transformed(Affine2D().translate(-0.5, -0.5).scale(0.9 * cell))
        for shape, fill in ((square, colour), (_sign(sign, 0.6 * cell), "#ffffff")):
            copies = [shape.transformed(Affine2D().translate(*place)) for place in [key, *places[verdict]]]
            axes.add_patch(PathPatch(Outline.make_compound_path(*copies), facecolor=fill, linewidth=0))
    sentences = []
    for protocol, title in data.protocols.items():
        verdicts = [claim["protocols"][protocol]["verdict"] for claim in tested]
        counts = [f"{verdicts.count(name)} {word}" for name, (word, _, _) in data.verdicts.items() if name in verdicts]
        sentences.append(f"{title}: {joined(counts, len(counts))}")
    finding = (
        f"Verdicts on the {len(tested)} of {len(data.claims)} claims that could be tested, {'; '.join(sentences)}."
    )
    same = sum(len({found["verdict"] for found in claim["protocols"].values()}) == 1 for claim in tested)
    finding += f" The verdict is the same under every protocol for {part_of(same, len(tested), 'claim')}."
    return finding


def _sign(character: str, size: float) -> Outline:
    """A character of ``size`` in axes whose y goes down, its middle at the origin."""
    outline = TextPath((0, 0), character, size=10, prop=FontProperties(family="STIXGeneral"))
    box = outline.get_extents()
    to_middle = Affine2D().translate(-(box.x0 + box.x1) / 2, -(box.y0 + box.y1) / 2)
    return outline.transformed(to_middle.scale(1, -1).scale(size / max(box.width, box.height)))
