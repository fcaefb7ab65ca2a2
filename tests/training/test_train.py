"""Training: reproducible, resumable, and selecting as the protocol says."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cxr.errors import InputError
from cxr.files import read_json, write_json
from cxr.preprocessing.arrays import write_arrays
from cxr.preprocessing.normalisation import write_normalisation
from cxr.preprocessing.split import write_split
from cxr.study.arrays import all_arrays
from cxr.study.config import PAPER, Study
from cxr.study.schemas import read_yaml
from cxr.study.settings import run_settings, split_settings
from cxr.training.batches import ImageSet, generator_for
from cxr.training.train import train as train_runs

CONFIG = {
    "name": "test",
    "data": {"source": "folder", "folder": "."},
    "device": "cpu",
    "image_size": 32,
    "protocols": ["published"],
    "experiments": ["custom"],
    "seeds": [42],
    "limits": [{"experiments": ["*"], "epochs": 4}],
}
STUDY = Study.from_config(CONFIG)
RESULT_FILES = ("predictions.csv", "history.csv", "checkpoint.pt")


def train(*, run: Path, settings: dict[str, Any], **arguments: Any) -> None:
    """Train one run."""
    train_runs({str(run): settings}, **arguments)


@pytest.fixture
def stage(make_cohort: Callable[..., tuple[Path, Path]], tmp_path: Path) -> dict[str, Any]:
    """Everything that training reads, for a small cohort, as keyword arguments of ``train``."""
    manifest, cohort = make_cohort(train=30, held_out=15)
    arrays = [tmp_path / f"{name}.npy" for name in all_arrays(STUDY)]
    settings = split_settings(STUDY, "published")
    write_arrays(manifest, cohort, arrays)
    write_split(manifest, settings, tmp_path / "split.csv")
    preprocessing, published = tmp_path / "preprocessing.json", PAPER / "published" / "results.json"
    write_normalisation(manifest, tmp_path / "split.csv", arrays[0], published, settings, preprocessing)
    return {
        "settings": run_settings(STUDY, "custom", "published", 42),
        "manifest": manifest,
        "split": tmp_path / "split.csv",
        "preprocessing": preprocessing,
        "arrays": arrays,
    }


def test_one_seed_twice_is_byte_identical_and_another_seed_is_not(stage: dict[str, Any], tmp_path: Path) -> None:
    train(**stage, run=tmp_path / "a")
    train(**stage, run=tmp_path / "b")
    train(**(stage | {"settings": stage["settings"] | {"seed": 43}}), run=tmp_path / "c")
    for name in RESULT_FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
        assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "c" / name).read_bytes(), name
    assert sorted(file.name for file in (tmp_path / "a").iterdir()) == sorted([*RESULT_FILES, "run.json"])


def test_it_learns_and_says_what_it_did(stage: dict[str, Any], tmp_path: Path) -> None:
    train(**stage, run=tmp_path / "run")
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    predictions = pd.read_csv(tmp_path / "run" / "predictions.csv")
    record = read_json(tmp_path / "run" / "run.json")
    split = pd.read_csv(stage["split"])

    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    # The first strictly best epoch is kept, and its validation accuracy is that of the predictions (batches of ten).
    assert record["best_epoch"] == history["epoch"][history["val_accuracy"].idxmax()]
    assert record["settings"] == stage["settings"]
    assert record["training_images"] == 4 * (split["set"] == "train").sum()
    assert record["parameters"]["trainable"] > 0 and record["peak_memory_mib"] > 50
    for name in ("validation", "test"):
        mine = predictions[predictions["set"] == name]
        assert mine["path"].tolist() == split.loc[split["set"] == name, "path"].tolist()
        assert mine["label"].tolist() == [int("PNEUMONIA" in path) for path in mine["path"]]
        assert ((mine["probability"] > 0.5) == (mine["predicted"] == 1)).all()
    manifest = pd.read_csv(stage["manifest"]).set_index("path")
    assert predictions["patient_fine"].tolist() == manifest.loc[predictions["path"], "patient_fine"].tolist()


def test_learning_rate_falls_by_gamma_every_five_epochs(stage: dict[str, Any], tmp_path: Path) -> None:
    train(**(stage | {"settings": stage["settings"] | {"epochs": 11}}), run=tmp_path / "run")
    rates = pd.read_csv(tmp_path / "run" / "history.csv")["learning_rate"]
    assert rates.tolist() == pytest.approx([1e-3] * 5 + [5e-4] * 5 + [2.5e-4])


@pytest.mark.parametrize(
    ("rule", "expected"),
    # 17 validation images in batches of 10: ten of one batch count as much as seven of the other in batch_mean.
    [("batch_mean", lambda right, of: np.mean(right / of)), ("sample_mean", lambda right, of: right.sum() / of.sum())],
)
def test_accuracy_rules(rule: str, expected: Callable[..., float]) -> None:
    from cxr.training.epochs import _accuracy

    right, of = np.array([9.0, 3.0]), np.array([10.0, 7.0])
    given = _accuracy(torch.from_numpy(right), torch.from_numpy(of), {"accuracy": rule})
    assert given == pytest.approx(expected(right, of))


def test_published_validation_loss_repeats_the_last_training_batch(stage: dict[str, Any], tmp_path: Path) -> None:
    train(**stage, run=tmp_path / "published")
    train(**(stage | {"settings": stage["settings"] | {"validation_loss": "cross_entropy"}}), run=tmp_path / "true")
    published = pd.read_csv(tmp_path / "published" / "history.csv")
    true = pd.read_csv(tmp_path / "true" / "history.csv")
    assert not np.allclose(published["val_loss"], true["val_loss"])
    pd.testing.assert_frame_equal(published.drop(columns="val_loss"), true.drop(columns="val_loss"))


@pytest.mark.slow
def test_killed_at_three_moments_it_ends_with_the_same_bytes(stage: dict[str, Any], tmp_path: Path) -> None:
    stage["settings"]["epochs"] = 6
    train(**stage, run=tmp_path / "whole", threads=1)
    runs = json.dumps({str(tmp_path / "killed"): stage["settings"]})
    command = [sys.executable, "-m", "cxr", "train", "--runs", runs, "--threads", "1"]
    for name in ("manifest", "split", "preprocessing"):
        command += [f"--{name}", str(stage[name])]
    command += ["--arrays", *map(str, stage["arrays"])]
    state = tmp_path / "killed" / "unfinished.pt"
    for kill in range(3):
        before = state.stat().st_mtime_ns if state.exists() else 0
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        # Kill it within an epoch: as soon as a further epoch was written, and once at a later moment of the next.
        while (not state.exists() or state.stat().st_mtime_ns == before) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(0.01 * kill)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run ended before it was killed"
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    for name in RESULT_FILES:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes(), name
    assert not state.exists()


def test_a_state_of_other_settings_is_not_continued(stage: dict[str, Any], tmp_path: Path) -> None:
    train(**stage, run=tmp_path / "whole")
    other = {"settings": "{}", "history": [1, 2, 3]}
    (tmp_path / "run").mkdir()
    torch.save(other, tmp_path / "run" / "unfinished.pt")
    train(**stage, run=tmp_path / "run")
    assert (tmp_path / "run" / "history.csv").read_bytes() == (tmp_path / "whole" / "history.csv").read_bytes()


def test_loss_that_is_not_finite_names_the_batch(stage: dict[str, Any], tmp_path: Path) -> None:
    facts = read_json(stage["preprocessing"])
    facts["normalisation"]["std"] = 1e-42
    write_json(stage["preprocessing"], facts)
    with pytest.raises(InputError, match="epoch 1, batch 1 of"):
        train(**stage, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_memory_that_does_not_suffice_says_what_to_lower(
    stage: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("cxr.training.epochs.set_training_mode", full)
    with pytest.raises(InputError, match="lower image_size") as caught:
        train(**stage, run=tmp_path / "run")
    assert str(tmp_path / "run") in str(caught.value)


def test_batches_do_not_depend_on_the_chunk(stage: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from cxr.training import batches as module
    from cxr.training.train import _image_sets

    frames = (pd.read_csv(stage["manifest"]), pd.read_csv(stage["split"]), read_json(stage["preprocessing"]))
    images = _image_sets(stage["settings"], *frames, stage["arrays"], torch.device("cpu"))["train"]

    def all_batches(images: ImageSet) -> list[torch.Tensor]:
        return [batch for batch, _ in images.batches(10, generator_for(42, 1, 0), shuffle=True)]

    whole = all_batches(images)
    monkeypatch.setattr(module, "CHUNK", 20)
    assert all(torch.equal(a, b) for a, b in zip(whole, all_batches(images), strict=True))
    assert sum(map(len, whole)) == len(images) == 4 * len(images.rows)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
def test_a_compiled_network_learns_the_same_to_rounding(stage: dict[str, Any], tmp_path: Path) -> None:
    train(**stage, run=tmp_path / "plain")
    train(**(stage | {"settings": stage["settings"] | {"compile": True}}), run=tmp_path / "compiled")
    ours, theirs = (pd.read_csv(tmp_path / run / "history.csv") for run in ("compiled", "plain"))
    np.testing.assert_allclose(ours["train_loss"], theirs["train_loss"], rtol=1e-3)
    weights = [torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in ("compiled", "plain")]
    assert weights[0].keys() == weights[1].keys()


def test_the_catalogues_schedule_is_the_studys() -> None:
    custom = read_yaml(PAPER / "experiments.yaml")["experiments"]["custom"]
    assert (custom["batch_size"], custom["epochs"], custom["lr_step"], custom["lr_gamma"]) == (10, 25, 5, 0.5)
