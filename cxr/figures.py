"""The figures of the paper as SVG: vectors with text as paths, so that they look alike in every browser and in print.

Lines carry their names beside them, and differ in shade and stroke as well as in colour: the colours are of Okabe and
Ito's set for colour-blind readers, chosen so that they stay apart in grey print.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cxr.errors import InputError
from cxr.files import read_json, written_whole
from cxr.published import printed_row

# Text and axes are drawn in this ink and in no other; the paper gives it the colour of its own text, light or dark.
INK = "#231f20"
GREY = "#8a8a8a"
BLUE, VERMILLION = "#0072b2", "#d55e00"

# What is drawn of each run.
RUN_FIGURES = ("loss", "accuracy", "confusion_matrix", "roc")

# Widths in inches: a panel is half the text block, and as wide as a phone.
PANEL, FULL = 3.1, 6.3

STYLE: dict[Any, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "path",
    # Without a salt the ids of clip paths differ from one drawing to the next.
    "svg.hashsalt": "cxr",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    **dict.fromkeys(["text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"], INK),
}


def write_figures(runs: dict[str, Any], results: Path, published: Path) -> None:
    """Draw the figures of several runs under ``figures/``; a run that was not run gets drawings that say so.

    Args:
        runs: ``published`` of the experiment, which selects what the study printed, or None, by the run's place, such
            as ``published/custom/seed-42``.
        results: ``results/<config name>``, with ``data/cohort.json`` and the folders of the runs under ``runs``.
        published: ``paper/published``.
    """
    cohort = results / "data" / "cohort.json"
    for place, printed in runs.items():
        draw_run(results / "runs" / place, cohort, published, results / "figures" / place, printed)


def draw_run(run: Path, cohort: Path, published: Path, figures: Path, printed: Mapping[str, Any] | None = None) -> None:
    """Draw the figures of one run: ``loss.svg``, ``accuracy.svg``, ``confusion_matrix.svg`` and ``roc.svg``.

    Args:
        run: the folder with ``run.json``, ``history.csv`` and ``metrics.json``.
        cohort: ``cohort.json``; if its data are synthetic, every figure says so.
        published: ``paper/published``.
        figures: the folder to write to.
        printed: ``published`` of the experiment, which selects what the study printed, or None.
    """
    if read_json(run / "run.json")["status"] != "done":
        for name in RUN_FIGURES:
            draw_nothing(cohort, figures / f"{name}.svg")
        return
    curve = printed_row(printed, read_json(published / "curves.json"))
    row = printed_row(printed, read_json(published / "results.json")["metrics"])
    for quantity in ("loss", "accuracy"):
        draw_training_curve(run / "history.csv", run / "run.json", cohort, figures / f"{quantity}.svg", quantity, curve)
    draw_confusion_matrix(run / "metrics.json", cohort, figures / "confusion_matrix.svg", row)
    draw_roc(run / "metrics.json", cohort, figures / "roc.svg", row)


def draw_nothing(cohort: Path, figure: Path) -> None:
    """Draw the words "not run", where a run's figure would be."""
    with _drawing(figure, cohort, PANEL, 1.0) as axes:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "not run", ha="center", va="center", color=GREY)


def draw_transforms(examples: Path, cohort: Path, figure: Path) -> None:
    """Draw the same images under each transform, one column for each.

    Args:
        examples: ``transforms.npz``: for each transform an array of shape (N, H, W), 0 (black) to 1.
        cohort: ``cohort.json``.
        figure: the SVG to write.

    Raises:
        InputError: the arrays differ in their numbers of images.
    """
    with np.load(examples) as stored:
        images = {name: stored[name] for name in stored.files}
    rows = {len(array) for array in images.values()}
    if len(rows) != 1:
        raise InputError(f"{examples}: every transform must hold the same number of images; write it again.")
    count = rows.pop()
    with _drawing(figure, cohort, FULL, 0.2 + count * FULL / len(images), (count, len(images))) as axes:
        for column, (name, array) in enumerate(images.items()):
            axes[0, column].set_title(name, fontsize=11, fontweight="bold")
            for row, image in enumerate(array):
                # "none" stores the pixels themselves instead of a copy at the resolution of the drawing.
                axes[row, column].imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="none")
                axes[row, column].set_axis_off()


