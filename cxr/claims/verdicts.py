"""The verdict on each claim under each protocol, with how sure it is."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cxr.claims.catalogue import Claim, selectors_of
from cxr.claims.evidence import Evidence, evidence_of, printed_evidence
from cxr.claims.vocabulary import TEST, TRAINING, NotTestable, Vocabulary
from cxr.evaluation.bootstrap import interval
from cxr.evaluation.results import Results
from cxr.files import read_json
from cxr.images.names import listed
from cxr.study.config import PAPER, Study

RESAMPLES = 2000
REPRODUCED, WITHIN = "reproduced", "within interval"
NOT_REPRODUCED, NOT_TESTABLE = "not reproduced", "not testable"
VERDICTS = (REPRODUCED, WITHIN, NOT_REPRODUCED, NOT_TESTABLE)
# How verdicts are counted, and what tolerances are multiplied by for it.
FACTORS = {"": 1.0, "_half_tolerance": 0.5, "_double_tolerance": 2.0}

INTERVALS = {TEST: "95 % bootstrap over patients of the test set", TRAINING: "range over seeds"}
# Fewer seeds have no range to speak of.
SEEDS_OF_RANGE = 3
# Decimal fractions differ from their binary ones by less.
ROUNDING = 1e-9


# Whether a relation to a number holds for some value from low to high, given a margin.
RELATIONS: dict[str, Callable[[float, float, float, float], bool]] = {
    "equals": lambda low, high, number, margin: (
        low <= number + margin + ROUNDING and high >= number - margin - ROUNDING
    ),
    "above": lambda low, high, number, margin: high > number - margin + ROUNDING,
    "below": lambda low, high, number, margin: low < number + margin - ROUNDING,
    "at_least": lambda low, high, number, margin: high >= number - margin - ROUNDING,
    "at_most": lambda low, high, number, margin: low <= number + margin + ROUNDING,
}


def records_of(study: Study, found: Results, root: Path, claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """Return the records of ``claims.json``, in the order of the claims.

    Args:
        study: the config and what it names.
        found: its results.
        root: ``results/<config name>``.
        claims: of ``read_claims``.
    """
    printed = read_json(PAPER / "published" / "results.json")
    own = printed_evidence(study, printed, read_json(PAPER / "published" / "curves.json"))
    evidence = {name: evidence_of(study, found, root, name, RESAMPLES) for name in study.protocols}
    vocabulary = functools.partial(Vocabulary, printed=printed, selectors=selectors_of(study))
    return [record_of(claim, evidence, own, vocabulary) for claim in claims]


def record_of(
    claim: Claim, evidence: Mapping[str, Evidence], own: Evidence, vocabulary: Callable[..., Vocabulary]
) -> dict[str, Any]:
    """Return what is found about a claim.

    Args:
        claim: the claim.
        evidence: by protocol.
        own: what the study printed.
        vocabulary: makes the vocabulary of some evidence, with ``seeds`` and ``resampled``.

    Returns:
        ``id``, ``section``, ``figure``, ``notebook``, ``says``, ``reading``, ``quantity`` (the expression), ``kind``
        (``test``, ``training`` or ``data``, what it rests on), ``claimed`` (number by relation), ``printed_precision``,
        ``tolerance``, ``tolerance_from``, ``explained_by``, ``explanation`` (each null where there is none);
        ``on_print``, ``value`` and ``verdict`` for the study's own printed numbers, null where they do not suffice;
        ``protocols``, for each what ``assessed`` returns.
    """
    assess = functools.partial(assessed, claim)
    printed = assess(own, functools.partial(vocabulary, own))
    return {
        "id": claim.id,
        **{key: claim.where.get(key) for key in ("section", "figure", "notebook")},
        "says": claim.says,
        "reading": claim.reading,
        "quantity": claim.quantity and claim.quantity.source,
        "kind": claim.quantity and claim.quantity.rests_on,
        "claimed": {claim.relation: claim.number} if claim.relation else None,
        "printed_precision": claim.precision or None,
        "tolerance": claim.tolerance,
        "tolerance_from": claim.tolerance_from,
        "explained_by": list(claim.explained_by),
        "explanation": claim.explanation,
        "on_print": None
        if printed["verdict"] == NOT_TESTABLE
        else {"value": printed["value"], "verdict": printed["verdict"]},
        "protocols": {name: assess(held, functools.partial(vocabulary, held)) for name, held in evidence.items()},
    }


def assessed(claim: Claim, evidence: Evidence, vocabulary: Callable[..., Vocabulary]) -> dict[str, Any]:
    """Return the verdict on a claim for some evidence.

    Args:
        claim: the claim.
        evidence: of one protocol, or the printed numbers.
        vocabulary: makes its vocabulary, with ``seeds`` and ``resampled``.

    Returns:
        ``value``, on means over seeds; ``seeds``, the values of single seeds as ``mean``, ``sd`` (n - 1; null for one),
        ``min``, ``max``, ``n``; ``interval`` [low, high] and ``interval_kind``; ``verdict``,
        ``verdict_half_tolerance``, ``verdict_double_tolerance``; ``reason``, why it is not testable; ``limited``,
        whether the config's limits shorten a run that it needs. Null where there is none.
    """
    reason = claim.not_testable or _lacking(claim, evidence)
    if reason or not claim.quantity:
        return _not_testable(str(reason), evidence, claim)
    quantity = claim.quantity
    runs = [evidence.runs[name] for name in sorted(quantity.experiments)]
    seeds = sorted(set.intersection(*map(set, runs))) if runs else []
    try:
        value = float(quantity.values(vocabulary(seeds=seeds))[0])
        single = [float(quantity.values(vocabulary(seeds=[seed]))[0]) for seed in seeds]
        spread, kind = None, None
        if quantity.rests_on == TEST and all(run[seed].resampled is not None for run in runs for seed in seeds):
            spread, kind = interval(quantity.values(vocabulary(seeds=seeds, resampled=True))), INTERVALS[TEST]
        elif quantity.rests_on == TRAINING and len(seeds) >= SEEDS_OF_RANGE:
            spread, kind = [min(single), max(single)], INTERVALS[TRAINING]
    except NotTestable as error:
        return _not_testable(str(error), evidence, claim)
    if not math.isfinite(value):
        return _not_testable("its value is not defined for these results", evidence, claim)
    if claim.relation == "within_chance_of" and spread is None:
        return _not_testable("it is about an interval, and there is none", evidence, claim)
    return {
        "value": value,
        "seeds": {
            "mean": float(np.mean(single)),
            "sd": float(np.std(single, ddof=1)) if len(single) > 1 else None,
            "min": min(single),
            "max": max(single),
            "n": len(single),
        }
        if single
        else None,
        "interval": spread,
        "interval_kind": kind,
        **{f"verdict{suffix}": verdict(claim, value, spread, factor) for suffix, factor in FACTORS.items()},
        "reason": None,
        "limited": bool(quantity.experiments & evidence.limited),
    }


def _lacking(claim: Claim, evidence: Evidence) -> str | None:
    """Why there are no runs that a claim needs with a seed in common, or None if there are."""
    needed = sorted(claim.quantity.experiments) if claim.quantity else []
    for name in needed:
        if name not in evidence.runs:
            return f"{name} was not run: {evidence.absent[name]}"
    if needed and not set.intersection(*(set(evidence.runs[name]) for name in needed)):
        return f"{listed(needed)} have no seed in common"
    return None


def _not_testable(reason: str, evidence: Evidence, claim: Claim) -> dict[str, Any]:
    return {
        "value": None,
        "seeds": None,
        "interval": None,
        "interval_kind": None,
        **{f"verdict{suffix}": NOT_TESTABLE for suffix in FACTORS},
        "reason": reason,
        "limited": bool(claim.quantity and claim.quantity.experiments & evidence.limited),
    }


def verdict(claim: Claim, value: float, spread: Sequence[float] | None, factor: float = 1.0) -> str:
    """Return ``reproduced``, ``within interval`` or ``not reproduced``.

    A claim is reproduced if its relation holds for the value, with the tolerance as margin; it is within the interval
    if it holds for a number of the interval, up to the rounding of the printed digits.

    Args:
        claim: a testable claim.
        value: of its quantity.
        spread: the interval [low, high], or None.
        factor: what the tolerance is multiplied by.
    """
    number, tolerance = claim.number or 0.0, claim.tolerance or 0.0
    if claim.relation == "within_chance_of":
        return REPRODUCED if spread and spread[0] <= number <= spread[1] else NOT_REPRODUCED
    holds = RELATIONS[str(claim.relation)]
    if holds(value, value, number, factor * tolerance):
        return REPRODUCED
    return WITHIN if spread and holds(spread[0], spread[1], number, claim.precision / 2) else NOT_REPRODUCED
