"""The study's image transforms, on batches, each image with its own random draw.

Randomness enters as uniform numbers: a step takes the columns it needs and computes the same for the same numbers, on
any device and in batches of any size. Images are float32 of shape (B, 1, H, W), before normalisation, 0 to
255/pixel_divisor (1.13 in the study).

The meaning of each step is torchvision's on tensors (RandomRotation with nearest neighbour and black outside,
RandomHorizontalFlip, RandomCrop, ColorJitter), which the tests hold it against.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from cxr.preprocessing.arrays import LEVEL, read_rows
from cxr.study.steps import DRAWS, Steps, resize_of

# Images as the arrays hold them: a mapped file, or a tensor that is kept on the GPU.
Stored = npt.NDArray[np.int16] | Tensor


def mirrored(uniforms: Tensor, probability: float) -> Tensor:
    """Return which images are mirrored: those whose uniform number is below ``probability``."""
    return uniforms[:, 0] < probability


def mirror(images: Tensor, uniforms: Tensor, probability: float) -> Tensor:
    """Mirror left to right the images that ``mirrored`` chooses."""
    return torch.where(mirrored(uniforms, probability)[:, None, None, None], images.flip(-1), images)


def angles(uniforms: Tensor, degrees: Sequence[float]) -> Tensor:
    """Return the angle of each image's rotation, counter-clockwise, between ``degrees[0]`` and ``degrees[1]``."""
    low, high = degrees
    return low + (high - low) * uniforms[:, 0]


def rotate(images: Tensor, uniforms: Tensor, degrees: Sequence[float], aspects: Tensor | None = None) -> Tensor:
    """Rotate counter-clockwise by ``angles``; nearest neighbour, 0 outside.

    Args:
        images: shape (B, 1, H, W).
        uniforms: shape (B, 1).
        degrees: the range of the angle.
        aspects: shape (B,), width / height of the originals, where images are square because they were resized. The
            rotation is then the one that the original would undergo before the resize: a shear in the square.
    """
    angle = torch.deg2rad(angles(uniforms, degrees))
    height, width = images.shape[-2:]
    # Output pixel centres about the image's centre, in pixels; the inverse rotation says where each comes from.
    x = torch.arange(width, device=images.device, dtype=torch.float32) - (width - 1) / 2
    y = torch.arange(height, device=images.device, dtype=torch.float32) - (height - 1) / 2
    cosine, sine = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    stretch = torch.ones_like(cosine) if aspects is None else aspects[:, None, None]
    from_x = cosine * x - sine / stretch * y[:, None]
    from_y = sine * stretch * x + cosine * y[:, None]
    grid = torch.stack([from_x / (width / 2), from_y / (height / 2)], dim=-1)
    return torch.nn.functional.grid_sample(images, grid, mode="nearest", padding_mode="zeros", align_corners=False)


def corners(uniforms: Tensor, height: int, width: int, size: int) -> tuple[Tensor, Tensor]:
    """Return top and left of each image's window of ``size`` x ``size`` pixels, drawn evenly from all that fit."""
    top = (uniforms[:, 0] * (height - size + 1)).long().clamp(max=height - size)
    left = (uniforms[:, 1] * (width - size + 1)).long().clamp(max=width - size)
    return top, left


