"""The study's conclusions, and whether the claims that decide them let them stand."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cxr.errors import InputError, did_you_mean
from cxr.evaluation.quantities import Node
from cxr.study.schemas import read_yaml, validate

# The verdicts of ``claims.json`` that decide; with any other, a conclusion is open.
FOR, AGAINST = "reproduced", "not reproduced"


@dataclass(frozen=True)
class Conclusion:
    """A conclusion of the study.

    Attributes:
        section: of the preprint.
        says: the conclusion in our words.
        claims: what each deciding claim measures, in words, and its record in ``claims.json``.
    """

    section: str
    says: str
    claims: tuple[tuple[str, Node], ...]

    def outcome(self, protocol: str) -> str:
        """Return ``falls`` if a claim is not reproduced, ``stands`` if all are reproduced, otherwise ``open``.

        A claim about networks that start from other pretrained weights than the study's decides nothing: what becomes
        of it may be due to those weights.
        """
        verdicts = [_deciding(claim.protocols[protocol]) for _, claim in self.claims]
        if AGAINST in verdicts:
            return "falls"
        return "stands" if set(verdicts) == {FOR} else "open"

    @property
    def is_tested(self) -> bool:
        """Return whether some claim has a value under some protocol."""
        return any(held.value is not None for _, claim in self.claims for _, held in claim.protocols.items())

    def reasons(self, protocol: str) -> list[tuple[str, Node]]:
        """Return the claims that make the outcome what it is, each with what it measures."""
        outcome = self.outcome(protocol)
        found = []
        for words, claim in self.claims:
            verdict = _deciding(claim.protocols[protocol])
            if outcome == "stands" or (verdict == AGAINST if outcome == "falls" else verdict != FOR):
                found.append((words, claim))
        return found


def _deciding(held: Node) -> str | None:
    """The verdict on a claim if it decides, or None."""
    return None if held.other_weights else held.verdict


def untested_reasons(conclusions: Iterable[Conclusion], protocol: str) -> list[str]:
    """Return why the claims of some conclusions could not be tested under a protocol, each reason once and in short."""
    reasons = (held.reason for made in conclusions for _, claim in made.claims if (held := claim.protocols[protocol]))
    return list(dict.fromkeys(str(reason).partition(":")[0] for reason in reasons if reason is not None))


def read_conclusions(path: Path, claims: Iterable[Node]) -> tuple[Conclusion, ...]:
    """Read ``paper/conclusions.yaml``.

    Args:
        path: the file.
        claims: the records of ``claims.json``.

    Raises:
        InputError: the schema is violated, or a conclusion names a claim that does not exist.
    """
    rows = read_yaml(path)
    validate(rows, "conclusions", str(path))
    by_id = {claim.id: claim for claim in claims}
    found = []
    for name, row in rows.items():
        for claim in row["claims"]:
            if claim["id"] not in by_id:
                hint = did_you_mean(claim["id"], by_id) or "; paper/claims.yaml lists them."
                raise InputError(f"{path}, conclusion {name}: there is no claim '{claim['id']}'{hint}")
        deciding = tuple((claim["measures"], by_id[claim["id"]]) for claim in row["claims"])
        found.append(Conclusion(row["section"], row["says"], deciding))
    return tuple(found)
