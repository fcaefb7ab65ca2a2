"""Arrays: what is stored, how far it is rounded, and that they appear whole or not at all."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from cxr.errors import InputError
from cxr.preprocessing.arrays import LEVEL, grey_image, open_array, read_rows, resized, write_arrays
from cxr.preprocessing.normalisation import normalisation_constants

RANDOM = np.random.default_rng(7)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("shape", [(400, 731), (61, 47), (224, 500)])
def test_resize_is_torchvisions_within_the_stated_rounding(shape: tuple[int, int], antialias: bool) -> None:
    grey = RANDOM.integers(0, 256, shape).astype(np.float32)
    # The study divides by 225 first and resizes then; the order does not matter but for float rounding (1e-6).
    expected = tv.resize(torch.from_numpy(grey / np.float32(225))[None], [224, 224], antialias=antialias)[0]
    stored = torch.from_numpy(resized(grey, 224, antialias)).double() / (LEVEL * 225)
    assert (stored - expected).abs().max() <= 0.5 / (LEVEL * 225) + 1e-6
    assert 0.5 / (LEVEL * 225) < 1.8e-5


def test_antialiasing_differs() -> None:
    grey = RANDOM.integers(0, 256, (500, 500)).astype(np.float32)
    assert np.abs(resized(grey, 224, True).astype(int) - resized(grey, 224, False)).max() > 10 * LEVEL


def test_images_of_the_wanted_size_are_stored_exactly() -> None:
    grey = np.arange(256, dtype=np.float32).repeat(196).reshape(224, 224)
    assert np.array_equal(resized(grey, 224, False), grey.astype(np.int16) * LEVEL)


def test_colour_is_weighted_by_luma_and_not_averaged(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), (200, 0, 0)).save(tmp_path / "red.png")
    assert grey_image(tmp_path / "red.png")[0, 0] == 60  # 0.299 x 200
    assert grey_image(tmp_path / "red.png", "average")[0, 0] == pytest.approx(200 / 3)


def test_rows_follow_the_manifest_at_every_size(make_cohort, tmp_path: Path) -> None:
    manifest, cohort = make_cohort()
    write_arrays(manifest, cohort, [tmp_path / "32px.npy", tmp_path / "40px-antialias.npy"], threads=3)
    for row, path in enumerate(pd.read_csv(manifest)["path"]):
        grey = grey_image(tmp_path / "images" / path)
        assert np.array_equal(open_array(tmp_path / "32px.npy")[row], resized(grey, 32, False))
        assert np.array_equal(open_array(tmp_path / "40px-antialias.npy")[row], resized(grey, 40, True))


def test_an_unreadable_image_leaves_nothing(make_cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What WeasyPrint does to PIL when it is imported.
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    manifest, cohort = make_cohort()
    broken = tmp_path / "images" / pd.read_csv(manifest)["path"].iloc[-1]
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(InputError, match=broken.name):
        write_arrays(manifest, cohort, [tmp_path / "out" / "32px.npy", tmp_path / "out" / "40px.npy"])
    assert list((tmp_path / "out").iterdir()) == []


def test_no_room_for_the_array_is_one_sentence_and_leaves_nothing(make_cohort, tmp_path: Path) -> None:
    manifest, cohort = make_cohort()

    def limit() -> None:
        # A real limit of the kernel on the size of files: what a full disk is to a mapped file.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    command = [sys.executable, "-m", "cxr", "arrays", "--manifest", manifest, "--cohort", cohort]
    done = subprocess.run(
        [*map(str, command), "--arrays", str(tmp_path / "out" / "224px.npy")],
        capture_output=True,
        text=True,
        preexec_fn=limit,
    )
    assert done.returncode == 2, done.stderr
    assert "disk" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="mapped memory is read where Linux tells it")
def test_rows_that_were_read_do_not_stay_in_the_memory_of_the_process(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255 * LEVEL, (400, 224, 224), dtype=np.int16)
    np.save(tmp_path / "224px.npy", images)
    array = open_array(tmp_path / "224px.npy")

    def mapped_kib() -> int:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("RssFile:")[2].split()[0])

    before = mapped_kib()
    rows = np.arange(400)[::-1]
    read = read_rows(array, rows)
    assert np.array_equal(read, images[rows]) and mapped_kib() - before < 5_000
    assert np.array_equal(array[rows], read) and mapped_kib() - before > 30_000, "40 MB through a map that is open"
    assert np.array_equal(read_rows(images, rows), read), "an array that is no file"


def test_constants_are_means_over_images_of_mean_and_unbiased_deviation(tmp_path: Path) -> None:
    images = RANDOM.integers(0, 255 * LEVEL, (6, 10, 10), dtype=np.int16)
    pixels = torch.from_numpy(images[[0, 2, 5]].astype(np.float64)) / LEVEL / 225
    mean, std = normalisation_constants(images, [0, 2, 5], 225)
    assert mean == pytest.approx(float(torch.stack([image.mean() for image in pixels]).mean()), abs=1e-12)
    assert std == pytest.approx(float(torch.stack([image.std() for image in pixels]).mean()), abs=1e-12)
