"""Verdicts on claims, from trees of results whose right verdicts are known."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cxr.claims.catalogue import read_claims
from cxr.claims.verdicts import NOT_REPRODUCED, NOT_TESTABLE, REPRODUCED, VERDICTS, WITHIN
from cxr.claims.write import write_claims
from cxr.errors import InputError
from cxr.files import read_json, write_json
from cxr.study import layout
from cxr.study.config import PAPER, Study
from cxr.study.published import printed_row
from cxr.study.settings import run_settings

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


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write results that equal what the study printed, but for what is changed, and return their ``claims.json``."""

    def make(
        matrices: Mapping[tuple[str, int], list[list[int]]] | None = None,
        curves: Mapping[tuple[str, int], list[float]] | None = None,
        not_run: str | None = None,
        synthetic: bool = False,
        **config: Any,
    ) -> dict[str, Any]:
        study = Study.from_config({**CONFIG, **config})
        root = tmp_path / "results"
        _write_data(root, study, synthetic)
        for protocol, experiment, seed in study.runs():
            run = root / "training" / "runs" / protocol / experiment / f"seed-{seed}"
            run.mkdir(parents=True, exist_ok=True)
            settings = run_settings(study, experiment, protocol, seed)
            write_json(layout.metrics(root, layout.place_of(protocol, experiment, seed)), {})
            selector = study.catalogue["experiments"][experiment].get("published")
            row = printed_row(selector, PRINTED["metrics"]) or {}
            curve = printed_row(selector, CURVES) or {"val_accuracy": [0.8] * 10, "train_accuracy": [0.9] * 10}
            matrix = (matrices or {}).get((experiment, seed), row.get("confusion_matrix") or [[100, 29], [13, 178]])
            accuracy = (curves or {}).get((experiment, seed), curve["val_accuracy"])[: settings["epochs"]]
            _write_rows(run / "predictions.csv", _predictions(matrix))
            _write_rows(
                run / "history.csv",
                [
                    {
                        "epoch": epoch,
                        "learning_rate": 0.001,
                        "val_loss": 0.3,
                        "train_accuracy": train,
                        "val_accuracy": val,
                    }
                    for epoch, (train, val) in enumerate(zip(curve["train_accuracy"], accuracy, strict=False), 1)
                ],
            )
            done = {"status": "done", "weights": {"original": True}, "steps_per_epoch": 179}
            left_out = {"status": "not run", "reason": "no weights for it are to be had"}
            write_json(run / "run.json", {"settings": settings, **(left_out if experiment == not_run else done)})
        write_claims({**CONFIG, **config}, root, tmp_path / "claims.json")
        found: dict[str, Any] = read_json(tmp_path / "claims.json")
        return found

    return make


def _write_data(root: Path, study: Study, synthetic: bool) -> None:
    cohort = {
        "synthetic": synthetic,
        "counts": PRINTED["dataset"],
        "published_counts": PRINTED["dataset"],
        "rgb_by_folder": {"train/NORMAL": 0, "train/PNEUMONIA": 283},
        "width": {"min": 384, "max": 2916},
        "height": {"min": 127, "max": 2713},
    }
    write_json(layout.cohort(root), cohort)
    preprocessing = {
        "sets": {
            "train": PRINTED["downsampling"]["train"],
            "validation": PRINTED["split"]["val"],
            "test": PRINTED["split"]["test"],
        },
        "normalisation": {"mean": 0.54551, "std": 0.25868},
        "training_images": {
            name: 2682 * len(study.catalogue["experiments"][name]["training_set"]) for name in study.experiments
        },
    }
    for protocol in study.protocols:
        write_json(root / "preprocessing" / protocol / "preprocessing.json", preprocessing)


def _predictions(matrix: list[list[int]]) -> list[dict[str, Any]]:
    """Rows of 129 normal and 191 pneumonia images, each of a patient of its own, that give a confusion matrix."""
    rows = []
    for label, (normal, pneumonia) in enumerate(matrix):
        for number, predicted in enumerate([0] * normal + [1] * pneumonia):
            key = f"{label}-{number:03d}"
            rows.append(
                {
                    "path": f"test/{key}.jpeg",
                    "set": "test",
                    "label": label,
                    "patient_coarse": key,
                    "patient_fine": key,
                    "probability": 0.1 + 0.8 * predicted,
                    "predicted": predicted,
                }
            )
    return rows


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def _verdicts(content: dict[str, Any], suffix: str = "") -> dict[str, str]:
    return {row["id"]: row["protocols"]["published"][f"verdict{suffix}"] for row in content["claims"]}


