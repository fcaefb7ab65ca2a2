"""The embedded images: all 5,856 X-rays of the data set, reduced to 80 px, in one zip file of the repository.

Source of the images: Kermany, Zhang, Goldbaum, doi:10.17632/rscbjbr9sj, CC BY 4.0. The demo works at
64 px, for which the study's transform T4 starts from 1.25 x 64 = 80 px. ``paper/data/README.md`` says how the file was
made.
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
# A fixed date, the oldest that a zip file can hold, so that equal images give an equal archive.
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

    Each image is converted to grey with PIL's luma weights, resized to a square with PIL's bilinear filter (which is
    anti-aliased), and stored as an 8-bit PNG under its own name with the suffix ``.png``. ``SHA256SUMS`` lists the
    SHA-256 of every file in the format of ``sha256sum --check``.

    Args:
        folder: holds ``train/``, ``val/`` and ``test/``, each with ``NORMAL/`` and ``PNEUMONIA/``.
        archive: the file to write.
        size: side length in pixels.

    Raises:
        InputError: as ``list_images``.
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
    """Unpack the images into a folder, completely or not at all; an existing folder is replaced.

    Args:
        folder: will hold ``train/``, ``val/`` and ``test/``, each with ``NORMAL/`` and ``PNEUMONIA/``.
        archive: a zip file made by ``write_embedded``.

    Raises:
        InputError: the archive is missing or damaged, or holds other files than ``SHA256SUMS`` lists.
    """
    again = "restore it with git checkout"
    with folder_written_whole(folder) as part:
        try:
            with zipfile.ZipFile(archive) as zipped:
                listed = [line.split("  ", 1) for line in zipped.read(SUMS).decode().splitlines()]
                if sorted(name for _, name in listed) != sorted(set(zipped.namelist()) - {SUMS}):
                    raise InputError(f"{archive} holds other files than {SUMS} lists; {again}.")
                for sha256, name in progress(listed, len(listed), "files", "unpack"):
                    content = zipped.read(name)
                    if hashlib.sha256(content).hexdigest() != sha256:
                        raise InputError(f"{archive}: {name} does not have the SHA-256 that {SUMS} lists; {again}.")
                    # ZipFile.extract never writes outside the folder, whatever the name is.
                    zipped.extract(name, part)
        except FileNotFoundError as error:
            raise InputError(f"{error.filename} does not exist; {again}.") from None
        except (zipfile.BadZipFile, KeyError, ValueError) as error:
            raise InputError(f"{archive} is a damaged zip file ({error}); {again}.") from None
