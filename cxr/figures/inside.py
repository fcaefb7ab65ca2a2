"""Do the networks look at the lungs? Relevance inside them, AUROC when they are hidden, and a check of the maps."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxr.figures.data import FigureData
from cxr.figures.explanations import Explanation
from cxr.figures.maps import main_networks
from cxr.figures.palette import BLUE, GREY, INK, VERMILLION
from cxr.figures.style import FULL, LETTER, SMALL, TINY, TOP_MARGIN, apart, axes_at, text_at
from cxr.figures.words import fraction, joined, part_of

# By what is visible: words, marker and colour.
VIEWS = {
    "whole": ("whole image", "o", INK),
    "lungs": ("lungs only", "s", BLUE),
    "outside": ("all but the lungs", "^", VERMILLION),
}
AREA = ("lungs' share of the area", "|", VERMILLION)
DEPTHS = {"shallow": ("shallow layer", "s", GREY), "deep": ("deep layer", "o", BLUE)}
PNEUMONIA = "1"
# A lung is about a quarter of the image wide: a map needs twice as many places to show it.
COARSE = 8
LABELS, ROW = 1.4, 0.24


def draw_inside(figure: Figure, data: FigureData) -> str | None:
    """Draw three panels: relevance inside the lungs, AUROC by what is visible, and maps of randomised networks.

    Returns:
        What the numbers say about whether the networks look at the lungs; None without an explained network.
    """
    found = main_networks(data)
    if not found:
        return None
    height, legend, below = ROW * len(found), 0.24, 0.46
    check = 1.5
    figure.set_size_inches(FULL, TOP_MARGIN + legend + height + below + 0.3 + check + 0.4)
    width = (FULL - LABELS - 0.35) / 2
    top = TOP_MARGIN + legend
    left, right = (axes_at(figure, LABELS + number * (width + 0.25), top, width, height) for number in (0, 1))
    titles = [data.title(name) for name in found]
    for axes in (left, right):
        axes.set(ylim=(len(found) - 0.5, -0.5), yticks=[])
    left.set_yticks(range(len(found)), titles)
    left.tick_params(axis="y", length=0)
    _draw_shares(left, found)
    _draw_aurocs(right, found)
    _draw_check(figure, data, found, top + height + below + 0.3, check)
    return f"{_inside(found)} {_visible(found)} {_checked(found)}"


def _draw_shares(axes: Axes, found: Mapping[str, Explanation]) -> None:
    for row, explanation in enumerate(found.values()):
        area = None
        for shift, (depth, (_, marker, colour)) in zip((-0.13, 0.13), DEPTHS.items(), strict=True):
            facts = relevance_of(explanation, depth)
            if facts["mean"] is None:
                continue
            area = facts["lung_area"]
            low, _, high = facts["quartiles"]
            axes.plot([low, high], [row + shift] * 2, color=colour, linewidth=0.8)
            axes.plot(facts["mean"], row + shift, **_look(marker, colour))
        if area is not None:
            axes.plot([area] * 2, [row - 0.35, row + 0.35], color=VERMILLION, linewidth=1.2)
    quartiles = [relevance_of(explanation, depth)["quartiles"] for explanation in found.values() for depth in DEPTHS]
    furthest = max((high for _, _, high in filter(None, quartiles)), default=0)
    axes.set(
        xlim=(0, max(0.5, furthest + 0.05)), xlabel="share of the relevance for pneumonia\nthat lies inside the lungs"
    )
    _legend(axes, [*DEPTHS.values(), AREA])


def _draw_aurocs(axes: Axes, found: Mapping[str, Explanation]) -> None:
    for row, explanation in enumerate(found.values()):
        for view, (_, marker, colour) in VIEWS.items():
            value = explanation.record["visible"][view]
            if value is not None:
                axes.plot(value, row, **_look(marker, colour))
    axes.plot([0.5] * 2, [-0.5, len(found) - 0.5], color=GREY, linewidth=0.6, linestyle=":")
    axes.set(xlim=(0, 1), xlabel="AUROC on the test set by what is visible\n(dotted: chance)")
    _legend(axes, list(VIEWS.values()))


def _legend(axes: Axes, entries: list[tuple[str, str, str]]) -> None:
    """Write what the markers mean above axes, from left to right."""
    full = axes.get_position().width * FULL
    left = 0.04
    for words, marker, colour in entries:
        place = axes.transAxes
        axes.plot(left / full, 1.0 + 0.1 / _height(axes), transform=place, **_look(marker, colour))
        axes.text((left + 0.07) / full, 1.0 + 0.1 / _height(axes), words, transform=place, fontsize=TINY, va="center")
        left += 0.2 + len(words) * LETTER * TINY


def _height(axes: Axes) -> float:
    """The height of axes in inches."""
    return float(axes.get_position().height * axes.figure.get_size_inches()[1])  # type: ignore[union-attr]


def _look(marker: str, colour: str) -> dict[str, Any]:
    """How a marker is drawn: one in the colour of the text is hollow."""
    fill = "none" if colour == INK else colour
    return {"marker": marker, "color": colour, "markerfacecolor": fill, "markersize": 4, "linestyle": "none"}


def _draw_check(figure: Figure, data: FigureData, found: Mapping[str, Explanation], top: float, height: float) -> None:
    """Draw how maps change while layers lose their weights, from the output to the image."""
    width = FULL - LABELS - 1.5
    axes = axes_at(figure, LABELS, top, width, height)
    text_at(
        figure,
        0.02,
        top,
        "Sanity check of\nthe maps: layers\nlose their weights,\nfrom the output on",
        SMALL,
        side="left",
    )
    ends = {}
    for number, (name, explanation) in enumerate(found.items()):
        steps = explanation.record["randomisation"]["steps"]
        points = [(0.0, 1.0)] + [
            ((index + 1) / len(steps), step["spearman"])
            for index, step in enumerate(steps)
            if step["spearman"] is not None
        ]
        style = ("-", "--", ":", "-.")[number % 4]
        colour = (BLUE, VERMILLION, INK, GREY)[number // 2 % 4]
        axes.plot(*zip(*points, strict=True), color=colour, linestyle=style, linewidth=1)
        ends[name] = (*points[-1], colour, style)
    axes.plot([0, 1], [0, 0], color=GREY, linewidth=0.6, linestyle=":")
    axes.set(xlim=(0, 1), ylim=(-1, 1.05), xticks=[0, 0.5, 1], yticks=[-1, 0, 1])
    axes.set_xticklabels(["0", "0.5", "1"])
    axes.set(xlabel="share of the layers without their weights", ylabel="rank correlation")
    # Labels stand beside the ends of their lines, moved apart.
    heights = apart([end for _, end, _, _ in ends.values()], 0.16, -1, 1.05)
    for (name, (last, end, colour, style)), at in zip(ends.items(), heights, strict=True):
        axes.plot([last, 1.04], [end, at], color=GREY, linewidth=0.5)
        axes.plot([1.045, 1.085], [at, at], color=colour, linestyle=style, linewidth=1)
        axes.text(1.095, at, data.title(name), fontsize=TINY, va="center", color=colour)


def relevance_of(explanation: Explanation, depth: str) -> Mapping[str, Any]:
    """Return the summary of the relevance for PNEUMONIA of all test images at the shallow or the deep layer."""
    facts: Mapping[str, Any] = explanation.record["relevance"][explanation.layer(depth)][PNEUMONIA]["all"]
    return facts


def _inside(found: Mapping[str, Explanation]) -> str:
    deep = [relevance_of(explanation, "deep") for explanation in found.values()]
    deep = [facts for facts in deep if facts["mean"] is not None]
    if not deep:
        return "No map of the deep layer has any relevance for pneumonia."
    more = sum(facts["mean"] > facts["lung_area"] for facts in deep)
    areas, means = [facts["lung_area"] for facts in deep], [facts["mean"] for facts in deep]
    sides = [max(explanation.record["layers"]["deep"]["size"]) for explanation in found.values()]
    coarse = (
        f" Maps of {_sizes(sides)} places can hardly tell the lungs from what is beside them."
        if min(sides) < COARSE
        else ""
    )
    return (
        f"At the deep layer, {_range(means)} of the relevance for pneumonia lies inside the lungs, which take "
        f"{_range(areas)} of the image: more than their share in {part_of(more, len(deep), 'network')}.{coarse}"
    )


def _sizes(sides: list[int]) -> str:
    """The sides of the maps that are too coarse to hold a lung."""
    return joined([f"{side} x {side}" for side in sorted({side for side in sides if side < COARSE})])


def _visible(found: Mapping[str, Explanation]) -> str:
    views = [explanation.record["visible"] for explanation in found.values()]
    views = [view for view in views if None not in view.values()]
    if not views:
        return "AUROC is not defined where the test set has one class."
    ranges = [
        f"{_range([view[name] for view in views])} with {words}"
        for name, words in (
            ("whole", "the whole image"),
            ("lungs", "the lungs alone"),
            ("outside", "everything but the lungs"),
        )
    ]
    without = sum(view["outside"] >= view["lungs"] for view in views)
    verdict = (
        "So most of what these networks tell the classes by need not be in the lungs: it may be the body, the exposure "
        "or the machine"
        if 2 * without > len(views)
        else "So most of these networks rely on the lungs more than on what surrounds them"
    )
    compared = (
        f"for {part_of(without, len(views), 'network')} no lower without the lungs than from them alone"
        if without
        else "for every network lower without the lungs than from them alone"
    )
    return (
        f"AUROC is {', '.join(ranges)}: {compared}. {verdict}. Images with hidden parts are unlike any in training, so "
        "that a low AUROC says less than a high one."
    )


def _checked(found: Mapping[str, Explanation]) -> str:
    last = [explanation.record["randomisation"]["steps"][-1]["spearman"] for explanation in found.values()]
    known = [value for value in last if value is not None]
    if not known:
        return "Without any learnt weights, no maps are left to compare."
    return f"Without any learnt weights, the maps' rank correlation with the real ones is {_range(known)}."


def _range(values: list[float]) -> str:
    low, high = fraction(min(values), 2), fraction(max(values), 2)
    return low if low == high else f"{low} to {high}"