def _claim(content: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in content["claims"] if row["id"] == name)


def test_results_like_the_printed_ones_reproduce_what_the_print_supports(make: Make) -> None:
    # Nothing is printed of the single transforms but that the mirror is best.
    content = make({("custom-T2", 42): [[110, 19], [13, 178]]})
    verdicts, half = _verdicts(content), _verdicts(content, "_half_tolerance")
    # The table is rounded from the matrices, by no more than half of its last digit.
    assert {half[f"C{number}"] for number in range(10, 66)} == {REPRODUCED}
    # The text contradicts the data and the curves, which is explained; and the table, by less than chance.
    assert {name for name, verdict in verdicts.items() if verdict == NOT_REPRODUCED} == {"C3", "N13"}
    assert {name for name, verdict in verdicts.items() if verdict == WITHIN} == {"C88"}
    assert content["unexplained"] == []
    assert {name for name, verdict in verdicts.items() if verdict == NOT_TESTABLE} == {"C77", "C93"}
    # The print has matrices and curves, but no images to draw an interval from.
    on_print = {row["id"]: row["on_print"] for row in content["claims"] if row["on_print"]}
    unknown = [
        *(f"C{number}" for number in range(1, 10)),
        "C69",
        "C77",
        "C93",
        *(f"N{number}" for number in range(4, 10)),
    ]
    assert set(verdicts) - set(on_print) == set(unknown)
    for name, found in on_print.items():
        assert found["verdict"] == (NOT_REPRODUCED if verdicts[name] == WITHIN else verdicts[name]), name


