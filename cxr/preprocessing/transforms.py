"""The study's image transforms, on batches, each image with its own random draw.

Randomness enters as uniform numbers: a step takes the columns it needs and computes the same for the same numbers, on
any device and in batches of any size. Images are float32 of shape (B, 1, H, W), before normalisation, 0 to
255/pixel_divisor (1.13 in the study).

The meaning of each step is torchvision's on tensors (RandomRotation with nearest neighbour and black outside,
RandomHorizontalFlip, RandomCrop, ColorJitter), which the tests hold it against.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from cxr.files import written_whole
from cxr.preprocessing.arrays import LEVEL, open_array, read_rows
from cxr.study import layout
from cxr.study.steps import DRAWS, Steps, draws_of, resize_of

# Images as the arrays hold them: a mapped file, or a tensor that is kept on the GPU.
Stored = npt.NDArray[np.int16] | Tensor


def mirror(images: Tensor, uniforms: Tensor, probability: float) -> Tensor:
    """Mirror left to right those images whose uniform number is below ``probability``."""
    return torch.where((uniforms[:, 0] < probability)[:, None, None, None], images.flip(-1), images)


def rotate(images: Tensor, uniforms: Tensor, degrees: Sequence[float], aspects: Tensor | None = None) -> Tensor:
    """Rotate counter-clockwise by an angle between ``degrees[0]`` and ``degrees[1]``; nearest neighbour, 0 outside.

    Args:
        images: shape (B, 1, H, W).
        uniforms: shape (B, 1).
        degrees: the range of the angle.
        aspects: shape (B,), width / height of the originals, where images are square because they were resized. The
            rotation is then the one that the original would undergo before the resize: a shear in the square.
    """
    low, high = degrees
    angle = torch.deg2rad(low + (high - low) * uniforms[:, 0])
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


def crop(images: Tensor, uniforms: Tensor, size: int) -> Tensor:
    """Cut a window of ``size`` x ``size`` pixels, its corner drawn evenly from all places where it fits."""
    height, width = images.shape[-2:]
    top = (uniforms[:, 0] * (height - size + 1)).long().clamp(max=height - size)
    left = (uniforms[:, 1] * (width - size + 1)).long().clamp(max=width - size)
    window = torch.arange(size, device=images.device)
    image = torch.arange(len(images), device=images.device)
    rows, columns = top[:, None] + window, left[:, None] + window
    return images[image[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


def jitter(images: Tensor, uniforms: Tensor, widths: Mapping[str, float]) -> Tensor:
    """Change brightness and contrast by factors of 1 - w to 1 + w, in random order.

    Each clamps to 0..1 as it is applied, although the study's pixels reach 1.13. Saturation, which the study names
    too, has no effect on one channel.
    """
    brightness = 1 + widths["brightness"] * (2 * uniforms[:, 0] - 1)
    contrast = 1 + widths["contrast"] * (2 * uniforms[:, 1] - 1)

    def brighter(batch: Tensor) -> Tensor:
        return (batch * brightness[:, None, None, None]).clamp(0, 1)

    def contrasted(batch: Tensor) -> Tensor:
        mean = batch.mean(dim=(1, 2, 3), keepdim=True)
        return (mean + contrast[:, None, None, None] * (batch - mean)).clamp(0, 1)

    brightness_first = (uniforms[:, 2] < 0.5)[:, None, None, None]
    return torch.where(brightness_first, contrasted(brighter(images)), brighter(contrasted(images)))


STEPS: dict[str, Callable[..., Tensor]] = {"rotate": rotate, "mirror": mirror, "jitter": jitter}


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
    column = 0
    resize_follows = True
    for step in steps:
        ((name, value),) = step.items()
        mine = uniforms[:, column : column + DRAWS[name]]
        column += DRAWS[name]
        if name == "resize":
            resize_follows = False
        elif name == "crop":
            images = crop(images, mine, round(value * image_size))
        elif name == "rotate" and resize_follows:
            images = rotate(images, mine, value, aspects)
        else:
            images = STEPS[name](images, mine, value)
    return images


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


def write_examples(manifest: Path, results: Path, settings: dict[str, Any]) -> None:
    """Write ``preprocessing/<protocol>/transforms.npz``: three training images under each transform, 0 (black) to 1.

    Args:
        manifest: ``manifest.csv``.
        results: ``results/<config name>``, with ``preprocessing/<protocol>/split.csv`` and the ``arrays``.
        settings: by protocol: ``transforms`` (steps by name; each gives an array of shape (3, H, W)), ``arrays`` (names
            of those of the sizes that the transforms start from), ``image_size`` and ``seed``.
    """
    cohort = pd.read_csv(manifest)
    row_of = pd.Series(range(len(cohort)), index=cohort["path"])
    for protocol, chosen in settings.items():
        train = pd.read_csv(layout.split(results, protocol)).query("set == 'train'")["path"]
        rows = row_of[train.iloc[[0, len(train) // 2, len(train) - 1]]].to_numpy()
        arrays = (open_array(layout.array(results, name)) for name in chosen["arrays"])
        by_size = {array.shape[-1]: array for array in arrays}
        aspects = torch.from_numpy(aspect_ratios(cohort)[rows])
        generator = torch.Generator().manual_seed(chosen["seed"])
        shown: dict[str, Any] = {}
        for name, steps in chosen["transforms"].items():
            array = by_size[round(resize_of(steps) * chosen["image_size"])]
            images = load_images(array, rows, 255, torch.device("cpu"))
            uniforms = torch.rand(len(rows), draws_of(steps), generator=generator)
            shown[name] = apply_steps(images, uniforms, steps, chosen["image_size"], aspects)[:, 0].numpy()
        with written_whole(layout.preprocessing(results, protocol).with_name("transforms.npz")) as part:
            np.savez_compressed(part, **shown)
