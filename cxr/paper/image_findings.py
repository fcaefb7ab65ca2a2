"""What was measured of the images themselves, as the paper reads it."""

from dataclasses import dataclass
from pathlib import Path

from cxr.errors import InputError
from cxr.evaluation.quantities import Node, quantities
from cxr.files import read_json
from cxr.study import layout


@dataclass(frozen=True)
class ImageFindings:
    """What the paper reads of the images.

    Attributes:
        facts: ``facts`` of ``facts.json``.
        duplicates: ``duplicates.json``.
    """

    facts: tuple[Node, ...]
    duplicates: Node


def read_image_findings(root: Path) -> ImageFindings:
    """Read what was measured of the images.

    Args:
        root: ``results/<config name>``.

    Raises:
        InputError: ``facts.json`` or ``duplicates.json`` does not exist.
    """
    nodes = []
    for path in (layout.evaluation(root, "facts.json"), layout.duplicates(root)):
        if not path.exists():
            raise InputError(
                f"{path} does not exist; these results are older than this paper: run snakemake again for this config."
            )
        nodes.append(quantities(read_json(path), path.relative_to(root).as_posix()))
    facts, duplicates = nodes
    return ImageFindings(facts.facts, duplicates)
