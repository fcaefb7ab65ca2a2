"""Where a result comes from: code version, packages, hardware, inputs."""

import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxr import __version__
from cxr.files import REPOSITORY, sha256_of

PACKAGES = ("torch", "torchvision", "numpy", "pandas", "pillow", "scikit-learn", "snakemake")


def code_version() -> dict[str, Any]:
    """Return the package's version and, in a checkout, the commit and whether tracked files differ from it."""
    commit = _git("rev-parse", "HEAD")
    return {
        "version": __version__,
        "commit": commit,
        "dirty": None if commit is None else bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(REPOSITORY), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}


def processor() -> str:
    """Return the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def peak_memory_mib() -> float:
    """Return this process's largest resident memory so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Unlike ru_maxrss, it does not begin with the memory of the process that started this one.
        (line,) = (line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
        return round(int(line.split()[1]) / 1024, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


def provenance(inputs: Mapping[str, Path]) -> dict[str, Any]:
    """Return the parts of ``run.json`` that do not depend on the stage: code, packages, hardware, hashes of inputs."""
    return {
        "code": code_version(),
        "packages": package_versions(),
        "hardware": {"processor": processor(), "cores": os.cpu_count(), "system": platform.platform()},
        "inputs": {name: sha256_of(path) for name, path in inputs.items()},
    }
