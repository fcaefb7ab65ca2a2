"""Files appear whole or not at all."""

import math
from pathlib import Path

import pytest

from cxr.files import folder_written_whole, read_json, write_json, written_whole


def test_an_error_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "sub" / "a.txt"
    with written_whole(target) as part:
        part.write_text("old")
    with pytest.raises(RuntimeError), written_whole(target) as part:
        part.write_text("new, half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_keeps_the_old_folder_and_what_a_killed_run_left_is_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    with folder_written_whole(folder) as part:
        (part / "old.txt").touch()
    with pytest.raises(RuntimeError), folder_written_whole(folder) as part:
        (part / "half.txt").touch()
        raise RuntimeError
    assert [path.name for path in folder.iterdir()] == ["old.txt"]
    (tmp_path / ".images.part").mkdir()
    (tmp_path / ".images.part" / "left.txt").touch()
    with folder_written_whole(folder) as part:
        (part / "new.txt").touch()
    assert [path.name for path in folder.iterdir()] == ["new.txt"]
    assert list(tmp_path.iterdir()) == [folder]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with written_whole(tmp_path / "whole") as part:
        part.write_text("x")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_json_refuses_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"ü": [1.5]})
    assert read_json(tmp_path / "a.json") == {"ü": [1.5]}
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"x": math.nan})
    assert read_json(tmp_path / "a.json") == {"ü": [1.5]}
