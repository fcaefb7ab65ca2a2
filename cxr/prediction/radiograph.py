"""An image that was read from a file, before the resize."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cxr.errors import InputError
from cxr.images.inspection import LARGEST_IMAGE, SMALLEST_SIDE


@dataclass(frozen=True)
class Radiograph:
    """An image as its file holds it.

    Attributes:
        grey: grey levels, shape (H, W), float32, 0 (black) to 255.
        colour: of ``colourfulness``; 0 for a grey file.
        remarks: what speaks against a frontal chest radiograph, or was decided in reading it, in words.
    """

    grey: npt.NDArray[np.float32]
    colour: float = 0.0
    remarks: tuple[str, ...] = ()

    @property
    def aspect(self) -> float:
        """Width / height."""
        height, width = self.grey.shape
        return float(width / height)


def colourfulness(pixels: npt.NDArray[np.uint8]) -> float:
    """Return the mean over pixels of the largest of R, G and B less the smallest, 0 to 255, for shape (H, W, 3)."""
    return float(np.mean(np.ptp(pixels, axis=2)))


def check_size(path: Path, width: int, height: int) -> None:
    """Refuse an image that is too small to show anything, or too large for the memory.

    Raises:
        InputError: a side is under 32 px, or it has 100 megapixels or more.
    """
    if min(width, height) < SMALLEST_SIDE:
        raise InputError(f"{path} has {width} x {height} px; give an image with at least {SMALLEST_SIDE} px a side.")
    if width * height >= LARGEST_IMAGE:
        largest = f"{LARGEST_IMAGE // 1_000_000} megapixels"
        raise InputError(f"{path} has {width} x {height} px; reduce it to fewer than {largest}.")
