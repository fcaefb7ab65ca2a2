"""The files that a stage is said to depend on are those that it imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from cxr.cli import COMMANDS
from cxr.errors import InputError
from cxr.files import REPOSITORY
from cxr.study.code_digests import check_checkout, code_of, source_files

TORCH_FREE = (
    *(
        "images",
        "embed",
        "manifest",
        "split",
        "lungs",
        "normalisation",
        "metrics",
        "evaluate",
        "uncertainty",
        "baselines",
    ),
    *("ablations", "claims", "verify", "compare", "figures", "paper"),
    *("crate", "archive", "reproduce", "licences"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_source_files_are_what_python_loads(command: str) -> None:
    module = COMMANDS[command].split(":")[0]
    program = (
        f"import sys, {module}; ours = [m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'cxr'];"
        "print(*ours, 'torch' in sys.modules, sep='\\n')"
    )
    *files, torch = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    loaded = {path.removeprefix(f"{REPOSITORY}/") for path in files}
    # The __init__ of a package holds words alone; functions may import further modules when called.
    assert {path for path in loaded if not path.endswith("__init__.py")} <= set(source_files(module))
    assert (torch == "False") >= (command in TORCH_FREE), "stages after predictions do without torch"


def test_the_digest_changes_with_the_files_of_a_stage_and_with_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxr.study.code_digests.REPOSITORY", tmp_path)
    (tmp_path / "cxr").mkdir()
    for name, text in (("stage", "from cxr.used import x\n"), ("used", "x = 1\n"), ("other", "y = 1\n")):
        (tmp_path / "cxr" / f"{name}.py").write_text(text)

    def digest() -> str:
        source_files.cache_clear()
        code_of.cache_clear()
        return code_of("cxr.stage")

    before = digest()
    (tmp_path / "cxr" / "other.py").write_text("y = 2\n")
    assert digest() == before
    (tmp_path / "cxr" / "used.py").write_text("x = 2\n")
    assert digest() != before
    source_files.cache_clear()
    code_of.cache_clear()


def test_a_snakefile_of_another_checkout_is_refused(tmp_path: Path) -> None:
    check_checkout(f"{REPOSITORY}/workflow/..")
    for other in (str(tmp_path), "https://raw.githubusercontent.com/a/b/main"):
        with pytest.raises(InputError, match=f"The Snakefile is in {other}, but Python finds the package cxr in"):
            check_checkout(other)
