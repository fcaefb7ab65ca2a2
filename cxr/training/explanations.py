"""The files that explain a run, as far as an archive of runs has to know them; ``cxr.explanation`` writes them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cxr.errors import InputError
from cxr.files import write_json, written_whole
from cxr.sealed_zip import sha256_of_bytes

RECORD, MAPS = "explanation.json", "maps.npz"
NAMES = (RECORD, MAPS)


def write_not_made(folder: Path, reason: str) -> None:
    """Write a ``maps.npz`` without arrays and an ``explanation.json`` that says why there is no explanation.

    Args:
        folder: of ``cxr.study.layout.explanation``.
        reason: why not.
    """
    with written_whole(folder / MAPS) as part:
        np.savez_compressed(part)
    write_json(folder / RECORD, {"status": "not made", "reason": reason})


def check_explanation(explanation: Mapping[str, Any], run: Mapping[str, Any], maps: bytes, where: str) -> None:
    """Check that an explanation was made of a run, and its maps with it.

    Args:
        explanation: ``explanation.json``, of one that was made.
        run: ``run.json``.
        maps: the content of ``maps.npz``.
        where: the explanation's place, for messages.

    Raises:
        InputError: it explains another checkpoint or other predictions, or the maps are others.
    """
    outputs = run.get("outputs", {})
    for name, sha256 in explanation["explains"].items():
        if sha256 != outputs.get(name):
            raise InputError(
                f"{where} explains another {name} than that of the run: its SHA-256 is not the one in run.json; make "
                "the explanation again."
            )
    if sha256_of_bytes(maps) != explanation["outputs"][MAPS]:
        raise InputError(f"{where} belongs to another {MAPS}: its SHA-256 differs; make the explanation again.")
