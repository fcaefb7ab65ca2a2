"""The value that results give for a claim's quantity, and its standard error.

Two sources of error are told apart. *Patients*: another test set would have other patients; its variance is that of the
bootstrap over the patients of the test set (``cxr.evaluation.bootstrap``). *Seeds*: another training run would end in
another network; its variance is that between the seeds, divided by their number. Where there are several seeds, a claim
is about the method and both variances are added. With one seed it is about one network, and the patients are the only
source that can be estimated.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cxr.claims.evidence import Evidence
from cxr.claims.expressions import Expression
from cxr.claims.vocabulary import DATA, TEST, NotTestable, Vocabulary

# Fewer seeds do not tell the spread of a training curve: with two, a 95 % interval is 18 standard deviations wide.
SEEDS_OF_SPREAD = 3
# The one-sided 95 % limit of an error rate of which n patients show no case is 3/n (Hanley, Lippman-Hand, "If nothing
# goes wrong, is everything all right?", JAMA 249(13):1743-1745, 1983), which is 1.645 standard errors.
RULE_OF_THREE = 3 / 1.645


@dataclass(frozen=True)
class Estimate:
    """A value and how sure it is.

    Attributes:
        value: of the quantity, on means over seeds.
        by_seed: the values of single seeds; empty where no run is needed.
        standard_error: of ``value``; 0 where chance does not move it; None where it cannot be estimated.
        degrees_of_freedom: of the standard error, infinite where chance does not move the value.
        variance: what the standard error is made of, or why there is none, in words.
        bias: of ``value``, estimated by the bootstrap; 0 where there is none to be estimated.
    """

    value: float
    by_seed: Sequence[float]
    standard_error: float | None
    degrees_of_freedom: float
    variance: str
    bias: float = 0.0

    @property
    def centre(self) -> float:
        """The value less its bias: what tests are made with, and the middle of intervals."""
        return self.value - self.bias


def estimate(quantity: Expression, evidence: Evidence, vocabulary: Callable[..., Vocabulary]) -> Estimate:
    """Return the estimate of a quantity.

    On the test set the variance is s_p^2 + s_b^2 / S: s_p is the standard deviation of the bootstrap replicates of
    the mean over the S seeds, s_b the standard deviation between seeds. Its degrees of freedom follow Satterthwaite
    (Biometrics Bulletin 2(6):110-114, 1946) from S - 1 and from the number of patients less the two classes. s_p is
    at least that of the rule of three, so that a test set without a single error is not taken for certainty. The bias
    is the mean of the replicates less the value (Efron, Tibshirani, An Introduction to the Bootstrap, 1993, chapter
    10): it is next to 0 for a metric, and matters for the lead over the best of several networks, which is smaller
    in a sample than among all patients, since the best is taken after the fact. For
    training curves the variance is s_b^2 / S with S - 1 degrees of freedom: the validation images stay the same.

    Args:
        quantity: of a claim.
        evidence: of one protocol, or the printed numbers, which are taken as they stand.
        vocabulary: makes its vocabulary, with ``seeds`` and ``resampled``.

    Raises:
        NotTestable: the evidence does not hold what the quantity needs, or its value is not defined.
    """
    runs = [evidence.runs[name] for name in sorted(quantity.experiments)]
    seeds = sorted(set.intersection(*map(set, runs))) if runs else []
    value = float(quantity.values(vocabulary(seeds=seeds))[0])
    if not math.isfinite(value):
        raise NotTestable("its value is not defined for these results")
    by_seed = [float(quantity.values(vocabulary(seeds=[seed]))[0]) for seed in seeds]
    if evidence.printed or quantity.rests_on == DATA:
        return Estimate(value, by_seed, 0.0, math.inf, "none: chance does not move it")
    count = len(seeds)
    between = float(np.var(by_seed, ddof=1)) / count if count > 1 else 0.0
    if quantity.rests_on == TEST:
        replicates = quantity.values(vocabulary(seeds=seeds, resampled=True))
        patients = max(float(np.nanstd(replicates, ddof=1)), RULE_OF_THREE / evidence.patients) ** 2
        bias = float(np.nanmean(replicates)) - value
        freedom = max(evidence.patients - 2.0, 1.0)
        if count == 1:
            return Estimate(value, by_seed, math.sqrt(patients), freedom, "sampling only; one seed", bias)
        total = patients + between
        freedom = total**2 / (patients**2 / freedom + between**2 / (count - 1))
        return Estimate(value, by_seed, math.sqrt(total), freedom, f"sampling and {count} seeds", bias)
    if count < SEEDS_OF_SPREAD:
        only = "one seed" if count == 1 else f"{count} seeds"
        return Estimate(value, by_seed, None, math.inf, f"unknown: {only} of at least {SEEDS_OF_SPREAD}")
    if between == 0:
        return Estimate(value, by_seed, None, math.inf, f"unknown: the same value for all of {count} seeds")
    return Estimate(value, by_seed, math.sqrt(between), count - 1, f"{count} seeds only")
