"""How far the metrics of one test set could differ on another: a bootstrap over patients.

Images of one patient are alike, so patients are drawn, not images (Field, Welsh, J R Stat Soc B 69(3):369-390, 2007).
A resample is a row of weights, how often each image is in it, and every metric is a function of weights. The same
weights serve all runs with one test set, so that differences between runs are paired. Patients are drawn within the
classes: how common pneumonia is among them stays as it is.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cxr.evaluation.metrics import BIN_EDGES, calibration_bin

Numbers: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

# Resamples that are computed together: their weights stay in the processor's cache.
TOGETHER = 500


def bootstrap_weights(label: Integers, patient: npt.NDArray[np.str_], resamples: int, seed: int) -> Integers:
    """Draw patients with replacement, as many as there are, from each of: NORMAL, PNEUMONIA, images of both.

    Args:
        label: (n,) 0 or 1 for each image.
        patient: (n,) the patient's key.
        resamples: R.
        seed: of the draws.

    Returns:
        (R, n) how often each image is in each resample.
    """
    random = np.random.default_rng(seed)
    # In order of first appearance, so that the draws do not depend on how patients are called.
    _, first, member = np.unique(patient, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    member = order[member]
    images, positive = np.bincount(member), np.bincount(member, weights=label)
    stratum = np.where(positive == 0, 0, np.where(positive == images, 1, 2))
    times = np.empty((resamples, len(images)), dtype=np.int64)
    for number in np.unique(stratum):
        patients = np.flatnonzero(stratum == number)
        times[:, patients] = random.multinomial(len(patients), np.full(len(patients), 1 / len(patients)), resamples)
    return times.T[member].T


def replicates(label: Integers, predicted: Integers, probability: Numbers, weights: Integers) -> dict[str, Numbers]:
    """Return every metric of ``METRICS`` on every resample.

    With weights of one it equals ``cxr.evaluation.metrics``, in its treatment of the undefined, too (NaN for null).

    Args:
        label: (n,) 0 or 1.
        predicted: (n,) a class; other classes than 0 and 1 are wrong.
        probability: (n,) of PNEUMONIA, 0 to 1.
        weights: (R, n) of ``bootstrap_weights``, or ones.

    Returns:
        (R,) by metric.
    """
    parts = [
        {
            **{name: metric(counts) for name, metric in OF_COUNTS.items()},
            **{name: metric(label, probability, chunk) for name, metric in OF_PROBABILITIES.items()},
        }
        for chunk in _chunks(weights)
        for counts in [confusion_counts(label, predicted, chunk)]
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in METRICS}


def roc_replicates(label: Integers, probability: Numbers, weights: Integers, grid: Numbers) -> Numbers:
    """Return the ROC curve of every resample at given false positive rates.

    Between two thresholds the curve is a straight line, as in the area under it; where it rises straight up at a rate
    of the grid, the upper end is returned.

    Args:
        label: (n,) 0 or 1, both there in every resample.
        probability: (n,) of PNEUMONIA.
        weights: (R, n) of ``bootstrap_weights``, or ones.
        grid: (k,) false positive rates, 0 to 1.

    Returns:
        (R, k) true positive rates.
    """
    parts = []
    for chunk in _chunks(weights):
        true, false = _cumulative(label, probability, chunk)
        wanted = grid * false[:, -1:]
        # One search for all rows: each row is shifted beyond the row before. Counts are whole, so what lies within
        # 1e-6 of one is the same number but for rounding.
        shift = np.arange(len(chunk))[:, None] * (false[:, -1].max() + 1)
        place = np.searchsorted((false + shift).ravel(), (wanted + shift + 1e-6).ravel(), side="right") - 1
        last = place % false.shape[1] == false.shape[1] - 1
        following = np.where(last, place, place + 1)
        start, stop = false.ravel()[place], false.ravel()[following]
        share = _ratio(wanted.ravel() - start, stop - start, 0)
        rise = true.ravel()[place] + share * (true.ravel()[following] - true.ravel()[place])
        parts.append(rise.reshape(wanted.shape) / true[:, -1:])
    return np.concatenate(parts)


def interval(values: Numbers, level: float = 0.95) -> list[float] | None:
    """Return the percentile interval of (R,) replicates, the undefined ones left out; None when all are.

    Efron, Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13. The calibration error, a mean of absolute
    values, is larger on resamples than on the sample, so its intervals lie too high.
    """
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return [float(low), float(high)]


def confusion_counts(label: Integers, predicted: Integers, weights: Numbers) -> Numbers:
    """Return (R, 2, 3) weights by true class and by class given: NORMAL, PNEUMONIA, any other."""
    cells = np.eye(6)[3 * label + np.minimum(predicted, 2)]
    return (weights @ cells).reshape(-1, 2, 3)


def _accuracy(counts: Numbers) -> Numbers:
    return _ratio(counts[:, 0, 0] + counts[:, 1, 1], counts.sum((1, 2)), np.nan)


def _recall(number: int) -> Callable[[Numbers], Numbers]:
    return lambda counts: _ratio(counts[:, number, number], counts[:, number].sum(1), np.nan)


def _precision(number: int) -> Callable[[Numbers], Numbers]:
    return lambda counts: _ratio(counts[:, number, number], counts[:, :, number].sum(1), 0)


def _f1(number: int) -> Callable[[Numbers], Numbers]:
    return lambda counts: _ratio(
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
    return np.where((true > 0).all(1), _ratio(covariance, np.sqrt(spread), 0), np.nan)


def _ratio(part: Numbers, whole: Numbers, otherwise: float) -> Numbers:
    """Return ``part / whole``, and ``otherwise`` where there is nothing to divide by."""
    result = np.full(part.shape, otherwise, dtype=np.float64)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _auroc(label: Integers, probability: Numbers, weights: Numbers) -> Numbers:
    """The share of pairs of a PNEUMONIA and a NORMAL in which the first has the larger probability; ties are half."""
    positive, negative = weights.T[label == 1], weights.T[label == 0]
    wins = np.heaviside(-np.subtract.outer(probability[label == 0], probability[label == 1]), 0.5)
    won = ((wins @ positive) * negative).sum(0)
    return _ratio(won, positive.sum(0) * negative.sum(0), np.nan)


def _average_precision(label: Integers, probability: Numbers, weights: Numbers) -> Numbers:
    """The mean over PNEUMONIA of the precision at each one's threshold."""
    true, false = _cumulative(label, probability, weights)
    # Weights are whole: where nothing is above a threshold yet, 0 / 1 stands for 0 / 0.
    precision = true / np.maximum(true + false, 1)
    gained = (np.diff(true, axis=1) * precision[:, 1:]).sum(1)
    return np.where(false[:, -1] > 0, _ratio(gained, true[:, -1], np.nan), np.nan)


