"""Networks that see only a part of the image."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cxr.explanation.visible import aurocs, probabilities_by_view

SETTINGS: dict[str, Any] = {"channels_last": False, "precision": "float32"}


def test_what_tells_the_classes_apart_is_seen_or_hidden_with_the_masks(planted: nn.Module, squares: Tensor) -> None:
    images, labels = torch.cat([squares, -squares]), np.array([1, 1, 1, 0, 0, 0])
    inside = torch.zeros(6, 32, 32, dtype=torch.bool)
    inside[:, 8:16, 20:28] = True
    found = probabilities_by_view(planted, images, inside, SETTINGS)
    assert aurocs(labels, found) == {"whole": 1, "lungs": 1, "outside": 0.5}
    flipped = aurocs(labels, probabilities_by_view(planted, images, ~inside, SETTINGS))
    assert flipped == {"whole": 1, "lungs": 0.5, "outside": 1}


def test_hidden_pixels_have_the_mean_of_the_training_images(planted: nn.Module, squares: Tensor) -> None:
    everything = torch.ones(3, 32, 32, dtype=torch.bool)
    found = probabilities_by_view(planted, squares, everything, SETTINGS)
    assert np.array_equal(found["whole"], found["lungs"])
    with torch.no_grad():
        nothing = planted(torch.zeros(3, 1, 32, 32)).softmax(1)[:, 1].double().numpy()
    assert np.array_equal(found["outside"], nothing)


def test_of_one_class_there_is_no_auroc() -> None:
    assert aurocs(np.array([1, 1]), {"whole": np.array([0.2, 0.4])}) == {"whole": None}
