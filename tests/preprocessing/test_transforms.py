"""Our batched transforms against torchvision's own, image by image with the same draws."""

from pathlib import Path

import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from cxr.preprocessing.transforms import apply_steps, crop, jitter, mirror, parameters_of_steps, rotate
from cxr.study.config import PAPER, read_experiments
from cxr.study.steps import draws_of

GENERATOR = torch.Generator().manual_seed(3)
CATALOGUE = read_experiments(PAPER / "experiments.yaml")


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(16, 1, 56, 72, generator=GENERATOR) * 255 / 225


def test_rotate_is_torchvisions(images: torch.Tensor) -> None:
    uniforms = torch.rand(16, 1, generator=GENERATOR)
    ours = rotate(images, uniforms, [-20, 20])
    for image, turned, u in zip(images, ours, uniforms[:, 0].tolist(), strict=True):
        expected = tv.rotate(image, -20 + 40 * u, interpolation=InterpolationMode.NEAREST, fill=[0.0])
        # Nearest neighbours may fall either way where a point lies between two pixels but for rounding.
        assert (turned != expected).double().mean() < 0.002
        assert (turned == 0).any(), "corners are black"


def test_mirror_is_torchvisions_for_those_drawn(images: torch.Tensor) -> None:
    uniforms = torch.rand(16, 1, generator=GENERATOR)
    ours = mirror(images, uniforms, 0.5)
    chosen = uniforms[:, 0] < 0.5
    assert 0 < chosen.sum() < 16
    assert torch.equal(ours[chosen], tv.horizontal_flip(images[chosen]))
    assert torch.equal(ours[~chosen], images[~chosen])
    assert torch.equal(mirror(images, uniforms, 1.0), tv.horizontal_flip(images))


def test_crop_is_torchvisions_and_reaches_every_place(images: torch.Tensor) -> None:
    uniforms = torch.rand(16, 2, generator=GENERATOR)
    ours = crop(images, uniforms, 48)
    for image, window, (u, v) in zip(images, ours, uniforms.tolist(), strict=True):
        assert torch.equal(window, tv.crop(image, int(u * 9), int(v * 25), 48, 48))
    ends = torch.tensor([[0.0, 0.0], [1 - 2**-24, 1 - 2**-24]])
    corners = crop(images[:2], ends, 48)
    assert torch.equal(corners[0], images[0, :, :48, :48]) and torch.equal(corners[1], images[1, :, -48:, -48:])


def test_jitter_is_torchvisions_in_both_orders(images: torch.Tensor) -> None:
    uniforms = torch.rand(16, 3, generator=GENERATOR)
    ours = jitter(images, uniforms, {"brightness": 0.3, "contrast": 0.1})
    orders = set()
    for image, changed, (u, v, w) in zip(images, ours, uniforms.tolist(), strict=True):
        brightness, contrast = 0.7 + 0.6 * u, 0.9 + 0.2 * v
        if w < 0.5:
            expected = tv.adjust_contrast(tv.adjust_brightness(image, brightness), contrast)
        else:
            expected = tv.adjust_brightness(tv.adjust_contrast(image, contrast), brightness)
        orders.add(w < 0.5)
        assert torch.allclose(changed, expected, atol=1e-6)
        assert changed.max() <= 1, "pixels above 1 are clamped, as the study's were"
        assert torch.equal(tv.adjust_saturation(image, 1.1), image), "saturation does nothing to one channel"
    assert orders == {True, False}


