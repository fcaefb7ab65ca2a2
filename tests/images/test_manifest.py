"""The manifest: what is measured, and which cohorts it warns of or refuses."""

import hashlib
import json
import resource
from pathlib import Path

import pandas as pd
import pytest
from jpegs import NAMES, PATHS, draw_folder, jpeg

from cxr.errors import InputError
from cxr.files import read_json, write_json
from cxr.images.manifest import build_manifest, describe, write_manifest

COUNTS = {
    split: {name: len(NAMES[f"{split}/{name}"]) for name in ("NORMAL", "PNEUMONIA")}
    for split in ("train", "val", "test")
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "images")


def refusal(root: Path) -> str:
    with pytest.raises(InputError) as caught:
        build_manifest(root, threads=2)
    return str(caught.value)


def test_rows_and_their_order(root: Path) -> None:
    (root / "train/NORMAL/im-0116-0001.JPG").write_bytes(jpeg(99, (60, 33), "RGB"))
    table, _ = build_manifest(root, threads=2)
    assert list(table["path"][:4]) == [
        "train/NORMAL/IM-0115-0001.jpeg",
        "train/NORMAL/im-0116-0001.JPG",
        "train/NORMAL/IM-0117-0001.jpeg",
        "train/NORMAL/NORMAL2-IM-0117-0001.jpeg",
    ]
    assert list(table["official_split"].unique()) == ["train", "val", "test"]
    assert table.iloc[1].to_dict() == {
        "path": "train/NORMAL/im-0116-0001.JPG",
        "class": "NORMAL",
        "official_split": "train",
        "etiology": "none",
        "patient_coarse": "IM-0116",
        "patient_fine": "IM-0116",
        "width": 60,
        "height": 33,
        "mode": "RGB",
        "sha256": hashlib.sha256((root / "train/NORMAL/im-0116-0001.JPG").read_bytes()).hexdigest(),
    }


def test_facts_of_a_cohort() -> None:
    rows = [
        ("train", "NORMAL", "none", "a", "a", 100, 50, "L", "1"),
        ("train", "NORMAL", "none", "a", "b", 120, 40, "L", "2"),
        ("train", "PNEUMONIA", "virus", "c", "c", 90, 90, "RGB", "3"),
        ("train", "PNEUMONIA", "virus", "c", "c", 90, 90, "RGB", "3"),
        ("test", "PNEUMONIA", "bacteria", "d", "d", 80, 40, "L", "4"),
    ]
    columns = [
        "official_split",
        "class",
        "etiology",
        "patient_coarse",
        "patient_fine",
        "width",
        "height",
        "mode",
        "sha256",
    ]
    facts = describe(pd.DataFrame(rows, columns=columns))
    assert facts["counts"]["train"] == {"NORMAL": 2, "PNEUMONIA": 2}
    assert facts["counts"]["val"] == {"NORMAL": 0, "PNEUMONIA": 0}
    assert facts["etiology"] == {"none": 2, "bacteria": 1, "virus": 2, "unknown": 0}
    assert facts["modes"] == {"L": 3, "RGB": 2}
    assert facts["rgb_by_folder"]["train/PNEUMONIA"] == 2
    assert facts["rgb_by_folder"]["test/PNEUMONIA"] == 0
    assert facts["width"] == {"min": 80, "median": 90.0, "max": 120}
    assert facts["height"] == {"min": 40, "median": 50.0, "max": 90}
    assert facts["aspect_ratio_by_class"] == {"NORMAL": 2.5, "PNEUMONIA": 1.0}
    assert facts["width_by_class"] == {"NORMAL": 110.0, "PNEUMONIA": 90.0}
    assert facts["duplicates"] == {"groups": 1, "files": 2}
    assert facts["patients"] == {"coarse": 3, "fine": 4}


def test_one_image_in_two_splits_or_in_both_classes(root: Path) -> None:
    def copy(path: str, to: str) -> None:
        (root / to).write_bytes((root / path).read_bytes())

    copy("train/NORMAL/IM-0115-0001.jpeg", "train/NORMAL/IM-0116-0001.jpeg")
    _, facts = build_manifest(root)
    assert facts["duplicates"] == {"groups": 1, "files": 2}
    copy("train/NORMAL/IM-0115-0001.jpeg", "test/NORMAL/again.jpeg")
    assert (
        "in two of train/, val/ and test/: train/NORMAL/IM-0115-0001.jpeg = train/NORMAL/IM-0116-0001.jpeg = "
        "test/NORMAL/again.jpeg (" in refusal(root)
    )
    (root / "test/NORMAL/again.jpeg").unlink()
    copy("train/NORMAL/IM-0117-0001.jpeg", "train/PNEUMONIA/again.jpeg")
    assert "in both classes: train/NORMAL/IM-0117-0001.jpeg = train/PNEUMONIA/again.jpeg (" in refusal(root)


