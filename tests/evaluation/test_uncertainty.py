"""The stage that writes uncertainty.json, on result trees made by hand."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cxr.errors import InputError
from cxr.evaluation.metrics import METRICS
from cxr.evaluation.run_metrics import metrics_of
from cxr.evaluation.uncertainty import two_sided_p, write_uncertainty
from cxr.files import REPOSITORY, read_json, write_json
from cxr.study.schemas import read_yaml

SEEDS = [7, 8, 9]
EXPERIMENTS = ["custom", "custom-T1", "custom-T2", "resnet18-I-500", "resnet18-III", "resnet18-no_tl"]
# How far apart an experiment's scores are for the two classes.
SKILL = dict(zip(EXPERIMENTS, [1.0, 0.8, 0.8, 2.0, 1.5, 0.5], strict=True))

MakeResults = Callable[..., tuple[dict[str, Any], Path]]


def predictions(skill: float, seed: int) -> pd.DataFrame:
    """A test set of 40 patients with 1 to 3 images each, the same for all seeds, and a validation set."""
    images = np.random.default_rng(0).choice([1, 2, 3], 40)
    patient = np.repeat(np.arange(40), images)
    label = (patient >= 15).astype(int)
    random = np.random.default_rng([seed, round(10 * skill)])
    # An image's difficulty is the same for all networks, as it is among real ones.
    common = np.random.default_rng(1).normal(size=len(patient)) + np.random.default_rng(2).normal(size=40)[patient]
    logit = skill * (2 * label - 1) + common + 0.5 * random.normal(size=len(patient))
    rows = pd.DataFrame(
        {
            "path": [f"test/{number}.jpeg" for number in range(len(patient))],
            "set": "test",
            "label": label,
            "patient_coarse": [f"c{number // 2}" for number in patient],
            "patient_fine": [f"f{number}" for number in patient],
            "probability": 1 / (1 + np.exp(-logit)),
            "predicted": (logit > 0).astype(int),
        }
    )
    return pd.concat([rows.head(9).assign(path=[f"val/{n}.jpeg" for n in range(9)], set="validation"), rows])


@pytest.fixture
def make_results(tmp_path: Path) -> MakeResults:
    """Write runs of ``EXPERIMENTS`` x ``SEEDS`` under one protocol."""

    def make(
        edit: Callable[[str, int, pd.DataFrame], pd.DataFrame] = lambda *run: run[-1],
    ) -> tuple[dict[str, Any], Path]:
        for experiment in EXPERIMENTS:
            for seed in SEEDS:
                run = tmp_path / "training" / "runs" / "published" / experiment / f"seed-{seed}"
                run.mkdir(parents=True, exist_ok=True)
                rows = edit(experiment, seed, predictions(SKILL[experiment], seed))
                rows.to_csv(run / "predictions.csv", index=False)
                write_json(run / "run.json", {"status": "done"})
        demo = read_yaml(REPOSITORY / "config" / "phantom.yaml")
        return {**demo, "protocols": ["published"], "experiments": EXPERIMENTS, "seeds": SEEDS}, tmp_path

    return make


def written(config: dict[str, Any], results: Path, resamples: int = 400) -> dict[str, Any]:
    write_uncertainty(config, results, results / "uncertainty.json", resamples)
    content: dict[str, Any] = read_json(results / "uncertainty.json")
    assert (content["resamples"], content["seed"], content["level"]) == (resamples, config["seeds"][0], 0.95)
    found: dict[str, Any] = content["protocols"]["published"]
    return found


def test_values_are_the_metrics_and_spread_is_between_seeds(make_results: MakeResults) -> None:
    found = written(*make_results())
    rows = predictions(SKILL["custom"], 0)
    assert found["test_set"] == {"images": (rows["set"] == "test").sum(), "patients_fine": 40, "patients_coarse": 20}
    for experiment in EXPERIMENTS:
        entry = found["experiments"][experiment]
        assert entry["seeds"] == SEEDS and set(METRICS) < set(entry)
        for metric in ("accuracy", "auroc", "mcc", "brier"):
            values = []
            for seed in SEEDS:
                test = predictions(SKILL[experiment], seed).query("set == 'test'")
                values.append(metrics_of(test)[metric])
                assert entry[metric]["values"][str(seed)] == pytest.approx(values[-1], abs=1e-12)
            expected = {"mean": np.mean(values), "sd": np.std(values, ddof=1), "min": min(values), "max": max(values)}
            for name, value in expected.items():
                assert entry[metric][name] == pytest.approx(value, abs=1e-12)
            for name in ("interval", "interval_coarse"):
                low, high = entry[metric][name]
                assert low < entry[metric]["mean"] < high


def test_more_seeds_do_not_make_the_test_set_larger(make_results: MakeResults) -> None:
    """The same predictions for all seeds: no spread between them, and the interval of a single one."""
    config, results = make_results(lambda name, _, rows: predictions(SKILL[name], 7))
    three = written(config, results)["experiments"]["custom"]["accuracy"]
    one = written({**config, "seeds": [7]}, results)["experiments"]["custom"]["accuracy"]
    assert three["sd"] == pytest.approx(0, abs=1e-12) and one["sd"] is None
    assert three["interval"] == pytest.approx(one["interval"], abs=1e-12) and one["interval"][0] < one["interval"][1]


def test_differences_are_paired(make_results: MakeResults) -> None:
    """custom-T1 and custom-T2 differ in one image of the second: far less than either could on another test set."""

    def edit(experiment: str, seed: int, rows: pd.DataFrame) -> pd.DataFrame:
        rows = predictions(0.8, seed).reset_index(drop=True)
        if experiment == "custom-T2":
            right = rows.index[(rows["set"] == "test") & (rows["label"] == rows["predicted"])][0]
            rows.loc[right, "predicted"] = 1 - rows.loc[right, "predicted"]
        return rows

    found = written(*make_results(edit))
    row = next(row for row in found["comparisons"]["augmentations"] if row["metric"] == "accuracy")
    images = found["test_set"]["images"]
    assert (row["a"], row["b"], row["seeds"], row["test_seed"]) == ("custom-T2", "custom-T1", SEEDS, 7)
    assert row["difference"] == pytest.approx(-1 / images) and row["sd"] == pytest.approx(0, abs=1e-12)
    low, high = found["experiments"]["custom-T1"]["accuracy"]["interval"]
    assert row["interval"][1] - row["interval"][0] < (high - low) / 2
    assert row["interval"][1] == 0 and row["p_bootstrap"] > 0.05 and row["mcnemar_p"] == 1


def test_equal_predictions_do_not_differ(make_results: MakeResults) -> None:
    found = written(*make_results(lambda _, seed, rows: predictions(1.0, seed)))
    rows = [row for family in found["comparisons"].values() for row in family]
    assert rows
    for row in rows:
        assert (row["difference"], row["interval"], row["p_bootstrap"], row["holm_bootstrap"]) == (0, [0, 0], 1, 1)
        tested = {"auroc": "delong", "accuracy": "mcnemar"}
        for metric, test in tested.items():
            expected = 1 if row["metric"] == metric else None
            assert (row[f"{test}_p"], row[f"holm_{test}"]) == (expected, expected)


def test_holm_is_taken_within_a_family(make_results: MakeResults) -> None:
    found = written(*make_results())["comparisons"]
    # Two experiments of the family are not in the config, so of the six pairs three are left.
    assert len(found["resnet18-strategies"]) == 6
    alone = next(row for row in found["pretrained-weights"] if row["metric"] == "auroc")
    among = next(
        row
        for row in found["resnet18-strategies"]
        if (row["a"], row["b"], row["metric"]) == (alone["a"], alone["b"], "auroc")
    )
    assert alone["delong_p"] == among["delong_p"] == alone["holm_delong"]
    assert among["holm_delong"] > among["delong_p"]
    # Two tests by bootstrap, accuracy and AUROC, of one DeLong.
    assert alone["holm_bootstrap"] >= alone["p_bootstrap"]


def test_runs_that_were_not_run_keep_their_reason(make_results: MakeResults) -> None:
    config, results = make_results()
    for seed in SEEDS:
        run = results / "training" / "runs" / "published" / "resnet18-III" / f"seed-{seed}"
        write_json(run / "run.json", {"status": "not run", "reason": "no weights"})
        pd.DataFrame(columns=predictions(1, 1).columns).to_csv(run / "predictions.csv", index=False)
    (results / "training" / "runs" / "published" / "custom" / "seed-7" / "predictions.csv").unlink()
    found = written(config, results)
    assert {"experiment": "resnet18-III", "seed": 8, "reason": "no weights"} in found["not_run"]
    assert {"experiment": "custom", "seed": 7, "reason": "predictions.csv is not there"} in found["not_run"]
    assert len(found["not_run"]) == 4
    assert "resnet18-III" not in found["experiments"] and found["experiments"]["custom"]["seeds"] == [8, 9]
    row = found["comparisons"]["custom-cnn"][0]
    assert (row["b"], row["seeds"], row["test_seed"]) == ("custom", [8, 9], 8)
    assert "pretrained-weights" not in found["comparisons"]


def test_nothing_done_is_no_error(make_results: MakeResults) -> None:
    config, results = make_results()
    found = written({**config, "seeds": [1]}, results)
    assert (found["test_set"], found["experiments"], found["comparisons"]) == (None, {}, {})
    assert len(found["not_run"]) == len(EXPERIMENTS)


def test_the_order_of_rows_does_not_matter(make_results: MakeResults) -> None:
    config, results = make_results()
    first = written(config, results)
    make_results(lambda name, seed, rows: rows.sample(frac=1, random_state=seed))
    assert written(config, results) == first


@pytest.mark.parametrize(
    "edit",
    [
        lambda rows: rows.iloc[:-1],
        lambda rows: rows.assign(path=rows["path"].replace("test/3.jpeg", "test/300.jpeg")),
        lambda rows: rows.assign(patient_fine=rows["patient_fine"].replace("f3", "f4")),
    ],
    ids=["an image less", "another image", "another patient"],
)
def test_runs_of_different_test_sets_are_refused(make_results: MakeResults, edit: Callable[[Any], Any]) -> None:
    config, results = make_results(lambda name, seed, rows: edit(rows) if (name, seed) == ("custom-T2", 8) else rows)
    with pytest.raises(
        InputError, match=r"custom-T2/seed-8/predictions\.csv has other test images, labels or patients"
    ):
        write_uncertainty(config, results, results / "uncertainty.json", 10)
    assert not (results / "uncertainty.json").exists()


def test_a_test_set_of_one_class_has_no_auroc(make_results: MakeResults) -> None:
    def edit(experiment: str, seed: int, rows: pd.DataFrame) -> pd.DataFrame:
        return rows[(rows["set"] == "validation") | (rows["label"] == 1)]

    found = written(*make_results(edit))
    entry = found["experiments"]["custom"]
    assert [entry["auroc"][name] for name in ("mean", "sd", "interval")] == [None] * 3
    assert entry["auroc"]["values"]["7"] is None and entry["specificity"]["mean"] is None
    assert entry["sensitivity"]["mean"] is not None and entry["roc_band"]["low"] == []
    row = next(row for row in found["comparisons"]["augmentations"] if row["metric"] == "auroc")
    assert [row[name] for name in ("difference", "interval", "p_bootstrap", "delong_p", "holm_bootstrap")] == [None] * 5


def test_the_roc_band_is_about_the_first_seeds_curve(make_results: MakeResults) -> None:
    found = written(*make_results())["experiments"]["resnet18-I-500"]["roc_band"]
    grid, low, high = (np.array(found[name]) for name in ("false_positive_rate", "low", "high"))
    assert len(grid) == len(low) == len(high) == 51 and (grid[0], grid[-1]) == (0, 1)
    assert (np.diff(low) >= 0).all() and (np.diff(high) >= 0).all() and low[-1] == high[-1] == 1
    roc = metrics_of(predictions(SKILL["resnet18-I-500"], 7).query("set == 'test'"))["roc"]
    for rate, value in zip(roc["false_positive_rate"], roc["true_positive_rate"], strict=True):
        assert value <= np.interp(rate, grid, high) + 1e-9
    top = np.maximum.reduceat(roc["true_positive_rate"], np.unique(roc["false_positive_rate"], return_index=True)[1])
    assert (np.interp(grid, np.unique(roc["false_positive_rate"]), top) >= low - 1e-9).all()


def test_p_belongs_to_the_interval() -> None:
    shifted = np.random.default_rng(0).normal(2, 1, 9999)
    share = float((shifted <= 0).mean())
    assert two_sided_p(shifted) == pytest.approx(2 * (share * 9999 + 1) / 10000)
    assert two_sided_p(shifted) == two_sided_p(-shifted)
    assert two_sided_p(np.full(99, 0.5)) == 0.02
    assert two_sided_p(np.zeros(99)) == 1
    assert two_sided_p(np.array([np.nan, np.nan])) is None


def test_torch_is_not_imported() -> None:
    code = "import sys, cxr.evaluation.uncertainty; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0
