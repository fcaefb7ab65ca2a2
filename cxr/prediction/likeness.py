"""How unlike the training images an image is: a distance that needs no network, and two plain facts of the file.

The distance is Mahalanobis's: of a thumbnail of 8 x 8 px, with mean 0 and standard deviation 1, from the mean of the
training images' thumbnails, given their covariance (shrunk: Ledoit and Wolf, doi:10.1016/S0047-259X(03)00096-4). It
sees where an image is bright and where it is dark, whatever its exposure and contrast. The limit is the 99th percentile
of the validation images, so about one chest X-ray in a hundred is warned of for nothing. ``docs/predict.md`` says what
the warning was measured to find, and what it misses.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.covariance import LedoitWolf

from cxr.prediction.radiograph import Radiograph
from cxr.preprocessing.arrays import LEVEL, read_rows

SIDE = 8  # px of a thumbnail
PERCENTILE = 99
# Grey levels; JPEG compression alone colours a grey image by less than 2.
COLOURED = 8.0
# Images that are read at once.
PART = 256

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Likeness:
    """What training images are like.

    Attributes:
        mean: of their thumbnails, shape (64,).
        precision: the inverse of the thumbnails' covariance, shape (64, 64).
        limit: the distance above which an image is unlike them.
        aspects: their smallest and largest width / height, or None where all were resized to one size before.
    """

    mean: Numbers
    precision: Numbers
    limit: float
    aspects: tuple[float, float] | None

    def distances(self, images: npt.NDArray[np.int16]) -> Numbers:
        """Return the distance of each of some stored images, shape (N, size, size)."""
        centred = thumbnails(images) - self.mean
        squares: Numbers = ((centred @ self.precision) * centred).sum(axis=1)
        return np.sqrt(squares)

    def warnings(self, image: Radiograph, distance: float) -> list[str]:
        """Return in words what of an image is unlike the training images; an empty list if nothing is."""
        found = []
        if distance > self.limit:
            found.append(f"unlike the training images: {distance / self.limit:.1f} times the distance that is allowed")
        if image.colour > COLOURED:
            found.append("is coloured, which radiographs are not")
        if self.aspects and not self.aspects[0] <= image.aspect <= self.aspects[1]:
            low, high = self.aspects
            found.append(f"width / height is {image.aspect:.2f}, in training {low:.2f} to {high:.2f}")
        return found


def fit_likeness(
    images: npt.NDArray[np.int16],
    training: npt.NDArray[np.integer[Any]],
    validation: npt.NDArray[np.integer[Any]],
    aspects: tuple[float, float] | None,
) -> Likeness:
    """Return what the training images are like, with the limit that the validation images give.

    Args:
        images: of ``cxr.preprocessing.arrays.open_array``.
        training: rows of the training images.
        validation: rows of the validation images.
        aspects: for ``Likeness``.
    """
    fitted = LedoitWolf().fit(np.concatenate([thumbnails(part) for part in _parts(images, training)]))
    unlimited = Likeness(fitted.location_, fitted.precision_, np.inf, aspects)
    distances = np.concatenate([unlimited.distances(part) for part in _parts(images, validation)])
    return Likeness(unlimited.mean, unlimited.precision, float(np.percentile(distances, PERCENTILE)), aspects)


def thumbnails(images: npt.NDArray[np.int16]) -> Numbers:
    """Return images of shape (N, size, size) as thumbnails, shape (N, 64): mean 0, standard deviation 1 (0 if flat)."""
    grey = torch.from_numpy(images).float().div(LEVEL * 255)[:, None]
    small = torch.nn.functional.adaptive_avg_pool2d(grey, SIDE).flatten(1).double().numpy()
    centred = small - small.mean(axis=1, keepdims=True)
    # A thousandth of the range from black to white: what is flatter shows nothing.
    scaled: Numbers = centred / (centred.std(axis=1, keepdims=True) + 1e-3)
    return scaled


def _parts(images: npt.NDArray[np.int16], rows: npt.NDArray[np.integer[Any]]) -> Iterator[npt.NDArray[np.int16]]:
    for start in range(0, len(rows), PART):
        yield read_rows(images, rows[start : start + PART])
