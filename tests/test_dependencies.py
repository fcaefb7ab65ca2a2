"""The files that a stage is said to depend on are those that it imports."""

import subprocess
import sys

import pytest

from cxr.cli import COMMANDS
from cxr.dependencies import source_files
from cxr.schema import REPOSITORY

TORCH_FREE = (
    *("images", "manifest", "split", "normalisation", "evaluate", "evaluate-runs", "uncertainty", "baselines"),
    *("ablations", "claims", "verify", "compare", "paper-figures", "report"),
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
    # A package's __init__ holds the version alone; functions may import further modules when called.
    assert loaded - {"cxr/__init__.py"} <= set(source_files(module))
    assert (torch == "False") >= (command in TORCH_FREE), "stages after predictions do without torch"
