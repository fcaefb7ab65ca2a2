"""``device: auto``: what this machine has, found without torch."""

from pathlib import Path

import pytest

from cxr.files import REPOSITORY
from cxr.study import device
from cxr.study.config import Study
from cxr.study.schemas import read_yaml
from cxr.study.settings import run_settings


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a GPU, on which torch is the build with CUDA; the folder is all of its PATH."""
    monkeypatch.setattr(device, "DRIVER", tmp_path / "gpus")
    monkeypatch.setattr(device.importlib.metadata, "version", lambda name: "2.14.1")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


def install_nvidia_smi(folder: Path, exit_code: int) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nexit {exit_code}\n")
    program.chmod(0o755)


def test_auto_is_the_cpu_where_there_is_no_gpu(bare: Path) -> None:
    assert not device.has_gpu() and device.resolved_device("auto") == "cpu"
    assert device.resolved_device("cuda") == "cuda", "what a config says is not changed"
    install_nvidia_smi(bare, 9)
    assert not device.has_gpu(), "a driver that finds no GPU"
    (bare / "gpus").mkdir()
    assert not device.has_gpu()


def test_a_gpu_is_found_by_its_driver_or_by_nvidia_smi(bare: Path) -> None:
    install_nvidia_smi(bare, 0)
    assert device.resolved_device("auto") == "cuda"
    (bare / "nvidia-smi").unlink()
    (bare / "gpus" / "0000:01:00.0").mkdir(parents=True)
    assert device.resolved_device("auto") == "cuda"
    assert device.resolved_device("cpu") == "cpu"


def test_a_gpu_that_torch_cannot_use_does_not_count(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_nvidia_smi(bare, 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not device.has_gpu()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert device.has_gpu()
    monkeypatch.setattr(device.importlib.metadata, "version", lambda name: "2.14.1+cpu")
    assert not device.has_gpu()


def test_the_settings_of_a_run_hold_the_device_that_auto_stands_for(bare: Path) -> None:
    config = read_yaml(REPOSITORY / "config" / "config.yaml")
    assert config["device"] == "auto"
    for expected in ("cpu", "cuda"):
        study = Study.from_config(config)
        assert study.config["device"] == run_settings(study, "custom", "published", 42)["device"] == expected
        install_nvidia_smi(bare, 0)
