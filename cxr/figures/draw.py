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
from cxr.figures.calibration import draw_calibration
from cxr.figures.claims import draw_claims
from cxr.figures.confusion_matrices import draw_confusion_matrices
from cxr.figures.data import FigureData, read_figure_data, read_figures
from cxr.figures.differences import draw_differences
from cxr.figures.filters import draw_filters
from cxr.figures.hidden_units import draw_hidden_units
from cxr.figures.inside import draw_inside
from cxr.figures.learning_curves import draw_curves
from cxr.figures.maps import draw_all_maps, draw_cams, draw_maps
from cxr.figures.precision_recall import draw_precision_recall
from cxr.figures.roc import draw_roc
from cxr.figures.strategies import draw_strategies
from cxr.figures.style import paper_style, write_svg
from cxr.figures.transforms import draw_transforms
from cxr.files import write_json
from cxr.study import layout
from cxr.study.config import PAPER

# What ``draw`` names in ``paper/figures.yaml``.
DRAWINGS: Mapping[str, Callable[..., str | None]] = {
    "ablations": draw_ablations,
    "all_maps": draw_all_maps,
    "calibration": draw_calibration,
    "cams": draw_cams,
    "claims": draw_claims,
    "confusion_matrices": draw_confusion_matrices,
    "differences": draw_differences,
    "filters": draw_filters,
    "hidden_units": draw_hidden_units,
    "inside": draw_inside,
    "learning_curves": draw_curves,
    "maps": draw_maps,
    "precision_recall": draw_precision_recall,
    "roc": draw_roc,
    "strategies": draw_strategies,
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


def _notes(figure: Figure, data: FigureData, architecture: str | None) -> list[str]:
    """What a figure says of its sources: the meaning of its signs, and of those that its labels do not show.

    A figure of one architecture says nothing of the others.
    """
    texts = "".join(text.get_text() for text in figure.findobj(Text))
    signs = "".join(
        outcome.signs for outcome in data.outcomes.values() if architecture in (None, outcome.spec["model"]["backbone"])
    )
    return [f"{sign} {note}" if sign in texts else note for sign, note in data.notes.items() if sign in signs]


def write_paper_figures(config: dict[str, Any], results: Path, published: Path, figures: Path) -> None:
    """Write the paper's figures: ``paper/*.svg`` with ``paper/index.json``, and ``transforms.svg`` of each protocol.

    They show the config's first protocol. Every figure says so where its data are synthetic or its weights are not the
    study's.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``, with ``images``, ``training``, ``evaluation``, ``claims`` and
            ``preprocessing/<protocol>/transforms.npz``; ``ablations.json`` may be absent.
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
            write_svg(figure, path, [*data.synthetic, *_notes(figure, data, row.get("of", {}).get("architecture"))])
        title = row["title"].format(protocol=next(iter(data.protocols.values())))
        index[path.name] = {"title": title, "finding": finding}
    write_json(figures / "paper" / "index.json", index)
    for protocol in data.protocols:
        examples = layout.preprocessing(results, protocol).with_name("transforms.npz")
        # Weights have no part in this figure.
        draw_transforms(examples, figures / protocol / "transforms.svg", data.synthetic)
