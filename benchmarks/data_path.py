"""Images per second that a network is fed: by our arrays, by torchvision's usual path, by the study's own loop."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.cohort import ORIGINAL, prepared, some_images
from benchmarks.timing import Row, rates, row_of_rates
from cxr.study.settings import run_settings
from cxr.training.batches import generator_for

SIZE, BATCH = 224, 30
MEAN, DEVIATION = 0.5455, 0.2587


def ours(size: tuple[int, int] | None) -> Callable[[], int]:
    """Return an epoch of three-channel batches from the arrays: every image once as it is and once mirrored."""
    cohort = prepared(SIZE, size=size)
    images = cohort.sets(run_settings(cohort.study, "resnet18-III", "published", 42))["train"]

    def epoch() -> int:
        batches = images.batches(BATCH, generator_for(42, 1, 0), shuffle=True)
        # The other paths copy the channel three times, ours expands it; copy here, too, for a fair comparison.
        return sum(len(batch.contiguous()) for batch, _ in batches)

    return epoch


def data_loader(size: tuple[int, int] | None, workers: int) -> Callable[[], int]:
    """Return the same epoch with ImageFolder, DataLoader and transforms.v2; its workers stay alive between epochs."""
    steps = [v2.Grayscale(3), v2.PILToTensor(), v2.Resize((SIZE, SIZE), antialias=False)]
    finish = [v2.ToDtype(torch.float32, scale=True), v2.Normalize([MEAN] * 3, [DEVIATION] * 3)]
    folder = some_images(size) / "train"
    sets = [
        ImageFolder(folder, v2.Compose([*steps, *mirror, *finish])) for mirror in ([], [v2.RandomHorizontalFlip(1)])
    ]
    both: ConcatDataset[tuple[Tensor, int]] = ConcatDataset(sets)
    loader = DataLoader(both, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)

    def epoch() -> int:
        return sum(len(batch) for batch, _ in loader)

    return epoch


def loop(size: tuple[int, int] | None, images: int) -> Callable[[], int]:
    """Return a loop as the study describes it: full-size float images, three channels, resized each time."""
    warnings.filterwarnings("ignore", message="Creating a tensor from a list of numpy.ndarrays")
    paths = sorted((some_images(size) / "train").rglob("*.jp*g"))[:images]
    kept = [_as_floats(path) for path in paths]
    resize = v2.Resize((SIZE, SIZE), antialias=False)

    def epoch() -> int:
        for image in kept:
            # The plain way to copy a channel; torch warns that it is slow.
            (resize(torch.tensor([image, image, image])) - MEAN) / DEVIATION
        return len(kept)

    return epoch


def _as_floats(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), np.float32) / 225


def rows(repeats: int) -> list[Row]:
    """Measure the data path on images of their original size and of 224 px."""
    found = []
    for name, size, goal in (("original size", ORIGINAL, 3.0), ("224 px files", None, 1.3)):
        workers = range((os.cpu_count() or 1) + 1)
        loaders = {f"DataLoader, {count} workers": data_loader(size, count) for count in workers}
        measured = rates({"ours": ours(size), **loaders}, repeats)
        best = max(loaders, key=lambda loader: sorted(measured[loader])[repeats // 2])
        found.append(row_of_rates(f"data path, {name}", measured, "ours", best, goal, "two transforms an image"))
        if size:
            slow = rates({"ours": ours(size), "the study's loop": loop(size, 3)}, repeats)
            note = "float arrays at full size, channel copied, resized at every access"
            found.append(row_of_rates(f"data path, {name}", slow, "ours", "the study's loop", 500.0, note))
    return found
