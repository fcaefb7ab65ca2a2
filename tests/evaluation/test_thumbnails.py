"""Thumbnails of images and of their parts."""

import numpy as np
import pytest

from cxr.evaluation.thumbnails import area_weights, thumbnails_of, thumbnails_of_parts


@pytest.mark.parametrize("size", [32, 48, 64, 224])
def test_thumbnails_average_by_area(size: int) -> None:
    images = np.random.default_rng(0).integers(0, 32640, (70, size, size)).astype(np.int16)
    thumbnails = thumbnails_of(images).reshape(70, 32, 32)
    # An independent way: every pixel repeated so often that stretches end between pixels.
    fine = images[0].repeat(32, axis=0).repeat(32, axis=1)
    expected = fine.reshape(32, size, 32, size).mean(axis=(1, 3))
    np.testing.assert_allclose(thumbnails[0], expected, rtol=1e-4)
    np.testing.assert_allclose(thumbnails[-1].mean(), images[-1].mean(), rtol=1e-5)
    np.testing.assert_allclose(area_weights(size, 32).sum(axis=1), 1, rtol=1e-6)


def test_each_part_shows_what_is_in_it_and_nothing_else() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 32640, (70, 64, 64)).astype(np.int16)
    masks = np.zeros((70, 64, 64), bool)
    masks[:, 10:50, 8:24] = True
    parts = {name: part.reshape(70, 32, 32) for name, part in thumbnails_of_parts(images, masks).items()}
    whole, lung = thumbnails_of(images).reshape(70, 32, 32), masks[:, ::2, ::2]
    mean = images.mean(axis=(1, 2))
    np.testing.assert_allclose(parts["lungs"][lung], whole[lung], rtol=1e-5)
    np.testing.assert_allclose(parts["surroundings"][~lung], whole[~lung], rtol=1e-5)
    for hidden, name in ((~lung, "lungs"), (lung, "surroundings")):
        levels = np.where(hidden, parts[name], np.nan)
        np.testing.assert_allclose(np.nanmax(levels, axis=(1, 2)), mean, rtol=1e-5)
        np.testing.assert_allclose(np.nanmin(levels, axis=(1, 2)), mean, rtol=1e-5)
    np.testing.assert_array_equal(parts["outline"], lung)
    # A pixel on the border is lung by its part.
    masks[0, 10, 8] = False
    assert thumbnails_of_parts(images, masks)["outline"].reshape(70, 32, 32)[0, 5, 4] == 0.75
