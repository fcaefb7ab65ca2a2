"""Batches of transformed, normalised images, made on the training device from the arrays.

Everything random in an epoch is drawn from generators that are seeded with (seed, epoch, purpose). So an epoch can be
made again without the ones before it, and a continued run meets the same images in the same order.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cxr.preprocessing.transforms import Stored, apply_steps, load_images
from cxr.study.steps import Steps, draws_of, resize_of

# Transforms run on so many images at once: many enough for time not to go in launches, few enough for a cache
CHUNK = 120
# What random numbers are drawn for.
TRAINING, VALIDATION, NETWORK = range(3)


class Batches(ABC):
    """A set whose item i is image ``i % n`` under transform ``i // n``, in batches.

    With four transforms, every image stands in the set four times.
    """

    paths: Sequence[str]
    labels: npt.NDArray[np.int64]
    transforms: Sequence[Steps]
    device: torch.device

    def __len__(self) -> int:
        return len(self.labels) * len(self.transforms)

    @abstractmethod
    def inputs(self, items: npt.NDArray[np.int64], uniforms: Tensor) -> Tensor:
        """Return what the network sees of some items, given a row of uniform numbers for each."""

    def batches(self, batch_size: int, generator: torch.Generator, shuffle: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all items once as (inputs, labels), the last batch with what is left.

        Args:
            batch_size: images in a batch.
            generator: a CPU generator; it gives the order first, and then every image's draws.
            shuffle: whether the order is drawn, or that of the items.
        """
        order = torch.randperm(len(self), generator=generator) if shuffle else torch.arange(len(self))
        # One row of draws for each item, all at once: they do not depend on how the items are grouped.
        uniforms = torch.rand(len(self), max(map(draws_of, self.transforms)), generator=generator)
        items = order.numpy()
        step = max(CHUNK // batch_size, 1) * batch_size
        for start in range(0, len(items), step):
            part = items[start : start + step]
            inputs = self.inputs(part, uniforms[order[start : start + step]])
            labels = torch.from_numpy(self.labels[part % len(self.labels)]).to(self.device)
            yield from zip(torch.split(inputs, batch_size), torch.split(labels, batch_size), strict=True)


@dataclass(frozen=True)
class ImageSet(Batches):
    """The images of one set (train, validation or test) under one or several transforms.

    Attributes:
        paths: the images' paths in the manifest.
        rows: the images' rows in the arrays.
        labels: their classes, 0 or 1.
        transforms: the steps of each transform.
        arrays: arrays of all images by side length in pixels: mapped files, or tensors on the device.
        aspects: width / height of every image in the arrays.
        channels: 1, or 3 to copy the grey channel.
        image_size: side length in pixels at which networks see the images.
        pixel_divisor: grey levels are divided by it.
        mean: what is subtracted then,
        std: and what is divided by.
        device: where batches are made.
    """

    paths: Sequence[str]
    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    transforms: Sequence[Steps]
    arrays: Mapping[int, Stored]
    aspects: npt.NDArray[np.float32]
    channels: int
    image_size: int
    pixel_divisor: float
    mean: float
    std: float
    device: torch.device

    def inputs(self, items: npt.NDArray[np.int64], uniforms: Tensor) -> Tensor:
        """Return the images of some items, normalised, shape (len(items), channels, image_size, image_size)."""
        size = self.image_size
        made = torch.empty(len(items), 1, size, size, device=self.device)
        which = items // len(self.rows)
        for index, steps in enumerate(self.transforms):
            places = np.flatnonzero(which == index)
            if len(places) == 0:
                continue
            array = self.arrays[round(resize_of(steps) * size)]
            rows = self.rows[items[places] % len(self.rows)]
            chosen = torch.from_numpy(places)
            images = load_images(array, rows, self.pixel_divisor, self.device)
            draws, aspects = uniforms[chosen].to(self.device), torch.from_numpy(self.aspects[rows]).to(self.device)
            made[chosen.to(self.device)] = apply_steps(images, draws, steps, size, aspects)
        return made.sub_(self.mean).div_(self.std).expand(-1, self.channels, -1, -1)


@dataclass(frozen=True)
class FeatureSet(Batches):
    """An ``ImageSet`` of transforms that draw nothing at random, as a fixed network sees it: its features.

    Attributes:
        paths: the images' paths in the manifest.
        labels: their classes, 0 or 1.
        transforms: the steps of each transform.
        features: shape (transforms, images, features), on the device.
        device: where the features are.
    """

    paths: Sequence[str]
    labels: npt.NDArray[np.int64]
    transforms: Sequence[Steps]
    features: Tensor
    device: torch.device

    def inputs(self, items: npt.NDArray[np.int64], uniforms: Tensor) -> Tensor:
        """Return the features of some items, shape (len(items), features); the uniform numbers are not needed."""
        return self.features.flatten(0, 1)[torch.from_numpy(items).to(self.device)]


def generator_for(seed: int, epoch: int, purpose: int) -> torch.Generator:
    """Return a CPU generator for one purpose (``TRAINING``, ``VALIDATION`` or ``NETWORK``) in one epoch of one run."""
    words = np.random.SeedSequence([seed, epoch, purpose]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(words[0]) << 32 | int(words[1]))
