"""The metrics: one table, ``METRICS``, with one function for each.

A metric is a function of weighted images, so that the same function gives its value (weights of one) and its value on
every resample of the bootstrap (``cxr.evaluation.bootstrap``). A row added to ``METRICS`` appears in ``metrics.json``,
``metrics.csv`` and ``uncertainty.json``, may be named in ``paper/comparisons.yaml`` and, if it is a metric of
decisions, in ``paper/claims.yaml``.

Positive is PNEUMONIA, label 1. A metric is NaN where it is not defined, which files hold as null.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from cxr.evaluation.calibration import BIN_EDGES, calibration_bin, calibration_error

Numbers: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Metric:
    """A metric. Set exactly one of ``of_counts`` and ``of_probabilities``.

    Attributes:
        of_counts: a metric of decisions: from (R, 2, 3) ``confusion_counts`` to (R,) values.
        of_probabilities: a metric of probabilities: from (n,) labels, (n,) probabilities of PNEUMONIA and (R, n)
            weights to (R,) values.
        of_sample: a function of (n,) labels and (n,) probabilities from which the value of one sample is taken, such as
            scikit-learn's; without it that is the value for weights of one.
    """

    of_counts: Callable[[Numbers], Numbers] | None = None
    of_probabilities: Callable[[Integers, Numbers, Numbers], Numbers] | None = None
    of_sample: Callable[[Integers, Numbers], float] | None = None


def metric_values(label: Integers, predicted: Integers, probability: Numbers, weights: Numbers) -> dict[str, Numbers]:
    """Return every metric of ``METRICS`` of weighted images.

    Args:
        label: (n,) 0 or 1.
        predicted: (n,) a class; other classes than 0 and 1 are wrong.
        probability: (n,) of PNEUMONIA, 0 to 1.
        weights: (R, n), whole numbers: how often each image counts.

    Returns:
        (R,) by metric; NaN where it is not defined.
    """
    counts = confusion_counts(label, predicted, weights)
    return {
        **{name: of_counts(counts) for name, of_counts in COUNT_METRICS.items()},
        **{name: on_weights(label, probability, weights) for name, on_weights in PROBABILITY_METRICS.items()},
    }


def count_metrics(label: Integers, predicted: Integers) -> dict[str, float | None]:
    """Return the metrics of decisions on one sample, None where one is not defined."""
    counts = confusion_counts(label, predicted, np.ones((1, len(label))))
    return {name: _or_none(of_counts(counts)[0]) for name, of_counts in COUNT_METRICS.items()}


def probability_metrics(label: Integers, probability: Numbers) -> dict[str, float | None]:
    """Return the metrics of probabilities on one sample, None where one is not defined."""
    once = np.ones((1, len(label)))
    values = {}
    for name, on_weights in PROBABILITY_METRICS.items():
        value, of_sample = float(on_weights(label, probability, once)[0]), METRICS[name].of_sample
        if of_sample and not np.isnan(value):
            value = of_sample(label, probability)
        values[name] = _or_none(value)
    return values


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def confusion_counts(label: Integers, predicted: Integers, weights: Numbers) -> Numbers:
    """Return (R, 2, 3) weights by true class and by class given: NORMAL, PNEUMONIA, any other."""
    cells = np.eye(6)[3 * label + np.minimum(predicted, 2)]
    return (weights @ cells).reshape(-1, 2, 3)


def _accuracy(counts: Numbers) -> Numbers:
    return ratio(counts[:, 0, 0] + counts[:, 1, 1], counts.sum((1, 2)), np.nan)


def _recall(number: int) -> Callable[[Numbers], Numbers]:
    return lambda counts: ratio(counts[:, number, number], counts[:, number].sum(1), np.nan)


def _precision(number: int) -> Callable[[Numbers], Numbers]:
    return lambda counts: ratio(counts[:, number, number], counts[:, :, number].sum(1), 0)


def _f1(number: int) -> Callable[[Numbers], Numbers]:
    return lambda counts: ratio(
        2 * counts[:, number, number], counts[:, number].sum(1) + counts[:, :, number].sum(1), 0
    )


def _balanced_accuracy(counts: Numbers) -> Numbers:
    return (_recall(0)(counts) + _recall(1)(counts)) / 2


def _mcc(counts: Numbers) -> Numbers:
    """Gorodkin's coefficient for several classes, Comput Biol Chem 28(5-6):367-374, 2004; Matthews's for two."""
    total = counts.sum((1, 2))
    true, given = counts.sum(2), counts.sum(1)
    covariance = (counts[:, 0, 0] + counts[:, 1, 1]) * total - (true * given[:, :2]).sum(1)
    spread = (total**2 - (true**2).sum(1)) * (total**2 - (given**2).sum(1))
    return np.where((true > 0).all(1), ratio(covariance, np.sqrt(spread), 0), np.nan)


def ratio(part: Numbers, whole: Numbers, otherwise: float) -> Numbers:
    """Return ``part / whole``, and ``otherwise`` where there is nothing to divide by."""
    result = np.full(part.shape, otherwise, dtype=np.float64)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _auroc(label: Integers, probability: Numbers, weights: Numbers) -> Numbers:
    """The share of pairs of a PNEUMONIA and a NORMAL in which the first has the larger probability; ties are half."""
    positive, negative = weights.T[label == 1], weights.T[label == 0]
    wins = np.heaviside(-np.subtract.outer(probability[label == 0], probability[label == 1]), 0.5)
    won = ((wins @ positive) * negative).sum(0)
    return ratio(won, positive.sum(0) * negative.sum(0), np.nan)


def _average_precision(label: Integers, probability: Numbers, weights: Numbers) -> Numbers:
    """The mean over PNEUMONIA of the precision at each one's threshold."""
    true, false = cumulative_weights(label, probability, weights)
    # Weights are whole: where nothing is above a threshold yet, 0 / 1 stands for 0 / 0.
    precision = true / np.maximum(true + false, 1)
    gained = (np.diff(true, axis=1) * precision[:, 1:]).sum(1)
    return np.where(false[:, -1] > 0, ratio(gained, true[:, -1], np.nan), np.nan)