def test_a_rotation_before_the_resize_is_the_originals() -> None:
    """Rotate an original, then resize it: the same as to rotate the resized image in the original's aspect ratio."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 200), torch.linspace(-1, 1, 300), indexing="ij")
    original = (torch.sin(3 * x) * torch.cos(2 * y) / 2 + 0.5)[None]
    uniforms = torch.tensor([[0.85]])
    expected = tv.resize(tv.rotate(original, 17.0, fill=[0.0]), [96, 96], antialias=False)
    square = tv.resize(original, [96, 96], antialias=False)[None]
    steps = [{"rotate": [0, 20]}, {"resize": 1.0}]
    ours = apply_steps(square, uniforms, steps, 96, torch.tensor([1.5]))[0]
    assert (ours - expected).abs().mean() < 0.01
    wrong = apply_steps(square, uniforms, steps[::-1], 96, torch.tensor([1.5]))[0]
    assert (wrong - expected).abs().mean() > 0.03


@pytest.mark.parametrize("name", CATALOGUE["transforms"])
def test_each_image_has_its_own_draw_whatever_the_batch(name: str) -> None:
    steps = CATALOGUE["transforms"][name]["steps"]
    size = round(48 * steps[0]["resize"])
    batch = torch.rand(1, 1, size, size, generator=GENERATOR).expand(8, -1, -1, -1)
    uniforms = torch.rand(8, draws_of(steps), generator=GENERATOR)
    aspects = torch.linspace(0.8, 1.6, 8)
    together = apply_steps(batch, uniforms, steps, 48, aspects)
    assert together.shape == (8, 1, 48, 48)
    alone = torch.cat(
        [apply_steps(batch[i : i + 1], uniforms[i : i + 1], steps, 48, aspects[i : i + 1]) for i in range(8)]
    )
    assert torch.equal(together, alone)
    assert (len(together.unique(dim=0)) > 1) == any(
        "rotate" in step or "crop" in step or "jitter" in step for step in steps
    )


def test_parameters_are_those_that_were_applied(images: torch.Tensor) -> None:
    """torchvision, told the parameters, makes the same of each image."""
    square = images[:, :, :, :56].contiguous()
    steps = [
        {"resize": 1.0},
        {"crop": 48 / 56},
        {"mirror": 0.5},
        {"jitter": {"brightness": 0.3, "contrast": 0.1}},
        {"rotate": [-5, 5]},
    ]
    uniforms = torch.rand(16, draws_of(steps), generator=GENERATOR)
    ours = apply_steps(square, uniforms, steps, 56, torch.ones(16))
    none, corner, side, factors, turn = parameters_of_steps(uniforms, steps, 56)
    assert none == {} and 0 < side["mirrored"].sum() < 16 and 0 < factors["brightness_first"].sum() < 16
    for index, (image, made) in enumerate(zip(square, ours, strict=True)):
        expected = tv.crop(image, int(corner["top"][index]), int(corner["left"][index]), 48, 48)
        if side["mirrored"][index]:
            expected = tv.horizontal_flip(expected)
        changes = [
            lambda image, by=float(factors["brightness"][index]): tv.adjust_brightness(image, by),
            lambda image, by=float(factors["contrast"][index]): tv.adjust_contrast(image, by),
        ]
        for change in changes if factors["brightness_first"][index] else changes[::-1]:
            expected = change(expected)
        turned = tv.rotate(expected, float(turn["angle"][index]), InterpolationMode.NEAREST, fill=[0.0])
        # As above: nearest neighbours may fall either way.
        assert (~torch.isclose(made, turned, atol=1e-5)).double().mean() < 0.01


def test_examples_hold_every_transform(make_cohort, tmp_path: Path) -> None:
    import numpy as np
    import pandas as pd

    from cxr.preprocessing.arrays import write_arrays
    from cxr.preprocessing.examples import write_examples
    from cxr.preprocessing.split import write_split
    from cxr.study.config import read_protocol

    manifest, cohort = make_cohort()
    arrays, split = tmp_path / "preprocessing" / "arrays", tmp_path / "preprocessing" / "published" / "split.csv"
    write_arrays(manifest, cohort, [arrays / "32px.npy", arrays / "40px.npy"])
    write_split(manifest, read_protocol("published"), split)
    transforms = {name: transform["steps"] for name, transform in CATALOGUE["transforms"].items()}
    settings = {"transforms": transforms, "arrays": ["32px", "40px"], "image_size": 32, "seed": 42}
    write_examples(manifest, tmp_path, {"published": settings})
    with np.load(tmp_path / "preprocessing" / "published" / "transforms.npz") as examples:
        assert {name for name in examples if "." not in name} == set(transforms)
        assert all(examples[name].shape == (10, 32, 32) for name in transforms)
        first = pd.read_csv(split).query("set == 'train'")["path"].iloc[0]
        row = pd.read_csv(manifest)["path"].tolist().index(first)
        assert np.allclose(examples["T0"][0] * 255 * 128, np.load(arrays / "32px.npy")[row], atol=0.01)
        assert np.array_equal(examples["T2"], examples["T0"][:, :, ::-1])
        # What is stored beside the pictures was done to them.
        drawn = {name for name in examples if "." in name}
        assert {"T1.1.angle", "T2.1.mirrored", "T3.1.brightness", "T4.1.left", "T4.2.mirrored", "T4.3.angle"} <= drawn
        assert all(examples[name].shape == (10,) for name in drawn) and examples["T2.1.mirrored"].all()
        for original, turned, angle in zip(examples["T0"], examples["T1"], examples["T1.1.angle"], strict=True):
            expected = tv.rotate(torch.from_numpy(original)[None], float(angle), InterpolationMode.NEAREST, fill=[0.0])
            assert (expected[0].numpy() != turned).mean() < 0.01
