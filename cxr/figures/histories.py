"""Loss, accuracy and learning rate of every run by epoch, and validation accuracy by epoch and hidden units."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

from cxr.figures.data import FigureData, Numbers, Outcome
from cxr.figures.palette import BLUE, VERMILLION
from cxr.figures.panels import left_out
from cxr.figures.style import FULL, TINY, TOP_MARGIN, axes_at, small_multiples, top_note
from cxr.figures.words import fraction, joined, three_digits

# The set's word and the stroke of its line.
SETS = {"train": ("training", "-"), "val": ("validation", "--")}
# A loss below this is drawn as this: one batch may have none at all, and the axis is logarithmic.
LOWEST_LOSS = 1e-3


def draw_histories(figure: Figure, data: FigureData, quantity: str) -> str | None:
    """Draw training and validation curves of every experiment; return what they show, or None without a run.

    Args:
        figure: empty.
        data: what there is.
        quantity: ``loss`` or ``accuracy``.
    """
    outcomes = [data.outcomes[name] for name in data.experiment_ids]
    if not any(outcome.histories for outcome in outcomes):
        return None
    label = "loss (cross entropy)" if quantity == "loss" else "accuracy (fraction)"
    panels = small_multiples(figure, [outcome.title for outcome in outcomes], ("epoch", label), 6, 0.85, side=1.15)
    longest = max(len(values) for outcome in outcomes for lines in _curves(outcome, quantity) for values in lines)
    drawn = np.concatenate([values for outcome in outcomes for lines in _curves(outcome, quantity) for values in lines])
    for axes, outcome in zip(panels, outcomes, strict=True):
        here, study = _curves(outcome, quantity)
        for values, (_, stroke) in zip(study, SETS.values(), strict=False):
            _draw(axes, values, stroke, VERMILLION, 0.7)
        for number, values in enumerate(here):
            _draw(axes, values, list(SETS.values())[number % len(SETS)][1], BLUE, 1.1)
        axes.set(xlim=(0.5, longest + 0.5))
        axes.set_xticks(sorted({1, longest, *([10] if longest > 14 else [])}))
        if quantity == "loss":
            axes.set_yscale("log")
            axes.set_ylim(max(LOWEST_LOSS, drawn.min() / 1.3), drawn.max() * 1.3)
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_ylim(np.floor(drawn.min() * 20) / 20, 1.01)
            axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
        if outcome.absent is not None:
            # Where the study's curve is not: losses fall, accuracies rise.
            height, side = (0.97, "top") if quantity == "loss" else (0.03, "bottom")
            axes.text(0.97, height, "not run", transform=axes.transAxes, fontsize=TINY, ha="right", va=side)
    seeds = {seed for outcome in outcomes for seed in outcome.histories}
    top_note(
        figure,
        "solid: training, dashed: validation; blue: here"
        + (", a line for each seed" if len(seeds) > 1 else "")
        + "; thin orange: the study",
    )
    return _finding(outcomes, quantity) + (_about_losses(outcomes) if quantity == "loss" else "") + left_out(data)


def _about_losses(outcomes: Sequence[Outcome]) -> str:
    settings = [record["settings"] for outcome in outcomes for record in outcome.records.values()]
    # Notebook code keeps the loss variable of the training loop; see paper/discrepancies.yaml, val-loss.
    last = all(run["validation_loss"] == "last_training_batch" for run in settings)
    what = " The validation loss is, as in the study's code, that of the last training batch." if last else ""
    return f"{what} Losses below {LOWEST_LOSS:g} are drawn as {LOWEST_LOSS:g}."


def _curves(outcome: Outcome, quantity: str) -> tuple[list[Numbers], list[Numbers]]:
    """Ours, training and validation of each seed in turn, and the study's, as far as it printed them."""
    floor = LOWEST_LOSS if quantity == "loss" else 0
    here = [history[f"{name}_{quantity}"].clip(floor) for history in outcome.histories.values() for name in SETS]
    printed = [] if outcome.curve is None else [outcome.curve.get(f"{name}_{quantity}") for name in SETS]
    return here, [np.array(values, dtype=float).clip(floor) for values in printed if values is not None]


