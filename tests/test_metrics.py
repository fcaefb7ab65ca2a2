"""Metrics on predictions whose answers are known."""

from pathlib import Path

import pandas as pd
import pytest

from cxr.errors import InputError
from cxr.files import read_json
from cxr.metrics import metrics_of, read_predictions, write_metrics
from cxr.study import PAPER


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
