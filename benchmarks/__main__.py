"""``python -m benchmarks [PART ...]``: measure, print tables, and write benchmarks/results."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.timing import Row, as_dictionaries, hardware, restarted_with_allocator
from cxr.files import read_json, write_json

RESULTS = Path("benchmarks/results")
PARTS = (
    *("data", "training", "allocator", "preprocessing", "heads", "prediction", "unlike"),
    *("paper", "dry-run", "memory", "scale"),
)
UNLIKE = RESULTS / "unlike_rates.json"


def measured(part: str, repeats: int) -> list[Row]:
    """Measure one part."""
    # These import torch, which must not happen before `restarted_with_allocator`.
    from benchmarks import allocator, data_path, heads, prediction, preprocessing, scale, training, unlike, workflow

    parts: dict[str, Callable[[], list[Row]]] = {
        "data": lambda: data_path.rows(repeats),
        "training": lambda: training.rows(repeats),
        "allocator": lambda: allocator.rows(repeats),
        "preprocessing": lambda: preprocessing.rows(repeats),
        "heads": heads.rows,
        "prediction": lambda: prediction.rows(repeats),
        "paper": workflow.paper,
        "dry-run": workflow.dry_run,
        "memory": workflow.memory,
    }
    if part == "unlike":
        write_json(UNLIKE, unlike.rates())
        return []
    if part == "scale":
        points = scale.images() + scale.runs()
        write_json(RESULTS / "scale_points.json", points)
        scale.draw(points, RESULTS / "scale.svg")
        return []
    return parts[part]()


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as a Markdown table."""
    lines = ["| | here | baseline | it has | ratio | goal | |", "|---|---:|---|---:|---:|---:|---|"]
    for row in rows:
        goal = "" if row["goal"] is None else f"{row['goal']:g} {'met' if row['ratio'] >= row['goal'] else 'MISSED'}"
        values = [f"{row[key]:.4g} {row['unit']}" for key in ("ours", "theirs")]
        cells = [row["name"], values[0], row["baseline"], values[1], f"{row['ratio']:.3g}", goal, row["note"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure the parts that the command line names, or all parts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all of them if none is named")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    restarted_with_allocator("benchmarks", sys.argv[1:])
    logging.disable(logging.INFO)
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for part in options.parts or PARTS:
        try:
            rows = as_dictionaries(measured(part, options.repeats))
        except RuntimeError as error:
            # A part that fails does not stop the others.
            print(f"{part}: {error}", file=sys.stderr, flush=True)
            failed.append(part)
            continue
        if rows:
            write_json(RESULTS / f"{part}.json", {"hardware": hardware(), "repeats": options.repeats, "rows": rows})
            print(table(rows), flush=True)
    write_report()
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


def write_report() -> None:
    """Write benchmarks/results/report.md from the stored results of all parts, also those of earlier calls."""
    found = [read_json(path) for part in PARTS if (path := RESULTS / f"{part}.json").exists()]
    machine = found[0]["hardware"]
    text = [
        "# Benchmarks",
        f"{machine['processor']}, {machine['cores']} cores; torch {machine['packages']['torch']}; allocator "
        f"`{machine['allocator']}`. Ratios are medians over repeats, in turns; higher is better.",
        table([row for part in found for row in part["rows"]]),
    ]
    if (RESULTS / "scale.svg").exists():
        text.append("## Scale\n\n![Time and memory against the number of images and of runs](scale.svg)")
    if UNLIKE.exists():
        from benchmarks.unlike import table as table_of_rates

        rates = table_of_rates(read_json(UNLIKE))
        text.append(
            f"## Images unlike the training images\n\nThe embedded X-rays at 64 px, by distance alone.\n\n{rates}"
        )
    (RESULTS / "report.md").write_text("\n\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
