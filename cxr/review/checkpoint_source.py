"""Fetch a checkpoint of the author's from an address or a file, and refuse it when its hash changes."""

import hashlib
import shutil
import zipfile
from pathlib import Path
from typing import Any

import requests

from cxr.errors import InputError
from cxr.files import read_json, sha256_of, write_json, written_whole
from cxr.images.download import cache_folder
from cxr.study.config import expanded


def provide_checkpoint(settings: dict[str, Any], checkpoint: Path, source: Path) -> None:
    """Copy a checkpoint to its place, download it first where the config gives an address, and check its hash.

    The author published no hashes. So the SHA-256 is recorded at first use, in a JSON file in the cache of downloads,
    and later uses are compared with it. A hash in the config is compared from the first use on.

    Args:
        settings: ``url`` (http or https) or ``file``, and perhaps ``sha256``.
        checkpoint: the copy to write. Only its hash is computed; ``cxr.networks.checkpoint_files`` reads it.
        source: JSON to write: ``origin`` (the address or path), ``sha256``, ``bytes``.

    Raises:
        InputError: the site cannot be reached or refuses; it sends something else than a file of torch.save; the file
            is missing; the hash is another one.
    """
    origin = settings.get("url") or str(expanded(settings["file"], "checkpoints: file").absolute())
    key = hashlib.sha256(origin.encode()).hexdigest()[:16]
    known = cache_folder() / "checkpoints" / f"{key}.json"
    recorded = read_json(known)["sha256"] if known.exists() else None
    path = _downloaded(origin, known.with_suffix(".pth")) if "url" in settings else Path(origin)
    if not path.is_file():
        raise InputError(f"{path} does not exist; let the config name a checkpoint, as checkpoints: file.")
    found = sha256_of(path)
    for expected, author, remedy in (
        (settings.get("sha256"), "the config says", "correct the config or the file"),
        (recorded, "it was at first use", f"find out why, and delete {known} where the new one is right"),
    ):
        if expected not in (None, found):
            # A later download may be right again.
            known.with_suffix(".pth").unlink(missing_ok=True)
            raise InputError(f"{origin} has the SHA-256 {found}, {author} {expected}; {remedy}.")
    facts = {"origin": origin, "sha256": found, "bytes": path.stat().st_size}
    if recorded is None:
        write_json(known, facts)
    with written_whole(checkpoint) as part:
        shutil.copyfile(path, part)
    write_json(source, facts)


def _downloaded(url: str, path: Path) -> Path:
    """Return ``path``, downloaded from ``url`` unless it is there."""
    import pooch

    downloader = pooch.HTTPDownloader(timeout=60)
    try:
        pooch.retrieve(url, None, path.name, path.parent, downloader=downloader)
    except requests.RequestException as error:
        fault = "cannot be reached or breaks off"
        if error.response is not None:
            fault = f"answered HTTP {error.response.status_code}"
        raise InputError(
            f"{url} {fault}; check the address and the network, or name a copy of your own as checkpoints: file."
        ) from error
    if not zipfile.is_zipfile(path):
        path.unlink()
        raise InputError(f"{url} sends no file of torch.save; give the address of the file itself, not of its page.")
    return path
