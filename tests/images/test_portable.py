"""The phantoms have the same bytes on every processor."""

import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cxr.images.phantom import portable
from cxr.images.phantom.anatomy import chest
from cxr.images.phantom.cohort import draw_cohort
from cxr.images.phantom.disease import interstitial, lobar, patchy

COUNTS = {split: {"NORMAL": 2, "PNEUMONIA": 4} for split in ("train", "val", "test")}
# What ``drawn`` and ``computed`` return on every machine with the packages of requirements.lock.
DIGEST = "a3748f2ff52e716644e6e2d9e0ce56a142225b6193eb502c362ca6d75f2b073b"
DIGEST_OF_PLANES = "ce93de9ffe43604128f347449e1df1eb0d6f8a6d454758cfc16c84de3238347e"

# Vector instructions that numpy has kernels for and may be told not to use.
KERNELS: list[str] = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])


def drawn(folder: Path) -> str:
    """Draw a cohort in which every finding occurs; return the SHA-256 of its files."""
    draw_cohort(folder, seed=2, counts=COUNTS)
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def computed() -> str:
    """Return the SHA-256 of planes before they become grey levels, which hide nearly all differences in last bits."""
    y, x = (np.indices((120, 150), dtype=np.float32) - 70) / 60
    random = np.random.default_rng(1)
    depth, lung = chest(x, y, random, breath=0.01, rotation=0.02)
    opacities = [opacity(x, y, random) for opacity in (lobar, patchy, interstitial)]
    soft = portable.blurred(depth, 0.8)
    exposed = portable.exponential(0.7 * soft) * portable.noise(random, x.shape) * portable.lognormal(random, 2, 0.3)
    return hashlib.sha256(b"".join(plane.tobytes() for plane in (depth, lung, *opacities, soft, exposed))).hexdigest()


def test_the_bytes_on_this_machine_are_those_of_every_machine(tmp_path: Path) -> None:
    assert drawn(tmp_path / "cohort") == DIGEST
    assert computed() == DIGEST_OF_PLANES


@pytest.mark.parametrize("level", ["X86_V4", "X86_V3"])
def test_the_bytes_do_not_depend_on_the_processors_vector_instructions(tmp_path: Path, level: str) -> None:
    if level not in KERNELS:
        pytest.skip(f"numpy uses no {level} kernels on this processor, only {KERNELS}")
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_portable import KERNELS, computed, drawn
assert {level!r} not in KERNELS
print(drawn(Path({str(tmp_path / "cohort")!r})), computed())
"""
    disabled = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(KERNELS[KERNELS.index(level) :])}
    run = subprocess.run([sys.executable, "-c", program], env=disabled, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [DIGEST, DIGEST_OF_PLANES]


def test_approximations_are_near_the_functions_they_stand_for() -> None:
    x = np.linspace(-3, 3, 1001)
    np.testing.assert_allclose(portable.exponential(x), np.exp(x), rtol=0.005)
    np.testing.assert_allclose(portable.bell(x), np.exp(-(x**2)), atol=0.001)
    np.testing.assert_allclose(portable.wave(x), np.sin(2 * np.pi * x), atol=0.06)
    for degrees in range(-60, 61, 5):
        cosine, sine = portable.cosine_and_sine(degrees)
        assert math.hypot(cosine, sine) == pytest.approx(1)
        assert math.degrees(math.atan2(sine, cosine)) == pytest.approx(degrees, abs=1)
    around = np.linspace(-3.1, 3.1, 101)
    quarters = portable.quarter_turns(3 * np.cos(around), 3 * np.sin(around))
    np.testing.assert_allclose(quarters * np.pi / 2, around, atol=0.15)


def test_blurring_is_nearly_gaussian() -> None:
    image = np.random.default_rng(0).random((80, 90))
    for deviation in (0.8, 2.0):
        np.testing.assert_allclose(portable.blurred(image, deviation), gaussian_filter(image, deviation), atol=0.025)


def test_random_numbers_have_the_moments_asked_for() -> None:
    random = np.random.default_rng(0)
    for drawn_numbers, mean, deviation in (
        ([portable.normal(random, 2, 3) for _ in range(20_000)], 2, 3),
        (np.log([portable.lognormal(random, math.e, 0.3) for _ in range(20_000)]), 1, 0.3),
        (portable.noise(random, (150, 150)), 0, 1),
    ):
        assert np.mean(drawn_numbers) == pytest.approx(mean, abs=0.05)
        assert np.std(drawn_numbers) == pytest.approx(deviation, rel=0.03)
