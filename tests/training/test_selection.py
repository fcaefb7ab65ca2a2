"""The selection rules, held against the study's printed curves."""

import pytest

from cxr.files import read_json, write_json
from cxr.study.config import PAPER
from cxr.study.published import printed_row
from cxr.study.schemas import read_yaml
from cxr.training.selection import best_epoch, published_choices, write_selection

EXPERIMENTS = read_yaml(PAPER / "experiments.yaml")["experiments"]
CURVES = read_json(PAPER / "published" / "curves.json")
ROWS = read_json(PAPER / "published" / "results.json")["metrics"]
FAMILIES: dict[str, dict[str, dict[str, object]]] = {}
for _name, _spec in EXPERIMENTS.items():
    if "family" in _spec:
        FAMILIES.setdefault(_spec["family"], {})[_name] = _spec["published"]


@pytest.mark.parametrize(
    ("experiment", "epoch"),
    [
        ("resnet18-I-500", 1),
        ("resnet18-III", 1),
        ("resnet18-II-100", 4),
        ("densenet121-II-100", 5),
        ("densenet121-III", 4),
    ],
)
def test_first_strict_maximum_of_the_printed_curves(experiment: str, epoch: int) -> None:
    curve = printed_row(EXPERIMENTS[experiment]["published"], CURVES)
    assert best_epoch(curve["val_accuracy"]) == epoch


@pytest.mark.parametrize("rows", [CURVES, ROWS])
def test_every_printed_curve_and_row_belongs_to_one_experiment(rows: list[dict[str, object]]) -> None:
    owned = [printed_row(spec.get("published"), rows) for spec in EXPERIMENTS.values()]
    for row in rows:
        assert owned.count(row) == 1, row


def test_the_rule_and_the_preprint_differ_for_densenet_ii_alone() -> None:
    choices = published_choices(FAMILIES, CURVES, ROWS)
    assert choices == {
        "resnet18-I": {"rule_picks_on_printed_curves": "resnet18-I-500", "preprint_reports": "resnet18-I-500"},
        "resnet18-II": {"rule_picks_on_printed_curves": "resnet18-II-100", "preprint_reports": "resnet18-II-100"},
        "densenet121-I": {"rule_picks_on_printed_curves": "densenet121-I-10", "preprint_reports": "densenet121-I-10"},
        "densenet121-II": {
            "rule_picks_on_printed_curves": "densenet121-II-100",
            "preprint_reports": "densenet121-II-500",
        },
    }


def test_picks_by_seed_and_no_pick_from_an_incomplete_family(tmp_path) -> None:
    family = {"resnet18-I": FAMILIES["resnet18-I"]}
    records = []
    for seed, accuracies in ((1, (0.8, 0.9, 0.9)), (2, (0.95, 0.9, None))):
        for name, accuracy in zip(family["resnet18-I"], accuracies, strict=True):
            path = tmp_path / f"{name}-{seed}.json"
            settings = {"experiment": name, "protocol": "published"}
            done = {"status": "done", "seed": seed, "best_val_accuracy": accuracy, "settings": settings}
            write_json(path, done if accuracy else {"status": "not run", "settings": settings})
            records.append(path)
    write_selection(family, records, PAPER / "published", tmp_path / "selection.json")
    assert read_json(tmp_path / "selection.json")["published"]["resnet18-I"]["rule_picks"] == {"1": "resnet18-I-100"}
