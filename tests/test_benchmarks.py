"""The benchmarks' arithmetic: what is interleaved, which way a ratio points, and what is called met."""

import json
import time
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.__main__ import table
from benchmarks.timing import as_dictionaries, limit_row, rates, row_of_rates, stage


def test_functions_take_turns_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []

    def work(name: str, seconds: float) -> int:
        calls.append(name)
        # The first call of all is slow, as a cold cache would make it.
        time.sleep(0.5 if len(calls) == 1 else seconds)
        return 10

    found = rates({"a": lambda: work("a", 0.02), "b": lambda: work("b", 0.04)}, repeats=3)
    assert calls == ["a", "b"] * 4
    assert {name: len(values) for name, values in found.items()} == {"a": 3, "b": 3}
    assert all(rate > 100 for rate in found["a"]), "the slow first call was counted"
    assert row_of_rates("n", found, "a", "b").ratio == pytest.approx(2, rel=0.3)


def test_the_ratio_is_the_median_of_pairs() -> None:
    row = row_of_rates("n", {"a": [10, 30, 100], "b": [10, 10, 10]}, "a", "b", goal=2.0)
    assert (row.ours, row.theirs, row.ratio) == (30, 10, 3)


def test_a_goal_is_met_or_missed_and_less_than_a_limit_is_better() -> None:
    rows = [limit_row("fast", 30, 60, "s"), limit_row("slow", 90, 60, "s")]
    assert [row.ratio for row in rows] == [2, pytest.approx(2 / 3)]
    lines = table(as_dictionaries(rows)).splitlines()
    assert "met" in lines[2] and "MISSED" in lines[3]


def test_a_stage_tells_its_own_memory_and_not_that_of_who_started_it(tmp_path: Path) -> None:
    ballast = bytearray(600 * 2**20)
    source = {"source": "folder", "folder": str(tmp_path)}
    with pytest.raises(RuntimeError, match="holds no"):
        stage("images", "--settings", json.dumps(source), "--folder", tmp_path / "x", "--source", tmp_path / "s.json")
    for part in ("train", "val", "test"):
        for name in ("NORMAL", "PNEUMONIA"):
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("L", (64, 64)).save(tmp_path / part / name / "a.png")
    memory, seconds = stage(
        "images", "--settings", json.dumps(source), "--folder", tmp_path / "x", "--source", tmp_path / "s.json"
    )
    assert len(ballast) and 20 < memory < 500 and 0 <= seconds < 60
