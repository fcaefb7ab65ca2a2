"""Two results side by side."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cxr.errors import InputError
from cxr.files import read_json, write_json
from cxr.review.compare import compare
from cxr.study import layout


def write_run(
    results: Path, experiment: str, accuracy: float, auroc: float | None, best_epoch: int, **settings: Any
) -> Path:
    folder = results / "training" / "runs" / "published" / experiment / "seed-42"
    record = {
        "status": "done",
        "best_epoch": best_epoch,
        "settings": {"epochs": 10, "model": {"head": {"dropout": 0}}, **settings},
        "packages": {"torch": "2.14.1"},
        "hardware": {"processor": "A processor"},
        "wall_seconds": 10 * accuracy,
    }
    write_json(folder / "run.json", record)
    write_json(
        layout.metrics(results, layout.place_of("published", experiment, 42)),
        {"test": {"accuracy": accuracy, "auroc": auroc}},
    )
    return folder


def write_claims(results: Path, **verdicts: str) -> None:
    claims = [
        {"id": name, "says": "something", "protocols": {"published": {"verdict": verdict, "value": 1}}}
        for name, verdict in verdicts.items()
    ]
    write_json(layout.claims(results), {"claims": claims})


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two results with one run in common, which differs in dropout, and a run of their own each."""
    first, second = tmp_path / "first", tmp_path / "second"
    write_run(first, "custom", 0.84375, 0.9, 7)
    write_run(second, "custom", 0.8125, 0.925, 9, model={"head": {"dropout": 0.2}})
    write_run(first, "old", 0.5, 0.5, 1)
    write_run(second, "new", 0.6, 0.6, 1)
    write_claims(first, C1="reproduced", C2="not reproduced")
    write_claims(second, C1="reproduced", C2="undecided")
    return first, second


def test_differences_are_second_minus_first(pair: tuple[Path, Path], tmp_path: Path) -> None:
    compare(*pair, tmp_path / "runs.csv")
    rows = pd.read_csv(tmp_path / "runs.csv").set_index("experiment")
    assert rows.loc["custom", ["first_accuracy", "second_accuracy", "difference_accuracy"]].tolist() == [
        *(0.84375, 0.8125, -0.03125)
    ]
    assert rows.loc["custom", "difference_auroc"] == pytest.approx(0.025)
    assert rows.loc["custom", "difference_best_epoch"] == 2
    assert rows.loc["old"].isna().sum() == rows.loc["new"].isna().sum() == 6


def test_the_terminal_shows_runs_settings_and_verdicts_that_differ_and_no_others(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    compare(*pair)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "published/custom/seed-42 0.8438 0.8125 -0.0312 0.9000 0.9250 +0.0250 7 9 +2" in lines
    assert lines[lines.index("Only in the first:") + 1] == "published/old/seed-42"
    assert lines[lines.index("Only in the second:") + 1] == "published/new/seed-42"
    made_with = lines[lines.index("made with first second runs") + 1 :]
    assert made_with[0] == "settings.model.head.dropout 0 0.2 published/custom/seed-42"
    assert made_with[1] == ""
    assert lines[-1] == "C2.published not reproduced undecided"
    assert not [line for line in lines if line.startswith("C1")]


def test_the_same_results_differ_in_nothing(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    compare(pair[0], pair[0])
    printed = capsys.readouterr().out
    assert "Made with the same settings" in printed
    assert "The same verdicts of all claims (2)." in printed
    assert "Only in" not in printed


def test_a_run_that_was_not_run_differs_in_its_status_and_not_in_what_it_lacks(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = pair[1] / "training" / "runs" / "published" / "custom" / "seed-42"
    settings = read_json(pair[0] / run.relative_to(pair[1]) / "run.json")["settings"]
    write_json(run / "run.json", {"status": "not run", "reason": "no weights", "settings": settings})
    write_json(layout.metrics(pair[1], "runs/published/custom/seed-42"), {})
    compare(*pair, tmp_path / "runs.csv")
    printed = capsys.readouterr().out
    assert "status     done   not run  published/custom/seed-42" in printed
    assert "packages.torch" not in printed
    assert pd.read_csv(tmp_path / "runs.csv").set_index("experiment").loc["custom"].isna().sum() == 6


def test_an_auroc_of_one_class_alone_is_empty(pair: tuple[Path, Path], tmp_path: Path) -> None:
    write_run(pair[1], "custom", 0.8, None, 9)
    compare(*pair, tmp_path / "runs.csv")
    row = pd.read_csv(tmp_path / "runs.csv").set_index("experiment").loc["custom"]
    assert row[["second_auroc", "difference_auroc"]].isna().all()
    assert row["first_auroc"] == 0.9


def test_results_without_runs_or_metrics_are_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing holds no runs; name a folder"):
        compare(pair[0], tmp_path / "nothing")
    layout.metrics(pair[1], "runs/published/new/seed-42").unlink()
    with pytest.raises(InputError, match=r"metrics.json does not exist; evaluate the run first"):
        compare(*pair)


def test_without_claims_the_verdicts_are_said_not_to_be_compared(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (pair[1] / "claims" / "claims.json").unlink()
    compare(*pair)
    assert "No claims.json in the second" in capsys.readouterr().out
