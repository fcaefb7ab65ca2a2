"""Metrics of one run, from its predictions alone.

Calibration is judged in ten bins of equal width of the probability of PNEUMONIA: [0, 0.1], (0.1, 0.2], ... (0.9, 1].
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    matthews_corrcoef,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)

from cxr.errors import InputError
from cxr.files import write_json
from cxr.images.names import CLASSES

Classes = npt.NDArray[np.int64]
BIN_EDGES = np.linspace(0, 1, 11)

# The columns of predictions.csv.
TEXT = ["path", "set", "patient_coarse", "patient_fine"]
NUMBERS = ["label", "probability", "predicted"]


def metrics_of(predictions: pd.DataFrame, threshold: float | None = None) -> dict[str, Any]:
    """Return the metrics of one set of predictions; positive is PNEUMONIA.

    Args:
        predictions: columns ``label`` (0 or 1), ``probability`` (of PNEUMONIA, 0 to 1), ``predicted`` (the class with
            the largest logit; a network with more than two outputs may choose one that is neither, which is wrong).
        threshold: a second rule: PNEUMONIA where its probability is at least this.

    Returns:
        ``n``; what ``decision_metrics`` returns for ``predicted``; ``at_validation_threshold``, the ``threshold`` and
        what ``decision_metrics`` returns for it, or null without one; and, from the probabilities, ``auroc``,
        ``average_precision``, ``roc`` and ``precision_recall`` (curves; null, null, and empty when only one class is
        there), ``brier`` (mean squared error), ``calibration_error`` and ``calibration`` (see ``calibration_of``).
    """
    # As arrays: scikit-learn looks at each argument of each call, which takes it far longer for columns of tables.
    label, predicted, probability = (predictions[name].to_numpy() for name in ("label", "predicted", "probability"))
    both = len(np.unique(label)) == 2
    false_positive_rate, true_positive_rate, _ = roc_curve(label, probability) if both else ([], [], [])
    precision, recall, _ = precision_recall_curve(label, probability, drop_intermediate=True) if both else ([], [], [])
    calibration = calibration_of(label, probability)
    gaps = [
        count * abs(mean - fraction)
        for count, mean, fraction in zip(
            calibration["count"], calibration["mean_probability"], calibration["fraction_pneumonia"], strict=True
        )
        if count
    ]
    return {
        "n": len(predictions),
        **decision_metrics(label, predicted),
        "at_validation_threshold": None
        if threshold is None
        else {"threshold": threshold, **decision_metrics(label, (probability >= threshold).astype(int))},
        "auroc": float(roc_auc_score(label, probability)) if both else None,
        "average_precision": float(average_precision_score(label, probability)) if both else None,
        "brier": float(brier_score_loss(label, probability, pos_label=1)),
        "calibration_error": sum(gaps) / len(predictions),
        "calibration": calibration,
        "roc": {
            "false_positive_rate": [float(rate) for rate in false_positive_rate],
            "true_positive_rate": [float(rate) for rate in true_positive_rate],
        },
        "precision_recall": {
            "precision": [float(value) for value in precision],
            "recall": [float(value) for value in recall],
        },
    }


def decision_metrics(label: Classes, predicted: Classes) -> dict[str, Any]:
    """Return the metrics of decisions, which know no probabilities; positive is PNEUMONIA.

    Returns:
        ``neither`` (images given another class than the two), ``accuracy``, ``sensitivity`` and ``specificity`` (the
        shares of PNEUMONIA and of NORMAL given their own class; null where there is none of them),
        ``balanced_accuracy`` (the mean of both) and ``mcc`` (Matthews's coefficient, -1 to 1, 0 for constant
        decisions, all other classes counted as one; both null when only one class is there), ``confusion_matrix`` as
        [[TN, FP], [FN, TP]], precision, recall, F1 (0 where undefined) and support of both ``classes``, and their
        ``macro`` and ``weighted`` means.
    """
    rows = np.transpose(precision_recall_fscore_support(label, predicted, labels=[0, 1], zero_division=0))
    support = rows[:, 3]
    classes = {name: _row(row) for name, row in zip(CLASSES, rows, strict=True)}
    specificity, sensitivity = (row["recall"] if row["support"] else None for row in classes.values())
    both = len(np.unique(label)) == 2
    return {
        "neither": int((~np.isin(predicted, [0, 1])).sum()),
        "accuracy": float((label == predicted).mean()),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "balanced_accuracy": sum(row["recall"] for row in classes.values()) / 2 if both else None,
        "mcc": float(matthews_corrcoef(label, np.minimum(predicted, 2))) if both else None,
        "confusion_matrix": confusion_matrix(label, predicted, labels=[0, 1]).tolist(),
        "classes": classes,
        "macro": _row([*rows[:, :3].mean(axis=0), support.sum()]),
        "weighted": _row([*np.average(rows[:, :3], axis=0, weights=support), support.sum()]),
    }


def _row(values: Sequence[float]) -> dict[str, Any]:
    precision, recall, f1, support = values
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1), "support": int(support)}


def calibration_bin(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return the bin, 0 to 9, of each probability; an inner edge belongs to the bin below, as in scikit-learn."""
    return np.searchsorted(BIN_EDGES[1:-1], probability)


