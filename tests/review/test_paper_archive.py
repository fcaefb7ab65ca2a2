"""The archive of a paper: what is packed, what stops a reproduction, and what is said of what differs."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cxr.cli import main
from cxr.errors import Differs, InputError
from cxr.files import write_json
from cxr.review import paper_archive as module
from cxr.review.packed_files import OUTPUTS
from cxr.review.paper_archive import compared, other_origins, reproduce, reproducing, write_paper_archive
from cxr.sealed_zip import read_sealed_zip

CONFIG: dict[str, Any] = {
    "name": "toy",
    "data": {"source": "phantom", "phantom": {"seed": 1, "counts": {}}},
    "device": "cpu",
    "image_size": 32,
    "protocols": ["published"],
    "experiments": ["custom"],
    "seeds": [1],
    "weights": {"resnet18": {"file": "$NOWHERE/w.pth", "sha256": "ab" * 32}},
}
CODE = {"version": "0.1.0", "commit": "a" * 40, "dirty": False}
MADE_WITH = {"code": CODE, "packages": {"numpy": "2.4.6", "scipy": "1.20"}}


@pytest.fixture
def crate(tmp_path: Path) -> Path:
    """The files of a crate that a reproduction looks at."""
    folder = tmp_path / "crate"
    counts = {part: {"NORMAL": 9, "PNEUMONIA": 9} for part in ("train", "val", "test")}
    data = {"source": "phantom", "phantom": {"seed": 1, "counts": counts}}
    write_json(folder / "config.json", CONFIG | {"data": data})
    write_json(folder / "provenance.json", MADE_WITH)
    write_json(folder / "claims" / "claims.json", {"claims": [{"id": "C1", "verdict": "reproduced"}]})
    for name, content in (("paper.html", "<p>\n<b>0.91</b>\n"), ("paper.pdf", "%PDF 1")):
        (folder / "paper").mkdir(exist_ok=True)
        (folder / "paper" / name).write_text(content)
    return folder


@pytest.fixture
def archive(crate: Path, tmp_path: Path) -> Path:
    write_paper_archive(crate, tmp_path / "toy.zip")
    return tmp_path / "toy.zip"


def anew(crate: Path, folder: Path) -> None:
    """What the workflow would make."""
    for name in OUTPUTS:
        (folder / "results" / "toy" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "results" / "toy" / name).write_bytes((crate / name).read_bytes())


def test_an_archive_holds_the_crate_and_nothing_else(crate: Path, archive: Path, tmp_path: Path) -> None:
    files = dict(read_sealed_zip(archive, ""))
    packed = {path.relative_to(crate).as_posix(): path.read_bytes() for path in crate.rglob("*") if path.is_file()}
    assert files == packed and list(files) == sorted(files)
    write_paper_archive(crate, tmp_path / "again.zip")
    assert archive.read_bytes() == (tmp_path / "again.zip").read_bytes()


def test_runs_are_taken_as_recorded_and_no_weights_are_asked_for(archive: Path, tmp_path: Path) -> None:
    config = reproducing(CONFIG, archive)
    assert config["runs"] == {"source": "archive", "file": str(archive), "as_recorded": True}
    assert "weights" not in config and config["data"] == CONFIG["data"]
    folder = CONFIG | {"data": {"source": "folder", "folder": "$CXR_DATA"}}
    assert reproducing(folder, archive, tmp_path)["data"]["folder"] == str(tmp_path)
    with pytest.raises(InputError, match=r"toy\.zip was made from a folder of images; name that folder with --images"):
        reproducing(folder, archive)
    with pytest.raises(InputError, match="takes its images from 'phantom'; leave out --images"):
        reproducing(CONFIG, archive, tmp_path)


def test_runs_of_other_sizes_come_along(
    crate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((crate / "config.json").read_text())
    write_json(crate / "config.json", config | {"other_sizes": "$ELSEWHERE/larger.zip"})
    (crate / "other_sizes").mkdir()
    (crate / "other_sizes" / "larger.zip").write_bytes(b"runs")
    write_paper_archive(crate, tmp_path / "toy.zip")

    def made(study: Any, folder: Path, cores: int | None) -> None:
        # By its name, which the paper tells.
        assert study.config["other_sizes"] == str(folder / "other_sizes" / "larger.zip")
        assert Path(study.config["other_sizes"]).read_bytes() == b"runs"
        anew(crate, folder)

    monkeypatch.setattr(module, "run_workflow", made)
    reproduce(tmp_path / "toy.zip", folder=tmp_path / "work")
    assert capsys.readouterr().out.count("ok  ") == 3


def test_the_same_bytes_are_said_to_be_the_same(
    crate: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "run_workflow", lambda study, folder, cores: anew(crate, folder))
    assert main(["reproduce", str(archive), "--folder", str(tmp_path / "work")]) == 0
    assert capsys.readouterr().out.count("ok  ") == 3


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("claims/claims.json", '{"claims": [{"id": "C1", "verdict": "undecided"}]}', "claims.0.verdict is undecided"),
        ("claims/claims.json", '{"claims": [{"id":"C1","verdict":"reproduced"}]}', "the same content in other bytes"),
        ("paper/paper.html", "<p>\n<b>0.92</b>\n", "line 2: “<b>0.92</b>” instead of “<b>0.91</b>”"),
        ("paper/paper.html", "<p>\n", "byte 4 of 4 (before: 16)"),
        ("paper/paper.pdf", "%PDF 22", "byte 5 of 7 (before: 6)"),
    ],
)
def test_what_differs_first_is_said(
    name: str,
    content: str,
    words: str,
    crate: Path,
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def otherwise(study: Any, folder: Path, cores: int | None) -> None:
        anew(crate, folder)
        (folder / "results" / "toy" / name).write_text(content)

    monkeypatch.setattr(module, "run_workflow", otherwise)
    with pytest.raises(Differs, match=f"1 of 3 files differ: {name}"):
        reproduce(archive, folder=tmp_path / "work")
    assert words in capsys.readouterr().out
    assert main(["reproduce", str(archive), "--folder", str(tmp_path / "work")]) == 1


def test_other_code_and_packages_are_told(caplog: pytest.LogCaptureFixture) -> None:
    assert list(other_origins(MADE_WITH, MADE_WITH)) == []
    here = {"code": CODE | {"commit": "b" * 40, "dirty": True}, "packages": {"numpy": "2.4.6", "scipy": "1.19"}}
    code, packages = other_origins(MADE_WITH, here)
    assert "the code of version 0.1.0, commit aaaaaaaaaaaa, and this is version 0.1.0, commit bbbbbbbbbbbb with" in code
    assert packages == "Other package versions: scipy 1.19 instead of 1.20; results may differ."
    many = {"code": CODE, "packages": {f"package-{number}": "1" for number in range(9)}}
    (packages,) = other_origins(many, {"code": CODE, "packages": {}})
    assert "package-4 none instead of 1 and 4 more" in packages


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config.json": None}, "has no config.json; name a file that `snakemake archive` wrote"),
        ({"paper/paper.pdf": None}, "has no paper/paper.pdf; name a file"),
        ({"config.json": CONFIG | {"data": {"source": "embedded"}, "imagesize": 3}}, "unknown key 'imagesize'"),
        ({"config.json": {"name": "toy", "data": {"source": "embedded"}}}, "the key 'device' is missing"),
    ],
)
def test_an_archive_that_cannot_be_used_is_one_sentence(
    changes: dict[str, Any], words: str, crate: Path, tmp_path: Path
) -> None:
    for name, content in changes.items():
        (crate / name).unlink()
        if content:
            write_json(crate / name, content)
    write_paper_archive(crate, tmp_path / "toy.zip")
    with pytest.raises(InputError, match=words) as caught:
        reproduce(tmp_path / "toy.zip", folder=tmp_path / "work")
    assert "\n" not in str(caught.value) and not (tmp_path / "work").exists()


def test_a_damaged_archive_ends_with_2_and_a_sentence(archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-40])
    command = [sys.executable, "-m", "cxr", "reproduce", str(archive), "--folder", str(tmp_path / "work")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "toy.zip is a damaged zip file" in done.stderr and not (tmp_path / "work").exists()


def test_a_file_that_was_not_made_anew_is_missing(crate: Path, tmp_path: Path) -> None:
    files = {name: (crate / name).read_bytes() for name in OUTPUTS}
    anew(crate, tmp_path)
    (tmp_path / "results" / "toy" / "paper" / "paper.pdf").unlink()
    with pytest.raises(FileNotFoundError):
        list(compared(files, tmp_path / "results" / "toy"))


def test_what_the_workflow_says_is_passed_on(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(command: list[str], stdout: Any, **_: Any) -> subprocess.CompletedProcess[str]:
        stdout.write("Building DAG\ncxr unpack-runs: toy.zip: the run was made with other settings.\nshutting down\n")
        stdout.flush()
        assert json.loads((tmp_path / "work" / "config.json").read_text())["runs"]["as_recorded"]
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(module.subprocess, "run", failing)
    monkeypatch.setattr(module, "made_with", lambda: MADE_WITH)
    with caplog.at_level(logging.INFO), pytest.raises(InputError, match="the run was made with other settings"):
        reproduce(archive, folder=tmp_path / "work")
