"""Whether this machine has a GPU that torch can use, found without importing torch."""

import importlib.metadata
import os
import subprocess
from pathlib import Path

# Where NVIDIA's driver for Linux lists the GPUs; under WSL nvidia-smi alone lists them.
DRIVER = Path("/proc/driver/nvidia/gpus")


def has_gpu() -> bool:
    """Return whether NVIDIA's driver finds a GPU, no environment variable hides it, and torch is no build for CPUs."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") or _is_cpu_build():
        return False
    return (DRIVER.is_dir() and any(DRIVER.iterdir())) or _is_listed()


def resolved_device(chosen: str) -> str:
    """Return ``cuda`` or ``cpu`` for a config's ``device``: ``auto`` is CUDA where there is a GPU."""
    if chosen != "auto":
        return chosen
    return "cuda" if has_gpu() else "cpu"


def _is_cpu_build() -> bool:
    """Return whether the installed torch is one of its own CPU wheels, as ``make demo TORCH=cpu`` installs them."""
    try:
        return importlib.metadata.version("torch").endswith("+cpu")
    except importlib.metadata.PackageNotFoundError:
        return False


def _is_listed() -> bool:
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=3, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
