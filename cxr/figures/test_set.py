"""Supplementary figures of the test set: small multiples, a panel for each experiment of the config."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxr.figures.data import Numbers, Outcome, Shown
from cxr.figures.palette import BLUE, GREY, VERMILLION
from cxr.figures.style import SMALL, TINY, absent, head, small_multiples
from cxr.figures.words import fraction, joined, part_of
from cxr.images.names import CLASSES

HALVES = [0, 0.5, 1]


def draw_confusion_matrices(figure: Figure, shown: Shown) -> str | None:
    """Draw counts and shares of the true class; return what they show, or None without a run."""
    found = _panels(figure, shown, ("predicted class (N: normal, P: pneumonia)", "true class"), _draw_matrix)
    if not found:
        return None
    several = any(len(outcome.tests) > 1 for outcome in found.values())
    head(figure, "images, and share of the true class" + ("; means over seeds" if several else ""))
    accuracies = _estimates(shown, found, "accuracy")
    leaning = sum(bool(_mean_matrix(outcome)[0, 1] > _mean_matrix(outcome)[1, 0]) for outcome in found.values())
    one_sided = [outcome.title for outcome in found.values() if (_mean_matrix(outcome).sum(axis=0) == 0).any()]
    finding = (
        f"{_extremes('Test accuracy', accuracies, shown)} More normal images are taken for pneumonia than the other "
        f"way round by {part_of(leaning, len(found), 'network')}."
    )
    if one_sided:
        finding += f" Only one of the two classes is ever predicted by {joined(one_sided)}."
    return finding + _left_out(shown)


def draw_roc(figure: Figure, shown: Shown) -> str | None:
    """Draw the ROC curves with their bands; return what they show, or None without a run."""

    def draw(axes: Axes, name: str, outcome: Outcome) -> None:
        test = next(iter(outcome.tests.values()))
        band = shown.sure["experiments"][name]["roc_band"]
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.6, linestyle=":")
        axes.fill_between(band["false_positive_rate"], band["low"], band["high"], color=BLUE, alpha=0.22, linewidth=0)
        axes.plot(test["roc"]["false_positive_rate"], test["roc"]["true_positive_rate"], color=BLUE, linewidth=1.2)
        if outcome.printed is not None and outcome.printed["confusion_matrix"] is not None:
            rates = [row[1] / sum(row) for row in outcome.printed["confusion_matrix"]]
            axes.plot(*rates, "D", markersize=4, markerfacecolor="none", color=VERMILLION, zorder=3, clip_on=False)
        _frame(axes)
        _note(axes, shown.estimate(name, "auroc"), (0.97, 0.05), "right")

    found = _panels(figure, shown, ("1 \N{MINUS SIGN} specificity (fraction)", "sensitivity (fraction)"), draw)
    if not found:
        return None
    printed = any(outcome.printed and outcome.printed["confusion_matrix"] for outcome in found.values())
    diamond = "; diamond: printed by the study" if printed else ""
    head(figure, f"number: AUROC{_means(found)}; band: {shown.level:.0%} interval{diamond}")
    areas = _estimates(shown, found, "auroc")
    chance = [row for row in areas.values() if row["interval"][0] <= 0.5 <= row["interval"][1]]
    return (
        f"{_extremes('The area under the curve', areas, shown)} "
        f"Chance, 0.5, lies in the {shown.level:.0%} interval of {part_of(len(chance), len(found), 'network')}."
        + _left_out(shown)
    )


def draw_precision_recall(figure: Figure, shown: Shown) -> str | None:
    """Draw precision against recall; return what it shows, or None without a run."""

    def draw(axes: Axes, name: str, outcome: Outcome) -> None:
        test = next(iter(outcome.tests.values()))
        share = test["classes"]["PNEUMONIA"]["support"] / max(test["n"], 1)
        axes.axhline(share, color=GREY, linewidth=0.6, linestyle=":")
        curve = test["precision_recall"]
        axes.plot(curve["recall"], curve["precision"], color=BLUE, linewidth=1.2)
        _frame(axes)
        _note(axes, shown.estimate(name, "average_precision"), (0.05, 0.05), "left")

    found = _panels(figure, shown, ("recall (fraction)", "precision (fraction)"), draw)
    if not found:
        return None
    head(figure, f"number: average precision{_means(found)}; dotted: share of pneumonia")
    precisions = _estimates(shown, found, "average_precision")
    test = next(iter(next(iter(found.values())).tests.values()))
    share = test["classes"]["PNEUMONIA"]["support"] / max(test["n"], 1)
    better = sum(row["interval"][0] > share for row in precisions.values())
    finding = _extremes("Average precision", precisions, shown)
    finding += f" Chance would reach the share of pneumonia, {fraction(share)}; it lies below the {shown.level:.0%} "
    return f"{finding}interval of {part_of(better, len(found), 'network')}." + _left_out(shown)


def draw_calibration(figure: Figure, shown: Shown) -> str | None:
    """Draw the share of pneumonia by predicted probability; return what it shows, or None without a run."""

    def draw(axes: Axes, name: str, outcome: Outcome) -> None:
        bins = next(iter(outcome.tests.values()))["calibration"]
        count = np.array(bins["count"])
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.6, linestyle=":")
        height = 0.3 * count / max(count.max(), 1)
        axes.stairs(height, bins["bin_edges"], fill=True, color=GREY, alpha=0.55, linewidth=0)
        full = count > 0
        probability, share = (
            np.array(bins[key], dtype=float)[full] for key in ("mean_probability", "fraction_pneumonia")
        )
        axes.plot(
            probability, share, color=BLUE, linewidth=1, marker="o", markersize=2.6, markeredgewidth=0, clip_on=False
        )
        _frame(axes)
        # Above the unit square nothing is drawn.
        axes.set_ylim(0, 1.35)
        axes.text(0.98, 1.12, f"{count.max()} images", fontsize=TINY, ha="right")
        _note(axes, shown.estimate(name, "calibration_error"), (0.02, 0.83), "left")

    found = _panels(figure, shown, ("predicted probability of pneumonia", "share of pneumonia (fraction)"), draw)
    if not found:
        return None
    head(figure, f"number: calibration error{_means(found)}; bars: images, with the count of the highest")
    errors = _estimates(shown, found, "calibration_error")
    # The interval of a mean of absolute values lies too high (``cxr.evaluation.bootstrap.interval``).
    return _extremes("The expected calibration error", errors, shown, sure=False) + _left_out(shown)


def _panels(
    figure: Figure, shown: Shown, labels: tuple[str, str], draw: Callable[[Axes, str, Outcome], None]
) -> dict[str, Outcome]:
    """Draw a panel for each experiment of the config; return those that have a run."""
    outcomes = {name: shown.outcomes[name] for name in shown.chosen}
    found = {name: outcome for name, outcome in outcomes.items() if outcome.tests}
    if found:
        axes = small_multiples(figure, [outcome.title for outcome in outcomes.values()], labels)
        for panel, (name, outcome) in zip(axes, outcomes.items(), strict=True):
            if outcome.absent is None:
                draw(panel, name, outcome)
            else:
                absent(panel, outcome.absent)
    return found


def _draw_matrix(axes: Axes, _: str, outcome: Outcome) -> None:
    counts, support = _mean_matrix(outcome), _support(outcome)
    shares = counts / support.clip(1)[:, None]
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="#ffffff", linewidth=1)
    printed = (outcome.printed or {}).get("confusion_matrix")
    for (row, column), count in np.ndenumerate(counts):
        # Black and white instead of the ink: these letters stand on the cell, whose colour stays.
        colour = "#ffffff" if shares[row, column] > 0.72 else "#000000"
        lines = [(f"{count:g}" if count == int(count) else f"{count:.1f}", 9.0), (f"{shares[row, column]:.0%}", TINY)]
        if printed:
            lines.append((f"study {printed[row][column] / sum(printed[row]):.0%}", TINY - 0.5))
        for (text, size), height in zip(lines, (0.27, 0.56, 0.8), strict=False):
            axes.text(column + 0.5, row + height, text, fontsize=size, ha="center", va="center", color=colour)
    initials = [kind[0] for kind in CLASSES]
    axes.set(xlim=(0, 2), ylim=(2, 0), xticks=[0.5, 1.5], yticks=[0.5, 1.5], xticklabels=initials, yticklabels=initials)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _mean_matrix(outcome: Outcome) -> Numbers:
    return np.mean([test["confusion_matrix"] for test in outcome.tests.values()], axis=0)  # type: ignore[no-any-return]


def _support(outcome: Outcome) -> Numbers:
    """How many images are of each class; the network may have called some of them neither."""
    classes = next(iter(outcome.tests.values()))["classes"]
    return np.array([classes[name]["support"] for name in CLASSES])


def _frame(axes: Axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.06), xticks=HALVES, yticks=HALVES)
    axes.set_xticklabels(["0", "0.5", "1"])
    axes.set_yticklabels(["0", "0.5", "1"])


def _note(axes: Axes, estimate: Mapping[str, Any] | None, place: tuple[float, float], side: str) -> None:
    words = "undefined" if estimate is None else fraction(estimate["mean"])
    axes.text(*place, words, transform=axes.transAxes, ha=side, fontsize=SMALL)


def _means(found: Mapping[str, Outcome]) -> str:
    """Of what numbers and curves are, where there are several seeds."""
    several = any(len(outcome.tests) > 1 for outcome in found.values())
    return ", mean over seeds; curve: first seed" if several else ""


def _estimates(shown: Shown, found: Mapping[str, Outcome], metric: str) -> dict[str, Mapping[str, Any]]:
    """The estimates of a metric by title, as far as it is defined."""
    estimates = {found[name].title: shown.estimate(name, metric) for name in found}
    return {title: estimate for title, estimate in estimates.items() if estimate is not None}


def _extremes(quantity: str, estimates: Mapping[str, Mapping[str, Any]], shown: Shown, sure: bool = True) -> str:
    """``Accuracy goes from 0.5 (A) to 0.9 (B).``; those that tie with the first or the last are named with them."""
    if not estimates:
        return f"{quantity} is defined for no network."
    means = {title: round(estimate["mean"], 9) for title, estimate in estimates.items()}
    ends = []
    for end in sorted({min(means.values()), max(means.values())}, reverse=sure):
        titles = [title for title in means if means[title] == end]
        low, high = estimates[titles[0]]["interval"]
        interval = (
            f", {shown.level:.0%} interval {fraction(low)} to {fraction(high)}" if sure and len(titles) == 1 else ""
        )
        ends.append(f"{fraction(end)} ({joined(titles)}{interval})")
    return f"{quantity} is {ends[0]}." if len(ends) == 1 else f"{quantity} goes from {ends[0]} to {ends[1]}."


def _left_out(shown: Shown) -> str:
    titles = [shown.title(name) for name in shown.chosen if shown.outcomes[name].absent is not None]
    return f" Not run: {joined(titles)}." if titles else ""
