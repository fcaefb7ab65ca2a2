"""Which epoch and which number of hidden units validation chooses, and which the preprint reports."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cxr.files import read_json, write_json
from cxr.study.published import printed_row


def best_epoch(val_accuracy: Sequence[float]) -> int:
    """Return the epoch, counted from 1, whose weights are kept: the first strict maximum (all three notebooks)."""
    return max(range(len(val_accuracy)), key=lambda epoch: (val_accuracy[epoch], -epoch)) + 1


def chosen(best_accuracies: Mapping[str, float]) -> str:
    """Return the experiment of a family with the highest validation accuracy at its best epoch, the first of equals."""
    return max(best_accuracies, key=lambda name: best_accuracies[name])


def published_choices(
    families: Mapping[str, Mapping[str, Any]], curves: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return, for each family, what the rule picks on the printed curves and what the preprint reports.

    Args:
        families: for each family, ``published`` of its experiments by id.
        curves: ``paper/published/curves.json``.
        rows: ``metrics`` of ``paper/published/results.json``.
    """
    choices = {}
    for family, members in families.items():
        printed = {name: printed_row(selector, curves) for name, selector in members.items()}
        best = {name: max(curve["val_accuracy"]) for name, curve in printed.items() if curve}
        reported = [name for name, selector in members.items() if printed_row(selector, rows)]
        choices[family] = {
            "rule_picks_on_printed_curves": chosen(best) if best else None,
            "preprint_reports": reported[0] if reported else None,
        }
    return choices


def write_selection(settings: dict[str, Any], records: list[Path], published: Path, selection: Path) -> None:
    """Write ``selection.json``: by protocol and family, which experiment validation picks, and which the preprint.

    Args:
        settings: for each family, ``published`` of its experiments by id.
        records: ``run.json`` of all runs.
        published: the folder ``paper/published``.
        selection: the file to write: ``rule_picks`` (experiment by seed), ``rule_picks_on_printed_curves`` and
            ``preprint_reports`` for each family under each protocol.
    """
    runs = [record for record in map(read_json, records) if record["status"] == "done"]
    curves, rows = read_json(published / "curves.json"), read_json(published / "results.json")["metrics"]
    printed = published_choices(settings, curves, rows)
    found: dict[str, Any] = {}
    for protocol in dict.fromkeys(run["settings"]["protocol"] for run in runs):
        for family, members in settings.items():
            picks = {}
            for seed in sorted({run["seed"] for run in runs}):
                best = {
                    run["settings"]["experiment"]: run["best_val_accuracy"]
                    for run in runs
                    if run["settings"]["protocol"] == protocol
                    and run["seed"] == seed
                    and run["settings"]["experiment"] in members
                }
                # A choice among some of the family is none.
                if len(best) == len(members):
                    picks[str(seed)] = chosen({name: best[name] for name in members})
            found.setdefault(protocol, {})[family] = {"rule_picks": picks, **printed[family]}
    write_json(selection, found)
