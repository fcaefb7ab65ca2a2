"""The X-rays that the project carries: all 5,856 of the data set, reduced to 80 px, in one zip file.

Source of the images: Kermany, Zhang, Goldbaum, doi:10.17632/rscbjbr9sj, CC BY 4.0. At 64 px, the size of the demo, the
study's transform T4 begins at 1.25 x 64 = 80 px, so that nothing larger is needed. ``paper/data/README.md`` says how
the file was made.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from cxr.errors import InputError
from cxr.files import REPOSITORY, folder_written_whole, written_whole
from cxr.images.decoding import opened
from cxr.images.inspection import list_images
from cxr.images.mendeley import DATA_SET
from cxr.progress import progress

ARCHIVE = REPOSITORY / "paper" / "data" / "chest_xray_80.zip"
SUMS = "SHA256SUMS"
DESCRIPTION = {"title": "Chest X-Ray Images (Pneumonia), reduced to 80 px"} | DATA_SET
# The oldest date that a zip file can hold: equal images make an equal archive.
DATE = (1980, 1, 1, 0, 0, 0)


def provide(settings: Mapping[str, Any], folder: Path, threads: int) -> Path:
    """Unpack the images into ``folder`` and return it; see ``cxr.images.sources.Source``.

    Raises:
        InputError: as ``unpack_embedded``.
    """
    unpack_embedded(folder)
    return folder


def write_embedded(folder: Path, archive: Path, size: int = 80) -> None:
    """Write the zip file of reduced images that ``unpack_embedded`` reads.

    Each image is made grey by PIL's luma weights, resized by PIL's bilinear filter (anti-aliased, the aspect ratio not
    kept), and stored as a PNG of 8 bits under its own name with the suffix ``.png``. ``SHA256SUMS`` lists the SHA-256
    of every file, as ``sha256sum --check`` reads it.

    Args:
        folder: holds ``train/``, ``val/`` and ``test/``, each with ``NORMAL/`` and ``PNEUMONIA/``.
        archive: the file to write.
        size: side length in pixels.

    Raises:
        InputError: the folder's layout is another one (as ``list_images``).
    """
    paths = list_images(folder)
    sums = []
    with written_whole(archive) as part, zipfile.ZipFile(part, "w") as zipped:
        for path in progress(paths, len(paths), "images", f"{size} px"):
            stream = io.BytesIO()
            with opened(folder / path) as image:
                image.convert("L").resize((size, size), Image.Resampling.BILINEAR).save(stream, "PNG", optimize=True)
            name, content = str(PurePosixPath(path).with_suffix(".png")), stream.getvalue()
            # PNG is compressed already.
            zipped.writestr(zipfile.ZipInfo(name, DATE), content, zipfile.ZIP_STORED)
            sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
        zipped.writestr(zipfile.ZipInfo(SUMS, DATE), "".join(sums), zipfile.ZIP_DEFLATED)


def unpack_embedded(folder: Path, archive: Path = ARCHIVE) -> None:
    """Unpack the images into a new folder, whole or not at all; a folder that is there already is replaced.

    Args:
        folder: will hold ``train/``, ``val/`` and ``test/``, each with ``NORMAL/`` and ``PNEUMONIA/``.
        archive: of ``write_embedded``.

    Raises:
        InputError: the archive is missing or damaged, or holds other files than its list says.
    """
    again = "restore it with git checkout"
    with folder_written_whole(folder) as part:
        try:
            with zipfile.ZipFile(archive) as zipped:
                listed = [line.split("  ", 1) for line in zipped.read(SUMS).decode().splitlines()]
                if sorted(name for _, name in listed) != sorted(set(zipped.namelist()) - {SUMS}):
                    raise InputError(f"{archive} holds other files than its list {SUMS} says; {again}.")
                for sha256, name in progress(listed, len(listed), "files", "unpack"):
                    content = zipped.read(name)
                    if hashlib.sha256(content).hexdigest() != sha256:
                        raise InputError(f"{archive}: {name} has another SHA-256 than {SUMS} says; {again}.")
                    # extract, and not a path of our own, since it keeps names inside the folder.
                    zipped.extract(name, part)
        except FileNotFoundError as error:
            raise InputError(f"{error.filename} does not exist; {again}.") from None
        except (zipfile.BadZipFile, KeyError, ValueError) as error:
            raise InputError(f"{archive} is a damaged zip file ({error}); {again}.") from None
