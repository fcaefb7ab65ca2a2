"""What becomes of a conclusion follows from the verdicts of its claims alone."""

import pytest
from result_tree import PAPER

from cxr.errors import InputError
from cxr.evaluation.quantities import Node
from cxr.paper.conclusions import Conclusion, read_conclusions, untested_reasons


def claim(name: str, verdict: str, reason: str | None = None, other_weights: bool = False) -> Node:
    held = {"verdict": verdict, "value": None if reason else 0.5, "reason": reason, "other_weights": other_weights}
    return Node({"id": name, "protocols": {"p": held}}, "claims.json")


@pytest.mark.parametrize(
    ("verdicts", "outcome", "reasons"),
    [
        (["reproduced", "reproduced"], "stands", ["C0", "C1"]),
        (["reproduced", "not reproduced"], "falls", ["C1"]),
        (["undecided", "not reproduced"], "falls", ["C1"]),
        (["reproduced", "undecided"], "open", ["C1"]),
        (["another cohort", "reproduced"], "open", ["C0"]),
        (["not testable"], "open", ["C0"]),
    ],
)
def test_a_conclusion_falls_with_one_claim_and_stands_with_all(verdicts, outcome, reasons):
    claims = tuple((f"measure {i}", claim(f"C{i}", verdict)) for i, verdict in enumerate(verdicts))
    made = Conclusion("6", "It is so.", claims)
    assert made.outcome("p") == outcome
    assert [found.id for _, found in made.reasons("p")] == reasons


@pytest.mark.parametrize("verdict", ["reproduced", "not reproduced"])
def test_claims_about_networks_with_other_weights_decide_nothing(verdict):
    other = ("x", claim("C1", verdict, other_weights=True))
    made = Conclusion("6", "It is so.", (other, ("y", claim("C2", "reproduced"))))
    assert made.outcome("p") == "open" and [found.id for _, found in made.reasons("p")] == ["C1"]
    assert Conclusion("6", "It is so.", (other, ("y", claim("C2", "not reproduced")))).outcome("p") == "falls"


def test_reasons_for_what_was_not_tested_are_told_once_and_in_short():
    lacking = claim("C1", "not testable", "a was not run: no weights")
    made = [Conclusion("6", "It is so.", (("x", lacking), ("y", claim("C2", "reproduced"))))] * 2
    assert untested_reasons(made, "p") == ["a was not run"]
    assert made[0].is_tested and not Conclusion("6", "It is so.", (("x", lacking),)).is_tested


def test_an_unknown_claim_or_key_is_refused_with_the_near_one(tmp_path):
    path = tmp_path / "conclusions.yaml"
    text = (PAPER / "conclusions.yaml").read_text()
    path.write_text(text)
    with pytest.raises(InputError, match=r"conclusion transfer-accuracy: there is no claim 'C17'; did you mean 'C1'"):
        read_conclusions(path, [claim("C1", "reproduced")])
    path.write_text(text.replace("says:", "sais:", 1))
    with pytest.raises(InputError, match="unknown key 'sais'; did you mean 'says'"):
        read_conclusions(path, [])
