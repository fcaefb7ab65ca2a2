"""The records of ``claims.json``: what each claim says, and what is found about it under each protocol."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cxr.claims.catalogue import Claim, selectors_of
from cxr.claims.estimates import Estimate, estimate
from cxr.claims.evidence import Evidence, evidence_of, printed_evidence
from cxr.claims.inference import holm_together, inference_of
from cxr.claims.verdicts import NOT_TESTABLE, distance_of, set_aside, verdict_of
from cxr.claims.vocabulary import NotTestable, Vocabulary
from cxr.evaluation.results import Results
from cxr.files import read_json
from cxr.study.config import PAPER, Study

RESAMPLES = 2000
# What tolerances are multiplied by, to see how much verdicts depend on them.
FACTORS = {"_half_tolerance": 0.5, "_double_tolerance": 2.0}
# The ends of the names under which a record holds its verdicts: as stated, with adjusted p values, and by tolerance.
KINDS = ("", "_adjusted", *FACTORS)


def records_of(study: Study, found: Results, root: Path, claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """Return the records of ``claims.json``, in the order of the claims.

    Args:
        study: the config and what it names.
        found: its results.
        root: ``results/<config name>``.
        claims: of ``read_claims``.

    Returns:
        For each claim: ``id``, ``section``, ``figure``, ``notebook``, ``says``, ``reading``, ``quantity`` (the
        expression), ``kind`` (``test``, ``training`` or ``data``, what it rests on), ``claimed`` (number by relation),
        ``printed_precision``, ``tolerance``, ``tolerance_from``, ``explained_by``, ``explanation`` (each null where
        there is none); ``on_print``, ``value`` and ``verdict`` for the study's own printed numbers, null where they do
        not suffice; ``protocols``, for each what ``assessments`` returns.
    """
    printed = read_json(PAPER / "published" / "results.json")
    own = printed_evidence(study, printed, read_json(PAPER / "published" / "curves.json"))
    vocabulary = functools.partial(Vocabulary, printed=printed, selectors=selectors_of(study))
    by_protocol = {}
    for name in study.protocols:
        evidence = evidence_of(study, found, root, name, RESAMPLES)
        by_protocol[name] = assessments(claims, evidence, functools.partial(vocabulary, evidence))
    return [
        {
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
            "on_print": on_print(claim, own, functools.partial(vocabulary, own)),
            "protocols": {name: assessed[number] for name, assessed in by_protocol.items()},
        }
        for number, claim in enumerate(claims)
    ]


def on_print(claim: Claim, own: Evidence, vocabulary: Callable[..., Vocabulary]) -> dict[str, Any] | None:
    """Return ``value`` and ``verdict`` for the study's own printed numbers, or None where they do not suffice.

    Printed numbers agree if they are the same but for the last printed digit: the margins that allow for chance are
    for results.
    """
    exact = dataclasses.replace(claim, tolerance=min(claim.tolerance or 0.0, claim.precision))
    found = _estimated(exact, own, vocabulary)
    if not isinstance(found, Estimate):
        return None
    return {"value": found.value, "verdict": verdict_of(exact, found, None, None)}


def assessments(
    claims: Sequence[Claim], evidence: Evidence, vocabulary: Callable[..., Vocabulary]
) -> list[dict[str, Any]]:
    """Return what is found about each claim under one protocol.

    Args:
        claims: all claims, since p values are adjusted for their number.
        evidence: of the protocol.
        vocabulary: makes its vocabulary, with ``seeds`` and ``resampled``.

    Returns:
        For each claim: ``value``, on means over seeds; ``seeds``, the values of single seeds as ``mean``, ``sd``
        (n - 1; null for one), ``min``, ``max``, ``n``; ``bias`` and ``standard_error`` (see
        ``cxr.claims.estimates.Estimate``) and ``variance``, what it is made of; ``interval`` (95 %),
        ``interval_equivalence`` (90 %), ``margin``, ``minimum_detectable_difference``, ``p`` and ``p_equivalence`` (see
        ``inference_of``), ``p_adjusted`` and ``p_equivalence_adjusted`` (see ``holm_together``); ``verdict``,
        ``verdict_adjusted`` (by the adjusted p values), ``verdict_half_tolerance``, ``verdict_double_tolerance``;
        ``distance`` from where the verdict would be another (see ``distance_of``); ``reason``, why it is set aside;
        ``limited`` and ``other_weights``, whether the config's limits shorten a run that it needs, and whether one
        starts from other pretrained weights than the study's. Null where there is none.
    """
    found = [_estimated(claim, evidence, vocabulary) for claim in claims]
    tests = [
        inference_of(claim, held) if isinstance(held, Estimate) else {"p": None, "p_equivalence": None}
        for claim, held in zip(claims, found, strict=True)
    ]
    return [
        {
            **(_judged(claim, held, test, adjusted) if isinstance(held, Estimate) else _set_aside(*held)),
            "limited": bool(claim.quantity and claim.quantity.experiments & evidence.limited),
            "other_weights": bool(claim.quantity and claim.quantity.experiments & evidence.other_weights),
        }
        for claim, held, test, adjusted in zip(claims, found, tests, holm_together(tests), strict=True)
    ]


def _estimated(claim: Claim, evidence: Evidence, vocabulary: Callable[..., Vocabulary]) -> Estimate | tuple[str, str]:
    """The estimate of a claim's quantity, or the verdict and the reason with which the claim is set aside."""
    aside = set_aside(claim, evidence)
    if aside or not claim.quantity:
        return aside or (NOT_TESTABLE, "it names no quantity")
    try:
        return estimate(claim.quantity, evidence, vocabulary)
    except NotTestable as error:
        return NOT_TESTABLE, str(error)


def _judged(
    claim: Claim, found: Estimate, tests: Mapping[str, Any], adjusted: Mapping[str, float | None]
) -> dict[str, Any]:
    verdicts = {
        "": verdict_of(claim, found, tests["p"], tests["p_equivalence"]),
        "_adjusted": verdict_of(claim, found, adjusted["p_adjusted"], adjusted["p_equivalence_adjusted"]),
    }
    for suffix, factor in FACTORS.items():
        moved = inference_of(claim, found, factor)
        verdicts[suffix] = verdict_of(claim, found, moved["p"], moved["p_equivalence"], factor)
    return {
        "value": found.value,
        "seeds": _spread(found.by_seed),
        "bias": found.bias or None,
        "standard_error": found.standard_error or None,
        "variance": found.variance,
        **tests,
        **adjusted,
        **{f"verdict{suffix}": verdict for suffix, verdict in verdicts.items()},
        "distance": distance_of(claim, found),
        "reason": None,
    }


def _set_aside(verdict: str, reason: str) -> dict[str, Any]:
    names = [
        *("value", "seeds", "bias", "standard_error", "variance", "interval", "interval_equivalence", "margin"),
        *("minimum_detectable_difference", "p", "p_equivalence", "p_adjusted", "p_equivalence_adjusted"),
    ]
    verdicts = {f"verdict{suffix}": verdict for suffix in KINDS}
    return {**dict.fromkeys(names), **verdicts, "distance": None, "reason": reason}


def _spread(by_seed: Sequence[float]) -> dict[str, Any] | None:
    if not by_seed:
        return None
    return {
        "mean": float(np.mean(by_seed)),
        "sd": float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else None,
        "min": min(by_seed),
        "max": max(by_seed),
        "n": len(by_seed),
    }
