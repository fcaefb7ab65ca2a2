"""The bootstrap over patients, against slow implementations, scipy, and simulated test sets."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, norm
from sklearn.metrics import roc_auc_score

from cxr.evaluation.bootstrap import bootstrap_weights, interval, replicates, roc_replicates
from cxr.evaluation.metrics import METRICS, Integers, Numbers
from cxr.evaluation.run_metrics import metrics_of


def simulated(images: int, seed: int) -> tuple[Integers, Integers, Numbers]:
    """Labels, decisions (some of a third class) and probabilities with ties, some on the edges of bins."""
    random = np.random.default_rng(seed)
    label = (random.random(images) < 0.6).astype(int)
    label[:4] = [0, 0, 1, 1]
    probability = np.round(random.normal(0.4 + 0.2 * label, 0.25).clip(0, 1), 1 + seed % 2)
    predicted = np.where(random.random(images) < 0.1, random.integers(2, 999, images), probability > 0.5)
    return label, predicted.astype(int), probability


def plain(label: Sequence[int], predicted: Sequence[int], probability: Sequence[float]) -> dict[str, float]:
    """The metrics of a list of images, by counting."""
    images = list(zip(label, predicted, probability, strict=True))

    def count(condition: Callable[[int, int], bool]) -> int:
        return sum(condition(y, c) for y, c, _ in images)

    n, right = len(images), count(lambda y, c: y == c)
    of = [count(lambda y, c: y == 0), count(lambda y, c: y == 1)]
    hit = [count(lambda y, c: y == c == 0), count(lambda y, c: y == c == 1)]
    given = [count(lambda y, c: c == 0), count(lambda y, c: c == 1), count(lambda y, c: c > 1)]
    spread = (n * n - sum(k * k for k in given)) * (n * n - sum(k * k for k in of))
    covariance = right * n - of[0] * given[0] - of[1] * given[1]
    pairs = [(p > q) + (p == q) / 2 for y, _, p in images if y == 1 for z, _, q in images if z == 0]
    average_precision, gained = 0.0, 0
    for threshold in sorted({p for _, _, p in images}, reverse=True):
        above = [y for y, _, p in images if p >= threshold]
        average_precision += (sum(above) - gained) / of[1] * sum(above) / len(above)
        gained = sum(above)
    gap = 0.0
    for number in range(10):
        inside = [(y, p) for y, _, p in images if max(0, math.ceil(round(p * 10, 9)) - 1) == number]
        gap += abs(sum(p for _, p in inside) - sum(y for y, _ in inside)) / n
    return {
        "accuracy": right / n,
        "sensitivity": hit[1] / of[1],
        "specificity": hit[0] / of[0],
        "precision_pneumonia": hit[1] / given[1] if given[1] else 0,
        "precision_normal": hit[0] / given[0] if given[0] else 0,
        "f1_pneumonia": 2 * hit[1] / (of[1] + given[1]),
        "f1_normal": 2 * hit[0] / (of[0] + given[0]),
        "balanced_accuracy": (hit[0] / of[0] + hit[1] / of[1]) / 2,
        "mcc": covariance / math.sqrt(spread) if spread else 0,
        "auroc": sum(pairs) / len(pairs),
        "average_precision": average_precision,
        "brier": sum((p - y) ** 2 for y, _, p in images) / n,
        "calibration_error": gap,
    }


@pytest.mark.parametrize("seed", range(4))
def test_replicates_agree_with_counting(seed: int) -> None:
    label, predicted, probability = simulated(60, seed)
    weights = bootstrap_weights(label, np.array([f"{row % 25}" for row in range(60)]), 12, seed)
    found = replicates(label, predicted, probability, weights)
    for number, times in enumerate(weights):
        drawn = np.repeat(np.arange(60), times)
        expected = plain(label[drawn], predicted[drawn], probability[drawn])
        for metric in METRICS:
            assert found[metric][number] == pytest.approx(expected[metric], abs=1e-12), metric


@pytest.mark.parametrize("seed", range(4))
def test_weights_of_one_give_the_metrics_of_the_run(seed: int) -> None:
    label, predicted, probability = simulated(90, seed)
    found = replicates(label, predicted, probability, np.ones((1, 90), dtype=int))
    metrics = metrics_of(pd.DataFrame({"label": label, "predicted": predicted, "probability": probability}))
    for name in ("precision", "f1"):
        for label_name in ("normal", "pneumonia"):
            metrics[f"{name}_{label_name}"] = metrics["classes"][label_name.upper()][name]
    for metric in METRICS:
        assert found[metric][0] == pytest.approx(metrics[metric], abs=1e-12), metric


@pytest.mark.parametrize("given", [0, 1, 5])
@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1], [0, 1, 1]])
def test_the_undefined_is_treated_as_in_the_metrics(labels: list[int], given: int) -> None:
    columns = {"label": np.array(labels), "predicted": np.full(3, given), "probability": np.array([0.2, 0.9, 0.9])}
    metrics = metrics_of(pd.DataFrame(columns))
    metrics |= {"precision_normal": metrics["classes"]["NORMAL"]["precision"]}
    metrics |= {"f1_pneumonia": metrics["classes"]["PNEUMONIA"]["f1"]}
    found = replicates(**columns, weights=np.ones((1, 3), dtype=int))
    for metric in set(METRICS) & set(metrics):
        value = math.nan if metrics[metric] is None else metrics[metric]
        assert found[metric][0] == pytest.approx(value, abs=1e-12, nan_ok=True), metric


def test_patients_are_drawn_whole_and_within_strata() -> None:
    label = np.array([0, 0, 0, 0, 1, 1, 1, 0, 1, 0, 1])
    patient = np.array(["a", "a", "b", "c", "d", "e", "e", "f", "f", "g", "g"])
    weights = bootstrap_weights(label, patient, 500, seed=5)
    for name in "aefg":
        members = weights[:, patient == name]
        assert (members == members[:, :1]).all()
    # Of each patient one image: 3 NORMAL patients, 2 PNEUMONIA, 2 with images of both.
    assert (weights[:, [0, 2, 3]].sum(1) == 3).all()
    assert (weights[:, [4, 5]].sum(1) == 2).all()
    assert (weights[:, [7, 9]].sum(1) == 2).all()
    # Each patient is expected once; the standard error of a mean of 500 is below 0.04.
    assert weights.mean(0) == pytest.approx(np.ones(11), abs=0.15)


def test_draws_depend_on_the_seed_and_not_on_names() -> None:
    label, patient = np.array([0, 0, 1, 1, 1]), np.array(["b", "a", "z", "c", "c"])
    weights = bootstrap_weights(label, patient, 50, seed=1)
    assert (weights == bootstrap_weights(label, np.array(["1", "2", "3", "4", "4"]), 50, seed=1)).all()
    assert (weights != bootstrap_weights(label, patient, 50, seed=2)).any()


@pytest.mark.parametrize("seed", range(3))
def test_roc_curves_agree_with_one_at_a_time(seed: int) -> None:
    label, _, probability = simulated(40, seed)
    weights = bootstrap_weights(label, np.arange(40).astype(str), 15, seed)
    grid = np.linspace(0, 1, 11)
    found = roc_replicates(label, probability, weights, grid)
    for number, times in enumerate(weights):
        drawn = np.repeat(np.arange(40), times)
        scores, truth = probability[drawn], label[drawn]
        points = [(0.0, 0.0)]
        for threshold in sorted(set(scores), reverse=True):
            points.append(((scores >= threshold)[truth == 0].mean(), (scores >= threshold)[truth == 1].mean()))
        for rate, value in zip(grid, found[number], strict=True):
            start = max(point for point in points if point[0] <= rate + 1e-9)
            stop = min((point for point in points if point[0] > rate + 1e-9), default=start)
            share = 0 if stop == start else (rate - start[0]) / (stop[0] - start[0])
            assert value == pytest.approx(start[1] + share * (stop[1] - start[1]), abs=1e-9)


def test_roc_of_perfect_constant_and_inverted() -> None:
    label, weights, grid = np.array([0, 0, 1, 1]), np.ones((1, 4), dtype=int), np.array([0, 0.25, 0.5, 1])
    curve = {
        name: roc_replicates(label, np.array(scores), weights, grid)[0].tolist()
        for name, scores in {"perfect": [0.1, 0.2, 0.8, 0.9], "constant": [0.5] * 4, "inverted": [1, 1, 0, 0]}.items()
    }
    assert curve == {"perfect": [1, 1, 1, 1], "constant": [0, 0.25, 0.5, 1], "inverted": [0, 0, 0, 1]}


def test_interval_leaves_out_the_undefined() -> None:
    values = np.concatenate([np.linspace(0, 1, 1001), [math.nan] * 50])
    assert interval(values) == pytest.approx([0.025, 0.975])
    assert interval(values, level=0.5) == pytest.approx([0.25, 0.75])
    assert interval(np.array([math.nan])) is None


def test_intervals_agree_with_scipy_where_each_patient_has_one_image() -> None:
    """The ends of two independent bootstraps of 10,000 differ by 0.04 standard errors (s. e. of a 2.5 % quantile)."""
    label, predicted, probability = simulated(150, 1)
    weights = bootstrap_weights(label, np.arange(150).astype(str), 10_000, seed=0)
    found = replicates(label, predicted, probability, weights)
    right = (label == predicted).astype(float)

    def accuracy(normal: Numbers, pneumonia: Numbers, axis: int) -> Numbers:
        total: Numbers = (normal.sum(axis) + pneumonia.sum(axis)) / 150
        return total

    def auroc(normal: Numbers, pneumonia: Numbers) -> float:
        wins = np.sign(np.subtract.outer(pneumonia, normal)).mean()
        return float(wins / 2 + 0.5)

    for metric, values, statistic in (("accuracy", right, accuracy), ("auroc", probability, auroc)):
        samples = (values[label == 0], values[label == 1])
        expected = bootstrap(samples, statistic, n_resamples=10_000, method="percentile", rng=1)
        tolerance = 0.16 * expected.standard_error + (1 / 150 if metric == "accuracy" else 0)
        assert interval(found[metric]) == pytest.approx(list(expected.confidence_interval), abs=tolerance), metric
        assert found[metric].std() == pytest.approx(expected.standard_error, rel=0.05)


@pytest.mark.slow
def test_intervals_cover_the_truth_on_clustered_test_sets() -> None:
    """2,000 test sets of 60 NORMAL and 80 PNEUMONIA patients with 1 to 3 images; 500 resamples each.

    Scores are normal, and 60 % of their variance is the patient's; a second model adds noise of its own to the first
    one's. 500 resamples instead of 10,000 blur the ends of the intervals a little; the standard error of a coverage
    over 2,000 sets is 0.5 points.
    """
    random = np.random.default_rng(11)
    first, second = norm.cdf(0.75), norm.cdf(0.75 / math.sqrt(1.5))
    truth = {"accuracy": first, "auroc": norm.cdf(1.5 / math.sqrt(2)), "difference": first - second, "images": first}
    kind, sets = np.repeat([0, 1], [60, 80]), 2000
    covered = dict.fromkeys(truth, 0)
    for number in range(sets):
        patient = np.repeat(np.arange(140), random.choice([1, 2, 3], 140, p=[0.5, 0.2, 0.3]))
        label, images = kind[patient], len(patient)
        score = 1.5 * label + math.sqrt(0.6) * random.normal(size=140)[patient]
        score = score + math.sqrt(0.4) * random.normal(size=images)
        decisions = [score > 0.75, score + math.sqrt(0.5) * random.normal(size=images) > 0.75]
        weights = bootstrap_weights(label, patient.astype(str), 500, seed=number)
        found = replicates(label, decisions[0].astype(int), norm.cdf(score), weights)
        naive = bootstrap_weights(label, np.arange(images).astype(str), 500, seed=number)
        values = {
            "accuracy": found["accuracy"],
            "auroc": found["auroc"],
            "difference": found["accuracy"] - (weights @ (decisions[1] == label)) / weights.sum(1),
            "images": (naive @ (decisions[0] == label)) / images,
        }
        for name, drawn in values.items():
            low, high = interval(drawn) or (math.nan, math.nan)
            covered[name] += low <= truth[name] <= high
    shares = {name: count / sets for name, count in covered.items()}
    assert all(0.93 <= shares[name] <= 0.97 for name in ("accuracy", "auroc", "difference")), shares
    # What the clusters are for: images drawn one by one promise too much.
    assert shares["images"] < 0.93, shares


def test_auroc_of_replicates_is_scikit_learns() -> None:
    label, predicted, probability = simulated(200, 2)
    weights = bootstrap_weights(label, (np.arange(200) // 2).astype(str), 5, seed=0)
    for times, value in zip(weights, replicates(label, predicted, probability, weights)["auroc"], strict=True):
        assert value == pytest.approx(roc_auc_score(label, probability, sample_weight=times), abs=1e-12)
