"""A folder of the user's own, which is used where it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxr.errors import InputError
from cxr.images.names import SPLITS

DESCRIPTION = {
    "title": "Chest radiographs from a local folder",
    "synthetic": False,
    "licence": "not stated",
    "citation": "",
    "if_counts_differ": "warn",
}


def provide(settings: Mapping[str, Any], folder: Path, threads: int) -> Path:
    """Return the folder that the settings name in ``folder``; see ``cxr.images.sources.Source``.

    Raises:
        InputError: as ``image_root``.
    """
    return image_root(Path(settings["folder"]))


def image_root(folder: Path) -> Path:
    """Return ``folder``, or the ``chest_xray/`` inside it, whichever holds train/, val/ and test/.

    Raises:
        InputError: neither holds any of the three.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; name the one that holds train/, val/ and test/.")

    def splits_in(place: Path) -> int:
        return sum((place / split).is_dir() for split in SPLITS)

    root = max(folder, folder / "chest_xray", key=splits_in)
    if splits_in(root) == 0:
        raise InputError(f"{folder} holds none of train/, val/ and test/; name the folder that holds all three.")
    return root
