"""Downloads into a cache: they continue after an interruption, and their hash is checked."""

import errno
import logging
import os
import shutil
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from cxr.errors import InputError
from cxr.files import sha256_of
from cxr.progress import progress

MIB = 1 << 20
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# What zipfile raises for a damaged file; RuntimeError is for encrypted entries and unknown compression methods.
DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archive:
    """A published zip file: its address, the page where a person finds it, its name, bytes and SHA-256."""

    url: str
    page: str
    name: str
    size: int
    sha256: str


def cache_folder() -> Path:
    """Return where downloads are kept: ``$CXR_CACHE`` if set, else the operating system's cache folder."""
    import pooch

    chosen = os.environ.get("CXR_CACHE")
    return Path(chosen).expanduser() if chosen else Path(pooch.os_cache("cxr"))


def download(archive: Archive, cache: Path) -> Path:
    """Return the archive in ``cache``, downloading what of it is missing.

    A file in the cache that has the right hash is used, however it came there. An interrupted download leaves
    ``<name>.part``, which the next one continues.

    Raises:
        InputError: the site cannot be reached or refuses; the file is not the published one; the disk is full.
    """
    import pooch

    downloader = ResumingDownload(archive, cache / f"{archive.name}.part")
    try:
        return Path(pooch.retrieve(archive.url, archive.sha256, archive.name, cache, downloader=downloader))
    except requests.RequestException as error:
        status = status_of(error)
        fault = f"answered HTTP {status}" if status else "cannot be reached or breaks off"
        raise InputError(
            f"{archive.url} {fault}; check the network and run it again, which continues where it stopped, or download "
            f"{archive.name} from {archive.page} by hand and put it into {cache}."
        ) from error


@dataclass(frozen=True)
class ResumingDownload:
    """A downloader for pooch that continues a download where it stopped.

    pooch's own ``HTTPDownloader`` starts anew after a broken connection, does not try again, and does not look at the
    room on the disk; what has arrived is therefore kept in a ``.part`` file here.

    Attributes:
        archive: what is downloaded.
        part: the file of what has arrived so far.
        attempts: the largest number of connections.
        pause: seconds before the second attempt; the time doubles before each further one.
    """

    archive: Archive
    part: Path
    attempts: int = 5
    pause: float = 1.0

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Download ``url`` to ``output_file``.

        Raises:
            requests.RequestException: the site cannot be reached, refuses, or breaks off too often.
            InputError: the file is not the published one, and was deleted; the disk is full.
        """
        # JPEG files hardly shrink in a zip file, so the unpacked images need as much room again.
        with room_for(
            2 * self.archive.size - self._arrived(), self.part.parent, f"{self.archive.name}, then unpacked,"
        ):
            for attempt in range(1, self.attempts + 1):
                try:
                    self._continue(url)
                    break
                except requests.RequestException as error:
                    if attempt == self.attempts or not _may_pass(error):
                        raise
                    pause = self.pause * 2 ** (attempt - 1)
                    log.info("%s: %s; again in %.0f s", self.archive.name, type(error).__name__, pause)
                    time.sleep(pause)
        size, sha256 = self._arrived(), sha256_of(self.part)
        if sha256 != self.archive.sha256:
            self.part.unlink()
            raise InputError(
                f"{url} sent {size:,} bytes with SHA-256 {sha256}, which were deleted, instead of the published "
                f"{self.archive.size:,} bytes with {self.archive.sha256}; run it again, or download "
                f"{self.archive.name} from {self.archive.page} by hand and put it into {self.part.parent}."
            )
        self.part.replace(output_file)

    def _arrived(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _continue(self, url: str) -> None:
        """Download what is missing, or the whole file if the server cannot continue or the part is too long."""
        arrived = self._arrived()
        if arrived == self.archive.size:
            return
        if arrived > self.archive.size:
            arrived = 0
        # With compressed transfer, offsets would not count the bytes of the file.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={arrived}-"} if arrived else {})
        with requests.get(url, headers=headers, stream=True, timeout=(15, 60)) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                self.part.unlink(missing_ok=True)
            response.raise_for_status()
            # A server may ignore the range that was asked for; this header says what it really sends.
            if not response.headers.get("Content-Range", "").startswith(f"bytes {arrived}-"):
                arrived = 0
            chunks = -(-(self.archive.size - arrived) // MIB)
            with self.part.open("ab" if arrived else "wb") as stream:
                for chunk in progress(response.iter_content(MIB), chunks, "MiB", self.archive.name):
                    stream.write(chunk)


def status_of(error: requests.RequestException) -> int | None:
    """Return the HTTP status of the answer, or None if there was no answer."""
    return None if error.response is None else error.response.status_code


def _may_pass(error: requests.RequestException) -> bool:
    """Return whether another attempt may succeed: after a broken connection or a server's error, but not a refusal."""
    status = status_of(error)
    return status is None or status >= 500 or status in (408, 416, 429)


@contextmanager
def room_for(needed: int, folder: Path, what: str) -> Iterator[None]:
    """Check that ``folder`` has ``needed`` bytes free, before the block and whenever the disk fills in it.

    Raises:
        InputError: the disk is too small, or fills; the sentence gives the room needed and the room there is.
    """

    def refusal() -> InputError:
        free = shutil.disk_usage(folder).free
        return InputError(
            f"{what} needs {needed / 1e9:.3g} GB, but the disk of {folder} has {free / 1e9:.3g} GB free or a quota or "
            "limit is reached; free some, or set CXR_CACHE to a folder on a larger disk."
        )

    if shutil.disk_usage(folder).free < needed:
        raise refusal()
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise refusal() from error
        raise
