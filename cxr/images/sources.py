"""Where the images come from: the project itself, a folder of the user's own, Kaggle, Mendeley Data, drawn phantoms."""

import errno
import logging
import os
import shutil
import stat
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import requests

from cxr.errors import InputError
from cxr.files import sha256_of, write_json
from cxr.images.names import SPLITS, is_litter
from cxr.progress import progress

log = logging.getLogger(__name__)

MIB = 1 << 20
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# RuntimeError: encrypted entries and, as NotImplementedError, unknown compressions.
BAD_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)

# The version is pinned, so that a copy in Kaggle's cache serves without a network.
KAGGLE_DATASET = "paultimothymooney/chest-xray-pneumonia/versions/2"

# Kaggle's val/: the 16 training images of the original archive that its edition moved there.
VALIDATION_IMAGES = [
    *(f"NORMAL/NORMAL2-IM-{scan}-0001.jpeg" for scan in (1427, 1430, 1431, 1436, 1437, 1438, 1440, 1442)),
    *(f"PNEUMONIA/person{n}_bacteria_{m}.jpeg" for n, m in ((1946, 4874), (1946, 4875), (1947, 4876), (1949, 4880))),
    *(f"PNEUMONIA/person{n}_bacteria_{m}.jpeg" for n, m in ((1950, 4881), (1951, 4882), (1952, 4883), (1954, 4886))),
]

_KERMANY = {
    "synthetic": False,
    "licence": "CC BY 4.0",
    "citation": "Kermany D, Zhang K, Goldbaum M. Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for "
    "Classification. Mendeley Data, V2, 2018. doi:10.17632/rscbjbr9sj.2",
    "if_counts_differ": "refuse",
}
DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "phantom": {
        "title": "Drawn chest phantoms",
        "synthetic": True,
        "licence": "MIT, like the program that draws them",
        "citation": "",
        "if_counts_differ": "ignore",
    },
    "embedded": {"title": "Chest X-Ray Images (Pneumonia), reduced to 80 px"} | _KERMANY,
    "folder": {
        "title": "Chest radiographs from a local folder",
        "synthetic": False,
        "licence": "not stated",
        "citation": "",
        "if_counts_differ": "warn",
    },
    "kaggle": {"title": "Chest X-Ray Images (Pneumonia), Kaggle edition"} | _KERMANY,
    "mendeley": {"title": "Chest X-Ray Images (Pneumonia), Mendeley Data"} | _KERMANY,
}


@dataclass(frozen=True)
class Archive:
    """A published zip file: its address, the page where a person finds it, its name, bytes and SHA-256."""

    url: str
    page: str
    name: str
    size: int
    sha256: str


# DOI 10.17632/rscbjbr9sj.2. Independent projects pin the same address, size and hash; the address redirects to a store.
CHEST_XRAY_2017 = Archive(
    url="https://data.mendeley.com/public-files/datasets/rscbjbr9sj/files/f12eaf6d-6023-432f-acc9-80c9d7393433/"
    "file_downloaded",
    page="https://data.mendeley.com/datasets/rscbjbr9sj/2",
    name="ChestXRay2017.zip",
    size=1_235_512_464,
    sha256="13efc055629733dbab07877f8b3c9f81097840dbcdaa326a8542322c2281ce36",
)


def provide_images(settings: dict[str, Any], folder: Path, source: Path, threads: int = 1) -> None:
    """Fetch or draw the images, and write where they are.

    Args:
        settings: ``data`` of the config.
        folder: where phantoms are drawn and embedded images are unpacked; other sources keep their images where they
            are or in a cache.
        source: JSON with ``source``, ``settings``, ``root`` (the folder that holds train/, val/ and test/), ``title``,
            ``synthetic`` (no person was ever X-rayed), ``licence``, ``citation`` and ``if_counts_differ`` (``refuse``,
            ``warn`` or ``ignore`` numbers of images other than the published ones). With the settings in it, the file
            changes whenever the images may have.
        threads: how many phantoms are drawn at once.

    Raises:
        InputError: as ``fetch``.
    """
    name = settings["source"]
    if name == "phantom":
        from cxr.images.phantom.cohort import draw_cohort

        draw_cohort(folder, **settings["phantom"], workers=threads)
        root = folder
    elif name == "embedded":
        from cxr.images.embedded import unpack_embedded

        unpack_embedded(folder)
        root = folder
    else:
        root = fetch(settings)
    write_json(source, {"source": name, "settings": settings, "root": str(root.absolute())} | DESCRIPTIONS[name])


