"""The shapes that all drawings are made of; each takes body coordinates and returns a plane of the same shape.

Body coordinates: x to the patient's left (right in the image), y down, both in half widths of the thorax, with the
origin in the middle of the chest.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cxr.images.phantom.portable import Plane, cosine_and_sine, length


def edge(distance: Plane, width: float) -> Plane:
    """Return 1 where the distance is positive and 0 where it is negative, with a smooth step of ``width``."""
    t = np.clip(0.5 + distance / width, 0, 1)
    step: Plane = t * t * (3 - 2 * t)
    return step


def bump(distance: Plane, width: Plane | float) -> Plane:
    """Return the depth of a cylinder of radius ``width`` at a distance from its axis, at most 1."""
    relative = distance / width
    depth: Plane = np.sqrt(np.clip(1 - relative * relative, 0, 1))
    return depth


def oval(x: Plane, y: Plane, centre: tuple[float, float], axes: tuple[float, float], degrees: float = 0.0) -> Plane:
    """Return 1 in the middle of an ellipse, 0 on its outline, less outside; it is turned clockwise in the image."""
    u, v = x - centre[0], y - centre[1]
    c, s = cosine_and_sine(degrees)
    return 1 - length((c * u + s * v) / axes[0], (c * v - s * u) / axes[1])


def polyline(x: Plane, points: Sequence[tuple[float, float]]) -> Plane:
    """Return the piecewise linear function through ``points``, constant before the first and after the last."""
    level: Plane = np.full_like(x, points[0][1])
    for (start, low), (end, high) in pairwise(points):
        level = level + (high - low) * np.clip((x - start) / (end - start), 0, 1)
    return level


def texture(x: Plane, y: Plane, random: np.random.Generator, grain: float) -> Plane:
    """Return a random relief fixed to the body, mean 0 and standard deviation 1, with structures of about ``grain``."""
    cells = 128
    span = min(4.0, 24 * grain)  # repeats beyond
    # Three moving averages make nearly a Gaussian filter, and of integers an exact one.
    reach = round(grain / span * cells / 2) - 1
    relief = random.integers(-256, 257, (cells, cells))
    for axis in (0, 1):
        for _ in range(3):
            relief = np.sum([np.roll(relief, shift, axis) for shift in range(-reach, reach + 1)], axis=0)
    mean = int(relief.sum()) / relief.size
    deviation = math.sqrt(int((relief * relief).sum()) / relief.size - mean * mean)
    heights = (relief / deviation).astype(np.float32)
    (top, bottom, down), (left, right, across) = (_cells(at / span * cells, cells) for at in (y, x))
    above = heights[top, left] + across * (heights[top, right] - heights[top, left])
    below = heights[bottom, left] + across * (heights[bottom, right] - heights[bottom, left])
    sampled: Plane = above + down * (below - above)
    return sampled


def _cells(at: Plane, cells: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Plane]:
    """Return the two cells between which a coordinate lies, and how far it is from the first to the second."""
    whole = np.floor(at)
    first = whole.astype(np.int64) % cells
    return first, (first + 1) % cells, at - whole
