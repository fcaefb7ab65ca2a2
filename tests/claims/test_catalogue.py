"""Reading and checking ``paper/claims.yaml``."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cxr.claims.catalogue import read_claims
from cxr.errors import InputError
from cxr.files import read_json
from cxr.study.config import PAPER, Study

PRINTED = read_json(PAPER / "published" / "results.json")
CURVES = read_json(PAPER / "published" / "curves.json")
CLAIMS = PAPER / "claims.yaml"
CONFIG = {
    "name": "held",
    "data": {"source": "folder", "folder": "images"},
    "device": "cpu",
    "image_size": 224,
    "protocols": ["published"],
    "experiments": "all",
    "seeds": [42],
}
Make = Callable[..., dict[str, Any]]


def test_every_statement_is_there_once_and_is_told() -> None:
    claims = read_claims(CLAIMS, Study.from_config(CONFIG))
    names = [claim.id for claim in claims]
    assert len(names) == len(set(names)) and all(re.fullmatch(r"[CN][1-9][0-9]*", name) for name in names)
    # The 94 statements of the preprint are numbered in their order; a claim of the notebooks may be added.
    assert [name for name in names if name.startswith("C")] == [f"C{number}" for number in range(1, 95)]
    assert {f"N{number}" for number in range(1, 50)} <= set(names)
    for claim in claims:
        assert claim.says.strip() and "{" not in claim.says
        # Only a number that is printed as such needs no reading.
        assert claim.reading or claim.not_testable or claim.relation in ("equals", "above"), claim.id
        assert claim.reading or claim.tolerance_from is None or "direction" not in claim.tolerance_from, claim.id


def test_the_table_goes_row_by_row() -> None:
    claims = {claim.id: claim for claim in read_claims(CLAIMS, Study.from_config(CONFIG))}
    rows = [row for row in PRINTED["metrics"] if row["preprint_figure_3"]]
    numbers = [number for row in rows for number in row["preprint_figure_3"].values()]
    assert [claims[f"C{10 + place}"].number for place in range(56)] == numbers
    assert claims["C65"].quantity is not None
    assert claims["C65"].quantity.source == "test('densenet121-no_tl', 'precision_normal')"


def _read_with(tmp_path: Path, **changes: Any) -> None:
    """Read a list of one claim, whose keys are changed."""
    claim = {
        "id": "C1",
        "section": "3",
        "says": "Something.",
        "quantity": "test('custom', 'accuracy')",
        "claimed": {"equals": 1},
        "tolerance": "exact",
        **changes,
    }
    path = tmp_path / "claims.yaml"
    content = {"tolerances": {"exact": {"value": 0, "from": "why"}}, "claims": [claim]}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    read_claims(path, Study.from_config(CONFIG))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tolerence": "exact"}, "unknown key 'tolerence'; did you mean 'tolerance'"),
        ({"tolerance": "exakt"}, "claim C1: there is no tolerance 'exakt'; did you mean 'exact'"),
        ({"explained_by": ["val-counts"]}, "claim C1: explained_by .* 'val-counts'; did you mean 'val-count'"),
        ({"quantity": "tets('custom', 'accuracy')"}, "claim C1: there is no function 'tets'; did you mean 'test'"),
        ({"quantity": "test('costum', 'accuracy')"}, r"claim C1: test\(\) knows no experiment 'costum'; .* 'custom'"),
        ({"quantity": "test('custom', 'acuracy')"}, r"claim C1: test\(\) knows no metric 'acuracy'; .* 'accuracy'"),
        (
            {"quantity": "published('split.tets')"},
            r"claim C1: published\(\) knows no key 'split.tets'; .* 'split.test'",
        ),
        ({"quantity": "test('custom')"}, r"claim C1: test\(\) was called wrongly .*'metric'"),
        ({"quantity": "test('custom', 1)"}, r"claim C1: test\(\) takes a text in quotes as metric"),
        ({"quantity": "size('custom')"}, r"claim C1: size\(\) takes numbers as value"),
        ({"quantity": "curve('custom', 'val_accuracy', 'mean', 1.5)"}, r"curve\(\) takes a whole number as first"),
        ({"quantity": "1 +"}, "claim C1: '1 \\+' is no expression"),
        ({"quantity": "test('custom', 'accuracy') - curve('custom', 'val_accuracy', 'mean')"}, "claim C1: .* mixes"),
        ({"quantity": "cohort('counts')", "claimed": {"within_chance_of": 0}}, "claim C1: within_chance_of takes"),
        ({"claimed": {"equals": "printed('custom', 'f1_1')"}}, "claim C1: .* the study prints no f1_1 of custom"),
        ({"rows": ["costum"]}, "claim C1: rows names an unknown experiment 'costum'; did you mean 'custom'"),
        ({"rows": ["custom"], "says": "{titel}"}, "claim C1: '{titel}' names no column, 'titel'; did you mean 'title'"),
    ],
)
def test_a_slip_is_refused_in_one_sentence(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        _read_with(tmp_path, **changes)
    assert "claims.yaml" in str(error.value)


def test_two_claims_of_one_id_are_refused(tmp_path: Path) -> None:
    _read_with(tmp_path)
    content = yaml.safe_load((tmp_path / "claims.yaml").read_text())
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump({**content, "claims": content["claims"] * 2}))
    with pytest.raises(InputError, match="2 claims are called C1"):
        read_claims(tmp_path / "claims.yaml", Study.from_config(CONFIG))


@pytest.mark.parametrize(
    "quantity",
    [
        "test.__func__.__globals__",
        "test('custom', 'accuracy').tofile('canary')",
        "test('custom', 'accuracy')['base']",
        "''.__class__.__mro__",
        "cohort('counts') | attr('tofile')",
        "(cohort('counts')).dump('canary')",
        "lowest.__self__",
        "lowest(*'ab')",
        "test(experiment='custom', metric='accuracy')",
        "namespace()",
        "lowest(cycler)",
        "'a' * 100000000",
        "[1, 2]",
        "1 if 1 else 2",
        "9 ** 9 ** 9",
        "_mean('custom', 1)",
        "1 }}{{ 2",
    ],
)
def test_an_expression_reaches_nothing_but_the_vocabulary(tmp_path: Path, quantity: str) -> None:
    with pytest.raises(InputError, match="claim C1"):
        _read_with(tmp_path, quantity=quantity)
    assert not Path("canary").exists()