def _draw(axes: Axes, values: Numbers, stroke: str, colour: str, width: float) -> None:
    # A single epoch has no line.
    dot = {"marker": "o", "markersize": 2.5, "markeredgewidth": 0} if len(values) == 1 else {}
    axes.plot(np.arange(1, len(values) + 1), values, stroke, color=colour, linewidth=width, **dot)  # type: ignore[arg-type]


def _finding(outcomes: Sequence[Outcome], quantity: str) -> str:
    ends: dict[str, dict[str, float]] = {name: {} for name in SETS}
    for outcome in outcomes:
        for name in SETS:
            last = [history[f"{name}_{quantity}"][-1] for history in outcome.histories.values()]
            if last:
                ends[name][outcome.title] = float(np.mean(last))
    parts = []
    for name, (word, _) in SETS.items():
        low, high = min(ends[name], key=lambda title: ends[name][title]), max(ends[name], key=lambda t: ends[name][t])
        spread = f"{three_digits(ends[name][low])} ({low})"
        if low != high:
            spread = f"between {spread} and {three_digits(ends[name][high])} ({high})"
        parts.append(f"{word} {quantity} is {spread}")
    return f"After the last epoch, {' and '.join(parts)}."


def draw_learning_rates(figure: Figure, data: FigureData) -> str | None:
    """Draw the learning rate by epoch for each schedule; return how many there are, or None without a run."""
    schedules: dict[tuple[float, ...], list[str]] = {}
    for name in data.experiment_ids:
        for history in list(data.outcomes[name].histories.values())[:1]:
            schedules.setdefault(tuple(history["learning_rate"]), []).append(data.title(name))
    if not schedules:
        return None
    titles = [joined(names, limit=1) for names in schedules.values()]
    panels = small_multiples(figure, titles, ("epoch", "learning rate"), 4, 0.75, (0.2, 0.36), 1.35)
    longest = max(len(rates) for rates in schedules)
    every = [rate for rates in schedules for rate in rates]
    for axes, rates in zip(panels, schedules, strict=True):
        # Each epoch has its rate from its beginning to its end.
        axes.step([*range(len(rates)), len(rates)], [*rates, rates[-1]], where="post", color=BLUE, linewidth=1.3)
        axes.set_yscale("log")
        axes.set(xlim=(0, longest), ylim=(min(every) / 2, max(every) * 2))
        axes.set_xticks(sorted({0, longest, *range(5, longest - 2, 5)}))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_formatter(NullFormatter())
    parts = []
    for rates, title in zip(schedules, titles, strict=True):
        epochs = "one epoch" if len(rates) == 1 else f"{len(rates)} epochs"
        falls = f"falls from {rates[0]:g} to {rates[-1]:g} in" if rates[-1] < rates[0] else f"is {rates[0]:g} for"
        parts.append(f"{falls} {epochs} ({title})")
    return f"The learning rate of Adam {'; '.join(parts)}."


