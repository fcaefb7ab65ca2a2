"""The original archive from Mendeley Data, in Kaggle's layout (doi:10.17632/rscbjbr9sj.2)."""

import stat
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from cxr.errors import InputError
from cxr.images.download import DAMAGED_ZIP, Archive, cache_folder, download, room_for
from cxr.images.folder import image_root
from cxr.images.names import is_litter
from cxr.progress import progress

# Kaggle's edition and the embedded images are this data set too.
DATA_SET = {
    "synthetic": False,
    "licence": "CC BY 4.0",
    "citation": "Kermany D, Zhang K, Goldbaum M. Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for "
    "Classification. Mendeley Data, V2, 2018. doi:10.17632/rscbjbr9sj.2",
    "if_counts_differ": "refuse",
}
DESCRIPTION = {"title": "Chest X-Ray Images (Pneumonia), Mendeley Data"} | DATA_SET

# Independent projects pin the same address, size and hash; the address redirects to a store.
CHEST_XRAY_2017 = Archive(
    url="https://data.mendeley.com/public-files/datasets/rscbjbr9sj/files/f12eaf6d-6023-432f-acc9-80c9d7393433/"
    "file_downloaded",
    page="https://data.mendeley.com/datasets/rscbjbr9sj/2",
    name="ChestXRay2017.zip",
    size=1_235_512_464,
    sha256="13efc055629733dbab07877f8b3c9f81097840dbcdaa326a8542322c2281ce36",
)

# Kaggle's val/: the 16 training images of the original archive that its edition moved there.
VALIDATION_IMAGES = [
    *(f"NORMAL/NORMAL2-IM-{scan}-0001.jpeg" for scan in (1427, 1430, 1431, 1436, 1437, 1438, 1440, 1442)),
    *(f"PNEUMONIA/person{n}_bacteria_{m}.jpeg" for n, m in ((1946, 4874), (1946, 4875), (1947, 4876), (1949, 4880))),
    *(f"PNEUMONIA/person{n}_bacteria_{m}.jpeg" for n, m in ((1950, 4881), (1951, 4882), (1952, 4883), (1954, 4886))),
]


def provide(settings: Mapping[str, Any], folder: Path, threads: int) -> Path:
    """Return the folder in the cache that holds the images; see ``cxr.images.sources.Source``.

    Raises:
        InputError: as ``fetch``.
    """
    return fetch(CHEST_XRAY_2017)


def fetch(archive: Archive) -> Path:
    """Return the folder that holds train/, val/ and test/, after a download if it is not in the cache.

    Raises:
        InputError: the site cannot be reached, refuses, or sends another file than the published one; the archive is
            damaged or would write outside its folder; the disk is full.
    """
    cache, folder = cache_folder(), _unpacked(archive)
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        unpack(download(archive, cache), folder)
    return image_root(folder)


def is_cached() -> bool:
    """Return whether the cache holds the images."""
    return _unpacked(CHEST_XRAY_2017).is_dir()


def _unpacked(archive: Archive) -> Path:
    return cache_folder() / Path(archive.name).stem


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the archive of Mendeley Data into ``folder``, in Kaggle's layout, completely or not at all.

    The archive holds chest_xray/{train,test}/{NORMAL,PNEUMONIA}/; the 16 images of Kaggle's val/ are moved there.

    Args:
        archive: zip file.
        folder: new folder, which will hold ``chest_xray/``.

    Raises:
        InputError: the file is no zip file or a damaged one; an entry would be written outside the folder; one of the
            16 images is missing; the disk is full. In all cases ``folder`` is not made.
    """
    again = "delete it and run it again"
    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = zipped.infolist()
            outside = [entry.filename for entry in entries if _leads_outside(entry)]
            if outside:
                raise InputError(
                    f"{archive} was not unpacked: '{outside[0]}' is a link or leads out of the folder; {again}."
                )
            wanted = [entry for entry in entries if not entry.is_dir() and not _is_litter(entry.filename)]
            room = room_for(sum(entry.file_size for entry in wanted), folder.parent, f"The content of {archive.name}")
            # A new name each time, since several runs may share the cache.
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
    except DAMAGED_ZIP as error:
        raise InputError(f"{archive} is a damaged zip file ({error}); {again}.") from error


def _leads_outside(entry: zipfile.ZipInfo) -> bool:
    # Windows' rules cover slashes, backslashes and drive letters.
    path = PureWindowsPath(entry.filename)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    return bool(path.anchor) or ".." in path.parts or kind not in (0, stat.S_IFREG, stat.S_IFDIR)


def _is_litter(name: str) -> bool:
    return any(is_litter(part) for part in PureWindowsPath(name).parts)
