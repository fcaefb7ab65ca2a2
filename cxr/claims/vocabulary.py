"""The vocabulary in which ``paper/claims.yaml`` says what a claim is about.

A quantity is an expression of numbers, ``+ - * /`` and the functions of ``Vocabulary``, such as
``test('resnet18-II-100', 'accuracy') - test('resnet18-I-500', 'accuracy')``. It is evaluated for one protocol in three
ways by the same functions: on means over seeds, for one seed alone, and on resamples of the test set's patients, where
every number is an array with one value a resample.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cxr.claims.evidence import Evidence, RunEvidence
from cxr.evaluation.metrics import COUNT_METRICS, Numbers
from cxr.study.published import printed_row
from cxr.training.selection import best_epoch

# "Has learnt" is being within this of the highest accuracy of the curve.
SETTLED = 0.02


class NotTestable(Exception):  # noqa: N818, since it is an answer and not an error
    """The evidence does not hold what a quantity needs; the message is the reason."""


def _change(values: Numbers) -> float:
    """How far the straight line through the values rises from the first of them to the last."""
    return float(np.polyfit(np.arange(len(values)), values, 1)[0] * (len(values) - 1))


def _unsteadiness(values: Numbers) -> float:
    """Their standard deviation about the straight line through them, whose two parameters are counted."""
    epochs = np.arange(len(values))
    residuals = values - np.polyval(np.polyfit(epochs, values, 1), epochs)
    return float(np.sqrt((residuals**2).sum() / (len(values) - 2)))


# What a stretch of a training curve is summed up by, and how many epochs that takes.
STATISTICS: dict[str, tuple[Callable[[Numbers], float], int]] = {
    "mean": (lambda values: float(values.mean()), 1),
    "highest": (lambda values: float(values.max()), 1),
    "lowest": (lambda values: float(values.min()), 1),
    "best_epoch": (lambda values: float(best_epoch(values.tolist())), 1),
    "settling_epoch": (lambda values: float(np.argmax(values >= values.max() - SETTLED) + 1), 1),
    "change": (_change, 2),
    "unsteadiness": (_unsteadiness, 3),
}


class Vocabulary:
    """The functions of quantities; each returns (k,) values, k = 1 or, on resamples, their number.

    Args:
        evidence: of a protocol, or what the study printed.
        printed: ``paper/published/results.json``.
        selectors: ``published`` of the experiments by id.
        seeds: those over which runs are averaged.
        resampled: whether test sets are the resampled ones.
    """

    def __init__(
        self,
        evidence: Evidence,
        printed: Mapping[str, Any],
        selectors: Mapping[str, Any],
        seeds: Sequence[int] = (),
        resampled: bool = False,
    ) -> None:
        self._evidence, self._printed, self._selectors = evidence, printed, selectors
        self._seeds, self._resampled = seeds, resampled

    def test(self, experiment: str, metric: str) -> Numbers:
        """A metric of ``cxr.evaluation.metrics.COUNT_METRICS`` on the test set."""

        def of(run: RunEvidence) -> Numbers:
            counts = run.resampled if self._resampled else run.counts
            if counts is None:
                raise NotTestable(f"there is no confusion matrix of {experiment} in {self._evidence.origin}")
            return COUNT_METRICS[metric](counts)

        return self._mean(experiment, of)

    def curve(self, experiment: str, column: str, statistic: str, first: int = 1, last: int | None = None) -> Numbers:
        """One of ``STATISTICS`` of a column of ``history.csv``, from the epoch ``first`` to ``last``, both included.

        Epochs count from 1. A negative ``first`` takes so many epochs at the end; ``last`` absent means the last one.
        """

        def of(run: RunEvidence) -> Numbers:
            function, needed = STATISTICS[statistic]
            values = run.curves.get(column, np.empty(0))
            if len(values) < max(abs(first), last or 0):
                epoch = last or abs(first)
                raise NotTestable(f"it needs {epoch} epochs of {experiment}'s {column}, and there are {len(values)}")
            stretch = values[first if first < 0 else first - 1 : last]
            if len(stretch) < needed:
                raise NotTestable(f"it needs at least {needed} epochs of {experiment}, and there are {len(stretch)}")
            return np.array([function(stretch)])

        return self._mean(experiment, of)

    def steps(self, experiment: str) -> Numbers:
        """Batches in an epoch of training."""

        def of(run: RunEvidence) -> Numbers:
            if run.steps is None:
                raise NotTestable(f"there is no number of steps of {experiment} in {self._evidence.origin}")
            return np.array([float(run.steps)])

        return self._mean(experiment, of)

    def cohort(self, key: str) -> Numbers:
        """A number of ``cohort.json`` by its dotted key; a mapping counts as the sum of its numbers."""
        return self._looked_up(self._evidence.cohort, key)

    def images(self, part: str, name: str | None = None) -> Numbers:
        """Images of the set train (once each), validation or test; of one class alone, if it is named."""
        return self._looked_up(self._evidence.preprocessing, ".".join(["sets", part, *([name] if name else [])]))

    def training_images(self, experiment: str) -> Numbers:
        """Images in an epoch of training, all transforms together."""
        return self._looked_up(self._evidence.preprocessing, f"training_images.{experiment}")

    def normalisation(self, constant: str) -> Numbers:
        """The ``mean`` or ``std`` by which images are normalised."""
        return self._looked_up(self._evidence.preprocessing, f"normalisation.{constant}")

    def printed(self, experiment: str, column: str) -> Numbers:
        """A rounded number that the study prints of an experiment: Figure 3's, or ``test_accuracy_printed``."""
        row = printed_row(self._selectors.get(experiment), self._printed["metrics"]) or {}
        numbers = {**row, **(row.get("preprint_figure_3") or {})}
        if numbers.get(column) is None:
            raise NotTestable(f"the study prints no {column} of {experiment}")
        return np.array([float(numbers[column])])

    def published(self, key: str) -> Numbers:
        """A number of ``paper/published/results.json``, as ``cohort`` finds one."""
        return self._looked_up(self._printed, key)

    def mean_of(self, *values: Numbers) -> Numbers:
        """The mean of several quantities."""
        return np.mean(np.broadcast_arrays(*values), axis=0)  # type: ignore[no-any-return]

    def highest(self, *values: Numbers) -> Numbers:
        """The highest of several quantities."""
        return np.max(np.broadcast_arrays(*values), axis=0)  # type: ignore[no-any-return]

    def lowest(self, *values: Numbers) -> Numbers:
        """The lowest of several quantities."""
        return np.min(np.broadcast_arrays(*values), axis=0)  # type: ignore[no-any-return]

    def share_within(self, limit: float, *values: Numbers) -> Numbers:
        """The share of several quantities whose size is below ``limit``."""
        return np.mean(np.abs(np.broadcast_arrays(*values)) < limit, axis=0)  # type: ignore[no-any-return]

    def size(self, value: Numbers) -> Numbers:
        """A quantity without its sign."""
        return np.abs(value)

    def _mean(self, experiment: str, of: Callable[[RunEvidence], Numbers]) -> Numbers:
        runs = self._evidence.runs[experiment]
        return np.mean([of(runs[seed]) for seed in self._seeds], axis=0)  # type: ignore[no-any-return]

    def _looked_up(self, content: Mapping[str, Any], key: str) -> Numbers:
        found: Any = content
        for part in key.split("."):
            if not isinstance(found, Mapping) or part not in found:
                raise NotTestable(f"there is no '{key}' in {self._evidence.origin}")
            found = found[part]
        return np.array([_sum(found, key)])


def _sum(content: Any, key: str) -> float:
    if isinstance(content, Mapping):
        return sum(_sum(value, f"{key}.{name}") for name, value in content.items())
    if isinstance(content, bool) or not isinstance(content, int | float):
        raise NotTestable(f"'{key}' is no number")
    return float(content)


# What the numbers of a function rest on: the test set, curves of training, or data that chance does not move; the other
# functions combine what these return.
TEST, TRAINING, DATA = "test", "training", "data"
RESTS_ON = {
    "test": TEST,
    "curve": TRAINING,
    "steps": DATA,
    "cohort": DATA,
    "images": DATA,
    "training_images": DATA,
    "normalisation": DATA,
    "printed": DATA,
    "published": DATA,
}
# The functions whose first argument is an experiment that must have been run.
OF_RUNS = ("test", "curve", "steps")
FUNCTIONS = (*RESTS_ON, "mean_of", "highest", "lowest", "share_within", "size")
