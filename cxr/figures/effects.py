"""Supplementary figures of effects: accuracy against the hidden units, differences, ablations, and the claims."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from cxr.figures.data import Shown
from cxr.figures.palette import BLUE, GREY, VERDICTS, VERMILLION
from cxr.figures.style import FULL, HEAD, SMALL, TINY, absent, axes_at, bare_axes, head, small_multiples
from cxr.figures.words import fraction, joined, part_of

METRICS = {"accuracy": "accuracy", "auroc": "AUROC"}
# Claims in a line, and the first names of those that begin a new one.
IN_LINE = 32


@dataclass(frozen=True)
class Effect:
    """A difference to draw: its value, its interval, if there is one, and the study's printed difference, or None."""

    value: float
    interval: tuple[float, float] | None
    printed: float | None = None

    @property
    def clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


def draw_hidden_units(figure: Figure, shown: Shown) -> str | None:
    """Draw test accuracy against the number of hidden units; return what it shows, or None without a run."""
    families: dict[str, list[str]] = {}
    for name in shown.chosen:
        if (family := shown.outcomes[name].spec.get("family")) is not None:
            families.setdefault(family, []).append(name)
    known = {
        family: {name: estimate for name in names if (estimate := shown.estimate(name, "accuracy"))}
        for family, names in families.items()
    }
    if not any(known.values()):
        return None
    sizes = sorted({_hidden(shown, name) for names in families.values() for name in names})
    titles = [shown.title(names[0]).split(",")[0] for names in families.values()]
    panels = small_multiples(figure, titles, ("hidden units n", "test accuracy (fraction)"), 4, 1.1, (0.16, 0.3))
    low = min(estimate["interval"][0] for found in known.values() for estimate in found.values())
    for axes, (family, names) in zip(panels, families.items(), strict=True):
        estimates = known[family]
        if not estimates:
            absent(axes, str(shown.outcomes[names[0]].absent))
            continue
        places = [sizes.index(_hidden(shown, name)) for name in estimates]
        means = [estimate["mean"] for estimate in estimates.values()]
        bounds = np.array([estimate["interval"] for estimate in estimates.values()])
        axes.vlines(places, bounds[:, 0], bounds[:, 1], color=BLUE, linewidth=1)
        axes.plot(places, means, color=BLUE, linewidth=1.2, marker="o", markersize=4, markeredgewidth=0)
        for name in names:
            if (printed := shown.outcomes[name].printed) is not None:
                place = sizes.index(_hidden(shown, name))
                axes.plot(
                    place, printed["test_accuracy_printed"], "D", markersize=5, markerfacecolor="none", color=VERMILLION
                )
        axes.set(xlim=(-0.5, len(sizes) - 0.5), ylim=(np.floor(10 * low) / 10, 1), xticks=range(len(sizes)))
        axes.set_xticklabels([str(size) for size in sizes])
    head(figure, f"bars: {shown.level:.0%} interval over patients; diamond: printed by the study")
    sentences = []
    for title, estimates in zip(titles, known.values(), strict=True):
        if estimates:
            top = max(estimate["mean"] for estimate in estimates.values())
            best = [str(_hidden(shown, name)) for name, estimate in estimates.items() if estimate["mean"] == top]
            low, high = (
                edge([estimate["interval"][side] for estimate in estimates.values()])
                for side, edge in ((0, max), (1, min))
            )
            overlap = (
                ""
                if len(estimates) == 1
                else ", all intervals overlap"
                if low <= high
                else ", not all intervals overlap"
            )
            sentences.append(f"{title}: highest with n = {joined(best)} ({fraction(top)}{overlap})")
    left = [
        shown.title(name) for names in families.values() for name in names if shown.outcomes[name].absent is not None
    ]
    return f"{'; '.join(sentences)}." + (f" Not run: {joined(left)}." if left else "")


def _hidden(shown: Shown, name: str) -> int:
    return int(shown.outcomes[name].spec["model"]["head"]["hidden"])


