"""Arithmetic and random numbers that have the same bits on every processor.

IEEE 754 fixes the results of +, -, *, / and sqrt, and integer arithmetic is exact. The last bits of numpy's exp, log,
sin, pow and hypot, of its normal random numbers and of its floating-point sums are not fixed: they depend on the
processor's vector instructions and on the C library. A JPEG file would then differ from one machine to the next. So the
phantoms are drawn with the functions below and with elementwise +, -, *, / and sqrt alone.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[Any]

DOUBLINGS = 10


def exponential(x: Plane) -> Plane:
    """Return (1 + x / 1024)**1024, which is e**x with a relative error of about x**2 / 2048; 0 for x under -1024."""
    power: Plane = np.maximum(1 + x / 2**DOUBLINGS, 0)
    for _ in range(DOUBLINGS):
        power = power * power
    return power


def bell(x: Plane) -> Plane:
    """Return e**(-x**2), computed by ``exponential``."""
    return exponential(-x * x)


def length(x: Plane, y: Plane) -> Plane:
    """Return the length of vectors."""
    root: Plane = np.sqrt(x * x + y * y)
    return root


def fraction(x: Plane) -> Plane:
    """Return ``x`` minus the largest integer that is not above it, in [0, 1)."""
    rest: Plane = x - np.floor(x)
    return rest


def wave(turns: Plane) -> Plane:
    """Return a parabolic approximation of sin(2 pi turns), with an error of at most 0.06."""
    half = 2 * fraction(turns) - 1
    sine: Plane = 4 * half * (np.abs(half) - 1)
    return sine


def quarter_turns(x: Plane, y: Plane) -> Plane:
    """Return the angle of vectors from the x axis, in quarter turns, -2 to 2, with an error of at most 0.1."""
    ahead = y / (np.abs(x) + np.abs(y) + 1e-6)
    direction: Plane = np.where(x > 0, ahead, np.where(y > 0, 2 - ahead, -2 - ahead))
    return direction


def cosine_and_sine(degrees: float) -> tuple[float, float]:
    """Return cosine and sine of an angle from an approximate tangent of half the angle.

    Their squares add up to 1. Between -60 and 60 degrees the angle is off by less than 1 degree.
    """
    half = degrees * math.pi / 360
    tangent = half + half * half * half / 3
    scale = 1 / (1 + tangent * tangent)
    return (1 - tangent * tangent) * scale, 2 * tangent * scale


def uniform(random: np.random.Generator, low: float, high: float) -> float:
    """Draw a uniform number; Python computes it, since numpy's C code may fuse the product and the sum."""
    return low + (high - low) * random.random()


def normal(random: np.random.Generator, mean: float, deviation: float) -> float:
    """Draw a nearly normal number: the sum of twelve uniform ones, within 6 standard deviations of the mean."""
    total: int = sum(random.integers(0, 2**32, 12).tolist())
    return mean + deviation * (total / 2**32 - 6)


def lognormal(random: np.random.Generator, median: float, deviation: float) -> float:
    """Draw a positive number whose logarithm is nearly normal with a standard deviation of ``deviation``."""
    return median * float(exponential(np.array(normal(random, 0, deviation))))


def noise(random: np.random.Generator, shape: tuple[int, int]) -> Plane:
    """Draw nearly normal numbers of mean 0 and standard deviation 1: sums of four uniform ones, float32."""
    total = random.integers(0, 2**16, (4, *shape), dtype=np.uint16).sum(axis=0, dtype=np.int64)
    grain: Plane = ((total - 2 * (2**16 - 1)) / (2**16 / math.sqrt(3))).astype(np.float32)
    return grain


def blurred(plane: Plane, deviation: float) -> Plane:
    """Approximate a Gaussian filter by repeatedly moving a part of each pixel to its four neighbours.

    Args:
        plane: shape (H, W); its edge pixels are repeated beyond it.
        deviation: standard deviation of the filter in px.
    """
    variance = deviation * deviation
    passes = math.ceil(2 * variance)
    for _ in range(passes):
        for axis in (0, 1):
            padded = np.pad(plane, [(1, 1) if side == axis else (0, 0) for side in (0, 1)], mode="edge")
            before, after = (padded[:-2], padded[2:]) if axis == 0 else (padded[:, :-2], padded[:, 2:])
            plane = plane + (variance / (2 * passes)) * (before - 2 * plane + after)
    return plane
