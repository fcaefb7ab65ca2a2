"""The embedded images: all 5,856 X-rays of the data set, reduced to 80 px, in one zip file of the repository.

Source of the images: Kermany, Zhang, Goldbaum, doi:10.17632/rscbjbr9sj, CC BY 4.0. The demo works at
64 px, for which the study's transform T4 starts from 1.25 x 64 = 80 px. ``paper/data/README.md`` says how the file was
made.
"""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from cxr.files import REPOSITORY
from cxr.images.decoding import opened
from cxr.images.inspection import list_images
from cxr.images.mendeley import DATA_SET
from cxr.progress import progress
from cxr.sealed_zip import unpack_sealed_zip, write_sealed_zip

ARCHIVE = REPOSITORY / "paper" / "data" / "chest_xray_80.zip"
DESCRIPTION = {"title": "Chest X-Ray Images (Pneumonia), reduced to 80 px"} | DATA_SET


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
    # PNG is compressed already.
    write_sealed_zip(archive, _reduced(folder, paths, size), compressed=False)


def _reduced(folder: Path, paths: list[str], size: int) -> Iterator[tuple[str, bytes]]:
    for path in progress(paths, len(paths), "images", f"{size} px"):
        stream = io.BytesIO()
        with opened(folder / path) as image:
            image.convert("L").resize((size, size), Image.Resampling.BILINEAR).save(stream, "PNG", optimize=True)
        yield str(PurePosixPath(path).with_suffix(".png")), stream.getvalue()


def unpack_embedded(folder: Path, archive: Path = ARCHIVE) -> None:
    """Unpack the images into a folder, completely or not at all; an existing folder is replaced.

    Args:
        folder: will hold ``train/``, ``val/`` and ``test/``, each with ``NORMAL/`` and ``PNEUMONIA/``.
        archive: a zip file made by ``write_embedded``.

    Raises:
        InputError: the archive is missing or damaged, or holds other files than ``SHA256SUMS`` lists.
    """
    unpack_sealed_zip(archive, folder, "restore it with git checkout")
