"""What a verdict is, and the rule by which it is given.

- ``reproduced``: these data show that the claim holds. For a number, the equivalence test places the value within the
  margin of it at 5 % (the 90 % interval lies within the margin). For a direction, the 95 % interval lies on the claimed
  side.
- ``not reproduced``: these data refute the claim. For a number, the value differs from it at 5 % (the 95 % interval
  leaves it out) and by more than the margin. For a direction, the 95 % interval lies on the other side.
- ``undecided``: these data can do neither, since the interval is too wide or its width is not known.
- ``not testable``: results of this kind cannot test the claim, for a reason that is given.
- ``another cohort``: the claim is about the study's own images, and these are others.

Counts of files, and numbers that follow from them without chance, have no interval: they agree to within the tolerance
or do not.
"""

from collections.abc import Callable

from cxr.claims.catalogue import Claim
from cxr.claims.estimates import Estimate
from cxr.claims.evidence import Evidence
from cxr.claims.inference import (
    ALPHA,
    distance_from_claim,
    is_significant,
    number_of,
    quantile,
)
from cxr.images.names import listed

REPRODUCED, UNDECIDED, NOT_REPRODUCED = "reproduced", "undecided", "not reproduced"
NOT_TESTABLE, ANOTHER_COHORT = "not testable", "another cohort"
VERDICTS = (REPRODUCED, UNDECIDED, NOT_REPRODUCED, NOT_TESTABLE, ANOTHER_COHORT)

# Decimal fractions differ from their binary ones by less.
ROUNDING = 1e-9

# Whether a relation of a value to a number holds, given a margin.
RELATIONS: dict[str, Callable[[float, float, float], bool]] = {
    "equals": lambda value, number, margin: abs(value - number) <= margin + ROUNDING,
    "above": lambda value, number, margin: value > number - margin + ROUNDING,
    "below": lambda value, number, margin: value < number + margin - ROUNDING,
    "at_least": lambda value, number, margin: value >= number - margin - ROUNDING,
    "at_most": lambda value, number, margin: value <= number + margin + ROUNDING,
}


def set_aside(claim: Claim, evidence: Evidence) -> tuple[str, str] | None:
    """Return the verdict on a claim that cannot be judged, with the reason, or None if it can be."""
    if claim.not_testable:
        return NOT_TESTABLE, claim.not_testable
    if not evidence.of_study and not claim.any_cohort:
        return ANOTHER_COHORT, "it is about the study's own images, and these are others"
    if evidence.resized and claim.original_files:
        return NOT_TESTABLE, "it is a property of the original files, and these images are a resized copy"
    if evidence.printed and claim.relation == "within_chance_of":
        return NOT_TESTABLE, "it is about an interval, and the print has no images to draw one from"
    needed = sorted(claim.quantity.experiments) if claim.quantity else []
    for name in needed:
        if name not in evidence.runs:
            return NOT_TESTABLE, f"{name} was not run: {evidence.absent[name]}"
    if needed and not set.intersection(*(set(evidence.runs[name]) for name in needed)):
        return NOT_TESTABLE, f"{listed(needed)} have no seed in common"
    return None


def verdict_of(claim: Claim, found: Estimate, p: float | None, p_equivalence: float | None, factor: float = 1.0) -> str:
    """Return ``reproduced``, ``undecided`` or ``not reproduced``.

    A claim that a difference may be chance (``within_chance_of``) holds unless the difference is significant.

    Args:
        claim: a testable claim.
        found: what results give for its quantity.
        p: of the test that it differs from what is claimed (``cxr.claims.inference``), as it is or adjusted.
        p_equivalence: of the test that it agrees, likewise.
        factor: what the tolerance is multiplied by.
    """
    relation, margin = str(claim.relation), factor * (claim.tolerance or 0.0)
    if found.standard_error is None:
        return UNDECIDED
    if relation == "within_chance_of":
        return NOT_REPRODUCED if is_significant(p) else REPRODUCED
    holds = RELATIONS[relation](found.centre, number_of(claim), margin)
    if found.standard_error == 0:
        return REPRODUCED if holds else NOT_REPRODUCED
    if holds:
        return REPRODUCED if is_significant(p_equivalence if relation == "equals" else p) else UNDECIDED
    return NOT_REPRODUCED if is_significant(p) else UNDECIDED


def distance_of(claim: Claim, found: Estimate) -> float | None:
    """Return how far the value is from where the verdict would be another, in the units of the value.

    On another machine a value may differ in its last digits; a verdict that lies nearer to its boundary than that may
    be another one there. None where no rounding moves the verdict: for counts that are equal or not, and where the
    standard error is not known.
    """
    error, margin = found.standard_error, claim.tolerance or 0.0
    if error is None or (error == 0 and claim.relation == "equals" and margin == 0):
        return None
    if claim.relation != "equals":
        away = distance_from_claim(claim, found.centre)
        return abs(away - quantile(1 - ALPHA, found) * error) if error else away
    away = abs(found.centre - number_of(claim))
    agrees, differs = margin, margin
    if error:
        agrees = margin - quantile(1 - 2 * ALPHA, found) * error
        differs = max(margin, claim.precision / 2 + quantile(1 - ALPHA, found) * error)
    return min(abs(away - agrees), abs(away - differs))
