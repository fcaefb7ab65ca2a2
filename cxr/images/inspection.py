"""What is wrong with the files of an image folder: all of it is found first, and then reported in one sentence."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from PIL import Image, UnidentifiedImageError

from cxr.errors import InputError
from cxr.files import sha256_of
from cxr.images.decoding import opened
from cxr.images.names import CLASSES, SPLITS, is_litter, listed

SUFFIXES = (".jpeg", ".jpg", ".png")
SMALLEST_SIDE = 32  # px
LARGEST_IMAGE = 100_000_000  # px; a chest radiograph has up to about 20 million
FOLDERS = [(split, name) for split in SPLITS for name in CLASSES]

# Kinds of unusable files, as the message names them.
EMPTY = "empty files"
NO_IMAGE = "files that are no JPEG or PNG images"
TOO_SMALL = f"images with a side under {SMALLEST_SIDE} px"
TOO_LARGE = f"images of {LARGEST_IMAGE // 1_000_000} megapixels or more"
TOO_DEEP = "images with more than 8 bits a pixel"
UNREADABLE = "files that cannot be read"


@dataclass(frozen=True)
class Problem:
    """One kind of fault.

    Attributes:
        kind: what the offenders are, such as ``empty files``.
        offenders: paths relative to the image root, with a detail in brackets where there is one.
        remedy: what the user can do.
    """

    kind: str
    offenders: Sequence[str]
    remedy: str = "replace or remove them"

    def __str__(self) -> str:
        return f"{self.kind}: {listed(self.offenders)} ({self.remedy})"


@dataclass(frozen=True)
class Inspection:
    """What one image file is.

    Attributes:
        width: px.
        height: px.
        mode: PIL's mode of the file: L, RGB, ...
        sha256: of the file, 64 hexadecimal digits.
        fault: the kind of fault that makes the file unusable, or an empty string.
        detail: more about the fault, or an empty string.
    """

    width: int = 0
    height: int = 0
    mode: str = ""
    sha256: str = ""
    fault: str = ""
    detail: str = ""


def refuse(root: Path, problems: Iterable[Problem]) -> NoReturn:
    """Raise an InputError whose sentence lists all problems, with up to 20 offenders each."""
    raise InputError(f"{root} cannot be used; it has {'; '.join(map(str, problems))}.")


def list_images(root: Path) -> list[str]:
    """Return the images of the six class folders in the manifest's order, as POSIX paths relative to ``root``.

    Raises:
        InputError: ``find_images`` finds problems.
    """
    images, problems = find_images(root)
    if problems:
        refuse(root, problems)
    return images


def find_images(root: Path) -> tuple[list[str], list[Problem]]:
    """Look through the six class folders.

    Hidden files, ``Thumbs.db`` and everything outside the class folders (such as the second copy ``chest_xray/`` and
    ``__MACOSX/`` in Kaggle's zip file) are ignored. Anything else that is no image is a problem, since the cohort would
    change if, say, a DICOM file was silently left out.

    Args:
        root: the folder that holds train/, val/ and test/.

    Returns:
        The images in the manifest's order, as POSIX paths relative to ``root``, and the problems: class folders that
        are missing or empty, and files and folders that are no JPEG or PNG images by their names.
    """
    missing, empty, strangers = [], [], []
    images: list[str] = []
    for split, name in FOLDERS:
        folder = root / split / name
        if not folder.is_dir():
            missing.append(f"{split}/{name}")
            continue
        entries = [entry for entry in folder.iterdir() if not is_litter(entry.name)]
        entries.sort(key=lambda entry: (entry.name.lower(), entry.name))
        for entry in entries:
            path = f"{split}/{name}/{entry.name}"
            if not _is_text(path) or entry.suffix.lower() not in SUFFIXES or entry.is_dir():
                strangers.append(os.fsencode(path).decode(errors="backslashreplace"))
            else:
                images.append(path)
        if not entries:
            empty.append(f"{split}/{name}")
    problems = (
        Problem("missing folders", missing, "train/, val/ and test/ must each hold NORMAL/ and PNEUMONIA/"),
        Problem("empty folders", empty, "each must hold at least one image"),
        Problem(
            "files or folders that are no JPEG or PNG images by their names",
            strangers,
            "convert DICOM files to 8-bit PNG, and move everything else elsewhere",
        ),
    )
    return images, [problem for problem in problems if problem.offenders]


def inspect(path: Path) -> Inspection:
    """Hash an image file, read its header and decode all of it, which finds a truncated file.

    A file whose header announces too many pixels is not decoded.
    """
    try:
        if path.stat().st_size == 0:
            return Inspection(fault=EMPTY)
        with opened(path) as image:
            width, height = image.size
            if width * height >= LARGEST_IMAGE:
                return Inspection(fault=TOO_LARGE)
            if min(width, height) < SMALLEST_SIDE:
                return Inspection(fault=TOO_SMALL, detail=f"{width} x {height} px")
            if image.mode.startswith(("I", "F")):
                # PIL's convert("L") would clip deeper pixels at 255, so that nearly all would be white.
                return Inspection(fault=TOO_DEEP)
            image.load()
            return Inspection(width, height, image.mode, sha256_of(path))
    except UnidentifiedImageError:
        return Inspection(fault=NO_IMAGE)
    except Image.DecompressionBombError:
        return Inspection(fault=TOO_LARGE)
    except Exception as error:
        # For damaged files, PIL's decoders raise OSError, SyntaxError, ValueError, struct.error, ...
        return Inspection(fault=UNREADABLE, detail=str(error))


def unusable_files(paths: Sequence[str], inspections: Sequence[Inspection]) -> Iterator[Problem]:
    """Yield the faults of ``inspect``, one problem for each kind.

    Args:
        paths: as ``find_images`` returns them.
        inspections: one for each path.
    """
    for kind in (EMPTY, NO_IMAGE, UNREADABLE, TOO_SMALL, TOO_LARGE, TOO_DEEP):
        offenders = [
            f"{path} [{one.detail}]" if one.detail else path
            for path, one in zip(paths, inspections, strict=True)
            if one.fault == kind
        ]
        if offenders:
            yield Problem(kind, offenders)


def shared_images(paths: Sequence[str], inspections: Sequence[Inspection]) -> Iterator[Problem]:
    """Yield the images that are in both classes or in two splits; copies within one class folder are allowed.

    A copy in the other class would give one image two labels, and one in another split would be tested on after being
    trained on.

    Args:
        paths: as ``find_images`` returns them.
        inspections: one for each path.
    """
    groups: dict[str, list[str]] = {}
    for path, one in zip(paths, inspections, strict=True):
        if one.sha256:
            groups.setdefault(one.sha256, []).append(path)
    for part, where in ((1, "in both classes"), (0, "in two of train/, val/ and test/")):
        shared = [" = ".join(group) for group in groups.values() if len({path.split("/")[part] for path in group}) > 1]
        if shared:
            yield Problem(f"the same image {where}", shared, "keep one file of each")


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
