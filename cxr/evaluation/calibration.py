"""Calibration: how far probabilities are from the frequencies that they promise.

It is judged in ten bins of equal width of the probability of PNEUMONIA: [0, 0.1], (0.1, 0.2], ... (0.9, 1].
"""

from typing import Any

import numpy as np
import numpy.typing as npt

BIN_EDGES = np.linspace(0, 1, 11)


def calibration_bin(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return the bin, 0 to 9, of each probability; an inner edge belongs to the bin below, as in scikit-learn."""
    return np.asarray(np.searchsorted(BIN_EDGES[1:-1], probability))


def calibration_of(label: npt.NDArray[np.int64], probability: npt.NDArray[np.float64]) -> dict[str, list[Any]]:
    """Return the reliability diagram: predicted probabilities and observed frequencies by bin.

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


def calibration_error(label: npt.NDArray[np.int64], probability: npt.NDArray[np.float64]) -> float:
    """Return the expected calibration error: the mean gap of the reliability diagram, weighted by count.

    Naeini, Cooper, Hauskrecht, AAAI 2015, here for the probability of PNEUMONIA and not of the class that was chosen.
    """
    diagram = calibration_of(label, probability)
    bins = zip(diagram["count"], diagram["mean_probability"], diagram["fraction_pneumonia"], strict=True)
    gaps = [count * abs(mean - fraction) for count, mean, fraction in bins if count]
    return float(sum(gaps) / len(label))
