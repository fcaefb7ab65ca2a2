"""Tests of differences, against slow implementations; and the families that are compared."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.stats import binom, kstest, norm
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from cxr.errors import InputError
from cxr.evaluation.metrics import Integers, Numbers
from cxr.evaluation.paired_tests import delong_p, holm, mcnemar_p, read_comparisons
from cxr.study.config import PAPER, read_experiments


def delong_by_counting(label: Integers, first: Numbers, second: Numbers) -> float:
    """DeLong's test with every placement value counted one by one."""
    positive, negative = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    of_positive, of_negative, areas = [], [], []
    for score in (first, second):
        wins = [[(score[i] > score[j]) + (score[i] == score[j]) / 2 for j in negative] for i in positive]
        of_positive.append([sum(row) / len(negative) for row in wins])
        of_negative.append([sum(row[j] for row in wins) / len(positive) for j in range(len(negative))])
        areas.append(sum(of_positive[-1]) / len(positive))

    def covariance(values: list[list[float]], a: int, b: int) -> float:
        pairs = zip(values[a], values[b], strict=True)
        return sum((x - areas[a]) * (y - areas[b]) for x, y in pairs) / (len(values[a]) - 1)

    variance = 0.0
    for values in (of_positive, of_negative):
        terms = covariance(values, 0, 0) + covariance(values, 1, 1) - 2 * covariance(values, 0, 1)
        variance += terms / len(values[0])
    return float(2 * norm.sf(abs(areas[0] - areas[1]) / variance**0.5))


def correlated_scores(images: int, seed: int, digits: int) -> tuple[Integers, Numbers, Numbers]:
    random = np.random.default_rng(seed)
    label = (random.random(images) < 0.6).astype(int)
    common = random.normal(label * 1.2, 1)
    first, second = (np.round(norm.cdf(common + random.normal(0, 0.7, images)), digits) for _ in range(2))
    return label, first, second


@pytest.mark.parametrize("digits", [1, 9], ids=["ties", "no ties"])
@pytest.mark.parametrize("seed", range(4))
def test_delong_agrees_with_counting(seed: int, digits: int) -> None:
    label, first, second = correlated_scores(70, seed, digits)
    p = delong_p(label, first, second)
    assert p == pytest.approx(delong_by_counting(label, first, second), abs=1e-9)
    assert p == pytest.approx(delong_p(label, second, first), abs=1e-12)
    assert 0 < (p or 0) < 1


def test_delong_depends_on_ranks_alone() -> None:
    label, first, second = correlated_scores(80, 9, 9)
    assert delong_p(label, first**3, np.sqrt(second)) == pytest.approx(delong_p(label, first, second), abs=1e-12)


def test_delong_without_a_difference_or_without_variance() -> None:
    label = np.array([0, 0, 0, 1, 1, 1])
    perfect, constant = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9]), np.full(6, 0.5)
    assert delong_p(label, constant, constant) == 1
    assert delong_p(label, perfect, perfect) == 1
    # Other scores of the same order, and others of the same area.
    assert delong_p(label, perfect, perfect**2) == 1
    assert delong_p(label, np.array([1, 2, 5, 3, 4, 6]), np.array([1, 2, 4, 3, 3.5, 6])) == 1
    assert delong_p(label, perfect, constant) == 0
    assert delong_p(label, perfect, 1 - perfect) == 0
    assert delong_p(label[2:], perfect[2:], constant[2:]) is None


def test_delong_is_uniform_where_there_is_no_difference() -> None:
    values = [delong_p(*correlated_scores(120, seed, 9)) for seed in range(400)]
    assert kstest(values, "uniform").pvalue > 0.01


def test_delong_sees_a_real_difference() -> None:
    label, first, second = correlated_scores(300, 3, 9)
    worse = second - 0.25 * label
    assert roc_auc_score(label, first) - roc_auc_score(label, worse) > 0.1
    assert (delong_p(label, first, worse) or 0) < 1e-4


def test_mcnemar_counts_where_one_alone_is_right() -> None:
    first = [True] * 50 + [True] * 8 + [False] * 1 + [False] * 4
    second = [True] * 50 + [False] * 8 + [True] * 1 + [False] * 4
    assert mcnemar_p(first, second) == pytest.approx(2 * binom.cdf(1, 9, 0.5), abs=1e-12)
    assert mcnemar_p(second, first) == mcnemar_p(first, second)
    assert mcnemar_p(first, first) == 1
    assert mcnemar_p([True] * 5, [False] * 5) == pytest.approx(2 * 0.5**5)


def test_holm_is_statsmodels_and_passes_over_what_was_not_tested() -> None:
    values = [0.04, None, 0.001, 0.03, 0.9, 0.03, None, 0.0]
    tests = [value for value in values if value is not None]
    expected = iter(multipletests(tests, method="holm")[1])
    for value, adjusted in zip(values, holm(values), strict=True):
        assert adjusted == (None if value is None else pytest.approx(next(expected), abs=1e-15))
    assert holm([]) == [] and holm([None, None]) == [None, None]
    assert holm([0.2]) == [0.2]


def test_the_families_of_the_paper_are_valid() -> None:
    families = read_comparisons(PAPER / "comparisons.yaml", read_experiments(PAPER / "experiments.yaml")["experiments"])
    assert {metric for family in families for metric in family["metrics"]} == {"accuracy", "auroc"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pairs": [["custom", "custm-T1"]]}, "unknown experiment 'custm-T1'; did you mean 'custom-T1'"),
        ({"pairs": [["custom", "custom"]]}, "with itself"),
        ({"pairs": [["custom", "custom-T1"], ["custom-T1", "custom"]]}, "custom and custom-T1 twice"),
        ({"metrics": ["auroc", "acuracy"]}, "did you mean 'accuracy'"),
        ({"metric": ["auroc"]}, "unknown key 'metric'; did you mean 'metrics'"),
        ({"id": "other"}, "'other' stands twice"),
    ],
)
def test_a_wrong_family_is_one_sentence(tmp_path: Path, change: dict[str, object], message: str) -> None:
    other = {"id": "other", "question": "?", "metrics": ["auroc"], "pairs": [["custom", "custom-T1"]]}
    families = [other, {**other, "id": "family", **change}]
    path = tmp_path / "comparisons.yaml"
    path.write_text(yaml.safe_dump({"families": families}), encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        read_comparisons(path, {"custom": {}, "custom-T1": {}})
    assert str(path) in str(caught.value)
