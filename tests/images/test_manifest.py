"""The manifest: what is measured, and which faults of real image folders it refuses, by name."""

import hashlib
import io
import json
import resource
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jpegs import NAMES, PATHS, draw_folder, jpeg
from PIL import Image

from cxr.errors import InputError
from cxr.files import read_json, write_json
from cxr.images.manifest import build_manifest, describe, inspect, list_images, write_manifest

COUNTS = {
    split: {name: len(NAMES[f"{split}/{name}"]) for name in ("NORMAL", "PNEUMONIA")}
    for split in ("train", "val", "test")
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "images")


def png_of(width: int, height: int, rows: int = 1) -> bytes:
    """A grey PNG whose header promises ``height`` rows and which holds ``rows`` black ones."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(width + 1) * rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


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


def test_litter_and_the_second_copy_of_kaggles_zip_are_passed_over(root: Path) -> None:
    draw_folder(root / "chest_xray")
    draw_folder(root / "__MACOSX")
    for name in (".DS_Store", "._IM-0115-0001.jpeg", "Thumbs.db", "__MACOSX/._IM-0115-0001.jpeg"):
        (root / "train/NORMAL" / name).parent.mkdir(exist_ok=True)
        (root / "train/NORMAL" / name).write_bytes(b"\0\5\26\7")
    assert list_images(root) == PATHS


def test_missing_and_empty_class_folders_are_all_named(root: Path) -> None:
    for path in ("val/NORMAL/NORMAL2-IM-1427-0001.jpeg", "val/PNEUMONIA/person1946_bacteria_4874.jpeg"):
        (root / path).unlink()
    assert "no images in val/NORMAL, val/PNEUMONIA;" in refusal(root)
    (root / "val/NORMAL").rmdir()
    (root / "val/PNEUMONIA").rmdir()
    assert "no folder val/NORMAL, val/PNEUMONIA;" in refusal(root)


def test_files_that_are_no_images_by_name_are_refused_rather_than_passed_over(root: Path) -> None:
    (root / "train/NORMAL/notes.txt").write_text("x")
    (root / "test/PNEUMONIA/7.dcm").write_bytes(b"DICM")
    draw_folder(root / "train/PNEUMONIA/more.jpeg", ["a.jpeg"])
    message = refusal(root)
    assert "3 files or folders" in message
    for name in ("train/NORMAL/notes.txt", "test/PNEUMONIA/7.dcm", "train/PNEUMONIA/more.jpeg", "DICOM"):
        assert name in message


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no file names that are not UTF-8")
def test_a_name_that_cannot_be_written_to_a_table(root: Path) -> None:
    (root / "train/NORMAL/M\udcfcller.jpeg").write_bytes(jpeg(50))
    assert r"train/NORMAL/M\xfcller.jpeg" in refusal(root)


@pytest.mark.parametrize("kept", [1, 2, 3, 20, 200, 1000, -1000, -30, -3, -2, -1])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_cut_anywhere_is_found(tmp_path: Path, kept: int, mode: str) -> None:
    whole = jpeg(1, (300, 200), mode)
    (tmp_path / "a.jpeg").write_bytes(whole)
    assert inspect(tmp_path / "a.jpeg").fault == ""
    (tmp_path / "a.jpeg").write_bytes(whole[:kept])
    assert inspect(tmp_path / "a.jpeg").fault


def test_a_damaged_png_is_found(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 99), dtype=np.uint8)).save(stream, "PNG")
    whole = stream.getvalue()
    path = tmp_path / "a.png"
    path.write_bytes(whole)
    assert inspect(path).fault == ""
    for damaged in (whole[:5000], whole[:40], whole[:5000] + b"\xff" * 40 + whole[5040:]):
        path.write_bytes(damaged)
        assert inspect(path).fault


def test_every_unusable_image_is_named_with_its_fault(root: Path) -> None:
    tiny, deep, gif = io.BytesIO(), io.BytesIO(), io.BytesIO()
    Image.new("L", (1, 1)).save(tiny, "PNG")
    Image.fromarray(np.full((64, 64), 40_000, dtype=np.uint16)).save(deep, "PNG")
    Image.new("L", (64, 64)).save(gif, "GIF")
    bad = {
        "train/NORMAL/empty.jpeg": (b"", "is empty"),
        "train/NORMAL/text.jpeg": (b"This is not an image.\n" * 50, "is no JPEG or PNG"),
        "train/NORMAL/gif.png": (gif.getvalue(), "is no JPEG or PNG"),
        "train/PNEUMONIA/cut.jpeg": (jpeg(7)[:-100], "cannot be read"),
        "val/NORMAL/one.png": (tiny.getvalue(), "is only 1 x 1 px"),
        "val/PNEUMONIA/deep.png": (deep.getvalue(), "has more than 8 bits"),
        # Only one row of pixels is there: were they decompressed, these files would be found truncated.
        "test/NORMAL/huge.png": (png_of(20_000, 20_000), "has 100 megapixels"),
        "test/PNEUMONIA/big.png": (png_of(10_000, 10_000), "has 100 megapixels"),
    }
    for path, (content, _) in bad.items():
        (root / path).write_bytes(content)
    (root / "test/PNEUMONIA/gone.png").symlink_to(root / "nowhere.png")
    message = refusal(root)
    assert f"9 of {len(PATHS) + 9} images" in message
    for path, (_, fault) in bad.items():
        assert f"{path} {fault}" in message
    assert "test/PNEUMONIA/gone.png cannot be read" in message


def test_more_than_twenty_offenders_are_counted(root: Path) -> None:
    for number in range(33):
        (root / f"train/NORMAL/{number:02d}.jpeg").touch()
    message = refusal(root)
    assert "19.jpeg is empty and 13 more;" in message
    assert "20.jpeg" not in message


def test_just_under_the_limit_is_an_image_and_no_warning(root: Path) -> None:
    (root / "train/NORMAL/large.png").write_bytes(png_of(9_400, 9_700, rows=9_700))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table, _ = build_manifest(root)
    assert table["width"].max() == 9_400


def test_one_image_in_two_splits_or_in_both_classes(root: Path) -> None:
    def copy(path: str, to: str) -> None:
        (root / to).write_bytes((root / path).read_bytes())

    copy("train/NORMAL/IM-0115-0001.jpeg", "train/NORMAL/IM-0116-0001.jpeg")
    _, facts = build_manifest(root)
    assert facts["duplicates"] == {"groups": 1, "files": 2}
    copy("train/NORMAL/IM-0115-0001.jpeg", "test/NORMAL/again.jpeg")
    assert (
        "in two of train/, val/ and test/: train/NORMAL/IM-0115-0001.jpeg = train/NORMAL/IM-0116-0001.jpeg = "
        "test/NORMAL/again.jpeg;" in refusal(root)
    )
    (root / "test/NORMAL/again.jpeg").unlink()
    copy("train/NORMAL/IM-0117-0001.jpeg", "train/PNEUMONIA/again.jpeg")
    assert "in both classes: train/NORMAL/IM-0117-0001.jpeg = train/PNEUMONIA/again.jpeg;" in refusal(root)


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