def fetch(settings: Mapping[str, Any], archive: Archive = CHEST_XRAY_2017) -> Path:
    """Return the folder that holds train/, val/ and test/, after a download if need be.

    Args:
        settings: ``source`` (``folder``, ``kaggle`` or ``mendeley``) and, for a folder, ``folder``.
        archive: what the source ``mendeley`` downloads.

    Raises:
        InputError: the folder is missing; a site cannot be reached, refuses, or sends something else than the published
            file; the archive is damaged or would write outside its folder; the disk is full.
    """
    if settings["source"] == "kaggle":
        return image_root(_from_kaggle())
    if settings["source"] == "mendeley":
        return image_root(_from_mendeley(archive))
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


def cache_folder() -> Path:
    """Return where downloads are kept: ``$CXR_CACHE`` if set, else the operating system's cache folder."""
    import pooch

    chosen = os.environ.get("CXR_CACHE")
    return Path(chosen).expanduser() if chosen else Path(pooch.os_cache("cxr"))


def _from_kaggle() -> Path:
    import kagglehub
    from kagglehub.config import get_cache_folder
    from kagglehub.exceptions import BackendError, CredentialError, DataCorruptionError, KaggleEnvironmentError

    gave_up = (BackendError, CredentialError, DataCorruptionError, KaggleEnvironmentError, ValueError, *BAD_ZIP)
    instead = "or choose the source 'mendeley', which needs no account"
    try:
        return Path(kagglehub.dataset_download(KAGGLE_DATASET))
    except requests.HTTPError as error:
        status, remedy = _status(error), "try later"
        if status in (401, 403):
            remedy = "make an API token at https://www.kaggle.com/settings and set KAGGLE_API_TOKEN to it"
        raise InputError(f"Kaggle answered HTTP {status} for {KAGGLE_DATASET}; {remedy}, {instead}.") from error
    except requests.RequestException as error:
        raise InputError(f"Kaggle cannot be reached; check the network and run it again, {instead}.") from error
    except OSError as error:
        if error.errno in DISK_FULL:
            raise InputError(
                "The disk is full; Kaggle's archive and its images need 5 GB: free some, or set KAGGLEHUB_CACHE to a "
                "folder on a larger disk."
            ) from error
        raise
    except gave_up as error:
        # A damaged archive stays in Kaggle's cache, and its client would take it again.
        folder = Path(get_cache_folder(), "datasets", KAGGLE_DATASET).parents[1]
        reason = " ".join(str(error).split()).removesuffix(".")
        raise InputError(
            f"Kaggle's client gave up ({reason}); mend this, delete {folder} and run it again, {instead}."
        ) from error


def _from_mendeley(archive: Archive) -> Path:
    cache = cache_folder()
    folder = cache / Path(archive.name).stem
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        unpack(download(archive, cache), folder)
    return folder


def download(archive: Archive, cache: Path) -> Path:
    """Return the archive in ``cache``, downloading what of it is missing.

    A file with the right hash that lies there (downloaded by hand, say) is taken. An interrupted download leaves
    ``<name>.part``, which the next one continues.

    Raises:
        InputError: the site cannot be reached or refuses; the file is not the published one; the disk is full.
    """
    import pooch

    downloader = ResumingDownload(archive, cache / f"{archive.name}.part")
    try:
        return Path(pooch.retrieve(archive.url, archive.sha256, archive.name, cache, downloader=downloader))
    except requests.RequestException as error:
        status = _status(error)
        fault = f"answered HTTP {status}" if status else "cannot be reached or breaks off"
        raise InputError(
            f"{archive.url} {fault}; check the network and run it again, which continues where it stopped, or download "
            f"{archive.name} from {archive.page} by hand and lay it into {cache}."
        ) from error


