"""Finished runs that saw the same images at another size, to be set beside those of a config.

A config has one image size. What its size changes is known where some experiments were run at another one, too.
"""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cxr.errors import InputError
from cxr.evaluation.uncertainty import patient_weights, resampled, summary_of
from cxr.files import sha256_of, write_json
from cxr.study import layout
from cxr.study.config import Study
from cxr.study.differences import first_difference
from cxr.study.settings import EXECUTION, run_settings
from cxr.training.archive import JUDGED, read_archive

# A patient's key may look like a number.
PATIENTS = {"patient_coarse": str, "patient_fine": str}


def write_other_sizes(
    config: dict[str, Any], results: Path, archive: Path, other_sizes: Path, resamples: int = 10000
) -> None:
    """Write ``other_sizes.json``: the results of an archive's runs, which differ from the config's in their size alone.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``, with the splits.
        archive: of ``cxr.training.archive.write_archive``.
        other_sizes: the file to write: ``archive`` (its name), ``sha256``, and ``rows``, each with ``protocol``,
            ``experiment``, ``image_size`` (pixels), ``seeds``,
            ``validation_accuracy`` (the mean over seeds), and ``accuracy`` and ``auroc`` on the test set (see
            ``cxr.evaluation.uncertainty.summary_of``).
        resamples: how often patients are drawn for the intervals.

    Raises:
        InputError: a run was made with other settings than the config's (but for the size), or predicts other images.
    """
    study = Study.from_config(config)
    found: dict[tuple[str, str, int], dict[int, pd.DataFrame]] = {}
    for place, files in read_archive(archive).items():
        record = json.loads(files["run.json"])
        settings = record["settings"]
        protocol, experiment, seed = (settings[key] for key in ("protocol", "experiment", "seed"))
        if record["status"] != "done" or protocol not in study.protocols or experiment not in study.experiments:
            continue
        _check_settings(study, settings, f"{archive}: {place}")
        predictions = pd.read_csv(io.BytesIO(files["predictions.csv"]), dtype=PATIENTS, keep_default_na=False)
        rows = pd.read_csv(layout.split(results, protocol)).query("set != 'train'")
        if _judged(predictions) != _judged(rows):
            raise InputError(
                f"{archive}: {place} predicts other images than the sets of {layout.split(results, protocol)}; take "
                f"other_sizes out of the config."
            )
        found.setdefault((protocol, experiment, settings["image_size"]), {})[seed] = predictions
    rows_of_all = [
        {"protocol": protocol, "experiment": experiment, "image_size": size, **_summary(by_seed, study, resamples)}
        for (protocol, experiment, size), by_seed in sorted(found.items(), key=lambda item: _rank(study, item[0]))
    ]
    write_json(other_sizes, {"archive": archive.name, "sha256": sha256_of(archive), "rows": rows_of_all})


def _judged(rows: pd.DataFrame) -> list[list[Any]]:
    """Path, set and label of each image; the path without its suffix, as copies at other sizes may be other files."""
    return rows[JUDGED].assign(path=rows["path"].str.rsplit(".", n=1).str[0]).to_numpy().tolist()


def _check_settings(study: Study, settings: Mapping[str, Any], run: str) -> None:
    ours = run_settings(study, settings["experiment"], settings["protocol"], settings["seed"])
    difference = first_difference(ours, settings, ignored=(*EXECUTION, "image_size"))
    if difference:
        raise InputError(f"{run} was made with other settings, {difference}; take other_sizes out of the config.")


def _rank(study: Study, key: tuple[str, str, int]) -> tuple[int, int, int]:
    protocol, experiment, size = key
    return list(study.protocols).index(protocol), study.experiments.index(experiment), -size


def _summary(by_seed: Mapping[int, pd.DataFrame], study: Study, resamples: int) -> dict[str, Any]:
    """The accuracy on validation images, and accuracy and AUROC on test images with their intervals."""
    sets = {
        name: {seed: rows[rows["set"] == name].sort_values("path", ignore_index=True) for seed, rows in by_seed.items()}
        for name in ("validation", "test")
    }
    weights = patient_weights(next(iter(sets["test"].values())), resamples, study.config["seeds"][0])
    summary = summary_of(resampled(sets["test"], weights))
    right = [float((rows["predicted"] == rows["label"]).mean()) for rows in sets["validation"].values()]
    return {
        "seeds": sorted(by_seed),
        "validation_accuracy": sum(right) / len(right),
        "accuracy": summary["accuracy"],
        "auroc": summary["auroc"],
    }