def draw_training_curve(
    history: Path,
    run: Path,
    cohort: Path,
    figure: Path,
    quantity: str,
    printed: Mapping[str, Any] | None = None,
) -> None:
    """Draw the loss or the accuracy by epoch, mark the epoch that was kept, and the study's own curves behind.

    Args:
        history: ``history.csv``.
        run: ``run.json``, for the epoch and for what its protocol calls validation loss.
        cohort: ``cohort.json``.
        figure: the SVG to write.
        quantity: ``loss`` (cross entropy, natural logarithm) or ``accuracy`` (a fraction).
        printed: the run's row of ``published/curves.json``, or None.
    """
    epochs, record = pd.read_csv(history), read_json(run)
    last_batch = quantity == "loss" and record["settings"]["validation_loss"] == "last_training_batch"
    names = {"train": "training", "val": "last batch" if last_batch else "validation"}
    colours, strokes = {"train": BLUE, "val": VERMILLION}, {"train": (0, (4, 1.5)), "val": "-"}
    with _drawing(figure, cohort, PANEL, 2.35) as axes:
        labels = []
        for name in names:
            for values, source, width in (
                ((printed or {}).get(f"{name}_{quantity}"), "study: ", 0.7),
                (epochs[f"{name}_{quantity}"].to_numpy(), "", 1.6),
            ):
                # The study prints no validation loss.
                if values is None:
                    continue
                style: dict[str, Any] = {"color": colours[name], "linewidth": width, "linestyle": strokes[name]}
                sns.lineplot(x=np.arange(1, len(values) + 1), y=values, ax=axes, **style)
                labels.append((f"{source}{names[name]}", len(values), float(values[-1]), colours[name], bool(source)))
        kept = record["best_epoch"]
        axes.axvline(kept, color=GREY, linewidth=0.7, zorder=0)
        # Above the axes no curve can cross it.
        axes.text(
            *(kept, 1.02, f"epoch {kept} kept"),
            transform=axes.get_xaxis_transform(),
            ha=_side(kept, len(epochs)),
            va="bottom",
            fontsize=8,
        )
        axes.set(xlabel="epoch", ylabel="cross entropy (nats)" if quantity == "loss" else "accuracy (fraction)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=6))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        _name_lines(axes, labels)


def _side(position: float, length: float) -> str:
    """Horizontal alignment by which a label at ``position`` of ``length`` stays inside the axes."""
    return "left" if position < length / 3 else "right" if position > length * 2 / 3 else "center"


def _name_lines(axes: Axes, labels: Sequence[tuple[str, int, float, str, bool]]) -> None:
    """Write the lines' names to the right of the axes, in the order of their ends, moved apart where they would touch.

    Args:
        axes: holds the lines.
        labels: for each line its name, the x and the y of its end, its colour, and whether it stands behind.
    """
    low, high = axes.get_ylim()
    right = max(x for _, x, _, _, _ in labels)
    gap, floor = 0.088 * (high - low), -np.inf
    ordered = sorted(labels, key=lambda label: label[2])
    heights = []
    for label in ordered:
        floor = max(label[2], floor + gap)
        heights.append(floor)
    # Pushing upwards moves the group off its lines by half of what the topmost gained.
    shift = (heights[-1] - ordered[-1][2]) / 2
    for (name, x, y, colour, behind), height in zip(ordered, heights, strict=True):
        axes.annotate(
            name,
            xy=(x, y),
            xytext=(right + 0.06 * max(right - 1, 1), height - shift),
            color=colour,
            fontsize=7.5 if behind else 8.5,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": GREY,
                "linewidth": 0.5,
                "linestyle": ":",
                "shrinkA": 1,
                "shrinkB": 1,
            },
        )


