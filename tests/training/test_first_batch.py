"""The stored first batch is the one that a network meets first."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from result_tree import make_study

from cxr.files import read_json
from cxr.preprocessing.arrays import write_arrays
from cxr.preprocessing.normalisation import write_normalisation
from cxr.preprocessing.split import write_split
from cxr.study.config import PAPER
from cxr.study.settings import run_settings, split_settings
from cxr.training.epochs import train_epoch
from cxr.training.first_batch import write_first_batch
from cxr.training.sets import image_sets, members_of_sets, stored_images


class Listener(torch.nn.Module):
    """A linear network that keeps the inputs it was given."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(size * size, 2)
        self.heard: list[torch.Tensor] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.heard.append(images.clone())
        logits: torch.Tensor = self.linear(images[:, 0].flatten(1))
        return logits


def test_the_first_batch_is_what_the_network_sees_first(
    make_cohort: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    manifest, cohort = make_cohort()
    study = make_study(image_size=32)
    settings = run_settings(study, "custom", "published", 42)
    split, preprocessing = tmp_path / "split.csv", tmp_path / "preprocessing.json"
    arrays = [tmp_path / "32px.npy", tmp_path / "40px.npy"]
    write_arrays(manifest, cohort, arrays)
    write_split(manifest, split_settings(study, "published"), split)
    published = PAPER / "published" / "results.json"
    write_normalisation(manifest, split, arrays[0], published, split_settings(study, "published"), preprocessing)
    write_first_batch(settings, manifest, split, preprocessing, arrays, tmp_path / "batch.npz")

    table = pd.read_csv(manifest)
    members = members_of_sets(settings, table, pd.read_csv(split))
    stored = stored_images(tuple(arrays), torch.device("cpu"))
    images = image_sets(settings, members, table, read_json(preprocessing), stored)["train"]
    network = Listener(32)
    train_epoch(network, torch.optim.SGD(network.parameters(), lr=0.1), images, settings, 1)
    with np.load(tmp_path / "batch.npz") as batch:
        assert batch["inputs"].shape == (10, 1, 32, 32)
        assert np.array_equal(batch["inputs"], network.heard[0].numpy())
        assert len(batch["labels"]) == 10 and set(batch["labels"].tolist()) <= {0, 1}
        # The brighter images are of PNEUMONIA.
        means = batch["inputs"].mean(axis=(1, 2, 3))
        assert means[batch["labels"] == 1].min() > means[batch["labels"] == 0].max()
        assert batch["black"] < batch["inputs"].max() <= batch["white"] + 1e-5
