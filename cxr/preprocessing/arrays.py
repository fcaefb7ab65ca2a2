"""All images, decoded and resized once, in arrays that training maps into memory.

A stored pixel is a 16-bit integer in units of 1/128 grey level, so 0 to 32640. Rounding to that unit moves a pixel by
at most 1/256 of a grey level, 1.8e-5 after the study's division by 225: less than a tenth of what 16-bit floats lose
near white. Images that have the wanted size already are stored exactly. Row i of an array is row i of ``manifest.csv``.
"""

import logging
import math
import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxr.errors import InputError
from cxr.files import read_json, sha256_of, write_json, written_whole
from cxr.images.decoding import opened
from cxr.progress import progress

# Stored units in one grey level: the largest power of two for which white (255) fits into a signed 16-bit integer.
LEVEL = 128

log = logging.getLogger(__name__)


def grey_image(path: Path, grey: str = "luma") -> npt.NDArray[np.float32]:
    """Return an image file as grey levels, shape (H, W), 0 to 255.

    Args:
        path: the image.
        grey: ``luma`` weights colour as PIL does (notebook 1: ``convert("L")``); ``average`` is what the preprint says.

    Raises:
        InputError: the file cannot be read as an image.
    """
    try:
        with opened(path) as image:
            if grey == "average" and image.mode != "L":
                averaged: npt.NDArray[np.float32] = np.asarray(image.convert("RGB"), np.float32).mean(axis=2)
                return averaged
            return np.asarray(image.convert("L"), np.float32)
    except (OSError, SyntaxError) as error:
        raise InputError(f"{path} cannot be read as an image ({error}); replace it and run again.") from None


def resized(grey: npt.NDArray[np.float32], size: int, antialias: bool) -> npt.NDArray[np.int16]:
    """Return an image of shape (size, size) in 1/128 grey levels, bilinear, the aspect ratio not kept.

    The study's torchvision (before 0.17) did not anti-alias tensors; today's default does.
    """
    # Imported here, as stages that only map arrays do without it.
    import torch

    image = torch.from_numpy(grey)[None, None]
    # Where nothing is to be resized, interpolation would still round: leave such images exact.
    if image.shape[-2:] != (size, size):
        image = torch.nn.functional.interpolate(
            image, (size, size), mode="bilinear", align_corners=False, antialias=antialias
        )
    return image[0, 0].mul(LEVEL).round().clamp(0, 255 * LEVEL).to(torch.int16).numpy()


def open_array(path: Path) -> npt.NDArray[np.int16]:
    """Map an array of this module into memory, read-only: shape (N, size, size)."""
    array: npt.NDArray[np.int16] = np.load(path, mmap_mode="r")
    return array


def read_rows(array: npt.NDArray[np.int16], rows: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int16]:
    """Return a copy of some rows of an array, shape (len(rows), size, size).

    The rows of a mapped array are read through a second map, which is closed at once: what is read through a map counts
    to the memory of the process until the map is closed.

    Args:
        array: of ``open_array``, or in memory.
        rows: indices.
    """
    if isinstance(array, np.memmap) and array.filename is not None:
        array = open_array(Path(array.filename))
    copy: npt.NDArray[np.int16] = array[rows]
    return copy


def grey_levels(images: npt.NDArray[np.int16]) -> npt.NDArray[np.uint8]:
    """Return images of an array, of any shape, in whole grey levels, 0 to 255."""
    return ((images + LEVEL // 2) // LEVEL).astype(np.uint8)


def parse_name(path: Path) -> tuple[int, bool, str]:
    """Return size, anti-aliasing and grey conversion of an array by its file name, such as ``224px-antialias.npy``."""
    match = re.fullmatch(r"(\d+)px(-antialias)?(-average)?", path.stem)
    if match is None:
        raise InputError(f"{path}: an array's name is like 224px.npy, 224px-antialias.npy or 224px-average.npy.")
    return int(match[1]), match[2] is not None, "average" if match[3] else "luma"


def write_arrays(
    manifest: Path, cohort: Path, arrays: list[Path], threads: int = 1, digests: Path | None = None
) -> None:
    """Decode every image of the manifest once and write it at each size.

    Args:
        manifest: ``manifest.csv``.
        cohort: ``cohort.json``, whose ``root`` holds the images.
        arrays: files to write, named by size: ``224px.npy``, ``280px.npy``, ``224px-antialias.npy``.
        threads: how many images are worked on at once (decoding and resizing release the interpreter's lock).
        digests: where to write the SHA-256 of each array by its file name, last.

    Raises:
        InputError: an image cannot be read, or the file names are not understood.
        OSError: the disk is full; nothing is left behind.
    """
    import torch

    root = Path(read_json(cohort)["root"])
    paths = [root / path for path in pd.read_csv(manifest)["path"]]
    kinds = [parse_name(path) for path in arrays]
    # Threads share the cores; torch's own threads would only compete with them.
    torch.set_num_threads(1)
    with ExitStack() as stack:
        parts = [stack.enter_context(written_whole(path)) for path in arrays]
        streams = [stack.enter_context(part.open("wb+")) for part in parts]
        starts = [_reserve(stream, len(paths), size) for stream, (size, _, _) in zip(streams, kinds, strict=True)]

        def fill(row: int) -> None:
            images = {grey: grey_image(paths[row], grey) for grey in {kind[2] for kind in kinds}}
            for stream, start, (size, antialias, grey) in zip(streams, starts, kinds, strict=True):
                image = resized(images[grey], size, antialias)
                # Written at its place: a mapping would count every page ever touched to this process's memory.
                os.pwrite(stream.fileno(), image.tobytes(), start + row * image.nbytes)

        with ThreadPoolExecutor(threads) as pool:
            for _ in progress(pool.map(fill, range(len(paths))), len(paths), "images", "arrays"):
                pass
    if digests is not None:
        write_json(digests, {path.name: sha256_of(path) for path in arrays})


def _reserve(stream: BinaryIO, images: int, size: int) -> int:
    """Write the header of an array and claim its blocks; return where the first image begins, in bytes."""
    shape, kind = (images, size, size), np.lib.format.dtype_to_descr(np.dtype(np.int16))
    np.lib.format.write_array_header_1_0(stream, {"shape": shape, "fortran_order": False, "descr": kind})
    stream.flush()
    # Claimed now: a full disk is an error at the beginning, not after an hour.
    os.posix_fallocate(stream.fileno(), 0, stream.tell() + math.prod(shape) * 2)
    return stream.tell()
