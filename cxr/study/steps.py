"""What a transform's list of steps means, as far as it can be known without tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

from cxr.errors import InputError

Steps = Sequence[Mapping[str, Any]]

# How many uniform random numbers an image needs for each step; the resize is done when the arrays are made.
DRAWS = {"resize": 0, "rotate": 1, "mirror": 1, "crop": 2, "jitter": 3}


def draws_of(steps: Steps) -> int:
    """Return how many uniform numbers an image needs for a transform."""
    return sum(DRAWS[name] for step in steps for name in step)


def resize_of(steps: Steps) -> float:
    """Return the multiple of image_size to which a transform resizes."""
    return next(float(step["resize"]) for step in steps if "resize" in step)


def check_steps(steps: Steps, where: str) -> None:
    """Check what no schema can say: one resize, and nothing but rotations before it.

    Raises:
        InputError: beginning with ``where``, the transform's place.
    """
    names = [name for step in steps for name in step]
    if names.count("resize") != 1:
        raise InputError(f"{where} must have exactly one step 'resize'.")
    if set(names[: names.index("resize")]) - {"rotate"}:
        raise InputError(f"{where}: only rotations may stand before the resize.")


def is_fixed(steps: Steps) -> bool:
    """Return whether a transform does the same to an image every time: nothing but a resize or a certain mirror."""
    return all(
        name == "resize" or (name == "mirror" and value in (0, 1)) for step in steps for name, value in step.items()
    )
