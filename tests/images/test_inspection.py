"""Which faults of real image folders are found, and that one message names all of them."""

import io
import re
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from jpegs import PATHS, draw_folder, jpeg
from PIL import Image

from cxr.errors import InputError
from cxr.images.inspection import inspect, list_images
from cxr.images.manifest import build_manifest


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
    assert "empty folders: val/NORMAL, val/PNEUMONIA (" in refusal(root)
    (root / "val/NORMAL").rmdir()
    message = refusal(root)
    assert "missing folders: val/NORMAL (" in message and "empty folders: val/PNEUMONIA (" in message


def test_files_that_are_no_images_by_name_are_refused_rather_than_ignored(root: Path) -> None:
    (root / "train/NORMAL/notes.txt").write_text("x")
    (root / "test/PNEUMONIA/7.dcm").write_bytes(b"DICM")
    draw_folder(root / "train/PNEUMONIA/more.jpeg", ["a.jpeg"])
    (root / "train/PNEUMONIA/up").symlink_to("..")
    names = "train/NORMAL/notes.txt, train/PNEUMONIA/more.jpeg, train/PNEUMONIA/up, test/PNEUMONIA/7.dcm"
    assert f"no JPEG or PNG images by their names: {names} (convert DICOM files" in refusal(root)
    with pytest.raises(InputError, match=re.escape(names)):
        list_images(root)


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


def test_one_message_names_all_that_is_wrong(root: Path) -> None:
    tiny, deep, gif = io.BytesIO(), io.BytesIO(), io.BytesIO()
    Image.new("L", (1, 1)).save(tiny, "PNG")
    Image.fromarray(np.full((64, 64), 40_000, dtype=np.uint16)).save(deep, "PNG")
    Image.new("L", (64, 64)).save(gif, "GIF")
    bad = {
        "train/NORMAL/empty.jpeg": b"",
        "train/NORMAL/text.jpeg": b"This is not an image.\n" * 50,
        "train/NORMAL/gif.png": gif.getvalue(),
        "train/PNEUMONIA/cut.jpeg": jpeg(7)[:-100],
        "train/PNEUMONIA/one.png": tiny.getvalue(),
        "val/PNEUMONIA/deep.png": deep.getvalue(),
        # Only one row of pixels is there: were they decoded, these files would be found truncated.
        "test/NORMAL/huge.png": png_of(20_000, 20_000),
        "test/PNEUMONIA/big.png": png_of(10_000, 10_000),
        "test/PNEUMONIA/notes.txt": b"x",
        "test/NORMAL/again.jpeg": (root / "train/NORMAL/IM-0115-0001.jpeg").read_bytes(),
        "train/PNEUMONIA/again.jpeg": (root / "train/NORMAL/IM-0117-0001.jpeg").read_bytes(),
    }
    for path, content in bad.items():
        (root / path).write_bytes(content)
    (root / "test/PNEUMONIA/gone.png").symlink_to(root / "nowhere.png")
    (root / "val/NORMAL/NORMAL2-IM-1427-0001.jpeg").unlink()
    message = refusal(root)
    assert message.startswith(f"{root} cannot be used; it has empty folders: val/NORMAL (each must")
    for part in (
        "by their names: test/PNEUMONIA/notes.txt (convert",
        "empty files: train/NORMAL/empty.jpeg (replace",
        "files that are no JPEG or PNG images: train/NORMAL/gif.png, train/NORMAL/text.jpeg (",
        "files that cannot be read: train/PNEUMONIA/cut.jpeg [",
        "test/PNEUMONIA/gone.png [",
        "images with a side under 32 px: train/PNEUMONIA/one.png [1 x 1 px] (",
        "images of 100 megapixels or more: test/NORMAL/huge.png, test/PNEUMONIA/big.png (",
        "images with more than 8 bits a pixel: val/PNEUMONIA/deep.png (",
        "the same image in both classes: train/NORMAL/IM-0117-0001.jpeg = train/PNEUMONIA/again.jpeg (keep",
        "in two of train/, val/ and test/: train/NORMAL/IM-0115-0001.jpeg = test/NORMAL/again.jpeg (keep",
    ):
        assert part in message
    assert "\n" not in message and message.endswith(").")


def test_twenty_offenders_of_each_kind_are_named_and_the_others_counted(root: Path) -> None:
    for number in range(33):
        (root / f"train/NORMAL/{number:02d}.jpeg").touch()
        (root / f"train/NORMAL/{number:02d}.txt").touch()
    message = refusal(root)
    assert "19.jpeg and 13 more (" in message and "19.txt and 13 more (" in message
    assert "20.jpeg" not in message and "20.txt" not in message


def test_just_under_the_limit_is_an_image_and_no_warning(root: Path) -> None:
    (root / "train/NORMAL/large.png").write_bytes(png_of(9_400, 9_700, rows=9_700))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table, _ = build_manifest(root)
    assert table["width"].max() == 9_400
