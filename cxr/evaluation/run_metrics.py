"""What ``metrics.json`` of a run holds: the metrics of its predictions, with confusion matrix and curves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import (
    confusion_matrix,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_curve,
)

from cxr.evaluation.calibration import calibration_of
from cxr.evaluation.metrics import Integers, count_metrics, probability_metrics
from cxr.evaluation.predictions import read_predictions
from cxr.files import write_json
from cxr.images.names import CLASSES


def metrics_of(predictions: pd.DataFrame, threshold: float | None = None) -> dict[str, Any]:
    """Return the metrics of one set of predictions; positive is PNEUMONIA.

    Args:
        predictions: columns ``label`` (0 or 1), ``probability`` (of PNEUMONIA, 0 to 1), ``predicted`` (the class with
            the largest logit; a network with more than two outputs may choose one that is neither, which is wrong).
        threshold: a second rule: PNEUMONIA where its probability is at least this.

    Returns:
        ``n``; what ``decision_metrics`` returns for ``predicted``; ``at_validation_threshold``, the ``threshold`` and
        what ``decision_metrics`` returns for it, or null without one; the metrics of probabilities of
        ``cxr.evaluation.metrics.METRICS`` by name, null where one is not defined; ``calibration`` (see
        ``calibration_of``); and the curves ``roc`` and ``precision_recall``, empty when only one class is there.
    """
    # As arrays: scikit-learn looks at each argument of each call, which takes it far longer for columns of tables.
    label, predicted, probability = (predictions[name].to_numpy() for name in ("label", "predicted", "probability"))
    both = len(np.unique(label)) == 2
    false_positive_rate, true_positive_rate, _ = roc_curve(label, probability) if both else ([], [], [])
    precision, recall, _ = precision_recall_curve(label, probability, drop_intermediate=True) if both else ([], [], [])
    return {
        "n": len(predictions),
        **decision_metrics(label, predicted),
        "at_validation_threshold": None
        if threshold is None
        else {"threshold": threshold, **decision_metrics(label, (probability >= threshold).astype(int))},
        **probability_metrics(label, probability),
        "calibration": calibration_of(label, probability),
        "roc": {
            "false_positive_rate": [float(rate) for rate in false_positive_rate],
            "true_positive_rate": [float(rate) for rate in true_positive_rate],
        },
        "precision_recall": {
            "precision": [float(value) for value in precision],
            "recall": [float(value) for value in recall],
        },
    }


def decision_metrics(label: Integers, predicted: Integers) -> dict[str, Any]:
    """Return the metrics of decisions, which do not depend on probabilities; positive is PNEUMONIA.

    Returns:
        ``neither`` (images given another class than the two); the metrics of decisions of
        ``cxr.evaluation.metrics.METRICS`` by name, null where one is not defined; ``confusion_matrix`` as
        [[TN, FP], [FN, TP]]; precision, recall, F1 (0 where undefined) and support of both ``classes``, and their
        ``macro`` and ``weighted`` means.
    """
    rows = np.transpose(precision_recall_fscore_support(label, predicted, labels=[0, 1], zero_division=0))
    support = rows[:, 3]
    return {
        "neither": int((~np.isin(predicted, [0, 1])).sum()),
        **count_metrics(label, predicted),
        "confusion_matrix": confusion_matrix(label, predicted, labels=[0, 1]).tolist(),
        "classes": {name: _row(row) for name, row in zip(CLASSES, rows, strict=True)},
        "macro": _row([*rows[:, :3].mean(axis=0), support.sum()]),
        "weighted": _row([*np.average(rows[:, :3], axis=0, weights=support), support.sum()]),
    }


def _row(values: Sequence[float]) -> dict[str, Any]:
    precision, recall, f1, support = values
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1), "support": int(support)}


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