@dataclass(frozen=True)
class ResumingDownload:
    """A downloader for pooch that survives a broken connection: it writes to a ``.part`` file and continues that.

    Attributes:
        archive: what is downloaded.
        part: what has arrived so far.
        attempts: how often the connection is made at most.
        pause: seconds before the second attempt; each further pause is twice as long.
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
        # Radiographs hardly shrink in a zip file: unpacked, they will need as much room again.
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
                f"{self.archive.name} from {self.archive.page} by hand and lay it into {self.part.parent}."
            )
        self.part.replace(output_file)

    def _arrived(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _continue(self, url: str) -> None:
        """Get what is missing; begin anew where the server cannot continue or the part is too long."""
        arrived = self._arrived()
        if arrived == self.archive.size:
            return
        if arrived > self.archive.size:
            arrived = 0
        # Compressed transfer would count other bytes than the file's.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={arrived}-"} if arrived else {})
        with requests.get(url, headers=headers, stream=True, timeout=(15, 60)) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                self.part.unlink(missing_ok=True)
            response.raise_for_status()
            # Not every store behind the address honours ranges; the header says what is really sent.
            if not response.headers.get("Content-Range", "").startswith(f"bytes {arrived}-"):
                arrived = 0
            chunks = -(-(self.archive.size - arrived) // MIB)
            with self.part.open("ab" if arrived else "wb") as stream:
                for chunk in progress(response.iter_content(MIB), chunks, "MiB", self.archive.name):
                    stream.write(chunk)


def _status(error: requests.RequestException) -> int | None:
    return None if error.response is None else error.response.status_code


def _may_pass(error: requests.RequestException) -> bool:
    """A refusal stays one; a broken connection or a server in trouble may be better in a moment."""
    status = _status(error)
    return status is None or status >= 500 or status in (408, 416, 429)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the archive of Mendeley Data into ``folder``, in Kaggle's layout, whole or not at all.

    The archive holds chest_xray/{train,test}/{NORMAL,PNEUMONIA}/; the 16 images of Kaggle's val/ are moved there.

    Args:
        archive: zip file.
        folder: new folder, which will hold ``chest_xray/``.

    Raises:
        InputError: no or a damaged zip file; an entry that would land outside the folder; one of the 16 images is not
            there; the disk is full. In all cases ``folder`` is not made.
    """
    again = "delete it and run it again"
    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = zipped.infolist()
            outside = [entry.filename for entry in entries if _lands_outside(entry)]
            if outside:
                raise InputError(f"{archive} was not unpacked: '{outside[0]}' is a link or lands elsewhere; {again}.")
            wanted = [entry for entry in entries if not entry.is_dir() and not _is_litter(entry.filename)]
            room = room_for(sum(entry.file_size for entry in wanted), folder.parent, f"The content of {archive.name}")
            # Beside the folder, so that a rename can complete it.
            with room, tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as aside:
                whole = Path(aside, folder.name)
                for entry in progress(wanted, len(wanted), "files", "unpack"):
                    zipped.extract(entry, whole)
                for image in VALIDATION_IMAGES:
                    moved, held = (whole / "chest_xray" / split / image for split in ("val", "train"))
                    if not held.exists():
                        raise InputError(f"{archive} holds no train/{image}, so it is another archive; {again}.")
                    moved.parent.mkdir(parents=True, exist_ok=True)
                    held.rename(moved)
                whole.rename(folder)
    except BAD_ZIP as error:
        raise InputError(f"{archive} is a damaged zip file ({error}); {again}.") from error


def _lands_outside(entry: zipfile.ZipInfo) -> bool:
    # By Windows' rules, which know slashes, backslashes and drive letters.
    path = PureWindowsPath(entry.filename)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    return bool(path.anchor) or ".." in path.parts or kind not in (0, stat.S_IFREG, stat.S_IFDIR)


def _is_litter(name: str) -> bool:
    return any(is_litter(part) for part in PureWindowsPath(name).parts)


@contextmanager
def room_for(needed: int, folder: Path, what: str) -> Iterator[None]:
    """Refuse to begin when ``folder`` has fewer than ``needed`` bytes free; say the same if the disk fills meanwhile.

    Raises:
        InputError: one sentence with the room needed and the room there is.
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
