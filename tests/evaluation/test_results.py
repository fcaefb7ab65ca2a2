import json
import shutil
from pathlib import Path

import pytest
from result_tree import PAPER

from cxr.errors import InputError
from cxr.evaluation.quantities import quantities
from cxr.evaluation.results import printed_row, read_results


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
    with pytest.raises(
        InputError,
        match=r"run.json: the run was made with other settings.*, batch_size is 11 instead of 10",
    ):
        read_results(own_results, study, PAPER)


def test_without_a_cohort_the_remedy_is_named(study, tmp_path: Path):
    with pytest.raises(InputError, match=r"cohort.json does not exist; make the manifest first"):
        read_results(tmp_path, study, PAPER)


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
