"""The tables that a run writes, and what a run that could not be run leaves in their place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cxr.files import write_json, written_whole

HISTORY = ["epoch", "learning_rate", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
PATIENTS = ["path", "patient_coarse", "patient_fine"]
PREDICTIONS = ["path", "set", "label", "patient_coarse", "patient_fine", "probability", "predicted"]


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, whole or not at all."""
    with written_whole(path) as part:
        # Nine significant digits give every float32 back exactly.
        table.to_csv(part, index=False, float_format="%.9g")


def write_not_run(folder: Path, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Write tables without rows and a ``run.json`` that says why the run was not run.

    Args:
        folder: the run's folder.
        settings: of ``run_settings``.
        facts: about its weights, with ``reason``.
    """
    write_table(folder / "history.csv", pd.DataFrame(columns=HISTORY))
    write_table(folder / "predictions.csv", pd.DataFrame(columns=PREDICTIONS))
    record = {"status": "not run", "reason": facts["reason"], "settings": settings, "weights": facts}
    write_json(folder / "run.json", record)