def draw_validation_by_epoch(figure: Figure, data: FigureData) -> str | None:
    """Draw validation accuracy by epoch and hidden units; return the best of each family, or None without a run.

    Families are those of ``paper/experiments.yaml``; a row is a number of hidden units, here and in the study.
    """
    families: dict[str, list[Outcome]] = {}
    for name in data.experiment_ids:
        if (family := data.outcomes[name].spec.get("family")) is not None:
            families.setdefault(family, []).append(data.outcomes[name])
    if not any(outcome.histories for found in families.values() for outcome in found):
        return None
    rows = {family: [row for outcome in found for row in _rows(outcome)] for family, found in families.items()}
    known = [values for found in rows.values() for _, values in found if values is not None]
    longest, low, high = max(map(len, known)), min(map(min, known)), max(map(max, known))
    names, cell, title, gap = 0.95, 0.17, 0.2, 0.12
    tall = sum(title + cell * len(found) + gap for found in rows.values())
    figure.set_size_inches(FULL, TOP_MARGIN + tall + 0.35)
    top, sentences = TOP_MARGIN, []
    for family, found in rows.items():
        axes = axes_at(figure, names, top + title, min(FULL - names, 0.53 * longest), cell * len(found))
        strategy = families[family][0].strategy
        axes.set_title(strategy, loc="left")
        _draw_table(axes, found, longest, low, high)
        last = family == list(rows)[-1]
        axes.xaxis.set_visible(last)
        if last:
            axes.set_xlabel("epoch")
        top += title + cell * len(found) + gap
        sentences += [f"{strategy}, {best}" for best in _best(found)]
    top_note(figure, "framed: the highest of its row" + _means(families))
    left = [outcome.title for found in families.values() for outcome in found if outcome.absent is not None]
    return f"Highest validation accuracy: {'; '.join(sentences)}." + (f" Not run: {joined(left)}." if left else "")


def _means(families: dict[str, list[Outcome]]) -> str:
    seeds = max(len(outcome.histories) for found in families.values() for outcome in found)
    return f"; here: mean of {seeds} seeds" if seeds > 1 else ""


def _rows(outcome: Outcome) -> list[tuple[str, Numbers | None]]:
    """Ours, as mean over seeds or None without a run, and the study's where it is known."""
    hidden = outcome.spec["model"]["head"]["hidden"]
    columns = [history["val_accuracy"] for history in outcome.histories.values()]
    epochs = min(map(len, columns), default=0)
    here = np.mean([values[:epochs] for values in columns], axis=0) if columns else None
    study = [] if outcome.curve is None else [(f"n = {hidden}, study", np.array(outcome.curve["val_accuracy"]))]
    return [(f"n = {hidden}, here", here), *study]


def _best(rows: Sequence[tuple[str, Numbers | None]]) -> list[str]:
    found = []
    for origin in ("here", "study"):
        own = {name: values for name, values in rows if name.endswith(origin) and values is not None}
        if own:
            name = max(own, key=lambda name: own[name].max())
            found.append(
                f"{origin}: {fraction(float(own[name].max()))} ({name.partition(',')[0]}, "
                f"epoch {int(own[name].argmax()) + 1})"
            )
    return found


def _draw_table(axes: Axes, rows: Sequence[tuple[str, Numbers | None]], longest: int, low: float, high: float) -> None:
    values = np.full((len(rows), longest), np.nan)
    for row, (_, own) in enumerate(rows):
        if own is None:
            axes.text(0.1, row + 0.5, "not run", fontsize=TINY, va="center")
            continue
        values[row, : len(own)] = own
        for column, value in enumerate(own):
            # Black and white instead of the ink: these letters stand on the cell, whose colour stays.
            dark = high > low and (value - low) / (high - low) > 0.72
            colour = "#ffffff" if dark else "#000000"
            axes.text(
                column + 0.5, row + 0.5, fraction(float(value)), fontsize=TINY, ha="center", va="center", color=colour
            )
        best = int(own.argmax())
        axes.plot(
            [best, best + 1, best + 1, best, best], [row, row, row + 1, row + 1, row], color=VERMILLION, linewidth=1.1
        )
    masked = np.ma.masked_invalid(values)
    top = high if high > low else low + 1
    axes.pcolormesh(masked, cmap="Blues", vmin=low, vmax=top, edgecolors="#ffffff", linewidth=0.6)
    axes.set(xlim=(0, longest), ylim=(len(rows), 0))
    axes.set_xticks(np.arange(longest) + 0.5, [str(epoch + 1) for epoch in range(longest)])
    axes.set_yticks(np.arange(len(rows)) + 0.5, [name for name, _ in rows], fontsize=TINY)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