def _brier(label: Integers, probability: Numbers, weights: Numbers) -> Numbers:
    return _ratio(weights @ (probability - label) ** 2, weights.sum(1), np.nan)


def _calibration_error(label: Integers, probability: Numbers, weights: Numbers) -> Numbers:
    bins = np.eye(len(BIN_EDGES) - 1)[calibration_bin(probability)]
    gaps = np.abs(weights @ (bins * (probability - label)[:, None])).sum(1)
    return _ratio(gaps, weights.sum(1), np.nan)


def _cumulative(label: Integers, probability: Numbers, weights: Numbers) -> tuple[Numbers, Numbers]:
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


def _chunks(weights: Integers) -> list[Numbers]:
    """The weights as real numbers, some resamples at a time, image by image in memory, which is how they are read."""
    starts = range(0, len(weights), TOGETHER)
    return [weights[start : start + TOGETHER].astype(np.float64, order="F") for start in starts]


# Metrics of confusion_counts, and of (label (n,), probability (n,), weights (R, n)).
OF_COUNTS: dict[str, Callable[[Numbers], Numbers]] = {
    "accuracy": _accuracy,
    "sensitivity": _recall(1),
    "specificity": _recall(0),
    "precision_pneumonia": _precision(1),
    "precision_normal": _precision(0),
    "f1_pneumonia": _f1(1),
    "f1_normal": _f1(0),
    "balanced_accuracy": _balanced_accuracy,
    "mcc": _mcc,
}
OF_PROBABILITIES: dict[str, Callable[[Integers, Numbers, Numbers], Numbers]] = {
    "auroc": _auroc,
    "average_precision": _average_precision,
    "brier": _brier,
    "calibration_error": _calibration_error,
}
METRICS = (*OF_COUNTS, *OF_PROBABILITIES)
