"""How far the metrics of one test set could differ on another: a bootstrap over patients.

Images of one patient are alike, so patients are drawn, not images (Field, Welsh, J R Stat Soc B 69(3):369-390, 2007).
A resample is a row of weights, how often each image is in it, and every metric is a function of weights. The same
weights serve all runs with one test set, so that differences between runs are paired. Patients are drawn within the
classes: how common pneumonia is among them stays as it is.
"""

import numpy as np
import numpy.typing as npt

from cxr.evaluation.metrics import METRICS, Integers, Numbers, cumulative_weights, metric_values, ratio

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
    parts = [metric_values(label, predicted, probability, chunk) for chunk in _chunks(weights)]
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
        true, false = cumulative_weights(label, probability, chunk)
        wanted = grid * false[:, -1:]
        # One search for all rows: each row is shifted beyond the row before. Counts are whole, so what lies within
        # 1e-6 of one is the same number but for rounding.
        shift = np.arange(len(chunk))[:, None] * (false[:, -1].max() + 1)
        place = np.searchsorted((false + shift).ravel(), (wanted + shift + 1e-6).ravel(), side="right") - 1
        last = place % false.shape[1] == false.shape[1] - 1
        following = np.where(last, place, place + 1)
        start, stop = false.ravel()[place], false.ravel()[following]
        share = ratio(wanted.ravel() - start, stop - start, 0)
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


def _chunks(weights: Integers) -> list[Numbers]:
    """The weights as real numbers, some resamples at a time, image by image in memory, which is how they are read."""
    starts = range(0, len(weights), TOGETHER)
    return [weights[start : start + TOGETHER].astype(np.float64, order="F") for start in starts]
