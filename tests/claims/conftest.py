"""Result trees made by hand, whose right verdicts are known."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cxr.claims.write import write_claims
from cxr.files import read_json, write_json
from cxr.study import layout
from cxr.study.config import PAPER, Study
from cxr.study.published import printed_row
from cxr.study.settings import run_settings

PRINTED = read_json(PAPER / "published" / "results.json")
CURVES = read_json(PAPER / "published" / "curves.json")
CONFIG = {
    "name": "held",
    "data": {"source": "folder", "folder": "images"},
    "device": "cpu",
    "image_size": 224,
    "protocols": ["published"],
    "experiments": "all",
    "seeds": [42],
}
Make = Callable[..., dict[str, Any]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write results that equal what the study printed, but for what is changed, and return their ``claims.json``."""

    def make(
        matrices: Mapping[tuple[str, int], list[list[int]]] | None = None,
        curves: Mapping[tuple[str, int], list[float]] | None = None,
        not_run: str | None = None,
        cohort: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> dict[str, Any]:
        study = Study.from_config({**CONFIG, **config})
        root = tmp_path / "results"
        _write_data(root, study, cohort or {})
        for protocol, experiment, seed in study.runs():
            run = root / "training" / "runs" / protocol / experiment / f"seed-{seed}"
            run.mkdir(parents=True, exist_ok=True)
            settings = run_settings(study, experiment, protocol, seed)
            write_json(layout.metrics(root, layout.place_of(protocol, experiment, seed)), {})
            selector = study.catalogue["experiments"][experiment].get("published")
            row = printed_row(selector, PRINTED["metrics"]) or {}
            curve = printed_row(selector, CURVES) or {"val_accuracy": [0.8] * 10, "train_accuracy": [0.9] * 10}
            matrix = (matrices or {}).get((experiment, seed), row.get("confusion_matrix") or [[100, 29], [13, 178]])
            accuracy = (curves or {}).get((experiment, seed), curve["val_accuracy"])[: settings["epochs"]]
            _write_rows(run / "predictions.csv", _predictions(matrix))
            _write_rows(
                run / "history.csv",
                [
                    {
                        "epoch": epoch,
                        "learning_rate": 0.001,
                        "val_loss": 0.3,
                        "train_accuracy": train,
                        "val_accuracy": val,
                    }
                    for epoch, (train, val) in enumerate(zip(curve["train_accuracy"], accuracy, strict=False), 1)
                ],
            )
            done = {"status": "done", "weights": {"original": True}, "steps_per_epoch": 179}
            left_out = {"status": "not run", "reason": "no weights for it are to be had"}
            write_json(run / "run.json", {"settings": settings, **(left_out if experiment == not_run else done)})
        write_claims({**CONFIG, **config}, root, tmp_path / "claims.json")
        found: dict[str, Any] = read_json(tmp_path / "claims.json")
        return found

    return make


def _write_data(root: Path, study: Study, changes: Mapping[str, Any]) -> None:
    cohort = {
        "source": "folder",
        "synthetic": False,
        "counts": PRINTED["dataset"],
        "published_counts": PRINTED["dataset"],
        "rgb_by_folder": {"train/NORMAL": 0, "train/PNEUMONIA": 283},
        "width": {"min": 384, "max": 2916},
        "height": {"min": 127, "max": 2713},
        **changes,
    }
    write_json(layout.cohort(root), cohort)
    preprocessing = {
        "sets": {
            "train": PRINTED["downsampling"]["train"],
            "validation": PRINTED["split"]["val"],
            "test": PRINTED["split"]["test"],
        },
        "normalisation": {"mean": 0.54551, "std": 0.25868},
        "training_images": {
            name: 2682 * len(study.catalogue["experiments"][name]["training_set"]) for name in study.experiments
        },
    }
    for protocol in study.protocols:
        write_json(root / "preprocessing" / protocol / "preprocessing.json", preprocessing)


def _predictions(matrix: list[list[int]]) -> list[dict[str, Any]]:
    """Rows of 129 normal and 191 pneumonia images, each of a patient of its own, that give a confusion matrix."""
    rows = []
    for label, (normal, pneumonia) in enumerate(matrix):
        for number, predicted in enumerate([0] * normal + [1] * pneumonia):
            key = f"{label}-{number:03d}"
            rows.append(
                {
                    "path": f"test/{key}.jpeg",
                    "set": "test",
                    "label": label,
                    "patient_coarse": key,
                    "patient_fine": key,
                    "probability": 0.1 + 0.8 * predicted,
                    "predicted": predicted,
                }
            )
    return rows


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
