"""The images that the project carries, and what happens to a damaged archive of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jpegs import PATHS, draw_folder
from PIL import Image

from cxr.errors import InputError
from cxr.files import read_json
from cxr.images.embedded import ARCHIVE, unpack_embedded, write_embedded
from cxr.images.manifest import build_manifest, write_manifest
from cxr.images.sources import provide_images
from cxr.preprocessing.split import digest_of_test_rows, make_split
from cxr.study.config import PAPER, read_protocol


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``manifest.csv`` and ``cohort.json`` of the embedded images."""
    folder = tmp_path_factory.mktemp("embedded")
    provide_images({"source": "embedded"}, folder / "files", folder / "source.json")
    published = PAPER / "published" / "results.json"
    write_manifest(folder / "source.json", published, folder / "manifest.csv", folder / "cohort.json", threads=2)
    return folder


def test_the_embedded_images_are_the_published_cohort(cohort: Path) -> None:
    facts = read_json(cohort / "cohort.json")
    assert facts["counts"] == {
        "train": {"NORMAL": 1341, "PNEUMONIA": 3875},
        "val": {"NORMAL": 8, "PNEUMONIA": 8},
        "test": {"NORMAL": 234, "PNEUMONIA": 390},
    }
    assert (facts["etiology"]["bacteria"], facts["etiology"]["virus"]) == (2780, 1493)
    assert facts["duplicates"] == {"groups": 30, "files": 62}
    assert facts["licence"] == "CC BY 4.0" and not facts["synthetic"]
    assert facts["modes"] == {"L": 5856} and facts["width"] == {"min": 80, "median": 80, "max": 80}


def test_the_split_of_the_embedded_images_is_the_authors(cohort: Path) -> None:
    split = make_split(pd.read_csv(cohort / "manifest.csv"), read_protocol("published"))
    assert digest_of_test_rows(split).startswith("1d7a6fb2f7fc9b5b")
    counts = split.groupby(["set", "label"]).size()
    assert counts.to_dict() == {
        **{("train", 0): 1341, ("train", 1): 1341},
        **{("validation", 0): 113, ("validation", 1): 207},
        **{("test", 0): 129, ("test", 1): 191},
    }


def test_the_embedded_images_are_the_copy_reduced(cohort: Path, real_images: Path) -> None:
    for path in pd.read_csv(cohort / "manifest.csv")["path"][::500]:
        with Image.open((real_images / path).with_suffix(".jpeg")) as image:
            expected = image.convert("L").resize((80, 80), Image.Resampling.BILINEAR)
        assert np.array_equal(np.asarray(Image.open(cohort / "files" / path)), np.asarray(expected))


def test_the_archive_is_small_enough_for_a_repository() -> None:
    assert ARCHIVE.stat().st_size <= 25e6


def test_equal_images_make_an_equal_archive_that_unpacks_to_them(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "images")
    write_embedded(root, tmp_path / "a.zip", 40)
    write_embedded(root, tmp_path / "b.zip", 40)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    unpack_embedded(tmp_path / "out", tmp_path / "a.zip")
    table, _ = build_manifest(tmp_path / "out")
    assert sorted(table["path"]) == sorted(path.replace(".jpeg", ".png") for path in PATHS)
    assert set(table["width"]) == set(table["height"]) == {40}


def test_a_damaged_archive_is_refused_and_the_folder_stays(tmp_path: Path) -> None:
    write_embedded(draw_folder(tmp_path / "images"), tmp_path / "a.zip", 40)
    unpack_embedded(tmp_path / "out", tmp_path / "a.zip")
    (tmp_path / "a.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:-100])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=r"is a damaged zip file .*; restore it with git checkout"):
        unpack_embedded(tmp_path / "out", tmp_path / "a.zip")
    assert sorted(tmp_path.rglob("*")) == before
