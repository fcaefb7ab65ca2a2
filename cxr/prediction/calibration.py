"""What the validation images say about a probability: how often images with about the same one showed pneumonia.

This is calibration by histogram (Zadrozny and Elkan, ICML 2001): a probability is replaced by the fraction of pneumonia
among the validation images in the same tenth. It holds for images like those, and where pneumonia is as frequent.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import binomtest

SET = "validation"


def calibration_of(metrics: Mapping[str, Any], cohort: Mapping[str, Any]) -> dict[str, Any]:
    """Return the calibration of a run in JSON.

    Args:
        metrics: ``metrics.json`` of the run.
        cohort: ``cohort.json``.

    Returns:
        ``set`` and ``images`` it was measured on; their ``prevalence`` of pneumonia; ``expected_error``, the mean gap
        between probability and frequency; ``tenths``: ``images`` and ``pneumonia`` by tenth of the probability; and
        ``limits``, a sentence.
    """
    measured = metrics[SET]
    diagram = measured["calibration"]
    fractions = [fraction or 0.0 for fraction in diagram["fraction_pneumonia"]]
    pneumonia = [round(count * fraction) for count, fraction in zip(diagram["count"], fractions, strict=True)]
    prevalence = sum(pneumonia) / measured["n"]
    return {
        "set": SET,
        "images": measured["n"],
        "prevalence": prevalence,
        "expected_error": measured["calibration_error"],
        "tenths": {"images": diagram["count"], "pneumonia": pneumonia},
        "limits": (
            f"Measured on {measured['n']} validation images of: {cohort['title']}, of which {prevalence:.0%} showed "
            "pneumonia, and which also chose the epoch. Where pneumonia is rarer, where patients or devices are "
            "others, it does not hold."
        ),
    }


def calibrated(calibration: Mapping[str, Any] | None, probability: float) -> dict[str, Any]:
    """Return what the calibration says about a probability.

    Args:
        calibration: of ``calibration_of``, or None.
        probability: 0 to 1. A tenth has its upper edge, as in ``metrics.json``.

    Returns:
        ``calibrated_probability`` with its 95 % interval (Wilson) from ``calibrated_low`` to ``calibrated_high``, and
        ``calibrated_on``, the number of validation images in the tenth. None without a calibration, or such images.
    """
    images = pneumonia = 0
    if calibration is not None:
        tenth = int(np.searchsorted(np.linspace(0, 1, 11)[1:-1], probability))
        images, pneumonia = (calibration["tenths"][key][tenth] for key in ("images", "pneumonia"))
    keys = ("calibrated_probability", "calibrated_low", "calibrated_high")
    if images == 0:
        return {**dict.fromkeys(keys), "calibrated_on": 0}
    interval = binomtest(pneumonia, images).proportion_ci(method="wilson")
    values = (pneumonia / images, float(interval.low), float(interval.high))
    return {**dict(zip(keys, values, strict=True)), "calibrated_on": images}