def draw_differences(figure: Figure, shown: Shown) -> str | None:
    """Draw the differences between experiments, by question; return what they show, or None without a pair."""
    families: dict[str, dict[str, dict[str, Effect]]] = {}
    adjusted = agreeing = printed_pairs = 0
    for family, rows in shown.sure["comparisons"].items():
        for row in rows:
            if row["metric"] not in METRICS or row["difference"] is None:
                continue
            titles = [shown.title(row[key]) for key in ("a", "b")]
            both = [shown.outcomes[row[key]].printed for key in ("a", "b")]
            printed = None
            if row["metric"] == "accuracy" and all(both):
                first, second = (content["test_accuracy_printed"] for content in both if content)
                printed = first - second
            effect = Effect(row["difference"], _pair(row["interval"]), printed)
            label = " \N{MINUS SIGN} ".join(titles)
            families.setdefault(shown.questions[family], {}).setdefault(label, {})[row["metric"]] = effect
            adjusted += row["holm_bootstrap"] is not None and row["holm_bootstrap"] < 1 - shown.level
            if printed is not None and effect.interval is not None:
                printed_pairs += 1
                agreeing += effect.interval[0] <= printed <= effect.interval[1]
    if not families:
        return None
    _forest(figure, families, "difference of test {}")
    head(figure, f"{shown.level:.0%} intervals over patients; blue: without 0; diamond: printed by the study")
    effects = [effect for rows in families.values() for row in rows.values() for effect in row.values()]
    clear = sum(effect.clear for effect in effects)
    level, p = f"{shown.level:.0%}", fraction(1 - shown.level, 2)
    finding = (
        f"Zero lies outside the {level} interval of {part_of(clear, len(effects), 'difference')}; after Holm's "
        f"adjustment within each question p is below {p} for {part_of(adjusted, len(effects), 'difference')}."
    )
    if printed_pairs:
        agreed = part_of(agreeing, printed_pairs, "pair")
        finding += f" Where the study printed both accuracies, their difference lies in our interval for {agreed}."
    return finding


def draw_ablations(figure: Figure, shown: Shown) -> str | None:
    """Draw what each discrepancy changes; return what it shows, or None if none was measured."""
    groups: dict[str, dict[str, dict[str, Effect]]] = {}
    for row in shown.ablations:
        for effect in row["experiments"]:
            # Of one experiment, or of two that are compared.
            title = " against ".join(shown.title(name) for name in effect["experiment"].split(" against "))
            groups.setdefault(row["id"].replace("-", " "), {})[title] = {
                metric: Effect(effect["difference"][metric], _pair(effect["interval"][metric]))
                for metric in METRICS
                if _defined(effect["difference"][metric])
            }
    if not groups:
        return None
    _forest(figure, groups, "change of test {}")
    head(figure, f"{shown.level:.0%} intervals over patients; blue: without 0")
    changed = [name for name, rows in groups.items() if any(e.clear for row in rows.values() for e in row.values())]
    sizes = {
        f"{name}, {title}": row["accuracy"].value
        for name, rows in groups.items()
        for title, row in rows.items()
        if "accuracy" in row
    }
    finding = (
        f"With one choice changed and all else the same, the interval of the change of accuracy or AUROC leaves 0 out "
        f"in {part_of(len(changed), len(groups), 'case')}"
    )
    finding += f": {joined(changed)}." if changed else "."
    if sizes:
        largest = max(sizes, key=lambda name: abs(sizes[name]))
        finding += f" The largest change of accuracy is {fraction(sizes[largest], sign=True)} ({largest})."
    return finding


def _pair(interval: Sequence[float] | None) -> tuple[float, float] | None:
    return None if interval is None else (interval[0], interval[1])


def _defined(value: float | None) -> bool:
    return value is not None and not np.isnan(value)


def _forest(figure: Figure, groups: Mapping[str, Mapping[str, Mapping[str, Effect]]], label: str) -> None:
    """Draw effects by group and row, a column for each metric."""
    line, gap, left, bottom, between = 0.136, 0.06, 2.75, 0.42, 0.3
    places: dict[tuple[str, str], float] = {}
    headings: dict[str, float] = {}
    height = 0.0
    for group, rows in groups.items():
        headings[group] = height + line / 2
        height += line
        for row in rows:
            places[group, row] = height + line / 2
            height += line
        height += gap
    figure.set_size_inches(FULL, HEAD + height + bottom)
    width = (FULL - left - 0.12 - between) / len(METRICS)
    for number, (metric, name) in enumerate(METRICS.items()):
        axes = axes_at(figure, left + number * (width + between), HEAD, width, height)
        axes.set(ylim=(height, 0), yticks=[], xlabel=label.format(name))
        axes.spines["left"].set_visible(False)
        # Not through the headings, which may be long.
        for group, rows in groups.items():
            top = headings[group] + line / 2
            axes.vlines(0, top, top + line * len(rows), color=GREY, linewidth=0.6)
        _draw_effects(
            axes,
            {
                places[group, row]: effects[metric]
                for group, rows in groups.items()
                for row, effects in rows.items()
                if metric in effects
            },
        )
        axes.locator_params(axis="x", nbins=5)
    names = axes_at(figure, 0, HEAD, FULL, height)
    names.set(xlim=(0, FULL), ylim=(height, 0))
    names.set_axis_off()
    for group, place in headings.items():
        names.text(0.02, place, group, fontsize=SMALL, fontweight="bold", va="center")
    for (_, row), place in places.items():
        names.text(left - 0.08, place, row, fontsize=TINY, va="center", ha="right")


