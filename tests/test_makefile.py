"""``make help``, the hooks before a commit, the continuous integration and the documents name targets that exist."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cxr.files import REPOSITORY
from cxr.study.schemas import read_yaml

MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
PHONY = re.findall(r"\S+", re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[0])
DOCUMENTS = [
    REPOSITORY / name
    for name in ("README.md", "CONTRIBUTING.md", "config/README.md", "docs/cluster.md", "docs/extending.md")
]


def targets(commands: list[str]) -> list[str]:
    """The targets of all calls of make."""
    words = [shlex.split(line) for command in commands for line in command.splitlines()]
    return [word for call in words if call[0] == "make" for word in call[1:] if "=" not in word]


def test_help_tells_every_target_in_the_order_of_the_makefile() -> None:
    # Called by another make, which runs these tests, it would also tell which folder it enters.
    command = ["make", "--no-print-directory", "help"]
    printed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    found = [re.fullmatch(r"make ([\w-]+) +(\S.*)", line) for line in printed.splitlines()]
    names = [match[1] for match in found if match]
    assert len(names) == len(found) and sorted(names) == sorted(PHONY)
    assert names == [name for name in re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE) if name in PHONY]


def test_check_is_what_the_hooks_before_a_commit_call_one_by_one() -> None:
    (repository,) = read_yaml(REPOSITORY / ".pre-commit-config.yaml")["repos"]
    hooks = repository["hooks"]
    assert repository["repo"] == "local" and {hook["language"] for hook in hooks} == {"system"}
    called = [targets([hook["entry"]]) for hook in hooks]
    prerequisites = re.findall(r"^check: ([^#]+?) *##", MAKEFILE, re.MULTILINE)[0].split()
    assert called == [[name] for name in prerequisites]


@pytest.mark.parametrize(
    ("changed", "hooks"),
    [
        ("cxr/study/config.py", {"lint", "types", "workflow"}),
        ("tests/conftest.py", {"lint", "types"}),
        ("workflow/rules/training.smk", {"workflow"}),
        ("paper/experiments.yaml", {"workflow"}),
        ("README.md", set()),
    ],
)
def test_a_hook_runs_where_a_file_that_it_checks_is_changed(changed: str, hooks: set[str]) -> None:
    (repository,) = read_yaml(REPOSITORY / ".pre-commit-config.yaml")["repos"]
    assert (REPOSITORY / changed).is_file()
    assert {hook["id"] for hook in repository["hooks"] if re.search(hook["files"], changed)} == hooks


def test_the_continuous_integration_runs_the_makefiles_targets() -> None:
    (job,) = read_yaml(REPOSITORY / ".github/workflows/ci.yml")["jobs"].values()
    steps: list[dict[str, Any]] = job["steps"]
    called = targets([step["run"] for step in steps if "run" in step])
    assert called == ["check", "test", "demo"] and set(called) <= set(PHONY)
    assert job["env"]["TORCH"] == "cpu" and job["container"].startswith("python:3.11")
    pango = re.findall(r"^PANGO := (.+)$", MAKEFILE, re.MULTILINE)[0].split()
    installed = next(step["run"] for step in steps if "apt-get install" in step.get("run", "")).split()
    assert {*pango, "chromium", "default-jre-headless"} <= set(installed)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_targets_that_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    code = re.findall(r"```.*?\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text)
    named = {target for piece in code for target in re.findall(r"^make ([\w-]+)", piece, re.MULTILINE)}
    assert named <= set(PHONY), document
