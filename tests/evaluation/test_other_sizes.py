"""Runs at another image size: read from their archive, and refused where more than the size differs."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from result_tree import make_study, write_run, write_tree

from cxr.errors import InputError
from cxr.evaluation.other_sizes import write_other_sizes
from cxr.files import read_json, write_json
from cxr.paper.page import render_paper
from cxr.study import layout
from cxr.training.archive import write_archive

PLACE = "runs/published/custom/seed-42"


def packed(tmp_path: Path, **changes: Any) -> Path:
    """An archive of a run that was made under a changed config."""
    results, study = tmp_path / "other", make_study(**changes)
    for seed in study.seeds("published"):
        write_run(results, study, "custom", "published", seed)
    write_archive([results], tmp_path / "other.zip")
    return tmp_path / "other.zip"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The results of the usual config, with the split that its predictions follow."""
    root = tmp_path / "results"
    write_run(root, make_study(), "custom", "published", 42)
    rows = pd.read_csv(layout.run(root, PLACE) / "predictions.csv")[["path", "set", "label"]]
    layout.split(root, "published").parent.mkdir(parents=True, exist_ok=True)
    # The copy at the other size may hold other files of the same images.
    rows["path"] = rows["path"].str.replace(".jpeg", ".png")
    rows.to_csv(layout.split(root, "published"), index=False)
    return root


def test_the_results_at_another_size_are_those_of_its_runs_and_stand_in_the_paper(
    tmp_path: Path, results: Path
) -> None:
    archive = packed(tmp_path, image_size=96, seeds=[42, 43])
    whole = tmp_path / "whole"
    write_tree(whole, make_study())
    study = make_study(other_sizes=str(archive))
    found = layout.evaluation(whole, "other_sizes.json")
    write_other_sizes(dict(study.config), results, archive, found, resamples=200)
    (row,) = read_json(found)["rows"]
    metrics = [read_json(layout.metrics(tmp_path / "other", f"runs/published/custom/seed-{seed}")) for seed in (42, 43)]
    assert (row["protocol"], row["experiment"], row["image_size"], row["seeds"]) == (
        "published",
        "custom",
        96,
        [42, 43],
    )
    for name in ("accuracy", "auroc"):
        assert row[name]["mean"] == pytest.approx(sum(of["test"][name] for of in metrics) / 2)
        low, high = row[name]["interval"]
        assert low < row[name]["mean"] < high
    assert row["validation_accuracy"] == pytest.approx(sum(of["validation"]["accuracy"] for of in metrics) / 2)
    page = render_paper(study, whole)
    assert page.count(f">{row['accuracy']['mean']:.3f}<") >= 3 and "Networks that were also trained" in page
    assert "Networks that were also trained" not in render_paper(make_study(), whole)


def test_a_run_that_differs_in_more_than_its_size_is_refused(tmp_path: Path, results: Path) -> None:
    archive = packed(tmp_path, image_size=96, limits=[{"experiments": ["*"], "epochs": 2}])
    with pytest.raises(InputError, match=r"other.zip: runs/published/custom/seed-42 .*epochs is 2 instead of 10"):
        write_other_sizes(dict(make_study().config), results, archive, tmp_path / "found.json")
    assert not (tmp_path / "found.json").exists()


def test_a_run_on_other_images_is_refused(tmp_path: Path, results: Path) -> None:
    archive = packed(tmp_path, image_size=96)
    split = layout.split(results, "published")
    pd.read_csv(split).iloc[1:].to_csv(split, index=False)
    with pytest.raises(InputError, match="predicts other images"):
        write_other_sizes(dict(make_study().config), results, archive, tmp_path / "found.json")


def test_runs_that_were_not_run_are_passed_over(tmp_path: Path, results: Path) -> None:
    other = tmp_path / "other"
    write_run(other, make_study(image_size=96), "custom", "published", 42)
    record = layout.run(other, PLACE) / "run.json"
    write_json(record, {**read_json(record), "status": "not run", "reason": "no weights", "outputs": {}})
    write_archive([other], tmp_path / "other.zip")
    write_other_sizes(dict(make_study().config), results, tmp_path / "other.zip", tmp_path / "found.json")
    assert read_json(tmp_path / "found.json")["rows"] == []