def _draw_effects(axes: Axes, effects: Mapping[float, Effect]) -> None:
    for clear, colour, size in ((True, BLUE, 12), (False, GREY, 9)):
        chosen = {place: effect for place, effect in effects.items() if effect.clear is clear}
        bounds = [(place, *effect.interval) for place, effect in chosen.items() if effect.interval is not None]
        if bounds:
            axes.hlines(*np.transpose(bounds), color=colour, linewidth=1.3 if clear else 1)
        axes.scatter(
            [effect.value for effect in chosen.values()], list(chosen), s=size, color=colour, linewidth=0, zorder=3
        )
    printed = {place: effect.printed for place, effect in effects.items() if effect.printed is not None}
    axes.scatter(
        list(printed.values()),
        list(printed),
        s=22,
        marker="D",
        facecolor="none",
        edgecolor=VERMILLION,
        linewidth=0.9,
        zorder=4,
    )


def draw_claims(figure: Figure, shown: Shown) -> str | None:
    """Draw the verdict on each claim under each protocol; return what they show, or None without a claim."""
    if not shown.claims:
        return None
    lines: list[list[Mapping[str, Any]]] = []
    for origin in (False, True):
        claims = [claim for claim in shown.claims if (claim["notebook"] is not None) is origin]
        lines += [claims[start : start + IN_LINE] for start in range(0, len(claims), IN_LINE)]
    left, cell, above = 0.85, 0.165, 0.3
    step = above + cell * len(shown.protocols)
    axes = bare_axes(figure, HEAD + 0.22 + step * len(lines))
    places: dict[str, list[tuple[float, float]]] = {verdict: [] for verdict in VERDICTS}
    for number, line in enumerate(lines):
        top = HEAD + 0.22 + number * step + above - 0.12
        for column, claim in enumerate(line):
            x = left + (column + 0.5) * cell
            axes.text(x, top - 0.025, claim["id"], fontsize=5.6, ha="center", va="bottom")
            for row, protocol in enumerate(shown.protocols):
                places[claim["protocols"][protocol]["verdict"]].append((x, top + (row + 0.5) * cell))
        for row, title in enumerate(shown.protocols.values()):
            axes.text(left - 0.06, top + (row + 0.5) * cell, title, fontsize=TINY, ha="right", va="center")
    for number, (verdict, (sign, colour)) in enumerate(VERDICTS.items()):
        key = left + 1.08 * number + cell / 2, HEAD + 0.1
        axes.text(key[0] + 0.15, key[1], verdict, fontsize=SMALL, va="center")
        # One path for all of a kind: a page draws it much faster than a path for each.
        square = Outline.unit_rectangle().transformed(Affine2D().translate(-0.5, -0.5).scale(0.9 * cell))
        for shape, fill in ((square, colour), (_sign(sign, 0.6 * cell), "#ffffff")):
            copies = [shape.transformed(Affine2D().translate(*place)) for place in [key, *places[verdict]]]
            axes.add_patch(PathPatch(Outline.make_compound_path(*copies), facecolor=fill, linewidth=0))
    sentences = []
    for protocol, title in shown.protocols.items():
        verdicts = [claim["protocols"][protocol]["verdict"] for claim in shown.claims]
        counts = [f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS if verdict in verdicts]
        sentences.append(f"{title}: {joined(counts)}")
    finding = (
        f"Verdicts on {len(shown.claims)} {'claim' if len(shown.claims) == 1 else 'claims'}, {'; '.join(sentences)}."
    )
    if len(shown.protocols) > 1:
        same = sum(len({found["verdict"] for found in claim["protocols"].values()}) == 1 for claim in shown.claims)
        finding += f" The verdict is the same under every protocol for {part_of(same, len(shown.claims), 'claim')}."
    return finding


def _sign(character: str, size: float) -> Outline:
    """A character of ``size`` in axes whose y goes down, its middle at the origin."""
    outline = TextPath((0, 0), character, size=10, prop=FontProperties(family="STIXGeneral"))
    box = outline.get_extents()
    to_middle = Affine2D().translate(-(box.x0 + box.x1) / 2, -(box.y0 + box.y1) / 2)
    return outline.transformed(to_middle.scale(1, -1).scale(size / max(box.width, box.height)))
