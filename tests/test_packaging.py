"""The lock, pyproject.toml and environment.yml say the same."""

import re
import subprocess
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cxr.files import REPOSITORY
from cxr.study.schemas import read_yaml

LOCK = (REPOSITORY / "requirements.lock").read_text()
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
WANTED = PROJECT["dependencies"] + [entry for group in PROJECT["optional-dependencies"].values() for entry in group]
USERS = ["torch", "torchvision", "snakemake", "scikit-learn", "seaborn", "jinja2", "weasyprint", "pytest"]


def pins() -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for line in re.findall(r"^[a-z0-9].*?(?= \\$)", LOCK, re.MULTILINE):
        requirement = Requirement(line)
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def pinned_here(name: str) -> str:
    (pin,) = (p for p in pins()[name] if p.marker is None or p.marker.evaluate({"python_full_version": "3.11.7"}))
    return str(pin.specifier).removeprefix("==")


@pytest.mark.parametrize("entry", WANTED)
def test_every_dependency_is_locked_at_an_allowed_version(entry: str) -> None:
    requirement = Requirement(entry)
    assert pinned_here(canonicalize_name(requirement.name)) in requirement.specifier


def test_the_users_packages_are_dependencies() -> None:
    assert set(USERS) <= {Requirement(entry).name for entry in WANTED}


def test_every_pin_has_a_hash_and_is_exact() -> None:
    entries = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) > 100
    for entry in entries:
        assert "==" in entry.splitlines()[0] and "--hash=sha256:" in entry, entry.splitlines()[0]


def test_conda_installs_the_same_lock_python_and_pango() -> None:
    environment = read_yaml(REPOSITORY / "environment.yml")
    *packages, pip = environment["dependencies"]
    assert pip == {"pip": ["--require-hashes", "-r requirements.lock"]}
    assert {"python=3.11", "pango", "pip"} <= set(packages)
    assert "python-version 3.11" in (REPOSITORY / "Makefile").read_text()


def test_this_environment_is_the_locks() -> None:
    for name in USERS:
        assert metadata.version(name).split("+")[0] == pinned_here(name)


def test_the_lock_without_cuda_is_the_lock_less_its_cuda_packages() -> None:
    """The Makefile's filter for TORCH=cpu, run as it stands there."""
    makefile = (REPOSITORY / "Makefile").read_text()
    pattern = re.search(r"^CUDA_PACKAGES := (.+)$", makefile, re.MULTILINE)
    program = re.search(r"awk '(.+?)' requirements.lock", makefile)
    assert pattern and program
    script = program[1].replace("$(CUDA_PACKAGES)", pattern[1]).replace("$$", "$")
    kept = subprocess.run(
        ["awk", script, REPOSITORY / "requirements.lock"], capture_output=True, text=True, check=True
    ).stdout
    names = set(re.findall(r"^([a-z0-9._-]+)==", kept, re.MULTILINE))
    everything = set(re.findall(r"^([a-z0-9._-]+)==", LOCK, re.MULTILINE))
    gone = everything - names
    assert {"torch", "torchvision", "triton", "nvidia-cublas"} <= gone
    assert all(name in ("torch", "torchvision", "triton") or name.startswith(("nvidia-", "cuda-")) for name in gone)
    assert kept.count("--hash") < LOCK.count("--hash")