def _brier(label: Integers, probability: Numbers, weights: Numbers) -> Numbers:
    return ratio(weights @ (probability - label) ** 2, weights.sum(1), np.nan)


def _calibration_error(label: Integers, probability: Numbers, weights: Numbers) -> Numbers:
    bins = np.eye(len(BIN_EDGES) - 1)[calibration_bin(probability)]
    gaps = np.abs(weights @ (bins * (probability - label)[:, None])).sum(1)
    return ratio(gaps, weights.sum(1), np.nan)


def cumulative_weights(label: Integers, probability: Numbers, weights: Numbers) -> tuple[Numbers, Numbers]:
    """(R, thresholds + 1) weights of PNEUMONIA and of NORMAL at or above each threshold, from none to all."""
    thresholds = np.unique(probability)
    sums = []
    for number in (1, 0):
        members = np.flatnonzero(label == number)
        members = members[np.argsort(-probability[members])]
        sums.append(np.zeros((len(members) + 1, len(weights))))
        np.cumsum(weights.T[members], axis=0, out=sums[-1][1:])
        above = len(members) - np.searchsorted(np.sort(probability[members]), thresholds[::-1])
        sums[-1] = sums[-1][np.concatenate([[0], above])]
    return sums[0].T, sums[1].T


METRICS: dict[str, Metric] = {
    "accuracy": Metric(of_counts=_accuracy),
    "sensitivity": Metric(of_counts=_recall(1)),
    "specificity": Metric(of_counts=_recall(0)),
    "precision_pneumonia": Metric(of_counts=_precision(1)),
    "precision_normal": Metric(of_counts=_precision(0)),
    "f1_pneumonia": Metric(of_counts=_f1(1)),
    "f1_normal": Metric(of_counts=_f1(0)),
    "balanced_accuracy": Metric(of_counts=_balanced_accuracy),
    "mcc": Metric(of_counts=_mcc),
    "auroc": Metric(of_probabilities=_auroc, of_sample=roc_auc_score),
    "average_precision": Metric(of_probabilities=_average_precision, of_sample=average_precision_score),
    "brier": Metric(of_probabilities=_brier, of_sample=brier_score_loss),
    "calibration_error": Metric(of_probabilities=_calibration_error, of_sample=calibration_error),
}
COUNT_METRICS = {name: metric.of_counts for name, metric in METRICS.items() if metric.of_counts}
PROBABILITY_METRICS = {name: metric.of_probabilities for name, metric in METRICS.items() if metric.of_probabilities}