def calibration_of(label: npt.NDArray[np.int64], probability: npt.NDArray[np.float64]) -> dict[str, list[Any]]:
    """Return the reliability diagram; its mean gap, weighted by count, is the expected calibration error.

    Naeini, Cooper, Hauskrecht, AAAI 2015, here for the probability of PNEUMONIA and not of the class that was chosen.

    Returns:
        ``bin_edges`` (11), and by bin ``mean_probability``, ``fraction_pneumonia`` (both null for an empty bin) and
        ``count``.
    """
    members = [calibration_bin(probability) == number for number in range(len(BIN_EDGES) - 1)]
    return {
        "bin_edges": [float(edge) for edge in BIN_EDGES],
        "mean_probability": [float(probability[inside].mean()) if inside.any() else None for inside in members],
        "fraction_pneumonia": [float(label[inside].mean()) if inside.any() else None for inside in members],
        "count": [int(inside.sum()) for inside in members],
    }


def youden_threshold(validation: pd.DataFrame) -> float | None:
    """Return the threshold with the largest sensitivity + specificity - 1 on the validation set.

    Youden, Cancer 3(1):32-35, 1950. Candidates are the probabilities that occur. Of equals it is the smallest, since
    it misses the fewest pneumonias. None when a class is missing.

    Args:
        validation: columns ``label`` and ``probability``.
    """
    if validation["label"].nunique() < 2:
        return None
    false_positive_rate, sensitivity, thresholds = roc_curve(
        validation["label"], validation["probability"], drop_intermediate=False
    )
    index = sensitivity - false_positive_rate
    # The rates are quotients: equal sums of them may differ in the last bit.
    return float(thresholds[index >= index.max() - 1e-12].min())


def read_predictions(path: Path) -> pd.DataFrame:
    """Read and check ``predictions.csv``; a run that was not run has one without rows.

    A patient may be in several sets, and an image too, as the official test set overlaps others.

    Raises:
        InputError: it is no CSV table, a column is missing, a cell is empty, a value is out of range, or an image
            stands twice in one set or with two labels or patients.
    """
    try:
        # All as text: a patient's key may look like a number or like a missing value.
        rows = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a CSV table ({str(error).strip()}); make the predictions again.") from None
    needed = [*TEXT, *NUMBERS]
    missing = [name for name in needed if name not in rows]
    if missing:
        raise InputError(f"{path}: the column '{missing[0]}' is missing; a predictions.csv has {', '.join(needed)}.")
    rows[NUMBERS] = rows[NUMBERS].apply(pd.to_numeric, errors="coerce").astype(float)
    patients = ["patient_coarse", "patient_fine"]
    first = rows.groupby("path", sort=False)[["label", *patients]].transform("first")
    whole_class = (rows["predicted"] >= 0) & (rows["predicted"] % 1 == 0)
    faults = {
        "path, set and patients must not be empty": (rows[TEXT].isna() | (rows[TEXT] == "")).any(axis=1),
        "probability must be 0 to 1, label 0 or 1, predicted a class": ~(
            rows["probability"].between(0, 1) & rows["label"].isin([0, 1]) & whole_class
        ),
        "{path} stands twice in one set": rows.duplicated(["path", "set"]),
        "{path} has two labels": rows["label"] != first["label"],
        "{path} has two patients": (rows[patients] != first[patients]).any(axis=1),
    }
    for fault, wrong in faults.items():
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            sentence = fault.format(path=rows["path"].iloc[row])
            raise InputError(f"{path}, line {row + 2}: {sentence}; make the predictions again.")
    return rows.astype({"label": int, "predicted": int})


def write_metrics(predictions: list[Path], metrics: list[Path]) -> None:
    """Write a ``metrics.json`` for each ``predictions.csv``: by set (validation, test) what ``metrics_of`` returns.

    The threshold of ``at_validation_threshold`` is that of ``youden_threshold`` for the validation set, in every set.
    A run that was not run has predictions without rows, and its metrics are an empty object.
    """
    for source, target in zip(predictions, metrics, strict=True):
        rows = read_predictions(source)
        threshold = youden_threshold(rows[rows["set"] == "validation"])
        write_json(
            target, {str(name): metrics_of(members, threshold) for name, members in rows.groupby("set", sort=False)}
        )
