"""The table of licences is complete, and its command writes what stands there."""

import shutil
from pathlib import Path

import pytest

from cxr.errors import InputError
from cxr.files import REPOSITORY
from cxr.review.licences import HEADING, ROW, licence_of, names_of, write_licences

TABLE, LOCK = REPOSITORY / "docs" / "licences.md", REPOSITORY / "requirements.lock"


def rows(table: Path) -> dict[str, str]:
    return {row["name"]: row["licence"] for row in ROW.finditer(table.read_text().partition(HEADING)[2])}


def test_every_package_of_the_lock_has_a_licence() -> None:
    assert list(rows(TABLE)) == names_of(LOCK), "run make licences"
    assert not [name for name, licence in rows(TABLE).items() if not licence.strip()]


def test_the_command_writes_the_committed_table(tmp_path: Path) -> None:
    shutil.copy(TABLE, tmp_path)
    write_licences(tmp_path / TABLE.name)
    assert (tmp_path / TABLE.name).read_text() == TABLE.read_text()


def test_expressions_classifiers_and_texts_are_read() -> None:
    assert licence_of("packaging") == "Apache-2.0 OR BSD", "two classifiers"
    assert licence_of("snakemake-interface-common") == "MIT", "nothing but the text of the licence"
    assert licence_of("pytest") == "MIT" and licence_of("certifi") == "MPL-2.0"
    assert licence_of("no-such-package") is None


def test_a_package_not_installed_keeps_its_row_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    table, lock = tmp_path / "licences.md", tmp_path / "requirements.lock"
    lock.write_text("no-such-package==1.0 \\\n    --hash=sha256:00\npytest==8.0 \\\n    --hash=sha256:00\n")
    table.write_text(TABLE.read_text() + "| no-such-package | by others | Zlib |\n")
    write_licences(table, lock)
    assert rows(table) == {"no-such-package": "Zlib", "pytest": "MIT"}
    assert table.read_text().startswith("# Licences\n\nThe code is under the MIT licence")
    lock.write_text("another==1.0 \\\n    --hash=sha256:00\n")
    with pytest.raises(InputError, match="nothing tells the licence of another; add a row"):
        write_licences(table, lock)
    table.write_text("# Licences\n")
    with pytest.raises(InputError, match="has no table of packages"):
        write_licences(table, lock)