def crop(images: Tensor, uniforms: Tensor, size: int) -> Tensor:
    """Cut from each image the window of ``size`` x ``size`` pixels at its ``corners``."""
    height, width = images.shape[-2:]
    top, left = corners(uniforms, height, width, size)
    window = torch.arange(size, device=images.device)
    image = torch.arange(len(images), device=images.device)
    rows, columns = top[:, None] + window, left[:, None] + window
    return images[image[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


def factors(uniforms: Tensor, widths: Mapping[str, float]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the factors of brightness and of contrast, 1 - w to 1 + w, and where brightness comes first."""
    brightness = 1 + widths["brightness"] * (2 * uniforms[:, 0] - 1)
    contrast = 1 + widths["contrast"] * (2 * uniforms[:, 1] - 1)
    return brightness, contrast, uniforms[:, 2] < 0.5


def jitter(images: Tensor, uniforms: Tensor, widths: Mapping[str, float]) -> Tensor:
    """Change brightness and contrast by ``factors``, in their order.

    Each clamps to 0..1 as it is applied, although the study's pixels reach 1.13. Saturation, which the study names
    too, has no effect on one channel.
    """
    brightness, contrast, first = factors(uniforms, widths)

    def brighter(batch: Tensor) -> Tensor:
        return (batch * brightness[:, None, None, None]).clamp(0, 1)

    def contrasted(batch: Tensor) -> Tensor:
        mean = batch.mean(dim=(1, 2, 3), keepdim=True)
        return (mean + contrast[:, None, None, None] * (batch - mean)).clamp(0, 1)

    return torch.where(first[:, None, None, None], contrasted(brighter(images)), brighter(contrasted(images)))


STEPS: dict[str, Callable[..., Tensor]] = {"rotate": rotate, "mirror": mirror, "jitter": jitter}


def _draws(steps: Steps, uniforms: Tensor) -> Iterator[tuple[str, Any, Tensor]]:
    """Yield the name and the value of each step, and its columns of the uniform numbers."""
    column = 0
    for step in steps:
        ((name, value),) = step.items()
        yield name, value, uniforms[:, column : column + DRAWS[name]]
        column += DRAWS[name]


def apply_steps(images: Tensor, uniforms: Tensor, steps: Steps, image_size: int, aspects: Tensor) -> Tensor:
    """Apply a transform's steps to images that are resized already.

    Args:
        images: shape (B, 1, H, W), already at the size of the transform's resize.
        uniforms: shape (B, draws_of(steps)), 0 <= u < 1, on the images' device.
        steps: of ``paper/experiments.yaml``.
        image_size: what crops are multiples of, in pixels.
        aspects: shape (B,), width / height of the originals, for rotations that stand before the resize.

    Returns:
        Shape (B, 1, image_size, image_size) for the study's transforms, not normalised.
    """
    resize_follows = True
    for name, value, mine in _draws(steps, uniforms):
        if name == "resize":
            resize_follows = False
        elif name == "crop":
            images = crop(images, mine, round(value * image_size))
        elif name == "rotate" and resize_follows:
            images = rotate(images, mine, value, aspects)
        else:
            images = STEPS[name](images, mine, value)
    return images


def parameters_of_steps(uniforms: Tensor, steps: Steps, image_size: int) -> list[dict[str, Tensor]]:
    """Return what ``apply_steps`` does to each image under the same uniform numbers.

    Args:
        uniforms: shape (B, draws_of(steps)).
        steps: of ``paper/experiments.yaml``.
        image_size: what the resize and crops are multiples of, in pixels.

    Returns:
        For each step tensors of shape (B,) by name, in the order in which they take effect: ``angle`` (degrees,
        counter-clockwise) of a rotation; ``mirrored``; ``top`` and ``left`` (pixels) of a crop; ``brightness`` and
        ``contrast`` (factors) and ``brightness_first`` of a jitter; none of a resize.
    """
    found: list[dict[str, Tensor]] = []
    side = round(resize_of(steps) * image_size)
    for name, value, mine in _draws(steps, uniforms):
        if name == "rotate":
            found.append({"angle": angles(mine, value)})
        elif name == "mirror":
            found.append({"mirrored": mirrored(mine, value)})
        elif name == "crop":
            size = round(value * image_size)
            found.append(dict(zip(("top", "left"), corners(mine, side, side, size), strict=True)))
            side = size
        elif name == "jitter":
            names = ("brightness", "contrast", "brightness_first")
            found.append(dict(zip(names, factors(mine, value), strict=True)))
        else:
            found.append({})
    return found


def load_images(array: Stored, rows: npt.NDArray[np.integer[Any]], divisor: float, device: torch.device) -> Tensor:
    """Return rows of a stored array as float32 of shape (B, 1, H, W), 0 to 255/divisor, on ``device``."""
    # On the device already: what moves is the list of rows. From the mapped file, only those rows are read.
    if isinstance(array, Tensor):
        stored = array[torch.from_numpy(rows).to(device)]
    else:
        stored = torch.from_numpy(read_rows(array, rows))
    return stored.to(device, torch.float32).div_(LEVEL * divisor)[:, None]


def aspect_ratios(manifest: pd.DataFrame) -> npt.NDArray[np.float32]:
    """Return width / height of every image of a manifest."""
    return (manifest["width"] / manifest["height"]).to_numpy(np.float32)
