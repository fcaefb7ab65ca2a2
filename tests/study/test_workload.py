"""Which runs are trained here, and how many images pass through their networks."""

from pathlib import Path
from typing import Any

import pytest

from cxr.files import REPOSITORY
from cxr.study.config import Study
from cxr.study.schemas import read_yaml
from cxr.study.workload import (
    image_count,
    images_per_epoch,
    memory_mb,
    minutes_to_ask,
    rough_seconds,
    trained_runs,
)


def study_of(name: str, **changes: Any) -> Study:
    return Study.from_config(read_yaml(REPOSITORY / "config" / f"{name}.yaml") | {"device": "cpu"} | changes)


def test_images_of_each_source(tmp_path: Path) -> None:
    assert image_count(study_of("config")) == 5856
    assert image_count(study_of("phantom")) == 862
    (tmp_path / "train").mkdir()
    for name in ("a.png", "train/b.png"):
        (tmp_path / name).touch()
    assert image_count(study_of("config", data={"source": "folder", "folder": str(tmp_path)})) == 2


def test_the_study_passes_as_many_images_as_it_printed() -> None:
    printed = read_yaml(REPOSITORY / "paper" / "published" / "results.json")["training_images"]
    study = study_of("config")
    assert images_per_epoch(study, "custom", "published", 5856) == printed["four_transforms"]
    assert images_per_epoch(study, "resnet18-III", "published", 5856) == printed["original_plus_flip"]
    limited = study_of("config", limits=[{"experiments": ["custom"], "training_images": 10}])
    assert images_per_epoch(limited, "custom", "published", 5856) == 4 * 2 * 10


def test_archived_runs_and_those_without_weights_are_not_trained_here() -> None:
    config = {"protocols": ["published"], "experiments": ["custom", "resnet18-III"], "ablations": [], "seeds": [1, 2]}
    runs = [("published", name, seed) for name in ("custom", "resnet18-III") for seed in (1, 2)]
    assert trained_runs(study_of("config", **config)) == runs
    assert trained_runs(study_of("config", **config, weights={"resnet18": "none"})) == runs[:2]
    archive = {"source": "archive", "file": "runs.zip", "trained_here": ["published/resnet18-*/seed-2"]}
    assert trained_runs(study_of("config", **config, runs=archive)) == runs[3:]


def test_only_the_study_takes_long_on_a_cpu() -> None:
    names = ("config", "demo", "reference", "phantom")
    assert [name for name in names if rough_seconds(study_of(name)) > 1800] == ["config"]


# MiB that DenseNet-121 took with batches of 30, the largest network.
@pytest.mark.parametrize(("size", "measured"), [(64, 1404), (224, 5447)])
def test_a_job_asks_for_more_memory_than_the_largest_network_was_measured_to_take(size: int, measured: int) -> None:
    assert measured * 1.05 < memory_mb(study_of("config", image_size=size)) / 1.048576 < measured * 1.2


def test_cuda_takes_memory_at_any_size() -> None:
    asked = [memory_mb(study_of("config", image_size=64, device=device)) for device in ("cpu", "cuda")]
    assert asked[0] < 2000 < 4000 < asked[1]


def test_a_run_asks_for_more_time_than_the_longest_was_measured_to_take() -> None:
    # config/reference-training.yaml on one thread, beside other work: ResNet-18 III took 1567 s, the custom CNN 693 s.
    study = study_of("config", image_size=64)
    minutes = {name: minutes_to_ask(study, "published", name, 5856) for name in ("custom", "resnet18-III")}
    assert 1567 / 60 < minutes["resnet18-III"] < 60 and minutes["custom"] < minutes["resnet18-III"] / 5
    on_gpu = minutes_to_ask(study_of("config", image_size=64, device="cuda"), "published", "resnet18-III", 5856)
    assert on_gpu == pytest.approx(minutes["resnet18-III"] / 10)
