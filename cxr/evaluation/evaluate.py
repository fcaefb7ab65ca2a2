"""The metrics of all runs of a config, and what validation chooses among them."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from cxr.evaluation.metrics import write_metrics
from cxr.files import read_json, written_whole
from cxr.progress import progress
from cxr.study.config import PAPER, Study
from cxr.training.selection import write_selection


def evaluate_runs(config: dict[str, Any], results: Path, threads: int = 1) -> None:
    """Write ``metrics.json`` into the folder of every run; ``metrics.csv`` and ``selection.json`` for all of them.

    ``metrics.csv`` has a row for each run and set (validation, test): ``protocol, experiment, seed, set`` and each
    metric of ``cxr.evaluation.metrics.metrics_of`` that is one number.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``, whose runs have ``predictions.csv`` and ``run.json``.
        threads: processes that share the runs.
    """
    study = Study.from_config(config)
    folders = [results / folder for folder in study.run_folders()]
    rows = []
    with ProcessPoolExecutor(threads) as pool:
        done = progress(pool.map(_metrics, folders, chunksize=4), len(folders), "runs", "metrics")
        for run, metrics_of_sets in zip(study.runs(), done, strict=True):
            for name, metrics in metrics_of_sets.items():
                numbers = {key: value for key, value in metrics.items() if isinstance(value, int | float)}
                rows.append({**dict(zip(("protocol", "experiment", "seed"), run, strict=True)), "set": name, **numbers})
    with written_whole(results / "metrics.csv") as part:
        pd.DataFrame(rows).to_csv(part, index=False)
    # Under a flipped protocol no family is run whole, so that there is nothing to choose from.
    whole = [folder for run, folder in zip(study.runs(), folders, strict=True) if run[0] in study.protocols]
    write_selection(
        study.families(), [folder / "run.json" for folder in whole], PAPER / "published", results / "selection.json"
    )


def _metrics(folder: Path) -> dict[str, Any]:
    write_metrics([folder / "predictions.csv"], [folder / "metrics.json"])
    written: dict[str, Any] = read_json(folder / "metrics.json")
    return written
