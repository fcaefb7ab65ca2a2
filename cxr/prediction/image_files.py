"""Find the image files under the paths that a user names, and read each as grey levels, whatever its format."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from cxr.errors import InputError
from cxr.images.decoding import opened
from cxr.images.names import is_litter
from cxr.prediction.dicom import is_dicom, read_dicom
from cxr.prediction.radiograph import Radiograph, check_size, colourfulness
from cxr.preprocessing.arrays import grey_image

# The index of the DICOM files on a disc; it shows no image.
DICOM_INDEX = "dicomdir"


def find_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files that the paths name, each once, in the order given; a folder is all files in it, sorted by name.

    Of folders, hidden files, ``Thumbs.db``, ``DICOMDIR`` and the like are left out. A path that does not exist is
    returned, for ``read_image`` to refuse it by name.

    Raises:
        InputError: the paths hold no file at all.
    """
    given = list(paths)
    found = list(dict.fromkeys(file for path in given for file in _files_in(path)))
    if not any(file.exists() for file in found):
        names = ", ".join(map(str, given))
        raise InputError(f"{names}: no file was found there; name images (JPEG, PNG, DICOM) or folders of them.")
    return found


def _files_in(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for entry in sorted(path.iterdir(), key=lambda entry: (entry.name.lower(), entry.name)):
        litter = is_litter(entry.name) or entry.name.lower() == DICOM_INDEX
        # A link to a folder may lead back here.
        if not litter and not (entry.is_symlink() and entry.is_dir()):
            yield from _files_in(entry)


def read_image(path: Path, grey: str) -> Radiograph:
    """Read a JPEG, PNG or DICOM file; its content tells which it is.

    JPEG and PNG files become grey as in the stage ``arrays``, so an image of the cohort has its own pixels.

    Args:
        path: the file.
        grey: how colour becomes grey, ``luma`` or ``average``, as in ``cxr.preprocessing.arrays.grey_image``.

    Raises:
        InputError: one sentence with the file and the remedy.
    """
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty; copy it again from its source.")
        if is_dicom(path):
            return read_dicom(path, grey)
        with opened(path) as picture:
            mode = picture.mode
            check_size(path, *picture.size)
        if mode.startswith(("I", "F")):
            raise InputError(
                f"{path} has more than 8 bits a pixel, and nothing says which grey levels matter; convert it to an "
                "8-bit PNG, or give the DICOM file."
            )
        colour = 0.0 if mode in ("1", "L", "LA") else _colour_of(path)
        return Radiograph(grey_image(path, grey), colour)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path.") from None
    except PermissionError:
        raise InputError(f"{path} may not be read; change its permissions.") from None
    except UnidentifiedImageError:
        raise InputError(f"{path} is no JPEG, PNG or DICOM file; remove it, or convert it to PNG.") from None
    except Image.DecompressionBombError:
        raise InputError(f"{path} has too many pixels; reduce it to fewer than 100 megapixels.") from None
    except InputError:
        raise
    # For damaged files, PIL's decoders raise OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        raise InputError(f"{path} is damaged ({error}); copy it again from its source.") from None


def _colour_of(path: Path) -> float:
    with opened(path) as picture:
        # A JPEG is decoded a second time, at an eighth of its size at best.
        picture.draft("RGB", (64, 64))
        return colourfulness(np.asarray(picture.convert("RGB")))
