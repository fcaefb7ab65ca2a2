"""The paper from the committed reference results is the one in docs, byte for byte, whatever the processor."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from test_workflow import snakemake

from cxr.files import REPOSITORY

# The kernels of numpy, torch and oneDNN for older processors, which differ in last bits from those for newer ones.
OLDER = {"NPY_DISABLE_CPU_FEATURES": "X86_V4", "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}


@pytest.fixture(scope="module")
def repository(copy_repository: Callable[[], Path]) -> Path:
    return copy_repository()


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{}, OLDER], ids=["this processor", "an older one"])
def test_the_reference_paper_is_the_committed_one(repository: Path, environment: dict[str, str]) -> None:
    results = repository / "results" / "reference"
    shutil.rmtree(results, ignore_errors=True)
    done = snakemake(repository, "--configfile", "config/reference.yaml", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("paper.html", "paper.pdf"):
        same = (results / "paper" / name).read_bytes() == (REPOSITORY / "docs" / name).read_bytes()
        assert same, f"docs/{name} is another paper; run make docs, and look at what changed"
    done = snakemake(repository, "verify", "--configfile", "config/reference.yaml", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
