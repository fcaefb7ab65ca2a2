"""How much of a map's relevance lies inside the lungs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from cxr.errors import InputError
from cxr.explanation.grad_cam import upsampled
from cxr.preprocessing.lungs import read_lungs

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def lungs_of(path: Path, rows: npt.NDArray[np.int64], images: int, size: int) -> Flags:
    """Return the masks of the lungs of some images, resized to the images' size, nearest neighbour.

    Args:
        path: of ``cxr.preprocessing.lungs.write_lungs``.
        rows: rows of the manifest.
        images: how many images the manifest lists.
        size: side length of the images in pixels.

    Returns:
        Shape (len(rows), size, size).

    Raises:
        InputError: the file holds masks of another number of images.
    """
    masks = read_lungs(path)
    if len(masks) != images:
        raise InputError(f"{path} holds masks of {len(masks)} images and not of {images}; delete it and run again.")
    nearest = (2 * np.arange(size) + 1) * masks.shape[-1] // (2 * size)
    found: Flags = masks[rows][:, nearest][:, :, nearest]
    return found


def share_inside(maps: Tensor, masks: Tensor) -> Numbers:
    """Return the share of each map's sum that lies inside a mask, 0 to 1; NaN where a map is 0 everywhere.

    Args:
        maps: of ``grad_cam``, shape (B, h, w); they are upsampled to the masks' size.
        masks: boolean, shape (B, size, size).
    """
    large = upsampled(maps, masks.shape[-1]).double()
    shares: Numbers = ((large * masks).sum((1, 2)) / large.sum((1, 2))).cpu().numpy()
    return shares


def summarised(shares: Numbers, areas: Numbers, right: Flags) -> dict[str, Any]:
    """Return ``share_inside`` of some images in numbers: of all of them, and of those predicted right and wrong.

    Args:
        shares: shape (n,); NaN counts as an image without relevance, which is left out.
        areas: shape (n,), the lungs' share of each image's area: what evenly spread relevance would give.
        right: shape (n,), whether each image was predicted right.

    Returns:
        For ``all``, ``right`` and ``wrong``: ``n`` (images that count), ``without_relevance`` (images left out), and
        ``mean``, ``quartiles`` (three) and ``lung_area`` (mean), which are None where ``n`` is 0.
    """
    groups = {"all": np.ones_like(right), "right": right, "wrong": ~right}
    return {name: _of_group(shares[chosen], areas[chosen]) for name, chosen in groups.items()}


def _of_group(shares: Numbers, areas: Numbers) -> dict[str, Any]:
    counts = ~np.isnan(shares)
    found = shares[counts]
    return {
        "n": len(found),
        "without_relevance": int((~counts).sum()),
        "mean": float(found.mean()) if len(found) else None,
        "quartiles": _floats(np.quantile(found, (0.25, 0.5, 0.75))) if len(found) else None,
        "lung_area": float(areas[counts].mean()) if len(found) else None,
    }


def _floats(values: Iterable[Any]) -> list[float]:
    return [float(value) for value in values]