def test_a_resized_copy_is_warned_of(root: Path) -> None:
    assert build_manifest(root)[1]["warnings"] == []
    (root / PATHS[-1]).write_bytes(jpeg(99))
    (warning,) = build_manifest(root)[1]["warnings"]
    assert warning.startswith("All images measure 48 x 40 px: these are not originals")


def test_unknown_patients_are_warned_of_and_a_table_names_them(root: Path) -> None:
    (root / "train/NORMAL/scan 1.jpeg").write_bytes(jpeg(60))
    table, facts = build_manifest(root)
    assert len(facts["warnings"]) == 1
    assert f"1 of {len(PATHS) + 1} images" in facts["warnings"][0]
    lines = [f"{path},{number}" for number, path in enumerate(table["path"])]
    (root / "patients.csv").write_text("path,patient\n" + "\n".join(lines))
    table, facts = build_manifest(root)
    assert facts["warnings"] == []
    assert facts["patients"]["fine"] == len(table)
    lines[-1] = f"{table['path'].iloc[-1]},0"
    (root / "patients.csv").write_text("path,patient\n" + "\n".join(lines))
    warned = build_manifest(root)[1]["warnings"]
    assert warned == ["Patients with images in more than one of train/, val/ and test/: 1."]
    (root / "patients.csv").write_text("path,patient\n" + "\n".join(lines[1:]))
    assert "patients.csv has no row for train/NORMAL/IM-0115-0001.jpeg" in refusal(root)


def write(root: Path, folder: Path, policy: str = "ignore", **origin: str) -> tuple[Path, Path]:
    write_json(folder / "source.json", {"source": "s", "root": str(root), "if_counts_differ": policy} | origin)
    write_json(folder / "published.json", {"dataset": COUNTS})
    manifest, cohort = folder / "out/manifest.csv", folder / "out/cohort.json"
    write_manifest(folder / "source.json", folder / "published.json", manifest, cohort, threads=2)
    return manifest, cohort


def test_files_that_are_written(root: Path, tmp_path: Path) -> None:
    manifest, cohort = write(root, tmp_path, "refuse", title="Drawings")
    table, facts = build_manifest(root)
    pd.testing.assert_frame_equal(pd.read_csv(manifest), table, check_dtype=False)
    assert read_json(cohort) == {
        "source": "s",
        "root": str(root),
        "title": "Drawings",
        "published_counts": COUNTS,
    } | json.loads(json.dumps(facts))


def test_counts_that_are_not_the_published_ones(root: Path, tmp_path: Path) -> None:
    (root / "train/NORMAL/IM-0115-0001.jpeg").unlink()
    with pytest.raises(InputError, match=r"train/NORMAL 2 instead of 3\); delete .* and run it again"):
        write(root, tmp_path, "refuse")
    assert not (tmp_path / "out").exists()
    assert read_json(write(root, tmp_path, "ignore")[1])["warnings"] == []
    warned = read_json(write(root, tmp_path, "warn")[1])["warnings"]
    assert warned == ["These are not the published numbers of images: train/NORMAL 2 instead of 3."]


def test_both_files_or_neither(root: Path, tmp_path: Path) -> None:
    """The system refuses the second file to grow beyond a limit, as it would on a full disk."""
    write_json(tmp_path / "published.json", {"dataset": COUNTS})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    write_json(tmp_path / "source.json", {"root": str(root), "if_counts_differ": "ignore", "title": "x" * 200_000})
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError):
            write_manifest(
                tmp_path / "source.json", tmp_path / "published.json", tmp_path / "out/m.csv", tmp_path / "out/c.json"
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list((tmp_path / "out").iterdir()) == []


def test_the_real_images(real_images: Path) -> None:
    table, facts = build_manifest(real_images, threads=2)
    assert facts["counts"] == {
        "train": {"NORMAL": 1341, "PNEUMONIA": 3875},
        "val": {"NORMAL": 8, "PNEUMONIA": 8},
        "test": {"NORMAL": 234, "PNEUMONIA": 390},
    }
    assert facts["etiology"] == {"none": 1583, "bacteria": 2780, "virus": 1493, "unknown": 0}
    assert facts["duplicates"] == {"groups": 30, "files": 62}
    assert facts["patients"] == {"coarse": 2790, "fine": 4097}
    sizes = table[["width", "height"]].drop_duplicates()
    assert [warning[:26] for warning in facts["warnings"]] == ["All images measure 224 x 2"] * (len(sizes) == 1)
    crossing = table.groupby("patient_coarse")["official_split"].nunique().gt(1).sum()
    assert crossing == 264
