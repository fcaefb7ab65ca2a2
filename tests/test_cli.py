"""The command line: exit codes, one sentence, tracebacks only in the log."""

import subprocess
import sys
from pathlib import Path

import pytest

from cxr.cli import COMMANDS, main


def cxr(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "cxr", *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_from_its_docstring(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


def test_bad_input_is_one_sentence_exit_2_and_the_traceback_in_the_log(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text("path,set\n")
    arguments = ["metrics", "--predictions", str(tmp_path / "predictions.csv"), "--metrics", str(tmp_path / "m.json")]
    done = cxr("--log", str(tmp_path / "logs" / "x.log"), *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("cxr metrics: ") and len(done.stderr.splitlines()) == 1
    assert "Traceback" in (tmp_path / "logs" / "x.log").read_text()


def test_a_defect_is_a_traceback_and_exit_1(tmp_path: Path) -> None:
    done = cxr("metrics", "--predictions", str(tmp_path / "none.csv"), "--metrics", str(tmp_path / "m.json"))
    assert done.returncode == 2 and "none.csv" in done.stderr
    (tmp_path / "manifest.csv").write_text("path,class\n")
    # Settings come from the workflow, which has validated them: a list in their place is a defect of the program.
    done = cxr(
        "split", "--manifest", str(tmp_path / "manifest.csv"), "--split", str(tmp_path / "s"), "--settings", "[]"
    )
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_settings_that_are_no_json_are_refused(tmp_path: Path) -> None:
    done = cxr("split", "--manifest", "m", "--split", "s", "--settings", "{")
    assert done.returncode == 2 and "not valid JSON" in done.stderr
