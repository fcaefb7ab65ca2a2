"""The command ``cxr export``: a finished run as one file, and a model card beside it."""

import logging
from pathlib import Path

import jinja2

from cxr.errors import InputError
from cxr.files import written_whole
from cxr.prediction.exported import SUFFIX, write_export
from cxr.prediction.likeness import PERCENTILE
from cxr.prediction.run_folder import read_run
from cxr.prediction.trained import NOTICE, TrainedNetwork
from cxr.study.protocols import PAPER

TEMPLATE = PAPER / "model_card.md.j2"
METRICS = {
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "auroc": "AUROC",
    "brier": "Brier score",
    "calibration_error": "expected calibration error",
}

log = logging.getLogger(__name__)


def export(run: Path, file: Path) -> None:
    """Write a finished run into one file that ``cxr predict`` and ``cxr explain`` take as ``--run``.

    The file holds the network, its settings and normalisation, its calibration, what the training images are like, the
    SHA-256 of the images that it was trained and judged on, and where everything comes from. Numbers and text alone:
    loading it runs no code. A model card in Markdown is written beside it, with the suffix ``.md``.

    Args:
        run: the folder of a finished run, results/NAME/training/runs/PROTOCOL/EXPERIMENT/seed-N.
        file: the file to write, NAME.safetensors.

    Raises:
        InputError: there is no such run, or the file has another suffix.
    """
    if file.suffix != SUFFIX:
        raise InputError(f"{file} must end in {SUFFIX}, the format that is written.")
    trained = read_run(run)
    write_export(trained, file)
    card = file.with_suffix(".md")
    with written_whole(card) as part:
        part.write_text(model_card(trained, file.name), encoding="utf-8")
    log.info("%s and %s. %s", file, card, NOTICE)


def model_card(trained: TrainedNetwork, name: str) -> str:
    """Return the model card of a network in Markdown.

    Args:
        trained: the network.
        name: of the file that it is in.
    """
    template = jinja2.Template(
        TEMPLATE.read_text(encoding="utf-8"), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    card: str = template.render(**trained.facts, file=name, notice=NOTICE, percentile=PERCENTILE, measures=METRICS)
    return card + "\n"