def draw_confusion_matrix(metrics: Path, cohort: Path, figure: Path, printed: Mapping[str, Any] | None = None) -> None:
    """Draw the confusion matrix of the test set: counts, shares of the true class, and the study's printed counts.

    Args:
        metrics: ``metrics.json``.
        cohort: ``cohort.json``.
        figure: the SVG to write.
        printed: the run's row of ``published/results.json``, or None.
    """
    test = read_json(metrics)["test"]
    counts = np.array(test["confusion_matrix"])
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    classes = list(test["classes"])
    behind = (printed or {}).get("confusion_matrix")
    with _drawing(figure, cohort, PANEL, 2.75) as axes:
        sns.heatmap(shares, ax=axes, cmap="Blues", vmin=0, vmax=1, cbar=False, square=True, linewidths=1.5)
        for (row, column), count in np.ndenumerate(counts):
            # Black and white instead of the ink: these letters stand on the cell, whose colour stays.
            colour = "#ffffff" if shares[row, column] > 0.6 else "#000000"
            lines = [(f"{count:,}", 14.0), (f"{shares[row, column]:.1%}", 8.5)]
            if behind:
                lines.append((f"study: {behind[row][column]:,}", 8.5))
            for (text, size), height in zip(lines, (0.36, 0.6, 0.78), strict=False):
                axes.text(column + 0.5, row + height, text, fontsize=size, ha="center", va="center", color=colour)
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.set_xticklabels(classes)
        axes.set_yticklabels(classes, rotation=90, va="center")
        axes.tick_params(length=0)


def draw_roc(metrics: Path, cohort: Path, figure: Path, printed: Mapping[str, Any] | None = None) -> None:
    """Draw the ROC curve of the test set with its area, the point in use, and the point that the study printed.

    Args:
        metrics: ``metrics.json``.
        cohort: ``cohort.json``.
        figure: the SVG to write.
        printed: the run's row of ``published/results.json``, or None.
    """
    test = read_json(metrics)["test"]
    behind = (printed or {}).get("confusion_matrix")
    with _drawing(figure, cohort, PANEL, 2.75) as axes:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.7, linestyle=":")
        if test["auroc"] is not None:
            axes.plot(test["roc"]["false_positive_rate"], test["roc"]["true_positive_rate"], color=BLUE, linewidth=1.6)
            axes.text(0.45, 0.35, f"AUROC {test['auroc']:.3f}", color=BLUE, va="center", fontsize=11)
        points = [("most probable class", test["confusion_matrix"], "o", BLUE)]
        if behind:
            points.append(("printed by the study", behind, "D", VERMILLION))
        for (name, matrix, marker, colour), height in zip(points, (0.24, 0.13), strict=False):
            rates = [part[1] / max(sum(part), 1) for part in matrix]
            # The second point is hollow and larger, so that both are seen where they coincide.
            shape: dict[str, Any] = {"marker": marker, "markersize": 5 if marker == "o" else 7.5}
            shape |= {"markerfacecolor": colour if marker == "o" else "none", "color": colour, "linestyle": "none"}
            axes.plot(*rates, clip_on=False, zorder=3, **shape)
            axes.text(0.45, height, name, color=colour, va="center", fontsize=8.5)
            axes.plot(0.39, height, **shape)
        axes.text(0.12, 0.04, "chance", color=GREY, fontsize=8.5, rotation=45, rotation_mode="anchor")
        axes.set(
            xlim=(0, 1),
            ylim=(0, 1),
            aspect="equal",
            xlabel="1 \N{MINUS SIGN} specificity (fraction)",
            ylabel="sensitivity (fraction)",
        )


@contextmanager
def _drawing(figure: Path, cohort: Path, width: float, height: float, grid: tuple[int, int] = (1, 1)) -> Iterator[Any]:
    """Yield axes (an array of them for a grid) of a drawing of ``width`` x ``height`` inches; then write it.

    The same input gives the same bytes: neither date nor program is noted in the file.
    """
    with matplotlib.rc_context():
        # A reader's own matplotlibrc must not change the paper.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        drawing = Figure(figsize=(width, height), layout="constrained")
        yield drawing.subplots(*grid)
        if read_json(cohort)["synthetic"]:
            drawing.suptitle("synthetic phantom data", x=0.995, ha="right", fontsize=8, color=VERMILLION)
        with written_whole(figure) as part:
            drawing.savefig(part, format="svg", metadata=dict.fromkeys(["Creator", "Date", "Format", "Type"]))
