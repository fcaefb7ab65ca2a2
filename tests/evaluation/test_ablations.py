"""Ablations: one choice flipped, all else the same, and what that changes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cxr.errors import InputError
from cxr.evaluation.ablations import effect_of, write_ablations
from cxr.files import read_json, write_json
from cxr.study.arrays import arrays_of
from cxr.study.config import Study
from cxr.study.protocols import DISCREPANCIES, read_discrepancies
from cxr.study.settings import run_settings, split_settings

CONFIG: dict[str, Any] = {
    "name": "test",
    "data": {"source": "folder", "folder": "."},
    "device": "cpu",
    "image_size": 32,
    "protocols": ["published", "described", "corrected"],
    "experiments": "all",
    "seeds": [42, 43],
    "ablations": "all",
}


def test_every_row_is_flipped_compared_or_says_why_not_and_each_flip_changes_its_runs() -> None:
    rows, study = read_discrepancies(DISCREPANCIES), Study.from_config(CONFIG)
    assert len(rows) == 28
    assert set(study.flips.values()) == {row for row in rows if "flip" in rows[row]}
    for protocol in study.flips:
        assert study.ablated(protocol), protocol
        for experiment in study.ablated(protocol):
            before = {"split": split_settings(study, "published"), "arrays": arrays_of(study, experiment, "published")}
            after = {"split": split_settings(study, protocol), "arrays": arrays_of(study, experiment, protocol)}
            for facts, name in ((before, "published"), (after, protocol)):
                facts["run"] = run_settings(study, experiment, name, 42) | {"protocol": ""}
                facts["split"] |= {"protocol": "", "transforms_of_experiments": {}}
            # A flip that changed nothing would be reported as a choice without effect.
            assert before != after, (protocol, experiment)


def test_a_flip_changes_what_it_names_and_nothing_else() -> None:
    study = Study.from_config(CONFIG)
    before, after = (run_settings(study, "custom", name, 42) for name in ("published", "published~pixel-scale"))
    assert {key for key in before if before[key] != after[key]} == {"protocol", "pixel_divisor"}
    before, after = (
        run_settings(study, "resnet18-II-100", name, 42) for name in ("published", "published~resnet-II-freeze")
    )
    assert {key for key in before if before[key] != after[key]} == {"protocol", "model"}
    assert after["model"]["trained"] == ["^conv1\\.", "^fc\\."]


def test_runs_of_ablations_come_after_the_others_and_only_when_asked_for() -> None:
    asked, without = Study.from_config(CONFIG), Study.from_config({**CONFIG, "ablations": []})
    assert asked.runs()[: len(without.runs())] == without.runs()
    assert {run[0] for run in asked.runs()} - {run[0] for run in without.runs()} == set(asked.flips)
    one = Study.from_config({**CONFIG, "ablations": ["lr-schedule"]})
    assert list(one.flips) == ["published~lr-schedule"] and one.ablated("published~lr-schedule") == ["custom"]


def test_a_row_without_a_flip_is_refused_by_name() -> None:
    with pytest.raises(
        InputError, match="ablations names 'pixel-scael', which has no flip; did you mean 'pixel-scale'"
    ):
        Study.from_config({**CONFIG, "ablations": ["pixel-scael"]})
    with pytest.raises(InputError, match="'gpu', which has no flip"):
        Study.from_config({**CONFIG, "ablations": ["gpu"]})


def predictions(right: int, patients: int = 80, names: str = "t") -> pd.DataFrame:
    """Half of the patients are of each class; the first ``right`` of each class are given their own."""
    label = np.repeat([0, 1], patients // 2)
    correct = np.tile(np.arange(patients // 2) < right, 2)
    predicted = np.where(correct, label, 1 - label)
    keys = [f"{names}{number}" for number in range(patients)]
    return pd.DataFrame(
        {
            "path": [f"test/{key}.png" for key in keys],
            "set": "test",
            "label": label,
            "patient_coarse": keys,
            "patient_fine": keys,
            "probability": 0.1 + 0.8 * predicted,
            "predicted": predicted,
        }
    )


def test_effects_are_paired_on_one_test_set_and_not_on_two() -> None:
    same = effect_of([predictions(20)], [predictions(30)], 2000, 1)
    assert same["published"]["accuracy"] == 0.5 and same["flipped"]["accuracy"] == 0.75
    assert same["difference"]["accuracy"] == pytest.approx(0.25) and same["same_test_set"]
    # Ten of forty in each class change: the standard error of the paired difference is sqrt(.25 * .75 / 80).
    error = np.sqrt(0.25 * 0.75 / 80)
    low, high = same["interval"]["accuracy"]
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.1)
    others = effect_of([predictions(20)], [predictions(30, names="u")], 2000, 1)
    low, high = others["interval"]["accuracy"]
    assert not others["same_test_set"]
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt((0.5 * 0.5 + 0.75 * 0.25) / 80), rel=0.1)
    unchanged = effect_of([predictions(20)], [predictions(20)], 200, 1)
    assert unchanged["interval"] == {"accuracy": [0.0, 0.0], "auroc": [0.0, 0.0]}


def test_the_stage_measures_what_is_there_and_says_why_the_rest_is_not(tmp_path: Path) -> None:
    config = CONFIG | {"protocols": ["published"], "experiments": ["custom", "custom-T1", "custom-T2"]}
    config |= {"ablations": ["pixel-scale", "lr-schedule"]}
    found = {
        "published/custom/seed-42": 20,
        "published/custom/seed-43": 22,
        "published~pixel-scale/custom/seed-42": 30,
        "published/custom-T1/seed-42": 10,
        "published/custom-T2/seed-42": 15,
    }
    for place, right in found.items():
        run = tmp_path / "training" / "runs" / place
        run.mkdir(parents=True)
        predictions(right).to_csv(run / "predictions.csv", index=False)
        write_json(run / "run.json", {"status": "done"})
    write_ablations(config, tmp_path, tmp_path / "ablations.json", resamples=200)
    content = read_json(tmp_path / "ablations.json")
    rows = {row["id"]: row for row in content["rows"]}
    assert set(rows) == {"pixel-scale", "augmentation-chosen-on-test"}
    # The seeds that both have: 42 alone.
    assert rows["pixel-scale"]["experiments"][0]["n_seeds"] == 1
    assert rows["pixel-scale"]["experiments"][0]["difference"]["accuracy"] == pytest.approx(0.25)
    assert rows["augmentation-chosen-on-test"]["experiments"][0]["experiment"] == "custom-T2 against custom-T1"
    assert set(rows) | set(content["unmeasured"]) == set(read_discrepancies(DISCREPANCIES))
    assert "not among the results" in content["unmeasured"]["lr-schedule"]
    assert content["unmeasured"]["grey-average"] == "this config does not flip it"
    assert "NaN" not in json.dumps(content)
