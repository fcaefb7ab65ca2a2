"""Which of the study's claims hold: a verdict on each under each protocol, with how sure it is.

The claims, the quantities that they are about and the tolerances are data, ``paper/claims.yaml``.
"""

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxr.claims.catalogue import Claim, read_claims, selectors_of
from cxr.claims.evidence import Evidence, evidence_of, printed_evidence
from cxr.claims.vocabulary import TEST, TRAINING, NotTestable, Vocabulary
from cxr.errors import InputError
from cxr.evaluation.bootstrap import interval
from cxr.evaluation.results import Results, read_results
from cxr.files import read_json, write_json, written_whole
from cxr.images.names import listed
from cxr.study.config import PAPER, Study

RESAMPLES = 2000
# The size at which the study's networks see images (preprint, section 3.1; notebook 1).
IMAGE_SIZE = 224

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


def write_claims(config: dict[str, Any], results: Path, claims: Path) -> None:
    """Write ``claims.json``: a verdict on every claim under every protocol.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``, with ``data``, ``preprocessing`` and ``runs``.
        claims: the file to write: ``resamples`` and ``seed`` of the intervals; ``protocols``, each with ``counts``,
            ``counts_half_tolerance`` and ``counts_double_tolerance`` of verdicts; ``provisional``, why these results
            are not yet the study's; ``unexplained``, ids of ``unexplained``; ``claims``, records of ``record_of``.

    Raises:
        InputError: ``paper/claims.yaml`` is not well formed; or results that are not provisional leave a claim neither
            reproduced nor explained.
    """
    study = Study.from_config(config)
    found = read_results(results, study, PAPER)
    records = records_of(study, found, results, read_claims(PAPER / "claims.yaml", study))
    left, provisional = unexplained(records), shortfalls(study, found)
    if left and not provisional:
        raise InputError(
            f"paper/claims.yaml: nothing explains why {listed(left)} failed to be reproduced "
            f"under '{next(iter(study.protocols))}'; name what does under explained_by, rows of "
            f"paper/discrepancies.yaml, or write an explanation."
        )
    content = {
        "resamples": RESAMPLES,
        "seed": config["seeds"][0],
        "protocols": {
            protocol: {
                f"counts{suffix}": counts_of([record["protocols"][protocol][f"verdict{suffix}"] for record in records])
                for suffix in FACTORS
            }
            for protocol in study.protocols
        },
        "provisional": provisional,
        "unexplained": left,
        "claims": records,
    }
    write_json(claims, content)
    with written_whole(claims.with_suffix(".csv")) as part:
        table_of(records).to_csv(part, index=False, float_format="%.6g")


def table_of(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the verdicts as a table, a row for each claim and protocol, for people to open."""
    rows = []
    for record in records:
        for protocol, found in record["protocols"].items():
            relation, number = next(iter((record["claimed"] or {"": None}).items()))
            low, high = found["interval"] or (None, None)
            rows.append(
                {
                    "id": record["id"],
                    "section": record["section"] or record["notebook"],
                    "says": record["says"],
                    "claimed": relation,
                    "number": number,
                    "tolerance": record["tolerance"],
                    "protocol": protocol,
                    "value": found["value"],
                    "low": low,
                    "high": high,
                    "verdict": found["verdict"],
                    "reason": found["reason"],
                }
            )
    return pd.DataFrame(rows)


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


def counts_of(verdicts: Sequence[str]) -> dict[str, int]:
    """Return how often each of ``VERDICTS`` was given."""
    times = Counter(verdicts)
    return {name: times[name] for name in VERDICTS}


def unexplained(claims: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the ids of records that are not reproduced under the first protocol, with nothing that explains it."""
    return [
        record["id"]
        for record in claims
        if next(iter(record["protocols"].values()))["verdict"] == NOT_REPRODUCED
        and not record["explained_by"]
        and not record["explanation"]
    ]


def shortfalls(study: Study, found: Results) -> list[str]:
    """Return what keeps results from being the study's own at full length, each in words; nothing if they are."""
    cohort, config = found.cohort.plain(), study.config
    faults = {
        "the images are drawn phantoms": cohort["synthetic"],
        "the images are not those of the study, by their numbers": cohort["counts"] != cohort["published_counts"],
        "all images have one size, so they are a resized copy of the originals": all(
            cohort[side]["min"] == cohort[side]["max"] for side in ("width", "height")
        ),
        f"images are seen at {config['image_size']} px, not at {IMAGE_SIZE}": config["image_size"] != IMAGE_SIZE,
        "limits shorten the training": bool(config.get("limits")),
        f"other weights stand in for the pretrained ones: {listed(found.stand_ins)}": bool(found.stand_ins),
        f"{len(found.not_run)} runs could not be run": bool(found.not_run),
        f"{len(found.missing)} runs are missing": bool(found.missing),
        "there is one seed": len(config["seeds"]) == 1,
    }
    return [fault for fault, there in faults.items() if there]
