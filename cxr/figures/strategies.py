"""Figure 2 of the preprint: the strategies as a diagram of what is fixed, what trains, and what is new."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cxr.figures.data import FigureData
from cxr.figures.palette import BLUE, GREY, VERMILLION
from cxr.figures.style import FULL, SMALL, TINY, TOP_MARGIN, bare_axes, top_note
from cxr.figures.words import joined


def draw_strategies(figure: Figure, data: FigureData) -> str | None:
    """Draw a row of boxes for each strategy of the networks that the config trains; return what they show.

    Only networks of the study's table are drawn; None if the config trains none of them.
    """
    networks: dict[str, list[tuple[str, ...]]] = {}
    trained = {network for (network, _), members in data.groups.items() if set(members) & set(data.experiment_ids)}
    for (architecture, _), members in data.groups.items():
        if architecture in trained:
            networks.setdefault(architecture, []).append(members)
    if not networks:
        return None
    heading, row, box = 0.42, 0.47, 0.25
    axes = bare_axes(figure, TOP_MARGIN + sum(heading + row * len(groups) for groups in networks.values()))
    top_note(figure, "blue: trains; grey: fixed; thick frame: new")
    top, sentences = TOP_MARGIN, []
    for architecture, groups in networks.items():
        network = data.networks[architecture]
        width = (FULL - 0.04) / len(network["blocks"])
        layers = {block["title"]: layers_of(block) for block in network["blocks"]}
        axes.text(0.02, top + 0.14, network["title"], fontweight="bold", va="center")
        for number, (title, names) in enumerate(layers.items()):
            words = f"{title}, {_layers(len(names))}"
            axes.text(0.02 + (number + 0.5) * width, top + 0.33, words, fontsize=TINY, ha="center", va="center")
        top += heading
        for members in groups:
            words = _described(data, members)
            axes.text(0.02, top + 0.08, words, fontsize=SMALL, va="center")
            model = data.outcomes[members[0]].spec["model"]
            for number, names in enumerate(layers.values()):
                outputs = network["outputs"] if number == len(layers) - 1 else None
                _draw_box(axes, (0.02 + number * width, top + 0.16), (width - 0.06, box), names, model, outputs)
            top += row
        trainable = {
            data.title(name): next(iter(data.outcomes[name].records.values()))["parameters"]["trainable"]
            for members in groups
            for name in members
            if data.outcomes[name].records
        }
        sentences.append(f"{network['title']} {_range(trainable)}")
    left = [
        data.title(name)
        for groups in networks.values()
        for names in groups
        for name in names
        if not data.outcomes[name].records
    ]
    return f"{'; '.join(sentences)}." + (f" Not run: {joined(left)}." if left else "")


def layers_of(block: Mapping[str, Any]) -> list[str]:
    """Return the names of the layers of a block of ``paper/networks.yaml``."""
    first, last = block.get("units", (0, 0))
    names = []
    for layer in block["layers"]:
        units = range(first, last + 1) if "#" in layer else [0]
        names += [layer.replace("#", str(unit)) for unit in units]
    return names


def trained_layers(names: Sequence[str], model: Mapping[str, Any]) -> int:
    """Return how many layers train: those whose weights a pattern of ``trained`` finds, or all if there is none."""
    patterns = model.get("trained", [""])
    return sum(any(re.search(pattern, f"{name}.weight") for pattern in patterns) for name in names)


def _layers(count: int) -> str:
    return f"{count} layer" if count == 1 else f"{count} layers"


def _range(trainable: Mapping[str, int]) -> str:
    """How many parameters train, by title, from the fewest to the most."""
    if not trainable:
        return "was not run, so that its trainable parameters were not counted"
    ends = [
        f"{end:,} parameters ({joined([title for title, count in trainable.items() if count == end])})"
        for end in sorted({min(trainable.values()), max(trainable.values())})
    ]
    return f"trains {ends[0]}" if len(ends) == 1 else f"trains from {ends[0]} to {ends[1]}"


def _described(data: FigureData, members: Sequence[str]) -> str:
    """What a strategy starts from and how much of it trains, as far as it was run."""
    model = data.outcomes[members[0]].spec["model"]
    start = "random" if model.get("weights", "none") == "none" else "pretrained"
    title = f"{data.outcomes[members[0]].strategy} from {start} weights"
    counts, totals = [], []
    for name in members:
        outcome = data.outcomes[name]
        size = f" (n = {outcome.spec['model']['head']['hidden']})" if len(members) > 1 else ""
        if outcome.records:
            parameters = next(iter(outcome.records.values()))["parameters"]
            counts.append(f"{parameters['trainable']:,}{size}")
            totals.append(parameters["total"])
        else:
            counts.append(f"not run{size}")
    if not totals:
        return f"{title}: not run, {data.outcomes[members[0]].absent}"
    low, high = (f"{total / 1e6:.1f}" for total in (min(totals), max(totals)))
    whole = low if low == high else f"{low} to {high}"
    return f"{title}: {joined(counts)} of {whole} million parameters train"


def _draw_box(
    axes: Axes,
    place: tuple[float, float],
    size: tuple[float, float],
    names: Sequence[str],
    model: Mapping[str, Any],
    outputs: int | None,
) -> None:
    """Draw a block: what is new in it, how many of its layers train, and the same as a bar. Only a head has outputs."""
    (left, top), (width, height) = place, size
    trained = trained_layers(names, model)
    words = "fixed" if trained == 0 else "trains" if trained == len(names) else f"{trained} of {len(names)} train"
    new = model.get("first_convolution") in names
    if new:
        words = f"new, {model['input_channels']} channel: {words}"
    elif outputs is not None:
        new, kept = "head" in model, f"kept, {outputs} outputs"
        hidden = "n \N{RIGHTWARDS ARROW} 2" if model.get("head", {}).get("hidden") else "2"
        words = f"{f'new, {hidden} outputs' if new else kept}"
    frame: dict[str, Any] = {"edgecolor": VERMILLION if new else GREY, "linewidth": 1.6 if new else 0.6}
    axes.add_patch(Rectangle(place, width, height, facecolor="none", **frame))
    whole, share = width - 0.06, trained / len(names)
    for start, part, colour in ((0, share, BLUE), (share, 1 - share, GREY)):
        if part:
            corner = left + 0.03 + whole * start, top + height - 0.075
            axes.add_patch(Rectangle(corner, whole * part, 0.045, facecolor=colour, linewidth=0))
    axes.text(left + width / 2, top + 0.085, words, fontsize=TINY, ha="center", va="center")
