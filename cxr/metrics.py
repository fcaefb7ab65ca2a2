"""Metrics of one run, from its predictions alone."""

from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import classification_report, confusion_matrix, roc_auc_score, roc_curve

from cxr.errors import InputError
from cxr.filenames import CLASSES
from cxr.files import write_json


def metrics_of(predictions: pd.DataFrame) -> dict[str, Any]:
    """Return the metrics of one set of predictions; positive is PNEUMONIA.

    Args:
        predictions: columns ``label`` (0 or 1), ``probability`` (of PNEUMONIA, 0 to 1), ``predicted`` (the class with
            the largest logit; a network with more than two outputs may choose one that is neither, which is wrong).

    Returns:
        ``n``, ``neither`` (images given another class than the two), ``accuracy``, ``auroc`` (null when only one class
        is there), ``confusion_matrix`` as [[TN, FP], [FN, TP]], precision, recall, F1 and support of both ``classes``,
        their ``macro`` and ``weighted`` means, and ``roc``.
    """
    label, predicted = predictions["label"], predictions["predicted"]
    report = classification_report(
        label, predicted, labels=[0, 1], target_names=CLASSES, output_dict=True, zero_division=0
    )
    both = label.nunique() == 2
    false_positive_rate, true_positive_rate, _ = roc_curve(label, predictions["probability"]) if both else ([], [], [])
    return {
        "n": len(predictions),
        "neither": int((~predicted.isin([0, 1])).sum()),
        "accuracy": float((label == predicted).mean()),
        "auroc": float(roc_auc_score(label, predictions["probability"])) if both else None,
        "confusion_matrix": confusion_matrix(label, predicted, labels=[0, 1]).tolist(),
        "classes": {name: _row(report[name]) for name in CLASSES},
        "macro": _row(report["macro avg"]),
        "weighted": _row(report["weighted avg"]),
        "roc": {
            "false_positive_rate": [float(rate) for rate in false_positive_rate],
            "true_positive_rate": [float(rate) for rate in true_positive_rate],
        },
    }


def _row(report: dict[str, float]) -> dict[str, float]:
    return {
        "precision": float(report["precision"]),
        "recall": float(report["recall"]),
        "f1": float(report["f1-score"]),
        "support": int(report["support"]),
    }


def read_predictions(path: Path) -> pd.DataFrame:
    """Read and check ``predictions.csv``.

    Raises:
        InputError: a column is missing, a value is out of range, or an image stands twice in one set.
    """
    rows = pd.read_csv(path)
    needed = ["path", "set", "label", "patient_coarse", "patient_fine", "probability", "predicted"]
    missing = [name for name in needed if name not in rows]
    if missing:
        raise InputError(f"{path}: the column '{missing[0]}' is missing; a predictions.csv has {', '.join(needed)}.")
    wrong = ~(rows["probability"].between(0, 1) & rows["label"].isin([0, 1]) & (rows["predicted"] >= 0))
    if wrong.any():
        line = int(wrong.to_numpy().argmax()) + 2
        raise InputError(
            f"{path}, line {line}: probability must be 0 to 1, label 0 or 1, predicted a class; "
            "make the predictions again."
        )
    if rows.duplicated(["path", "set"]).any():
        twice = rows.loc[rows.duplicated(["path", "set"]), "path"].iloc[0]
        raise InputError(f"{path}: {twice} stands twice in one set; make the predictions again.")
    return rows


def write_metrics(predictions: list[Path], metrics: list[Path]) -> None:
    """Write a ``metrics.json`` for each ``predictions.csv``: by set (validation, test) what ``metrics_of`` returns.

    A run that was not run has predictions without rows, and its metrics are an empty object.
    """
    for source, target in zip(predictions, metrics, strict=True):
        rows = read_predictions(source)
        write_json(target, {str(name): metrics_of(members) for name, members in rows.groupby("set", sort=False)})
