"""The metrics of all runs of a config, and what validation chooses among them."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from cxr.evaluation.run_metrics import write_metrics
from cxr.files import read_json, written_whole
from cxr.progress import progress
from cxr.study import layout
from cxr.study.config import PAPER, Study
from cxr.training.archive import check_outputs
from cxr.training.selection import write_selection


def evaluate_runs(config: dict[str, Any], results: Path, threads: int = 1) -> None:
    """Write ``metrics.json`` of every run; ``metrics.csv`` and ``selection.json`` for all of them.

    ``metrics.csv`` has a row for each run and set (validation, test): ``protocol, experiment, seed, set`` and each
    metric of ``cxr.evaluation.run_metrics.metrics_of`` that is one number.

    Tables that were changed after their run are refused.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``, whose runs have ``predictions.csv`` and ``run.json``.
        threads: processes that share the runs.

    Raises:
        InputError: as ``cxr.training.archive.check_outputs``, or predictions are not well formed.
    """
    study = Study.from_config(config)
    places = study.run_places()
    files = [(layout.run(results, place), layout.metrics(results, place)) for place in places]
    rows = []
    with ProcessPoolExecutor(threads) as pool:
        done = progress(pool.map(_metrics, files, chunksize=4), len(files), "runs", "metrics")
        for run, metrics_of_sets in zip(study.runs(), done, strict=True):
            for name, metrics in metrics_of_sets.items():
                numbers = {key: value for key, value in metrics.items() if isinstance(value, int | float)}
                rows.append({**dict(zip(("protocol", "experiment", "seed"), run, strict=True)), "set": name, **numbers})
    with written_whole(layout.evaluation(results, "metrics.csv")) as part:
        pd.DataFrame(rows).to_csv(part, index=False)
    # Under a flipped protocol no family is run whole, so that there is nothing to choose from.
    records = [
        folder / "run.json" for run, (folder, _) in zip(study.runs(), files, strict=True) if run[0] in study.protocols
    ]
    selection = layout.evaluation(results, "selection.json")
    write_selection(study.families(), records, PAPER / "published", selection)


def _metrics(files: tuple[Path, Path]) -> dict[str, Any]:
    folder, metrics = files
    check_outputs(folder)
    write_metrics([folder / "predictions.csv"], [metrics])
    written: dict[str, Any] = read_json(metrics)
    return written
