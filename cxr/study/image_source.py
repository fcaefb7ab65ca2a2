"""The settings of the stage that provides the images."""

import hashlib
import os
from pathlib import Path
from typing import Any

from cxr.errors import InputError
from cxr.files import sha256_of
from cxr.study.config import PAPER, Study, expanded


def image_source(study: Study) -> dict[str, Any]:
    """Settings of the stage that fetches or draws the images, with the folder's variables expanded.

    For a folder, ``listing`` is a digest of its file names and sizes: when a file is added, removed or replaced,
    the settings change and Snakemake makes the manifest again; a mere touch changes nothing. For the embedded
    images, ``sha256`` of their archive does the same.

    Raises:
        InputError: the folder names an environment variable that is not set, or does not exist.
    """
    source = dict(study.config["data"])
    if source["source"] == "folder":
        folder = expanded(source["folder"], f"config '{study.config['name']}': data.folder")
        if not folder.is_dir():
            raise InputError(
                f"data.folder '{folder}' does not exist; name the folder that holds train/, val/ and test/."
            )
        source |= {"folder": str(folder), "listing": listing_digest(folder)}
    if source["source"] == "embedded":
        source["sha256"] = sha256_of(PAPER / "data" / "chest_xray_80.zip")
    return source


def listing_digest(folder: Path) -> str:
    """Return a digest of the relative names and sizes of all files under ``folder``, hidden ones left out.

    Raises:
        InputError: a symbolic link leads to a folder that holds it, so the listing would never end.
    """
    digest = hashlib.sha256()
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for link in (Path(parent, name) for name in folders if Path(parent, name).is_symlink()):
            walked = [place for place in link.parents if place.is_relative_to(folder)]
            if any(place.resolve().is_relative_to(link.resolve()) for place in walked):
                raise InputError(f"{link} is a symbolic link to a folder that holds it; remove the link.")
        for name in sorted(name for name in files if not name.startswith(".")):
            path = Path(parent, name)
            # A broken link has no size; the manifest will name it.
            size = path.stat().st_size if path.exists() else "missing"
            digest.update(f"{path.relative_to(folder)}\0{size}\n".encode())
    return digest.hexdigest()[:16]
