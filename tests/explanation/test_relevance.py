"""The share of relevance inside the lungs, where it is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cxr.errors import InputError
from cxr.explanation.grad_cam import grad_cam
from cxr.explanation.relevance import lungs_of, share_inside, summarised


def test_all_relevance_of_a_planted_square_lies_inside_it(planted: nn.Module, squares: Tensor) -> None:
    maps = grad_cam(planted, squares, "relu", 1)
    inside = torch.zeros(len(squares), 32, 32, dtype=torch.bool)
    inside[:, 8:16, 20:28] = True
    assert share_inside(maps, inside).min() > 0.99
    assert share_inside(maps, ~inside).max() < 0.01


def test_evenly_spread_relevance_gives_the_area_and_none_gives_nan() -> None:
    half = torch.zeros(2, 8, 8, dtype=torch.bool)
    half[:, :, :4] = True
    maps = torch.stack([torch.full((4, 4), 1e-7), torch.zeros(4, 4)])
    np.testing.assert_allclose(share_inside(maps, half), [0.5, np.nan])


def test_the_summary_tells_right_from_wrong_and_leaves_out_what_has_no_relevance() -> None:
    shares = np.array([0.2, 0.4, np.nan, 0.9])
    found = summarised(shares, np.array([0.2, 0.3, 0.9, 0.4]), np.array([True, True, True, False]))
    assert found["right"] == {
        "n": 2,
        "without_relevance": 1,
        "mean": pytest.approx(0.3),
        "quartiles": pytest.approx([0.25, 0.3, 0.35]),
        "lung_area": pytest.approx(0.25),
    }
    assert found["wrong"]["mean"] == 0.9 and found["all"]["n"] == 3
    nothing = summarised(np.array([np.nan]), np.array([0.5]), np.array([True]))
    assert nothing["all"]["mean"] is nothing["wrong"]["quartiles"] is None and nothing["all"]["without_relevance"] == 1


def test_masks_are_resized_to_the_images_and_those_of_other_images_refused(tmp_path: Path) -> None:
    masks = np.zeros((3, 64, 64), np.uint8)
    masks[1, 16:32, 32:] = 1
    np.savez(tmp_path / "lungs.npz", masks=np.packbits(masks, axis=-1))
    for size in (32, 64, 224):
        first, second = lungs_of(tmp_path / "lungs.npz", np.array([1, 0]), 3, size)
        expected = np.zeros((size, size), bool)
        expected[size // 4 : size // 2, size // 2 :] = True
        assert np.array_equal(first, expected) and not second.any()
    with pytest.raises(InputError, match=r"lungs\.npz holds masks of 3 images and not of 4; delete it and run again"):
        lungs_of(tmp_path / "lungs.npz", np.array([0]), 4, 64)
