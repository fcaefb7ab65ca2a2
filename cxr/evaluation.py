"""The metrics of all runs of a config, and what validation chooses among them."""

from pathlib import Path
from typing import Any

import pandas as pd

from cxr.files import read_json, written_whole
from cxr.metrics import write_metrics
from cxr.progress import progress
from cxr.selection import write_selection
from cxr.study import PAPER, Study


def evaluate_runs(config: dict[str, Any], results: Path) -> None:
    """Write ``metrics.json`` into the folder of every run; ``metrics.csv`` and ``selection.json`` for all of them.

    ``metrics.csv`` has a row for each run and set (validation, test): ``protocol, experiment, seed, set`` and each
    metric of ``cxr.metrics.metrics_of`` that is one number.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``, whose runs have ``predictions.csv`` and ``run.json``.
    """
    study = Study.from_config(config)
    folders = [results / folder for folder in study.run_folders()]
    rows = []
    for run, folder in zip(study.runs(), progress(folders, len(folders), "runs", "metrics"), strict=True):
        write_metrics([folder / "predictions.csv"], [folder / "metrics.json"])
        for name, metrics in read_json(folder / "metrics.json").items():
            numbers = {key: value for key, value in metrics.items() if isinstance(value, int | float)}
            rows.append({**dict(zip(("protocol", "experiment", "seed"), run, strict=True)), "set": name, **numbers})
    with written_whole(results / "metrics.csv") as part:
        pd.DataFrame(rows).to_csv(part, index=False)
    write_selection(
        study.families(), [folder / "run.json" for folder in folders], PAPER / "published", results / "selection.json"
    )
