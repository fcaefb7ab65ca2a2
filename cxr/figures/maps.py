"""What the networks look at: Grad-CAM and CAM over X-rays of the test set, for right and wrong predictions."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import zoom

from cxr.explanation import cases
from cxr.figures.data import FigureData
from cxr.figures.explanations import Case, Explanation, Numbers
from cxr.figures.style import FULL, SMALL, TINY, TOP_MARGIN, axes_at, bare_axes, text_at, wrapped
from cxr.figures.words import joined

CASES = tuple(cases.CASES.values())
CLASSES = ("NORMAL", "PNEUMONIA")
DEPTHS = ("shallow", "deep")
COLOURS = "inferno"
# How much of the X-ray the strongest relevance covers.
COVER = 0.65
BAR = 0.5
NOTHING = "A map without colour is 0 everywhere: nothing at that layer speaks for the class."


def main_networks(data: FigureData) -> dict[str, Explanation]:
    """The explained networks, one for each strategy: that of the study's table, if it is explained, else the first.

    Of the sizes of a head, the study's table has one.
    """
    best: dict[str, str] = {}
    in_table = {name for members in data.groups.values() for name in members}

    def rank(name: str) -> tuple[bool, bool]:
        return name in in_table, data.outcomes[name].printed is not None

    for name in data.explanations:
        strategy = data.outcomes[name].strategy
        if strategy not in best or rank(name) > rank(best[strategy]):
            best[strategy] = name
    return {name: data.explanations[name] for name in best.values()}


def draw_maps(figure: Figure, data: FigureData) -> str | None:
    """Draw Grad-CAM of the predicted class at the deep layer, for the most accurate network of each architecture.

    Returns:
        Which networks and layers they are; None without an explained network or where images may not be shown.
    """
    found: dict[str, str] = {}
    for name in main_networks(data):
        backbone = data.outcomes[name].spec["model"]["backbone"]
        if backbone not in found or _accuracy(data, name) > _accuracy(data, found[backbone]):
            found[backbone] = name
    if not any(data.explanations[name].cases for name in found.values()):
        return None
    columns = 2 * len(found)
    label, gap = 0.62, 0.14
    side = min(0.86, (FULL - label - gap * len(found)) / columns)
    heading, line = 0.46, 0.16
    axes = bare_axes(figure, TOP_MARGIN + heading + len(CASES) * (side + line) + BAR)
    width = label + columns * side + (len(found) - 1) * gap
    start = (FULL - width) / 2
    for number, name in enumerate(found.values()):
        explanation = data.explanations[name]
        left = start + label + number * (2 * side + gap)
        text_at(figure, left + side, TOP_MARGIN + 0.02, data.title(name), SMALL, weight="bold")
        for column, words in enumerate(("X-ray", _layer(explanation, "deep"))):
            text_at(figure, left + (column + 0.5) * side, TOP_MARGIN + 0.19, words, TINY)
        for row, case in enumerate(CASES):
            top = TOP_MARGIN + heading + row * (side + line)
            if number == 0:
                text_at(figure, start, top + side / 2 - 0.1, case.replace(" ", "\n"), SMALL, side="left")
            _draw_case(figure, axes, explanation.cases.get(case), explanation.layer("deep"), (left, top), side)
    _draw_bar(figure, axes, start + label, width - label - 0.05)
    titles = [data.title(name) for name in found.values()]
    return (
        f"Grad-CAM of the predicted class at the last layer with maps, for the most accurate network of each "
        f"architecture ({joined(titles)}); of each case the image of median confidence, with the probability of "
        f"pneumonia above it. {NOTHING}{_missing(data, list(found.values()))}"
    )


def draw_all_maps(figure: Figure, data: FigureData, architecture: str) -> str | None:
    """Draw Grad-CAM of both classes at the shallow and the deep layer, for one network of each strategy.

    Args:
        figure: empty.
        data: what there is.
        architecture: the backbone.

    Returns:
        What is drawn; None without an explained network of this architecture.
    """
    names = [name for name in main_networks(data) if data.outcomes[name].spec["model"]["backbone"] == architecture]
    if not any(data.explanations[name].cases for name in names):
        return None
    gap, heading, title, line = 0.1, 0.46, 0.2, 0.15
    side = (FULL - gap) / 10
    block = title + 2 * (side + line)
    axes = bare_axes(figure, TOP_MARGIN + heading + len(names) * block + BAR)
    first = data.explanations[names[0]]
    layers = [first.layer(depth) for depth in DEPTHS]
    above = [_layer(first, depth).replace(", ", "\n") for depth in DEPTHS]
    columns = ["X-ray\n\n", *(f"{layer}\n{name}" for layer in above for name in CLASSES)]
    for half in (0, 1):
        for column, words in enumerate(columns):
            text_at(figure, half * (5 * side + gap) + (column + 0.5) * side, TOP_MARGIN, words, TINY)
    for number, name in enumerate(names):
        explanation, top = data.explanations[name], TOP_MARGIN + heading + number * block
        text_at(figure, 0.02, top, data.title(name), SMALL, side="left", weight="bold")
        for place, case in enumerate(CASES):
            row, half = divmod(place, 2)
            corner = half * (5 * side + gap), top + title + row * (side + line)
            shown = explanation.cases.get(case)
            words = f"{case}: none" if shown is None else f"{case}, P = {shown.probability:.2f}"
            text_at(figure, corner[0] + 0.02, corner[1] - 0.01, words, TINY, side="left")
            if shown is None:
                continue
            pictures = [
                _grey(shown.xray),
                *(_over(shown.xray, plane) for layer in layers for plane in shown.maps[layer]),
            ]
            for column, picture in enumerate(pictures):
                _draw_picture(axes, (corner[0] + column * side, corner[1] + line - 0.03), side, picture)
    _draw_bar(figure, axes, 1.6, FULL - 3.2)
    return (
        f"Grad-CAM of both classes at {' and '.join(layers)}; the image of median confidence of each case, P its "
        f"probability of pneumonia. Both classes share an image's scale at a layer. {NOTHING}"
    )


def draw_cams(figure: Figure, data: FigureData) -> str | None:
    """Draw CAM beside Grad-CAM for the predicted class, where CAM is defined.

    Returns:
        Where CAM is defined, where it is not, and why; None where it is defined for no explained network.
    """
    shown = main_networks(data)
    defined = {name: found for name, found in shown.items() if found.record["cam"]["defined"]}
    if not any(found.cases for found in defined.values()):
        return None
    gap, label, heading, line = 0.1, 0.95, 0.36, 0.14
    side = (FULL - label - 3 * gap) / 8
    axes = bare_axes(figure, TOP_MARGIN + heading + len(defined) * (side + line) + BAR)
    for place, case in enumerate(CASES):
        left = label + place * (2 * side + gap)
        text_at(figure, left + side, TOP_MARGIN, case, SMALL)
        for column, words in enumerate(("Grad-CAM", "CAM")):
            text_at(figure, left + (column + 0.5) * side, TOP_MARGIN + 0.17, words, TINY)
        for row, (name, explanation) in enumerate(defined.items()):
            top = TOP_MARGIN + heading + row * (side + line)
            if place == 0:
                words = wrapped(data.title(name), label, SMALL)
                text_at(figure, 0.02, top + line + side / 2 - 0.15, words, SMALL, side="left")
            found = explanation.cases.get(case)
            if found is None or found.cam is None:
                text_at(figure, left + side, top + line + side / 2, "none", TINY)
                continue
            text_at(figure, left + side, top, f"P = {found.probability:.2f}", TINY)
            for column, maps in enumerate((found.maps[explanation.layer("deep")], found.cam)):
                picture = _over(found.xray, maps[found.predicted])
                _draw_picture(axes, (left + column * side, top + line - 0.02), side, picture)
    _draw_bar(figure, axes, label, FULL - label - 0.1)
    return f"For the predicted class, Grad-CAM at the deep layer and CAM where it is defined. {_why(data, shown)}"


def _why(data: FigureData, shown: Mapping[str, Explanation]) -> str:
    """Where CAM is defined, and why it is not elsewhere."""
    places: dict[str, list[str]] = {}
    reasons: dict[str, list[str]] = {}
    for name, explanation in shown.items():
        facts = explanation.record["cam"]
        if facts["defined"]:
            places.setdefault(facts["layer"], []).append(data.title(name))
        else:
            reasons.setdefault(facts["reason"], []).append(data.title(name))
    at = [f"at {layer} ({joined(titles)})" for layer, titles in places.items()]
    not_at = [f"for {joined(titles)}, since {reason}" for reason, titles in reasons.items()]
    elsewhere = {
        (layer, why)
        for explanation in shown.values()
        for layer, why in explanation.record["cam"].get("elsewhere", {}).items()
    }
    at_no = [f"at {layer}, since {why}" for layer, why in sorted(elsewhere)]
    sentences = [f"CAM is defined {' and '.join(at)}."]
    if not_at or at_no:
        sentences.append(f"It is not defined {'; nor '.join([*not_at, *at_no])}.")
    return " ".join(sentences)


def _layer(explanation: Explanation, depth: str) -> str:
    """The name of a layer and the size of its maps."""
    height, width = explanation.record["layers"][depth]["size"]
    return f"{explanation.layer(depth).split('.')[-1]}, {height} x {width}"


def _accuracy(data: FigureData, name: str) -> float:
    return float(next(iter(data.outcomes[name].tests.values()))["accuracy"])


def _missing(data: FigureData, names: Sequence[str]) -> str:
    missing = [
        f"{data.title(name)} has no {case}"
        for name in names
        for case in CASES
        if case not in data.explanations[name].cases
    ]
    return f" {'; '.join(missing)}." if missing else ""


def _draw_case(
    figure: Figure, axes: Axes, case: Case | None, layer: str, place: tuple[float, float], side: float
) -> None:
    """Draw an X-ray and, right of it, the map of the predicted class over it."""
    left, top = place
    if case is None:
        text_at(figure, left + side, top + side / 2, "none", TINY)
        return
    text_at(figure, left + side, top - 0.13, f"P = {case.probability:.2f}", TINY)
    _draw_picture(axes, (left, top), side, _grey(case.xray))
    _draw_picture(axes, (left + side, top), side, _over(case.xray, case.maps[layer][case.predicted]))


def _grey(xray: Numbers) -> Numbers:
    return np.repeat(xray[:, :, None], 3, axis=2)


def _over(xray: Numbers, relevance: Numbers) -> Numbers:
    """Return a map over an X-ray, shape (H, H, 3): the more relevant a place is, the more its colour covers."""
    grey = _grey(xray)
    factor = len(grey) / len(relevance)
    smooth = zoom(relevance, factor, order=1, mode="nearest", grid_mode=True).clip(0, 1)
    return _blended(grey, smooth)


def _blended(grey: Numbers, relevance: Numbers) -> Numbers:
    cover = COVER * np.sqrt(relevance)[..., None]
    mixed: Numbers = (1 - cover) * grey + cover * matplotlib.colormaps[COLOURS](relevance)[..., :3]
    return mixed


def _draw_picture(axes: Axes, place: tuple[float, float], side: float, picture: Numbers) -> None:
    """Draw a picture of values from 0 to 1 at a place in axes whose units are inches."""
    left, top = place
    # Six bits a colour: half the bytes. "none" stores the pixels themselves, not a copy at the drawing's resolution.
    levels = (picture * 63).round().astype(np.uint8) * 4
    extent = (left, left + 0.97 * side, top + 0.97 * side, top)
    axes.imshow(levels, interpolation="none", aspect="auto", extent=extent)


def _draw_bar(figure: Figure, pictures: Axes, left: float, width: float) -> None:
    """Draw the colours of all maps, over a middle grey, at the bottom of a figure of pictures."""
    tall = figure.get_size_inches()[1]
    # Each picture moved the limits to its own.
    pictures.set(xlim=(0, FULL), ylim=(tall, 0))
    axes = axes_at(figure, left, tall - BAR + 0.12, width, 0.09)
    steps = np.linspace(0, 1, 128)[None]
    picture = _blended(np.full((1, 128, 3), 0.5), steps)
    axes.imshow(picture, interpolation="none", aspect="auto", extent=(0, 1, 0, 1))
    axes.set(yticks=[], xticks=[0, 0.5, 1])
    axes.set_xticklabels(["0", "0.5", "1"])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("relevance, relative to the largest of the image at this layer", fontsize=SMALL, labelpad=1)
