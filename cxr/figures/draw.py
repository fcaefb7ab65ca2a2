"""The stage ``figures``: draw every figure of ``paper/figures.yaml``, and say in a sentence what each one shows.

To add a figure, write a function that takes an empty figure and ``FigureData``, fills the figure, and returns the
sentence (or None where there is nothing to draw); enter it in ``DRAWINGS``; and add a row to ``paper/figures.yaml``.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text

from cxr.errors import InputError, did_you_mean
from cxr.figures.ablations import draw_ablations
from cxr.figures.agreement import draw_errors_by_etiology, draw_kappa
from cxr.figures.calibration import draw_calibration
from cxr.figures.claims import draw_claims
from cxr.figures.composition import draw_composition
from cxr.figures.confusion_matrices import draw_confusion_matrices
from cxr.figures.data import FigureData, read_figure_data, read_figures
from cxr.figures.differences import draw_differences
from cxr.figures.duplicates import draw_duplicates
from cxr.figures.first_batch import draw_first_batch
from cxr.figures.hidden_units import draw_hidden_units
from cxr.figures.histories import draw_histories, draw_learning_rates, draw_validation_by_epoch
from cxr.figures.image_sizes import draw_image_sizes
from cxr.figures.intensity import draw_intensity
from cxr.figures.learning_curves import draw_curves
from cxr.figures.page_images import write_page_images
from cxr.figures.precision_recall import draw_precision_recall
from cxr.figures.roc import draw_roc
from cxr.figures.samples import draw_samples
from cxr.figures.strategies import draw_strategies
from cxr.figures.style import paper_style, write_svg
from cxr.figures.test_images import draw_certain_mistakes, draw_right_and_wrong, draw_shared_errors
from cxr.figures.transforms import draw_augmentation, draw_transforms
from cxr.files import write_json
from cxr.study import layout
from cxr.study.config import PAPER

# What ``draw`` names in ``paper/figures.yaml``.
DRAWINGS: Mapping[str, Callable[..., str | None]] = {
    "ablations": draw_ablations,
    "augmentation": draw_augmentation,
    "calibration": draw_calibration,
    "certain_mistakes": draw_certain_mistakes,
    "claims": draw_claims,
    "composition": draw_composition,
    "confusion_matrices": draw_confusion_matrices,
    "differences": draw_differences,
    "duplicates": draw_duplicates,
    "errors_by_etiology": draw_errors_by_etiology,
    "first_batch": draw_first_batch,
    "hidden_units": draw_hidden_units,
    "histories": draw_histories,
    "image_sizes": draw_image_sizes,
    "intensity": draw_intensity,
    "kappa": draw_kappa,
    "learning_curves": draw_curves,
    "learning_rates": draw_learning_rates,
    "precision_recall": draw_precision_recall,
    "right_and_wrong": draw_right_and_wrong,
    "roc": draw_roc,
    "samples": draw_samples,
    "shared_errors": draw_shared_errors,
    "strategies": draw_strategies,
    "validation_by_epoch": draw_validation_by_epoch,
}


def drawing(row: Mapping[str, Any]) -> Callable[[Figure, FigureData], str | None]:
    """Return what draws a row of ``paper/figures.yaml``.

    Raises:
        InputError: ``draw`` names no drawing.
    """
    name = row["draw"]
    if name not in DRAWINGS:
        hint = did_you_mean(name, DRAWINGS) or f"; there are {', '.join(DRAWINGS)}."
        raise InputError(f"paper/figures.yaml: there is no drawing '{name}'{hint}")
    return partial(DRAWINGS[name], **row.get("of", {}))


def _notes(figure: Figure, data: FigureData) -> list[str]:
    """What a figure says of its sources: the meaning of its signs, and of those that its labels do not show."""
    texts = "".join(text.get_text() for text in figure.findobj(Text))
    return [f"{sign} {note}" if sign in texts else note for sign, note in data.notes.items()]


def write_paper_figures(config: dict[str, Any], results: Path, published: Path, figures: Path) -> None:
    """Write the paper's figures and what the page shows of the test images.

    These are ``paper/*.svg`` with ``paper/index.json``, ``transforms.svg`` of each protocol, and ``test_images.json``.

    They show the config's first protocol. Every figure says so where its data are synthetic or its weights are not the
    study's.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``, with ``images``, ``training``, ``evaluation``, ``claims`` and
            ``preprocessing/<protocol>/transforms.npz``; ``ablations.json`` and ``agreement.json`` may be absent.
        published: ``paper/published``.
        figures: the folder to write to. A figure for which there is nothing to show is not written and not listed in
            ``index.json``, which has ``title`` and ``finding`` by file.
    """
    data = read_figure_data(config, results, published)
    index = {}
    for name, row in read_figures(PAPER / "figures.yaml").items():
        draw = drawing(row)
        path = figures / "paper" / f"{name}.svg"
        with paper_style():
            figure = Figure()
            finding = draw(figure, data)
            if finding is None:
                # A drawing of earlier results would be wrong here.
                path.unlink(missing_ok=True)
                continue
            # Weights have no part in figures of the images.
            notes = [] if row.get("shows") == "images" else _notes(figure, data)
            write_svg(figure, path, [*data.synthetic, *notes])
        title = row["title"].format(protocol=next(iter(data.protocols.values())))
        index[path.name] = {"title": title, "finding": finding}
    write_json(figures / "paper" / "index.json", index)
    for protocol in data.protocols:
        examples = layout.transforms(results, protocol)
        # Weights have no part in this figure.
        draw_transforms(examples, figures / protocol / "transforms.svg", data.synthetic, data.may_show_images)
    write_page_images(data, figures / "test_images.json")
