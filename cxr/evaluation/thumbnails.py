"""Images averaged to 32 x 32 pixels: whole, the lungs alone, everything but the lungs, and the outline of the lungs."""

from typing import Any

import numpy as np
import numpy.typing as npt

from cxr.preprocessing.lungs import SIDE, area_averages

THUMBNAIL = 32


def area_weights(size: int, target: int) -> npt.NDArray[np.float32]:
    """Return the matrix, shape (target, size), that averages ``size`` pixels over ``target`` stretches of equal length.

    A pixel across the border of two stretches counts in each by its part; every row sums to 1.
    """
    edges = np.linspace(0, size, target + 1)[:, None]
    pixels = np.arange(size)[None]
    overlap = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    return (overlap.clip(0) * target / size).astype(np.float32)


def thumbnails_of(images: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Return images of shape (N, H, H), in any unit, averaged by area to shape (N, 32 x 32), in the same unit."""
    weights = area_weights(images.shape[-1], THUMBNAIL)
    # In blocks: all images in single precision would take more than a gigabyte.
    blocks = [
        weights @ images[start : start + 64].astype(np.float32) @ weights.T for start in range(0, len(images), 64)
    ]
    return np.concatenate(blocks).reshape(len(images), -1)


def thumbnails_of_parts(
    images: npt.NDArray[np.int16], masks: npt.NDArray[np.bool_]
) -> dict[str, npt.NDArray[np.floating[Any]]]:
    """Return thumbnails of the parts of images, each of shape (N, 32 x 32), in the unit of the images.

    Args:
        images: shape (N, H, H).
        masks: the lungs, shape (N, 64, 64), of ``cxr.preprocessing.lungs``.

    Returns:
        ``lungs``: all but the lungs is the mean of the image. ``surroundings``: the lungs are the mean of the image.
        ``outline``: no grey level at all, but the share of each pixel that is lung, 0 to 1.
    """
    lungs, surroundings = [], []
    for start in range(0, len(images), 64):
        grey, lung = area_averages(images[start : start + 64]), masks[start : start + 64]
        mean = grey.mean(axis=(1, 2), keepdims=True)
        lungs.append(_halved(np.where(lung, grey, mean)))
        surroundings.append(_halved(np.where(lung, mean, grey)))
    return {
        "lungs": np.concatenate(lungs),
        "surroundings": np.concatenate(surroundings),
        "outline": _halved(masks.astype(np.float64)),
    }


def _halved(planes: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    step = SIDE // THUMBNAIL
    averaged = planes.reshape(len(planes), THUMBNAIL, step, THUMBNAIL, step).mean(axis=(2, 4), dtype=np.float64)
    halved: npt.NDArray[np.float32] = averaged.reshape(len(planes), -1).astype(np.float32)
    return halved
