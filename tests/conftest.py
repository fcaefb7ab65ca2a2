"""Fixtures shared by all tests."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from result_tree import PAPER, make_study, write_tree

from cxr.files import REPOSITORY, write_json
from cxr.study.config import Study


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests on Slurm where nobody asked for them: they take minutes."""
    if "slurm" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("slurm"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: make test-slurm"))


@pytest.fixture(scope="session")
def real_images() -> Path:
    """The folder of the real images, which CXR_DATA names; the test is skipped where there is none."""
    folder = os.environ.get("CXR_DATA")
    if not folder:
        pytest.skip("CXR_DATA names no folder with the real chest X-rays")
    return Path(folder)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one's own: real X-rays where CXR_DATA names them, else noise with brighter pneumonia."""
    folder = tmp_path_factory.mktemp("cohort")
    random = np.random.default_rng(5)
    real = os.environ.get("CXR_DATA")
    for part, count in (("train", 24), ("val", 2), ("test", 16)):
        for name, level in (("NORMAL", 80), ("PNEUMONIA", 140)):
            target = folder / part / name
            target.mkdir(parents=True)
            if real:
                for file in sorted((Path(real) / part / name).iterdir())[:count]:
                    shutil.copy(file, target)
                continue
            for number in range(count):
                pixels = random.normal(level, 30, (80, 90)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(target / f"{part}{name}{number}.jpeg")
    return folder


@pytest.fixture(scope="session")
def copy_repository(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Copy the working tree without its tests; a test may edit the copy and run it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    names = [name for name in listed.splitlines() if not name.startswith(("tests/", "."))]

    def copy() -> Path:
        folder = tmp_path_factory.mktemp("repository")
        for name in names:
            if (REPOSITORY / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPOSITORY / name, folder / name)
        return folder

    return copy


@pytest.fixture
def make_cohort(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Write grey noise images with manifest and cohort; PNEUMONIA is brighter, so that it can be learnt."""

    def make(train: int = 12, held_out: int = 8, size: tuple[int, int] = (70, 60)) -> tuple[Path, Path]:
        random = np.random.default_rng(0)
        rows = []
        for part, count in (("train", train), ("val", 2), ("test", held_out)):
            for name, surplus, level in (("NORMAL", 0, 70), ("PNEUMONIA", 5, 150)):
                for number in range(count + (surplus if part == "train" else 0)):
                    path = f"{part}/{name}/{name[0].lower()}{number:03d}.png"
                    file = tmp_path / "images" / path
                    file.parent.mkdir(parents=True, exist_ok=True)
                    pixels = random.normal(level, 40, size).clip(0, 255).astype(np.uint8)
                    Image.fromarray(pixels).save(file)
                    rows.append((path, name, part, f"{part}{number}", f"{part}{name}{number}", *size[::-1]))
        columns = ["path", "class", "official_split", "patient_coarse", "patient_fine", "width", "height"]
        pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "manifest.csv", index=False)
        write_json(tmp_path / "cohort.json", {"root": str(tmp_path / "images")})
        return tmp_path / "manifest.csv", tmp_path / "cohort.json"

    return make


@pytest.fixture(scope="session")
def study() -> Study:
    return make_study()


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory, study: Study) -> Path:
    """``results/toy`` with one run of synthetic data and all figures; to be read only."""
    root = tmp_path_factory.mktemp("results") / "toy"
    write_tree(root, study)
    return root


@pytest.fixture
def own_results(results: Path, tmp_path: Path) -> Path:
    """A copy of ``results`` to change."""
    return Path(shutil.copytree(results, tmp_path / "results"))


@pytest.fixture
def own_paper(tmp_path: Path) -> Path:
    """A copy of the folder ``paper`` to change."""
    return Path(shutil.copytree(PAPER, tmp_path / "paper"))
