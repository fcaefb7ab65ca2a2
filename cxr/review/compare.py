"""Two result trees side by side: a reviewer's own column."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cxr.errors import InputError
from cxr.files import read_json, written_whole
from cxr.review.expectation import verdicts_of
from cxr.review.tables import aligned
from cxr.study import layout

# Measures of a run, each with a number of decimals for the terminal.
DECIMALS = {"accuracy": 4, "auroc": 4, "best_epoch": 0}
# What decides a run's result, or may: parts of run.json.
DECIDING = ("status", "settings", "weights", "inputs", "code", "packages", "hardware")

# Protocol, experiment and seed of a run.
Key = tuple[str, str, int]


def compare(first: Path, second: Path, table: Path | None = None) -> None:
    """Print two results side by side: runs, verdicts of claims, and what the runs were made with, where they differ.

    Args:
        first: ``results/<config name>``.
        second: another folder of results.
        table: also write the runs to this CSV file: ``protocol,experiment,seed`` and, of the test set ``accuracy`` and
            ``auroc``, and ``best_epoch``, each as ``first_``, ``second_`` and ``difference_`` (second minus first).
            Cells are empty where a run is not there, or was not run.

    Raises:
        InputError: a folder holds no runs, or a run without metrics.
    """
    left, right = read_runs(first), read_runs(second)
    runs = run_table(left, right)
    if table:
        with written_whole(table) as part:
            runs.to_csv(part, index=False)
    print(f"first:  {first}\nsecond: {second}\n")
    print(_printed_runs(runs))
    for name, there, other in (("first", left, right), ("second", right, left)):
        alone = [_place(key) for key in there if key not in other]
        if alone:
            print("\n".join(["", f"Only in the {name}:", *alone]))
    print("\n" + _printed_settings(setting_differences(left, right)))
    print("\n" + _printed_verdicts(verdicts_of(first), verdicts_of(second)))


def read_runs(results: Path) -> dict[Key, dict[str, Any]]:
    """Return ``run.json`` of each run by protocol, experiment and seed, with ``measures`` of ``DECIMALS`` added.

    The measures of a run that was not run are None.

    Raises:
        InputError: there are no runs, or one has no metrics.
    """
    runs: dict[Key, dict[str, Any]] = {}
    for path in sorted(results.glob("training/runs/*/*/seed-*/run.json")):
        protocol, experiment, seed = path.parts[-4:-1]
        record = read_json(path)
        measures: dict[str, Any] = dict.fromkeys(DECIMALS)
        if record["status"] == "done":
            metrics = layout.metrics(results, layout.place_of(protocol, experiment, int(seed.removeprefix("seed-"))))
            if not metrics.exists():
                raise InputError(f"{metrics} does not exist; evaluate the run first.")
            test = read_json(metrics)["test"]
            measures = {name: {**test, **record}[name] for name in DECIMALS}
        runs[protocol, experiment, int(seed.removeprefix("seed-"))] = {**record, "measures": measures}
    if not runs:
        raise InputError(f"{results} holds no runs; name a folder such as results/demo.")
    return runs


def run_table(first: Mapping[Key, Mapping[str, Any]], second: Mapping[Key, Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row a run of either, with the columns that ``compare`` writes."""
    nothing = {"measures": dict.fromkeys(DECIMALS)}
    rows = []
    for key in sorted({*first, *second}):
        row: dict[str, Any] = dict(zip(("protocol", "experiment", "seed"), key, strict=True))
        for name in DECIMALS:
            old, new = (runs.get(key, nothing)["measures"][name] for runs in (first, second))
            difference = None if old is None or new is None else new - old
            row |= {f"first_{name}": old, f"second_{name}": new, f"difference_{name}": difference}
        rows.append(row)
    # Epochs stay whole numbers beside empty cells.
    return pd.DataFrame(rows).astype({f"{part}_best_epoch": "Int64" for part in ("first", "second", "difference")})


def setting_differences(
    first: Mapping[Key, Mapping[str, Any]], second: Mapping[Key, Mapping[str, Any]]
) -> dict[tuple[str, str, str], list[Key]]:
    """Return the runs of both, by what differs between them: its name, such as settings.epochs, and the two values."""
    found: dict[tuple[str, str, str], list[Key]] = {}
    for key in (key for key in first if key in second):
        # A run that was not run has no packages, and no hardware.
        parts = [part for part in DECIDING if part in first[key] and part in second[key]]
        old, new = (_flat({part: runs[key][part] for part in parts}) for runs in (first, second))
        for name in {**old, **new}:
            if old.get(name) != new.get(name):
                found.setdefault((name, str(old.get(name)), str(new.get(name))), []).append(key)
    return found


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _place(key: Key) -> str:
    return f"{key[0]}/{key[1]}/seed-{key[2]}"


def _printed_runs(runs: pd.DataFrame) -> str:
    rows = [["run"] + [f"{name}{part}" for name in DECIMALS for part in (" first", " second", " difference")]]
    both = runs["first_best_epoch"].notna() & runs["second_best_epoch"].notna()
    for row in runs[both].to_dict("records"):
        cells = [_place((row["protocol"], row["experiment"], row["seed"]))]
        for name, decimals in DECIMALS.items():
            cells += [_number(row[f"{part}_{name}"], decimals) for part in ("first", "second")]
            cells.append(_number(row[f"difference_{name}"], decimals, "+"))
        rows.append(cells)
    return aligned(rows)


def _number(value: Any, decimals: int, sign: str = "") -> str:
    return "-" if pd.isna(value) else f"{value:{sign}.{decimals}f}"


def _printed_settings(differences: Mapping[tuple[str, str, str], list[Key]]) -> str:
    if not differences:
        return "Made with the same settings, weights, inputs, code, packages and hardware."
    rows = [("made with", "first", "second", "runs")]
    for (name, old, new), keys in sorted(differences.items()):
        others = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        rows.append((name, _short(old), _short(new), _place(keys[0]) + others))
    return aligned(rows)


def _short(text: str) -> str:
    return text if len(text) <= 50 else f"{text[:20]}..."


def _printed_verdicts(
    first: Mapping[str, Mapping[str, str]] | None, second: Mapping[str, Mapping[str, str]] | None
) -> str:
    if first is None or second is None:
        return f"No claims.json in the {'first' if first is None else 'second'}: verdicts are not compared."
    old, new = _flat(first), _flat(second)
    names = list({**old, **new})
    rows = [(name, old.get(name, "-"), new.get(name, "-")) for name in names if old.get(name) != new.get(name)]
    if not rows:
        return f"The same verdicts of all claims ({len(names)})."
    return aligned([("claim", "first", "second"), *rows])
