"""The warning of images unlike the training images, held to what ``docs/predict.md`` says of it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr.errors import InputError
from cxr.prediction.image_files import find_files, read_image
from cxr.prediction.likeness import COLOURED, Likeness, fit_likeness, thumbnails
from cxr.prediction.radiograph import Radiograph
from cxr.preprocessing.arrays import LEVEL


def random_images(count: int, seed: int) -> np.ndarray:
    """Pictures with a bright centre, of any exposure and contrast."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    shape = np.exp(-2 * (x**2 + 0.3 * y**2))
    noise = random.normal(0, 0.08, (count, 32, 32))
    levels = (shape + noise) * random.uniform(60, 150, (count, 1, 1)) + random.uniform(10, 60, (count, 1, 1))
    return (levels.clip(0, 255) * LEVEL).astype(np.int16)


@pytest.fixture
def likeness() -> Likeness:
    images = random_images(900, 0)
    return fit_likeness(images, np.arange(600), np.arange(600, 900), (0.9, 1.8))


def test_one_in_a_hundred_of_the_same_kind_is_above_the_limit(likeness: Likeness) -> None:
    above = (likeness.distances(random_images(2000, 1)) > likeness.limit).mean()
    assert 0.002 < above < 0.03


def test_what_is_bright_elsewhere_is_far_away(likeness: Likeness) -> None:
    images = random_images(50, 2)
    for other in (255 * LEVEL - images, np.rot90(images, 1, (1, 2)).copy(), np.zeros_like(images)):
        assert (likeness.distances(other) > likeness.limit).all()


def test_exposure_and_contrast_do_not_matter() -> None:
    images = random_images(20, 3)
    np.testing.assert_allclose(thumbnails(images), thumbnails(images // 2), atol=0.05)
    assert np.isfinite(thumbnails(np.zeros_like(images))).all()


def test_the_distance_is_mahalanobiss(likeness: Likeness) -> None:
    (image,) = random_images(1, 4)
    offset = thumbnails(image[None])[0] - likeness.mean
    assert likeness.distances(image[None])[0] == pytest.approx(np.sqrt(offset @ likeness.precision @ offset))


def test_warnings_name_colour_and_shape(likeness: Likeness) -> None:
    wide, square = np.zeros((40, 120), np.float32), np.zeros((60, 60), np.float32)
    assert likeness.warnings(Radiograph(square), likeness.limit) == []
    assert "1.5 times" in likeness.warnings(Radiograph(square), 1.5 * likeness.limit)[0]
    assert "coloured" in likeness.warnings(Radiograph(square, COLOURED + 1), 0)[0]
    assert "3.00" in likeness.warnings(Radiograph(wide), 0)[0]


def test_grey_radiographs_saved_in_colour_are_not_called_coloured(real_images: Path) -> None:
    coloured = []
    for path in sorted((real_images / "train" / "PNEUMONIA").iterdir())[::50]:
        with Image.open(path) as image:
            mode = image.mode
        if mode != "L":
            coloured.append(read_image(path, "luma").colour)
    assert all(colour < COLOURED / 2 for colour in coloured)


def test_files_are_found_once_in_order_and_links_do_not_loop(tmp_path: Path, xray: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    for name in ("b/c/z.png", "b/A.png", "b/b.png", "b/.hidden.png", "b/DICOMDIR"):
        shutil.copy(xray, tmp_path / name)
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    found = find_files([tmp_path / "b" / "b.png", tmp_path, tmp_path / "missing.png"])
    names = [path.relative_to(tmp_path).as_posix() for path in found]
    assert names == ["b/b.png", "b/A.png", "b/c/z.png", "missing.png"]
    with pytest.raises(InputError, match=r"missing.png does not exist"):
        read_image(found[-1], "luma")