@pytest.mark.parametrize(
    ("errors", "half", "once", "double"),
    [
        (29, REPRODUCED, REPRODUCED, REPRODUCED),
        (34, WITHIN, REPRODUCED, REPRODUCED),
        (40, WITHIN, WITHIN, REPRODUCED),
        (80, NOT_REPRODUCED, NOT_REPRODUCED, NOT_REPRODUCED),
    ],
)
def test_a_verdict_moves_with_the_predictions_and_with_the_tolerance(
    make: Make, errors: int, half: str, once: str, double: str
) -> None:
    # Printed is 0.91 +- 0.022 of 320 images; the interval reaches about 0.037 to either side.
    matrix = [[129 - errors // 2, errors // 2], [errors - errors // 2, 191 - errors + errors // 2]]
    content = make({("resnet18-II-100", 42): matrix}, experiments=["resnet18-II-100"])
    found = _claim(content, "C17")["protocols"]["published"]
    assert found["value"] == pytest.approx(1 - errors / 320)
    assert found["interval"][0] < found["value"] < found["interval"][1]
    assert (found["verdict_half_tolerance"], found["verdict"], found["verdict_double_tolerance"]) == (
        half,
        once,
        double,
    )


def test_counts_are_those_of_the_records_and_differ_by_tolerance(make: Make) -> None:
    content = make({("resnet18-II-100", 42): [[111, 18], [20, 171]]}, experiments=["resnet18-II-100"])
    counts = content["protocols"]["published"]
    for suffix in ("", "_half_tolerance", "_double_tolerance"):
        verdicts = list(_verdicts(content, suffix).values())
        assert counts[f"counts{suffix}"] == {name: verdicts.count(name) for name in VERDICTS}
    reproduced = [counts[f"counts{suffix}"][REPRODUCED] for suffix in ("_half_tolerance", "", "_double_tolerance")]
    assert reproduced == sorted(reproduced) and reproduced[0] < reproduced[2]


def test_two_kinds_of_uncertainty_are_kept_apart(make: Make) -> None:
    matrices = {("custom", seed): [[82, 47], [fn, 191 - fn]] for seed, fn in ((1, 3), (2, 13), (3, 23))}
    curves = {("custom", seed): [top, 0.5] for seed, top in ((1, 0.80), (2, 0.82), (3, 0.90))}
    content = make(matrices, curves, experiments=["custom"], seeds=[1, 2, 3], synthetic=True)
    test, training, data = (_claim(content, name)["protocols"]["published"] for name in ("N2", "N14", "N9"))
    assert test["value"] == pytest.approx(178 / 191)
    assert test["seeds"] == pytest.approx(
        {"mean": 178 / 191, "sd": 10 / 191, "min": 168 / 191, "max": 188 / 191, "n": 3}
    )
    # The same patients are drawn for all seeds. Of 191, 3 are missed by all of them, 10 by two and 10 by one: the
    # standard error of the mean share that is found is 0.0145, and the interval narrower than the range over seeds.
    assert test["interval"] == pytest.approx([178 / 191 - 1.96 * 0.0145, 178 / 191 + 1.96 * 0.0145], abs=0.004)
    assert "bootstrap" in test["interval_kind"]
    assert training["value"] == pytest.approx(0.84)
    assert (training["interval"], training["interval_kind"]) == ([0.8, 0.9], "range over seeds")
    assert (data["interval"], data["interval_kind"], data["seeds"]) == (None, None, None)


def test_two_seeds_have_no_range(make: Make) -> None:
    content = make(experiments=["custom"], seeds=[1, 2], synthetic=True)
    assert _claim(content, "N14")["protocols"]["published"]["interval"] is None


def test_a_lead_is_chance_if_its_interval_holds_zero(make: Make) -> None:
    pair = ["resnet18-I-500", "resnet18-II-100"]
    assert _verdicts(make(experiments=pair))["C69"] == REPRODUCED
    worse = {("resnet18-I-500", 42): [[80, 49], [22, 169]]}
    assert _verdicts(make(worse, experiments=pair))["C69"] == NOT_REPRODUCED


def test_what_was_not_run_is_not_testable_and_says_why(make: Make) -> None:
    content = make(experiments=["custom", "resnet18-III"], not_run="resnet18-III")
    for name, reason in {
        "C24": "resnet18-III was not run: no weights for it are to be had",
        "C10": "resnet18-I-500 was not run: the config 'held' does not run it",
        "C77": "It is an explanation",
    }.items():
        found = _claim(content, name)["protocols"]["published"]
        assert (found["verdict"], found["value"]) == (NOT_TESTABLE, None)
        assert found["reason"].startswith(reason)


def test_limits_are_told_and_too_few_epochs_are_no_evidence(make: Make) -> None:
    content = make(experiments=["densenet121-III"], limits=[{"experiments": ["densenet121-*"], "epochs": 5}])
    table, later, data = (_claim(content, name)["protocols"]["published"] for name in ("C52", "C85", "C1"))
    assert (table["verdict"], table["limited"]) == (REPRODUCED, True)
    assert (later["verdict"], later["limited"]) == (NOT_TESTABLE, True)
    assert later["reason"] == "it needs 6 epochs of densenet121-III's train_accuracy, and there are 5"
    assert data["limited"] is False
    assert "limits shorten the training" in content["provisional"]


def test_full_results_may_leave_nothing_unexplained(make: Make, tmp_path: Path) -> None:
    wrong: dict[str, Any] = {"matrices": {("custom", seed): [[129, 0], [3, 188]] for seed in (42, 43)}}
    full: dict[str, Any] = {"experiments": ["custom"], "seeds": [42, 43]}
    assert make(**full)["provisional"] == []
    (tmp_path / "claims.json").unlink()
    with pytest.raises(InputError, match=r"nothing explains why N1, N3 failed .* explained_by"):
        make(**wrong, **full)
    assert not (tmp_path / "claims.json").exists()
    drawn = make(**wrong, **full, synthetic=True)
    assert drawn["unexplained"] == ["N1", "N3"]
    assert drawn["provisional"] == ["the images are drawn phantoms"]


def test_every_statement_is_there_once_and_is_told() -> None:
    claims = read_claims(CLAIMS, Study.from_config(CONFIG))
    names = [claim.id for claim in claims]
    assert [name for name in names if name.startswith("C")] == [f"C{number}" for number in range(1, 95)]
    assert [name for name in names if name.startswith("N")] == [f"N{number}" for number in range(1, 50)]
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
