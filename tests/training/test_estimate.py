"""How long training would take: the measurement, what it is multiplied with, and the sentence."""

import logging
from pathlib import Path
from typing import Any

import pytest

from cxr.files import REPOSITORY, read_json
from cxr.study.config import Study
from cxr.study.schemas import read_yaml
from cxr.study.settings import run_settings
from cxr.training import estimate

CONFIG = read_yaml(REPOSITORY / "config" / "config.yaml") | {
    "device": "cpu",
    "image_size": 32,
    "threads": 1,
    "protocols": ["published", "corrected"],
    "experiments": ["custom", "resnet18-I-10", "resnet18-I-100"],
    "seeds": [1, 2],
    "ablations": [],
}


def estimated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, **changes: Any) -> dict[str, Any]:
    """An estimate on a machine that takes a second for each image."""
    monkeypatch.setattr(estimate, "seconds_per_image", lambda settings, threads: 1.0)
    estimate.write_estimate(CONFIG | changes, cores, tmp_path / "estimate.json")
    found: dict[str, Any] = read_json(tmp_path / "estimate.json")
    return found


def test_images_of_all_runs_count_and_features_once_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = estimated(tmp_path, monkeypatch, cores=1)
    custom, resnet = found["networks"]
    assert found["runs"] == 12
    # Two protocols and two seeds with 25 epochs of four transforms of 2,682 images.
    assert custom["images"] == 2 * 2 * 25 * 10728
    # Under `published`, heads train with the network for 10 epochs; under `corrected`, they share its features.
    assert resnet["images"] == 2 * 2 * 10 * 5364 + 5364
    assert custom["hours"] == pytest.approx(custom["images"] / 3600, abs=0.01)
    assert found["hours"] == pytest.approx(custom["hours"] + resnet["hours"])


def test_runs_share_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = estimated(tmp_path, monkeypatch, cores=1)["hours"]
    assert estimated(tmp_path, monkeypatch, cores=4)["hours"] == pytest.approx(alone / 4, rel=1e-3)
    assert estimated(tmp_path, monkeypatch, cores=4, threads=2)["hours"] == pytest.approx(alone / 2, rel=1e-3)
    assert estimated(tmp_path, monkeypatch, cores=64)["hours"] == pytest.approx(alone / 12, rel=1e-3)
    together = estimated(tmp_path, monkeypatch, cores=64, one_process=True)["hours"]
    assert together == pytest.approx(alone / 4, rel=1e-3), "a job for each protocol and seed"
    together = estimated(tmp_path, monkeypatch, cores=64, seeds_in_one_job=True)["hours"]
    assert together == pytest.approx(alone / 6, rel=1e-3), "a job for each protocol and experiment"


def test_a_larger_network_takes_longer() -> None:
    study = Study.from_config(CONFIG | {"experiments": ["custom", "resnet18-III"]})
    custom, resnet = (
        estimate.seconds_per_image(run_settings(study, name, "published", 1), 1) for name in ("custom", "resnet18-III")
    )
    assert 0 < custom < resnet < 10


def test_the_sentence_names_the_time_and_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "cxr"):
        estimated(tmp_path, monkeypatch, cores=6)
    assert caplog.messages == [
        "This machine would need about 60 h on its CPU to train 12 runs (custom_cnn 50 h, resnet18 10 h); `make demo` "
        "shows the whole path in minutes."
    ]
    networks = [{"backbone": "a", "hours": 0.25}, {"backbone": "b", "hours": 3.0}, {"backbone": "a", "hours": 96.75}]
    assert "about 4 days on its CPU to train 2 runs (a 4 days, b 3.0 h);" in estimate.sentence(networks, 100.0, 2)
    assert "about 15 min " in estimate.sentence(networks[:1], 0.25, 1)
