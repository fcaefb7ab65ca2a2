"""Agreement between networks, on predictions made by hand."""

from pathlib import Path

import pandas as pd
import pytest
from result_tree import make_study, write_cohort, write_images, write_run

from cxr.errors import InputError
from cxr.evaluation.agreement import agreement_of, first_seeds, kappa_of, read_test_predictions
from cxr.files import write_json
from cxr.study import layout


def predictions(predicted: list[int], probability: list[float]) -> pd.DataFrame:
    """Two normal images, then a bacterial and two viral pneumonias."""
    etiology = ["none", "none", "bacteria", "virus", "virus"]
    label = [int(cause != "none") for cause in etiology]
    patient = [f"p{row}" for row in range(5)]
    columns = {"path": list("abcde"), "label": label, "patient_fine": patient, "etiology": etiology}
    return pd.DataFrame({**columns, "predicted": predicted, "probability": probability})


def test_kappa_is_that_of_the_textbook_and_undefined_for_one_class_alone() -> None:
    # Of 50 grants, both readers accept 20 and refuse 15: kappa is (0.7 - 0.5) / (1 - 0.5).
    first = pd.Series([1] * 25 + [0] * 25)
    second = pd.Series([1] * 20 + [0] * 5 + [1] * 10 + [0] * 15)
    assert kappa_of(first, second) == pytest.approx(0.4)
    assert kappa_of(first, first) == 1
    assert kappa_of(first, 1 - first) == -1
    assert kappa_of(pd.Series([1, 1]), pd.Series([0, 0])) == 0
    assert kappa_of(pd.Series([1, 1]), pd.Series([1, 1])) is None


def test_errors_are_counted_by_etiology_and_shared_ones_come_in_the_order_of_their_networks() -> None:
    found = agreement_of(
        {
            "A": predictions([1, 1, 1, 0, 0], [0.9, 0.9, 0.8, 0.1, 0.2]),
            "B": predictions([1, 0, 1, 0, 0], [0.7, 0.1, 0.9, 0.3, 0.4]),
            "C": predictions([0, 1, 1, 7, 1], [0.2, 0.6, 0.9, 0.3, 0.6]),
        }
    )
    assert found["images"] == {"none": 2, "bacteria": 1, "virus": 2}
    assert [(row["a"], row["b"]) for row in found["kappa"]] == [("A", "B"), ("A", "C"), ("B", "C")]
    assert found["errors"]["A"] == {
        "none": {"wrong": 2, "rate": 1.0},
        "bacteria": {"wrong": 0, "rate": 0.0},
        "virus": {"wrong": 2, "rate": 1.0},
    }
    shared = [(row["path"], row["wrong"], row["patient"], row["etiology"]) for row in found["shared_errors"]]
    # Class 7 is wrong, too; equals stand in the order of their paths; c is wrong by nobody.
    assert shared == [
        ("d", 3, "p3", "virus"),
        ("a", 2, "p0", "none"),
        ("b", 2, "p1", "none"),
        ("e", 2, "p4", "virus"),
    ]
    assert found["shared_errors"][0]["mean_probability"] == pytest.approx((0.1 + 0.3 + 0.3) / 3)


def test_half_of_the_networks_are_not_most_of_them() -> None:
    right, wrong = predictions([0, 0, 1, 1, 1], [0, 0, 1, 1, 1]), predictions([1, 0, 1, 1, 1], [1, 0, 1, 1, 1])
    assert agreement_of({"A": right, "B": wrong})["shared_errors"] == []
    assert [row["path"] for row in agreement_of({"B": wrong})["shared_errors"]] == ["a"]
    assert agreement_of({})["kappa"] == []


def test_the_most_certain_mistakes_come_first_and_ties_in_the_order_of_their_paths() -> None:
    found = agreement_of({"A": predictions([1, 1, 1, 0, 7], [0.9, 0.9, 0.8, 0.1, 0.05])})["certain_mistakes"]["A"]
    assert [row["path"] for row in found["false_positives"]] == ["a", "b"]
    assert found["false_negatives"] == [{"path": "e", "probability": 0.05}, {"path": "d", "probability": 0.1}]


def test_the_first_seed_that_is_done_stands_for_a_network_and_other_test_images_are_refused(tmp_path: Path) -> None:
    study = make_study(experiments=["custom", "custom-T1", "custom-T2"], seeds=[1, 2])
    write_cohort(tmp_path, synthetic=True)
    write_images(tmp_path, study)
    for experiment, seed in (("custom", 1), ("custom", 2), ("custom-T1", 2)):
        write_run(tmp_path, study, experiment, "published", seed)
    record = layout.run(tmp_path, layout.place_of("published", "custom-T1", 1)) / "run.json"
    record.parent.mkdir(parents=True)
    write_json(record, {"status": "not run", "reason": "none"})
    seeds = first_seeds(study, tmp_path, "published")
    assert seeds == {"custom": 1, "custom-T1": 2}
    found = read_test_predictions(tmp_path, "published", seeds)
    assert [len(table) for table in found.values()] == [160, 160]
    assert set(found["custom"]["etiology"]) == {"none", "bacteria", "virus"}
    path = layout.run(tmp_path, layout.place_of("published", "custom-T1", 2)) / "predictions.csv"
    path.write_text(path.read_text().replace("test/NORMAL/test-000", "test/NORMAL/test-999"))
    with pytest.raises(
        InputError, match=r"predictions.csv has other test images than the other runs .* train it again"
    ):
        read_test_predictions(tmp_path, "published", seeds)
