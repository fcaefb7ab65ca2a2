"""Which runs are compared, and tests of differences that assume independent images.

The tests here are second opinions: they take every image for a patient of its own, which the bootstrap over patients
(``cxr.evaluation.bootstrap``) does not.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm, rankdata
from statsmodels.stats.contingency_tables import mcnemar

from cxr.errors import InputError, did_you_mean
from cxr.evaluation.metrics import METRICS, Integers, Numbers
from cxr.study.schemas import read_yaml, validate


def read_comparisons(path: Path, experiments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read and check ``paper/comparisons.yaml``: families of ``id``, ``question``, ``metrics`` and ``pairs``.

    Args:
        path: the file.
        experiments: what there is to compare, by id: ``experiments`` of ``paper/experiments.yaml``.

    Raises:
        InputError: the schema is violated, an id stands twice, a metric or an experiment does not exist, an experiment
            is compared with itself, or a family compares two experiments twice, which would count as two tests.
    """
    content = read_yaml(path)
    validate(content, "comparisons", str(path))
    families: list[dict[str, Any]] = content["families"]
    seen: set[str] = set()
    for family in families:
        if family["id"] in seen:
            raise InputError(f"{path}: the family '{family['id']}' stands twice; give each an id of its own.")
        seen.add(family["id"])
        for name in (name for pair in family["pairs"] for name in pair):
            if name not in experiments:
                hint = did_you_mean(name, experiments) or "; paper/experiments.yaml lists them."
                raise InputError(f"{path}: family '{family['id']}' names an unknown experiment '{name}'{hint}")
        for name in family["metrics"]:
            if name not in METRICS:
                hint = did_you_mean(name, METRICS) or f"; there are {', '.join(METRICS)}."
                raise InputError(f"{path}: family '{family['id']}' names an unknown metric '{name}'{hint}")
        compared = [frozenset(pair) for pair in family["pairs"]]
        for pair in compared:
            if len(pair) == 1 or compared.count(pair) > 1:
                raise InputError(
                    f"{path}: family '{family['id']}' compares {' and '.join(sorted(pair))} "
                    f"{'with itself' if len(pair) == 1 else 'twice'}; remove that pair."
                )
    return families


def delong_p(label: Integers, first: Numbers, second: Numbers) -> float | None:
    """Return the two-sided p of DeLong's test that two models have the same AUROC on the same images.

    DeLong, DeLong, Clarke-Pearson, Biometrics 44(3):837-845, 1988, doi:10.2307/2531595, computed from midranks (Sun,
    Xu, IEEE Signal Process Lett 21(11):1389-1393, 2014, doi:10.1109/LSP.2014.2337313).

    Args:
        label: (n,) 0 or 1.
        first: (n,) probabilities of PNEUMONIA by one model.
        second: (n,) by the other.

    Returns:
        p; 1 where the two AUROCs are equal, 0 where they differ without variance (such as perfect against constant);
        None with fewer than two images of a class, which have no variance.
    """
    positive, negative = label == 1, label == 0
    m, n = int(positive.sum()), int(negative.sum())
    if min(m, n) < 2:
        return None
    scores = np.stack([first, second])
    ranks = rankdata(scores, axis=1)
    # For each image of a class, how many of the other class it is on the right side of.
    above = ranks[:, positive] - rankdata(scores[:, positive], axis=1)
    below = m - (ranks[:, negative] - rankdata(scores[:, negative], axis=1))
    difference = (above[0].sum() - above[1].sum()) / (m * n)
    if difference == 0:
        return 1.0
    variance = np.var(np.diff(above / n, axis=0), ddof=1) / m + np.var(np.diff(below / m, axis=0), ddof=1) / n
    with np.errstate(divide="ignore"):
        return float(2 * norm.sf(abs(difference) / np.sqrt(variance)))


def mcnemar_p(first_right: Sequence[bool], second_right: Sequence[bool]) -> float:
    """Return the two-sided p of McNemar's exact test that two models are right equally often on the same images.

    Args:
        first_right: (n,) whether one model is right about each image.
        second_right: (n,) whether the other is.
    """
    first, second = np.asarray(first_right), np.asarray(second_right)
    table = [[int(((first == a) & (second == b)).sum()) for b in (True, False)] for a in (True, False)]
    return float(mcnemar(table, exact=True).pvalue)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Return the p-values of a family adjusted by Holm's step-down method; None stays, and counts as no test."""
    tests = np.array([np.nan if value is None else value for value in values])
    # statsmodels' multipletests does the same, but collects all garbage each time, which takes longer than the tests.
    order = np.argsort(tests)[: np.isfinite(tests).sum()]
    adjusted = np.full(len(tests), np.nan)
    adjusted[order] = np.maximum.accumulate(tests[order] * np.arange(len(order), 0, -1)).clip(max=1)
    return [None if np.isnan(value) else float(value) for value in adjusted]
