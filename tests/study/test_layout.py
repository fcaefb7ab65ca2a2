"""Paths of results are the same in the rules, where people search for them, and in the library, which reads them."""

import re
from pathlib import Path

import pytest

from cxr.files import REPOSITORY
from cxr.study import layout

RESULTS = Path("RESULTS")
RULES = "".join(path.read_text() for path in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk")))


@pytest.mark.parametrize(
    "path",
    [
        layout.manifest(RESULTS),
        layout.cohort(RESULTS),
        layout.array(RESULTS, "{size}px{kind}"),
        layout.lungs(RESULTS),
        layout.split(RESULTS, "{protocol}"),
        layout.preprocessing(RESULTS, "{protocol}"),
        layout.transforms(RESULTS, "{protocol}"),
        layout.duplicates(RESULTS),
        layout.intensity(RESULTS),
        layout.weights(RESULTS, "{backbone}"),
        layout.features(RESULTS, "{protocol}", "{backbone}"),
        layout.first_batch(RESULTS),
        layout.run(RESULTS, "runs/{protocol}/{experiment}/seed-{seed}"),
        layout.explanation(RESULTS, "runs/{protocol}/{experiment}/seed-{seed}"),
        layout.metrics(RESULTS, "{place}"),
        *(layout.evaluation(RESULTS, name) for name in ("metrics.csv", "selection.json", "uncertainty.json")),
        *(layout.evaluation(RESULTS, name) for name in ("baselines.json", "ablations.json", "facts.json")),
        layout.claims(RESULTS),
    ],
    ids=str,
)
def test_rules_and_library_agree_on_where_a_file_lies(path: Path) -> None:
    spelt = re.sub(r"\{\{(\w+)\}\}", r"{\1}", RULES).replace("{RESULTS}", "RESULTS").replace("ablations.csv", "")
    assert f'"{path}"' in spelt, f"no rule writes {path}"
