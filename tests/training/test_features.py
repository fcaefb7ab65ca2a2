"""Stored features: heads trained on them are those that the whole network would have got."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cxr.errors import InputError
from cxr.files import read_json
from cxr.networks.weights import write_weights
from cxr.preprocessing.arrays import open_array, write_arrays
from cxr.preprocessing.normalisation import write_normalisation
from cxr.preprocessing.split import write_split
from cxr.study.arrays import array_name
from cxr.study.config import PAPER, Study
from cxr.study.settings import features_settings, run_settings, split_settings, uses_features
from cxr.training.batches import generator_for
from cxr.training.features import read_features, write_features
from cxr.training.sets import image_sets, members_of_sets
from cxr.training.train import train

CONFIG = {
    "name": "test",
    "data": {"source": "folder", "folder": "."},
    "device": "cpu",
    "image_size": 32,
    "protocols": ["published", "described", "corrected"],
    "experiments": "all",
    "seeds": [42, 43],
    "weights": {"resnet18": "random", "densenet121": "random"},
    "limits": [{"experiments": ["*"], "epochs": 3, "training_images": 12}],
}
STUDY = Study.from_config(CONFIG)
PLAIN = Study.from_config({**CONFIG, "cached_features": False})


@pytest.fixture
def stage(make_cohort: Callable[..., tuple[Path, Path]], tmp_path: Path) -> dict[str, Any]:
    """Everything that training under ``described`` reads, for a small cohort, as keyword arguments."""
    manifest, cohort = make_cohort(train=20, held_out=15)
    arrays = [tmp_path / f"{array_name(STUDY, 1.0, 'described')}.npy"]
    settings = split_settings(STUDY, "described")
    write_arrays(manifest, cohort, arrays)
    write_split(manifest, settings, tmp_path / "split.csv")
    preprocessing, published = tmp_path / "preprocessing.json", PAPER / "published" / "results.json"
    write_normalisation(manifest, tmp_path / "split.csv", arrays[0], published, settings, preprocessing)
    return {"manifest": manifest, "split": tmp_path / "split.csv", "preprocessing": preprocessing, "arrays": arrays}


def weights_of(backbone: str, folder: Path) -> Path:
    write_weights({"backbone": backbone, "source": "random"}, folder / f"{backbone}.pt", folder / f"{backbone}.json")
    return folder / f"{backbone}.pt"


def test_only_heads_on_a_fixed_network_and_fixed_transforms_use_features() -> None:
    using = {(e, p) for p in STUDY.protocols for e in STUDY.experiments if uses_features(STUDY, e, p)}
    strategy_one = {f"{backbone}-I-{n}" for backbone in ("resnet18", "densenet121") for n in (10, 100, 500)}
    # Under `published`, batch normalisation of the fixed part follows the batches; the trial's transforms are random.
    assert using == {(name, protocol) for name in strategy_one for protocol in ("described", "corrected")}
    assert not any(uses_features(PLAIN, e, p) for p in PLAIN.protocols for e in PLAIN.experiments)


@pytest.mark.parametrize("backbone", ["resnet18", pytest.param("densenet121", marks=pytest.mark.slow)])
def test_heads_on_features_equal_those_of_the_whole_network(
    backbone: str, stage: dict[str, Any], tmp_path: Path
) -> None:
    weights = weights_of(backbone, tmp_path)
    features = tmp_path / "features" / f"{backbone}.npz"
    write_features(features_settings(STUDY, backbone, "described"), weights=weights, features=features, **stage)
    # Dropout in the head, two sizes of it and two seeds: one file of features serves them all.
    for name, seed in ((f"{backbone}-I-10", 42), (f"{backbone}-I-100", 43)):
        cached, plain = (run_settings(study, name, "described", seed) for study in (STUDY, PLAIN))
        assert cached["cached_features"] and "cached_features" not in plain
        train({str(tmp_path / "a"): cached}, weights=[weights], features=[features], **stage)
        train({str(tmp_path / "b"): plain}, weights=[weights], **stage)
        ours, theirs = (pd.read_csv(tmp_path / run / "history.csv") for run in "ab")
        # Features are computed in batches of 64 and not of 30, which may round otherwise in the last bits.
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
        assert ours["train_loss"].iloc[-1] < ours["train_loss"].iloc[0]
        ours, theirs = (pd.read_csv(tmp_path / run / "predictions.csv") for run in "ab")
        np.testing.assert_allclose(ours["probability"], theirs["probability"], atol=1e-5)
        assert ours["path"].tolist() == theirs["path"].tolist()
        mine, other = (torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in "ab")
        assert mine.keys() == other.keys()
        assert all(torch.allclose(mine[key].double(), other[key].double(), atol=1e-5) for key in mine)
        records = [read_json(tmp_path / run / "run.json") for run in "ab"]
        assert records[0]["parameters"] == records[1]["parameters"]
        assert records[0]["best_epoch"] == records[1]["best_epoch"]


def test_an_image_in_several_sets_has_one_row_of_features(stage: dict[str, Any], tmp_path: Path) -> None:
    # Under `corrected`, the official test set shares images with validation and test set.
    split = pd.read_csv(stage["split"])
    official = split[split["set"] != "train"].assign(set="official_test")
    pd.concat([official, split]).to_csv(stage["split"], index=False)
    weights, features = weights_of("resnet18", tmp_path), tmp_path / "resnet18.npz"
    write_features(features_settings(STUDY, "resnet18", "described"), weights=weights, features=features, **stage)
    assert all(table.index.is_unique for table in read_features(features).values())
    cached, plain = (run_settings(study, "resnet18-I-10", "described", 42) for study in (STUDY, PLAIN))
    train({str(tmp_path / "a"): cached}, weights=[weights], features=[features], **stage)
    train({str(tmp_path / "b"): plain}, weights=[weights], **stage)
    ours, theirs = (pd.read_csv(tmp_path / run / "predictions.csv") for run in "ab")
    assert ours["set"].tolist() == theirs["set"].tolist()
    np.testing.assert_allclose(ours["probability"], theirs["probability"], atol=1e-5)


def test_features_hold_what_the_sets_need_and_no_more(stage: dict[str, Any], tmp_path: Path) -> None:
    settings = features_settings(STUDY, "resnet18", "described")
    write_features(settings, weights=weights_of("resnet18", tmp_path), features=tmp_path / "f.npz", **stage)
    features, split = read_features(tmp_path / "f.npz"), pd.read_csv(stage["split"])
    held_out = (split["set"] != "train").sum()
    assert {name: len(table) for name, table in features.items()} == {"T0": 24 + held_out, "T2": 24}
    assert all(table.shape[1] == 512 and table.index.is_unique for table in features.values())


def test_a_backbone_that_draws_at_random_before_its_head_is_refused(stage: dict[str, Any], tmp_path: Path) -> None:
    settings = features_settings(STUDY, "resnet18", "described")
    # Its classifier has a dropout layer before the last linear one.
    settings["model"] = {"backbone": "mobilenet_v3_small", "input_channels": 3, "head": {"layer": "classifier.3"}}
    weights = weights_of("mobilenet_v3_small", tmp_path)
    with pytest.raises(InputError, match="cached_features: false"):
        write_features(settings, weights=weights, features=tmp_path / "f.npz", **stage)
    assert not (tmp_path / "f.npz").exists()


def test_without_weights_there_are_no_features_and_the_run_says_why(stage: dict[str, Any], tmp_path: Path) -> None:
    weights, settings = tmp_path / "resnet18.pt", features_settings(STUDY, "resnet18", "described")
    write_weights({"backbone": "resnet18", "source": "none"}, weights, weights.with_suffix(".json"))
    write_features(settings, weights=weights, features=tmp_path / "resnet18.npz", **stage)
    assert read_features(tmp_path / "resnet18.npz") == {}
    run = run_settings(STUDY, "resnet18-I-10", "described", 42)
    train({str(tmp_path / "run"): run}, weights=[weights], features=[tmp_path / "resnet18.npz"], **stage)
    assert read_json(tmp_path / "run" / "run.json")["reason"].startswith("no weights")


def test_images_kept_on_the_device_are_those_of_the_files(stage: dict[str, Any]) -> None:
    settings = run_settings(PLAIN, "resnet18-III", "described", 42)
    manifest, mapped = pd.read_csv(stage["manifest"]), open_array(stage["arrays"][0])
    members = members_of_sets(settings, manifest, pd.read_csv(stage["split"]))
    batches = []
    for array in (mapped, torch.tensor(mapped)):
        sets = image_sets(settings, members, manifest, read_json(stage["preprocessing"]), {32: array})
        batches.append([batch for batch, _ in sets["train"].batches(5, generator_for(1, 1, 0), shuffle=True)])
    assert len(batches[0]) > 1
    assert all(torch.equal(a, b) for a, b in zip(*batches, strict=True))
