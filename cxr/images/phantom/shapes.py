"""The shapes that all drawings are made of; each takes body coordinates and returns a plane of the same shape.

Body coordinates: x to the patient's left (right in the image), y down, both in half widths of the thorax, with the
origin in the middle of the chest.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

Plane = npt.NDArray[Any]


def edge(distance: Plane, width: float) -> Plane:
    """1 where the distance is positive, 0 where it is negative, smooth over ``width``."""
    t = np.clip(0.5 + distance / width, 0, 1)
    step: Plane = t * t * (3 - 2 * t)
    return step


def bump(distance: Plane, width: Plane | float) -> Plane:
    """Depth of a cylinder of radius ``width`` at a distance from its axis, at most 1."""
    depth: Plane = np.sqrt(np.clip(1 - np.square(distance / width), 0, 1))
    return depth


def oval(x: Plane, y: Plane, centre: tuple[float, float], axes: tuple[float, float], turn: float = 0.0) -> Plane:
    """Positive inside an ellipse, 1 in its middle, 0 on its outline; ``turn`` in radians, clockwise in the image."""
    u, v = x - centre[0], y - centre[1]
    c, s = np.cos(turn), np.sin(turn)
    inside: Plane = 1 - np.hypot((c * u + s * v) / axes[0], (c * v - s * u) / axes[1])
    return inside


def texture(x: Plane, y: Plane, random: np.random.Generator, grain: float) -> Plane:
    """Random relief fixed to the body, mean 0 and standard deviation 1, with structures of about ``grain``."""
    cells = 128
    span = min(4.0, 24 * grain)  # repeats beyond
    relief = gaussian_filter(random.standard_normal((cells, cells)), grain / span * cells / 2, mode="wrap")
    at = np.stack([y, x]) / span * cells
    sampled: Plane = map_coordinates((relief / relief.std()).astype(np.float32), at, order=1, mode="grid-wrap")
    return sampled
