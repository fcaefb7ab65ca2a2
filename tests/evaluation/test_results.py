import json
import shutil
from pathlib import Path

import pytest
from result_tree import PAPER
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from cxr.errors import InputError
from cxr.evaluation.quantities import quantities
from cxr.evaluation.results import printed_measures, printed_row, read_results


def test_a_run_carries_what_the_study_printed_of_it(study, results):
    (run,) = read_results(results, study, PAPER).runs
    assert run.printed.test_accuracy_printed == 0.8438
    assert run.curve.selected_epoch == 10
    assert run.metrics.test.n.source == "evaluation/runs/published/custom/seed-42/metrics.json"
    assert run.history[-1].epoch == 10
    assert run.history[0].train_loss.key == "epoch 1.train_loss"


def test_a_run_that_is_not_there_is_named_and_the_rest_is_read(study, own_results):
    shutil.rmtree(own_results / "training" / "runs" / "published" / "custom")
    found = read_results(own_results, study, PAPER)
    assert found.runs == ()
    assert found.missing[0] == {
        "place": "runs/published/custom/seed-42",
        "title": "Custom CNN",
        "absent": "run.json",
    }


def test_a_run_made_with_other_settings_is_refused(study, own_results):
    path = own_results / "training" / "runs/published/custom/seed-42/run.json"
    record = json.loads(path.read_text())
    record["settings"]["batch_size"] = 11
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"run.json: the run was made with batch_size 11 and not 10"):
        read_results(own_results, study, PAPER)


def test_without_a_cohort_the_remedy_is_named(study, tmp_path: Path):
    with pytest.raises(InputError, match=r"cohort.json does not exist; make the manifest first"):
        read_results(tmp_path, study, PAPER)


def test_printed_measures_are_those_of_the_printed_matrix():
    rows = json.loads((PAPER / "published" / "results.json").read_text())["metrics"]
    for row in rows:
        got = printed_measures(quantities(row, "results.json"))
        if row["confusion_matrix"] is None:
            assert got["accuracy"] == row["test_accuracy_printed"]
            assert got["sensitivity"] is None
            continue
        (tn, fp), (fn, tp) = row["confusion_matrix"]
        truth, predicted = [0] * (tn + fp) + [1] * (fn + tp), [0] * tn + [1] * fp + [0] * fn + [1] * tp
        precision, recall, f1, _ = precision_recall_fscore_support(truth, predicted)
        assert got["accuracy"].value == pytest.approx(accuracy_score(truth, predicted))
        assert [got[name].value for name in ("precision_normal", "precision_pneumonia")] == pytest.approx(precision)
        assert [got[name].value for name in ("specificity", "sensitivity")] == pytest.approx(recall)
        assert [got[name].value for name in ("f1_normal", "f1_pneumonia")] == pytest.approx(f1)


def test_the_printed_row_is_found_by_all_parts_of_the_selector():
    rows = json.loads((PAPER / "published" / "curves.json").read_text())
    selector = {"architecture": "resnet18", "experiment": "I", "hidden_units": 100}
    assert printed_row(selector, rows)["hidden_units"] == 100
    assert printed_row(selector, quantities(rows, "curves.json")).hidden_units == 100
    assert printed_row(selector | {"hidden_units": 11}, rows) is None
    trial = {"architecture": "resnet18", "experiment": "I-trial"}
    printed = json.loads((PAPER / "published" / "results.json").read_text())["metrics"]
    assert printed_row(trial, rows)["experiment"] == printed_row(trial, printed)["experiment"] == "I-trial"
    assert printed_row(None, rows) is None
