"""Metrics on predictions whose answers are known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score

from cxr.errors import InputError
from cxr.evaluation.predictions import read_predictions
from cxr.evaluation.run_metrics import metrics_of, write_metrics, youden_threshold
from cxr.files import read_json
from cxr.study.config import PAPER


def predictions(tn: int, fp: int, fn: int, tp: int) -> pd.DataFrame:
    label = [0] * (tn + fp) + [1] * (fn + tp)
    predicted = [0] * tn + [1] * fp + [0] * fn + [1] * tp
    return pd.DataFrame(
        {
            "path": [f"{row}.jpeg" for row in range(len(label))],
            "set": "test",
            "label": label,
            "patient_coarse": "p",
            "patient_fine": "p",
            "probability": [0.9 if positive else 0.2 for positive in predicted],
            "predicted": predicted,
        }
    )


def test_printed_matrices_give_the_printed_metrics() -> None:
    checked = 0
    for row in read_json(PAPER / "published" / "results.json")["metrics"]:
        if row["confusion_matrix"] is None:
            continue
        (tn, fp), (fn, tp) = row["confusion_matrix"]
        metrics = metrics_of(predictions(tn, fp, fn, tp))
        assert metrics["confusion_matrix"] == row["confusion_matrix"]
        # Printed from float32 with four digits.
        assert metrics["accuracy"] == pytest.approx(row["test_accuracy_printed"], abs=6e-5)
        if row["preprint_figure_3"]:
            printed = row["preprint_figure_3"]
            for name, column in (("NORMAL", "0"), ("PNEUMONIA", "1")):
                for metric in ("precision", "recall", "f1"):
                    assert metrics["classes"][name][metric] == pytest.approx(printed[f"{metric}_{column}"], abs=0.0101)
            checked += 1
    assert checked == 8


@pytest.mark.parametrize(("flip", "auroc"), [(False, 1.0), (True, 0.0)])
def test_perfect_and_inverted(flip: bool, auroc: float) -> None:
    rows = predictions(4, 0, 0, 6)
    if flip:
        rows["probability"], rows["predicted"] = 1 - rows["probability"], 1 - rows["predicted"]
    metrics = metrics_of(rows)
    assert (metrics["auroc"], metrics["accuracy"]) == (auroc, auroc)


def test_an_output_that_is_neither_class_is_wrong() -> None:
    rows = predictions(3, 1, 2, 4)
    rows.loc[0, "predicted"] = 717
    metrics = metrics_of(rows)
    assert (metrics["neither"], metrics["accuracy"], metrics["classes"]["NORMAL"]["recall"]) == (1, 0.6, 0.5)
    assert metrics["confusion_matrix"] == [[2, 1], [2, 4]]


def test_constant_and_one_class() -> None:
    constant = metrics_of(predictions(0, 4, 0, 6))
    assert constant["auroc"] == 0.5 and constant["classes"]["NORMAL"]["precision"] == 0
    assert metrics_of(predictions(0, 0, 2, 6))["auroc"] is None


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("probability", None, "line 3"),
        ("probability", 1.2, "line 3"),
        ("label", 2, "line 3"),
        ("path", "0.jpeg", "0.jpeg stands twice"),
    ],
)
def test_bad_predictions_are_one_sentence(tmp_path: Path, column: str, value: object, message: str) -> None:
    rows = predictions(2, 1, 1, 2).astype({column: object})
    rows.loc[1, column] = value
    rows.to_csv(tmp_path / "predictions.csv", index=False)
    with pytest.raises(InputError, match=message):
        read_predictions(tmp_path / "predictions.csv")


def test_missing_column_is_named(tmp_path: Path) -> None:
    predictions(1, 1, 1, 1).drop(columns="patient_fine").to_csv(tmp_path / "predictions.csv", index=False)
    with pytest.raises(InputError, match="'patient_fine' is missing"):
        write_metrics([tmp_path / "predictions.csv"], [tmp_path / "metrics.json"])
    assert not (tmp_path / "metrics.json").exists()


def scored(label: list[int], probability: list[float], part: str = "test") -> pd.DataFrame:
    rows = predictions(0, label.count(0), 0, label.count(1))
    return rows.assign(
        path=[f"{part}/{number}.jpeg" for number in range(len(label))],
        set=part,
        label=label,
        probability=probability,
        predicted=[int(value > 0.5) for value in probability],
    )


@pytest.mark.parametrize(
    ("probability", "known"),
    [
        ([0.0, 0.0, 1.0, 1.0, 1.0], (1, 1, 1, 1, 1, 0, 0)),
        ([1.0, 1.0, 0.0, 0.0, 0.0], (0, 0, 0, -1, None, 1, 1)),
        ([0.6, 0.6, 0.6, 0.6, 0.6], (1, 0, 0.5, 0, 0.6, 0.24, 0)),
    ],
    ids=["perfect", "inverted", "constant"],
)
def test_known_predictions(probability: list[float], known: tuple[float | None, ...]) -> None:
    metrics = metrics_of(scored([0, 0, 1, 1, 1], probability))
    names = ("sensitivity", "specificity", "balanced_accuracy", "mcc", "average_precision", "brier")
    for name, value in zip((*names, "calibration_error"), known, strict=True):
        assert value is None or metrics[name] == pytest.approx(value, abs=1e-12), name


def test_a_missing_class_leaves_null() -> None:
    normal, pneumonia = metrics_of(scored([0, 0], [0.2, 0.9])), metrics_of(scored([1, 1], [0.2, 0.9]))
    assert (normal["sensitivity"], normal["specificity"]) == (None, 0.5)
    assert (pneumonia["sensitivity"], pneumonia["specificity"]) == (0.5, None)
    for metrics in (normal, pneumonia):
        assert [metrics[name] for name in ("auroc", "average_precision", "balanced_accuracy", "mcc")] == [None] * 4
        assert metrics["precision_recall"] == {"precision": [], "recall": []}
    assert normal["brier"] == pytest.approx((0.04 + 0.81) / 2)
    assert pneumonia["brier"] == pytest.approx((0.64 + 0.01) / 2)


def test_another_class_is_neither_sensitive_nor_specific() -> None:
    rows = predictions(3, 1, 2, 4)
    rows.loc[[0, 9], "predicted"] = [717, 3]
    metrics = metrics_of(rows)
    assert (metrics["specificity"], metrics["sensitivity"]) == (0.5, 0.5)
    with pytest.warns(UserWarning, match="classes not in y_true"):
        assert metrics["balanced_accuracy"] == balanced_accuracy_score(rows["label"], rows["predicted"])
    other = rows.assign(predicted=rows["predicted"].replace({717: 2, 3: 2}))
    assert metrics["mcc"] == metrics_of(other)["mcc"]


def test_calibration_agrees_with_scikit_learn_on_the_edges_of_bins() -> None:
    random = np.random.default_rng(3)
    probability = np.concatenate([np.linspace(0, 1, 11), random.random(80) ** 3])
    label = (random.random(91) < probability).astype(int)
    metrics = metrics_of(scored(label.tolist(), probability.tolist()))
    calibration = metrics["calibration"]
    fraction, mean = calibration_curve(label, probability, n_bins=10)
    filled = [count > 0 for count in calibration["count"]]
    assert np.array(calibration["fraction_pneumonia"])[filled].astype(float) == pytest.approx(fraction, abs=1e-12)
    assert np.array(calibration["mean_probability"])[filled].astype(float) == pytest.approx(mean, abs=1e-12)
    counts = np.array(calibration["count"])
    assert counts.sum() == 91 and counts[0] == (probability <= 0.1).sum()
    assert metrics["calibration_error"] == pytest.approx((counts[filled] * abs(fraction - mean)).sum() / 91, abs=1e-12)


def test_empty_bins_are_null() -> None:
    calibration = metrics_of(scored([0, 1], [0.05, 0.95]))["calibration"]
    assert calibration["count"] == [1, *[0] * 8, 1] and len(calibration["bin_edges"]) == 11
    assert calibration["mean_probability"] == [0.05, *[None] * 8, 0.95]


def test_threshold_is_the_smallest_of_the_best() -> None:
    # At 0.8 half of the pneumonias and no normal; at 0.3 all of them and half of the normals: 0.5 both.
    rows = scored([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8], "validation")
    assert youden_threshold(rows) == 0.3
    assert youden_threshold(rows[rows["label"] == 1]) is None


def test_ties_of_the_threshold_are_found_in_spite_of_rounding() -> None:
    label = [0] * 3 + [1] * 3
    rows = scored(label, [0.1, 0.3, 0.6, 0.2, 0.4, 0.7], "validation")
    # sensitivity - false positive rate is 1/3 at 0.7, 0.4 and 0.2: 1/3 - 0, 2/3 - 1/3 and 1 - 2/3.
    assert youden_threshold(rows) == 0.2


def test_the_threshold_of_validation_serves_all_sets(tmp_path: Path) -> None:
    validation = scored([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], "validation")
    test = scored([0, 0, 1, 1, 1], [0.1, 0.35, 0.3, 0.2, 0.9])
    pd.concat([validation, test]).to_csv(tmp_path / "predictions.csv", index=False)
    write_metrics([tmp_path / "predictions.csv"], [tmp_path / "metrics.json"])
    metrics = read_json(tmp_path / "metrics.json")
    chosen = metrics["validation"]["at_validation_threshold"]
    assert (chosen["threshold"], chosen["accuracy"]) == (0.3, 1)
    applied = metrics["test"]["at_validation_threshold"]
    assert applied["threshold"] == 0.3 and applied["confusion_matrix"] == [[1, 1], [1, 2]]
    assert applied["sensitivity"] == pytest.approx(2 / 3) and applied["specificity"] == 0.5
    # The rule at 0.5 is untouched.
    assert metrics["test"]["confusion_matrix"] == [[2, 0], [2, 1]]


def test_without_a_usable_validation_set_there_is_no_threshold(tmp_path: Path) -> None:
    validation = scored([1, 1], [0.3, 0.4], "validation")
    pd.concat([validation, scored([0, 1], [0.1, 0.9])]).to_csv(tmp_path / "predictions.csv", index=False)
    write_metrics([tmp_path / "predictions.csv"], [tmp_path / "metrics.json"])
    metrics = read_json(tmp_path / "metrics.json")
    assert [metrics[part]["at_validation_threshold"] for part in ("validation", "test")] == [None, None]


def test_patients_and_images_may_be_in_two_sets(tmp_path: Path) -> None:
    rows = predictions(2, 1, 1, 2)
    both = pd.concat([rows, rows.assign(set="official_test"), scored([0, 1], [0.1, 0.9], "validation")])
    both.to_csv(tmp_path / "predictions.csv", index=False)
    assert read_predictions(tmp_path / "predictions.csv")["set"].value_counts()["official_test"] == 6


def test_patients_stay_text(tmp_path: Path) -> None:
    rows = predictions(1, 1, 1, 1).assign(patient_fine=["007", "NA", "1e3", "p"])
    rows.to_csv(tmp_path / "predictions.csv", index=False)
    assert read_predictions(tmp_path / "predictions.csv")["patient_fine"].tolist() == ["007", "NA", "1e3", "p"]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("patient_fine", None, "line 8: .*must not be empty"),
        ("set", None, "line 8: .*must not be empty"),
        ("probability", "high", "line 8: probability must"),
        ("probability", float("inf"), "line 8: probability must"),
        ("predicted", 0.5, "line 8: probability must"),
        ("label", None, "line 8: probability must"),
        ("label", 1, "line 8: 0.jpeg has two labels"),
        ("patient_coarse", "q", "line 8: 0.jpeg has two patients"),
    ],
)
def test_faults_between_sets_are_one_sentence(tmp_path: Path, column: str, value: object, message: str) -> None:
    rows = predictions(2, 1, 1, 2)
    rows = pd.concat([rows, rows.iloc[:1].assign(set="official_test")], ignore_index=True).astype({column: object})
    rows.loc[6, column] = value
    rows.to_csv(tmp_path / "predictions.csv", index=False)
    with pytest.raises(InputError, match=message) as caught:
        read_predictions(tmp_path / "predictions.csv")
    assert str(tmp_path / "predictions.csv") in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b'a,b\n1,2,3\n4,5,6,7\n"', b"\xff\xfe\x00"])
def test_what_is_no_table_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "predictions.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"predictions\.csv is not a CSV table"):
        read_predictions(tmp_path / "predictions.csv")
