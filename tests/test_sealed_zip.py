"""Zip files with the hashes of their files: equal files give equal bytes, and no fault goes unnoticed."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from cxr.errors import InputError
from cxr.sealed_zip import SUMS, read_sealed_zip, sha256_of_bytes, unpack_sealed_zip, write_sealed_zip

FILES = [("a/one.csv", b"x,y\n" * 50), ("b/two.json", b"{}"), ("three", b"")]


def altered(kind: str, path: Path) -> None:
    """Give an archive a fault."""
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
        return
    if kind == "broken":
        whole = bytearray(path.read_bytes())
        whole[41] ^= 255
        path.write_bytes(whole)
        return
    if kind == "absent":
        path.unlink()
        return
    with zipfile.ZipFile(path) as zipped:
        files = {name: zipped.read(name) for name in zipped.namelist()}
    if kind == "changed":
        files["b/two.json"] = b"[]"
    if kind == "lost":
        del files["three"]
    if kind == "unlisted":
        files["four"] = b""
    if kind == "no list":
        del files[SUMS]
    if kind == "outside":
        files["../outside"] = b"x"
        files[SUMS] += f"{sha256_of_bytes(b'x')}  ../outside\n".encode()
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    write_sealed_zip(tmp_path / "files.zip", FILES)
    return tmp_path / "files.zip"


def test_equal_files_make_an_equal_archive_that_holds_them(archive: Path, tmp_path: Path) -> None:
    write_sealed_zip(tmp_path / "again.zip", iter(FILES))
    assert archive.read_bytes() == (tmp_path / "again.zip").read_bytes()
    assert list(read_sealed_zip(archive, "")) == FILES
    write_sealed_zip(tmp_path / "stored.zip", FILES, compressed=False)
    assert list(read_sealed_zip(tmp_path / "stored.zip", "")) == FILES


def test_others_can_check_the_hashes_of_what_was_unpacked(archive: Path, tmp_path: Path) -> None:
    unpack_sealed_zip(archive, tmp_path / "out", "")
    with zipfile.ZipFile(archive) as zipped:
        (tmp_path / "out" / SUMS).write_bytes(zipped.read(SUMS))
    done = subprocess.run(["sha256sum", "--check", SUMS], cwd=tmp_path / "out", capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count(": OK") == len(FILES)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("truncated", r"is a damaged zip file \(.*\); get another\.$"),
        ("broken", r"is a damaged zip file \(.*\); get another\.$"),
        ("no list", r"is a damaged zip file \(.*SHA256SUMS.*\); get another\.$"),
        ("absent", r"files\.zip does not exist; get another\.$"),
        ("changed", r"b/two\.json does not have the SHA-256 that SHA256SUMS lists; get another\.$"),
        ("lost", r"holds other files than SHA256SUMS lists; get another\.$"),
        ("unlisted", r"holds other files than SHA256SUMS lists; get another\.$"),
        ("outside", r"\.\./outside leads out of the folder; get another\.$"),
    ],
)
def test_a_faulty_archive_is_one_sentence_and_changes_nothing(
    kind: str, words: str, archive: Path, tmp_path: Path
) -> None:
    unpack_sealed_zip(archive, tmp_path / "a" / "out", "get another")
    altered(kind, archive)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=words) as caught:
        unpack_sealed_zip(archive, tmp_path / "a" / "out", "get another")
    assert "\n" not in str(caught.value) and sorted(tmp_path.rglob("*")) == before
