"""The figures of the paper, each with a sentence computed from its numbers that says what it shows.

Each is drawn by a function that takes an empty figure and what there is to show, fills the figure, and returns its
finding; or returns None where there is nothing to draw. ``cxr.figures.style`` has the style.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from matplotlib.figure import Figure

from cxr.errors import InputError
from cxr.figures.data import Shown, read_shown
from cxr.figures.effects import draw_ablations, draw_claims, draw_differences, draw_hidden_units
from cxr.figures.learning_curves import QUANTITIES, draw_curves
from cxr.figures.strategies import draw_strategies
from cxr.figures.style import FULL, HEAD, axes_at, paper_style, write_svg
from cxr.figures.test_set import draw_calibration, draw_confusion_matrices, draw_precision_recall, draw_roc
from cxr.files import write_json
from cxr.study import layout

Draw: TypeAlias = Callable[[Figure, Shown], str | None]


def figures_of(shown: Shown) -> dict[str, tuple[str, Draw]]:
    """Return the title of each figure and what draws it, by name, in the order of the paper."""
    under = f"under the protocol “{next(iter(shown.protocols.values()))}”"
    curves: dict[str, tuple[str, Draw]] = {
        f"curves-{architecture}-{quantity}": (
            f"{network['title']}, {word} accuracy by epoch {under}",
            partial(draw_curves, architecture=architecture, quantity=quantity),
        )
        for architecture, network in shown.networks.items()
        for quantity, word in QUANTITIES.items()
    }
    return {
        "strategies": (f"What each strategy trains {under}", draw_strategies),
        **curves,
        "confusion-matrices": (f"Confusion matrices of the test set {under}", draw_confusion_matrices),
        "roc": (f"ROC curves of the test set {under}", draw_roc),
        "precision-recall": (f"Precision and recall on the test set {under}", draw_precision_recall),
        "calibration": (f"Calibration on the test set {under}", draw_calibration),
        "differences": (f"Differences between experiments {under}", draw_differences),
        "hidden-units": (f"Test accuracy by the number of hidden units {under}", draw_hidden_units),
        "ablations": (f"What one choice changes {under}", draw_ablations),
        "claims": ("The claims at a glance", draw_claims),
    }


def write_paper_figures(config: dict[str, Any], results: Path, published: Path, figures: Path) -> None:
    """Write the paper's figures: ``paper/*.svg`` with ``paper/index.json``, and ``transforms.svg`` of each protocol.

    They show the config's first protocol; every figure says so where data are synthetic or weights not the study's.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``, with ``data``, ``runs``, ``uncertainty.json``, ``claims.json``, perhaps
            ``ablations.json``, and ``preprocessing/<protocol>/transforms.npz``.
        published: ``paper/published``.
        figures: the folder to write to. A figure of which there is nothing to show is not written, and is not in
            ``index.json``, which has ``title`` and ``finding`` by file.
    """
    shown = read_shown(config, results, published)
    index = {}
    for name, (title, draw) in figures_of(shown).items():
        path = figures / "paper" / f"{name}.svg"
        with paper_style():
            figure = Figure()
            finding = draw(figure, shown)
            if finding is None:
                # One of earlier results would not be of these.
                path.unlink(missing_ok=True)
                continue
            write_svg(figure, path, [*shown.synthetic, *shown.stand_ins])
        index[path.name] = {"title": title, "finding": finding}
    write_json(figures / "paper" / "index.json", index)
    for protocol in shown.protocols:
        examples = layout.preprocessing(results, protocol).with_name("transforms.npz")
        # Weights have no part in it.
        draw_transforms(examples, figures / protocol / "transforms.svg", shown.synthetic)


def draw_transforms(examples: Path, path: Path, notes: Sequence[str] = ()) -> None:
    """Draw the same images under each transform, one column for each.

    Args:
        examples: ``transforms.npz``: for each transform an array of shape (N, H, W), 0 (black) to 1.
        path: the SVG to write.
        notes: what the figure says of its data.

    Raises:
        InputError: the arrays differ in their numbers of images.
    """
    with np.load(examples) as stored:
        images = {name: stored[name] for name in stored.files}
    rows = {len(array) for array in images.values()}
    if len(rows) != 1:
        raise InputError(f"{examples}: every transform must hold the same number of images; write it again.")
    with paper_style():
        figure, count = Figure(), rows.pop()
        side, title = FULL / len(images), 0.2
        figure.set_size_inches(FULL, HEAD + title + count * side)
        for column, (name, array) in enumerate(images.items()):
            for row, image in enumerate(array):
                axes = axes_at(figure, (column + 0.015) * side, HEAD + title + row * side, 0.97 * side, 0.97 * side)
                # "none" stores the pixels themselves instead of a copy at the resolution of the drawing.
                axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="none", aspect="auto")
                axes.set_axis_off()
                if row == 0:
                    axes.set_title(name, fontsize=11, fontweight="bold")
        write_svg(figure, path, notes)
