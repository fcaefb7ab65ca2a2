"""The paper from the committed reference results is the one in docs, byte for byte, whatever the processor."""

import os
import shutil
from pathlib import Path

import pytest
from test_workflow import snakemake

from cxr.files import REPOSITORY

# numpy's AVX-512 kernels and torch's AVX2 ones differ in last bits from the portable ones.
OTHER_PROCESSOR = {
    "NPY_DISABLE_CPU_FEATURES": "X86_V4",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{}, OTHER_PROCESSOR], ids=["this processor", "a lesser one"])
def test_the_reference_paper_is_the_committed_one(repository: Path, environment: dict[str, str]) -> None:
    shutil.rmtree(repository / "results" / "reference", ignore_errors=True)
    done = snakemake(repository, "--configfile", "config/reference.yaml", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("paper.html", "paper.pdf"):
        made, committed = repository / "results" / "reference" / "paper" / name, REPOSITORY / "docs" / name
        assert made.read_bytes() == committed.read_bytes(), f"make docs, and look at docs/{name}"
    shutil.rmtree(repository / "results" / "reference", ignore_errors=True)
    assert os.environ.get("CXR_DATA") is None or (repository / "paper" / "data").is_dir()
