"""Finished runs on some of the embedded X-rays, and on real ones where CXR_DATA names them."""

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxr.evaluation.run_metrics import write_metrics
from cxr.files import write_json
from cxr.images.embedded import ARCHIVE
from cxr.images.manifest import write_manifest
from cxr.preprocessing.arrays import write_arrays
from cxr.preprocessing.normalisation import write_normalisation
from cxr.preprocessing.split import write_split
from cxr.study import layout
from cxr.study.arrays import all_arrays, array_name
from cxr.study.config import PAPER, Study
from cxr.study.settings import run_settings, split_settings
from cxr.training.train import train

# The test and the validation set then have 76 images each: a whole batch and a part of one.
TAKEN = {"train": 40, "val": 6, "test": 70}
PROTOCOL, EXPERIMENT = "published", "custom"


def study_at(image_size: int) -> Study:
    return Study.from_config(
        {
            "name": "small",
            "data": {"source": "folder", "folder": "."},
            "device": "cpu",
            "image_size": image_size,
            "protocols": [PROTOCOL],
            "experiments": [EXPERIMENT],
            "seeds": [42],
            "limits": [{"experiments": ["*"], "epochs": 3}],
        }
    )


def finished(folder: Path, images: Path, image_size: int) -> Path:
    """Make ``folder/small`` as the workflow would, with one run; return the run's folder."""
    study, results = study_at(image_size), folder / "small"
    manifest, cohort = layout.manifest(results), layout.cohort(results)
    split, preprocessing = layout.split(results, PROTOCOL), layout.preprocessing(results, PROTOCOL)
    arrays = [layout.array(results, name) for name in all_arrays(study)]
    published, settings = PAPER / "published" / "results.json", split_settings(study, PROTOCOL)
    facts = {"title": "Some X-rays", "synthetic": False, "licence": "CC BY 4.0", "citation": "", "if_counts_differ": ""}
    write_json(folder / "source.json", {"source": "folder", "settings": {}, "root": str(images)} | facts)
    write_manifest(folder / "source.json", published, manifest, cohort)
    write_arrays(manifest, cohort, arrays)
    write_split(manifest, settings, split)
    array = layout.array(results, array_name(study, 1.0, PROTOCOL))
    write_normalisation(manifest, split, array, published, settings, preprocessing)
    place = layout.place_of(PROTOCOL, EXPERIMENT, 42)
    run = layout.run(results, place)
    chosen = {str(run): run_settings(study, EXPERIMENT, PROTOCOL, 42)}
    train(chosen, manifest, split, preprocessing, arrays)
    write_metrics([run / "predictions.csv"], [layout.metrics(results, place)])
    return run


def first_of(names: list[str]) -> Iterator[str]:
    """The first ``TAKEN`` names of each class folder."""
    for part, count in TAKEN.items():
        for kind in ("NORMAL", "PNEUMONIA"):
            yield from [name for name in sorted(names) if name.startswith(f"{part}/{kind}/")][:count]


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some of the embedded X-rays."""
    folder = tmp_path_factory.mktemp("embedded")
    with zipfile.ZipFile(ARCHIVE) as zipped:
        for name in first_of(zipped.namelist()):
            zipped.extract(name, folder)
    return folder


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, embedded: Path) -> Path:
    """A run on the embedded X-rays; to be read only."""
    return finished(tmp_path_factory.mktemp("results"), embedded, 48)


@pytest.fixture(scope="session")
def real_run(tmp_path_factory: pytest.TempPathFactory, real_images: Path) -> tuple[Path, Path]:
    """Some real X-rays, and a run on them; to be read only."""
    folder = tmp_path_factory.mktemp("real")
    names = [path.relative_to(real_images).as_posix() for path in real_images.glob("*/*/*.jp*g")]
    for name in first_of(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(real_images / name, folder / name)
    return folder, finished(tmp_path_factory.mktemp("results"), folder, 64)


@pytest.fixture
def own_run(run: Path, tmp_path: Path) -> Path:
    """A copy of the run with its results, to change."""
    copy = shutil.copytree(run.parents[4], tmp_path / "own" / "small")
    return Path(copy) / run.relative_to(run.parents[4])


@pytest.fixture
def xray(embedded: Path) -> Path:
    """A test image."""
    return sorted((embedded / "test" / "PNEUMONIA").iterdir())[0]
