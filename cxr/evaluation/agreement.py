"""How far networks agree on the test images, and which images they get wrong together.

A network is represented by its first seed that is done. A mistake is a predicted class other than the label, so a
network with the 1,000 outputs of ImageNet can be wrong without naming the other class.
"""

import itertools
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import cohen_kappa_score

from cxr.errors import InputError
from cxr.evaluation.predictions import read_test_rows
from cxr.files import read_json, write_json
from cxr.images.names import CLASSES, ETIOLOGIES
from cxr.study import layout
from cxr.study.config import Study

# So many of a network's most certain mistakes of each kind are listed.
CERTAIN = 14
NORMAL, PNEUMONIA = range(len(CLASSES))


def write_agreement(config: dict[str, Any], results: Path, agreement: Path) -> None:
    """Write ``agreement.json``: ``protocols``, by name, each with ``seeds`` (by experiment, of the run
    that is compared) and what ``agreement_of`` returns.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``, with ``manifest.csv`` and the runs.
        agreement: the file to write.

    Raises:
        InputError: as ``read_test_predictions``.
    """
    study = Study.from_config(config)
    protocols = {}
    for protocol in study.protocols:
        seeds = first_seeds(study, results, protocol)
        predictions = read_test_predictions(results, protocol, seeds)
        protocols[protocol] = {"seeds": seeds, **agreement_of(predictions)}
    write_json(agreement, {"protocols": protocols})


def first_seeds(study: Study, results: Path, protocol: str) -> dict[str, int]:
    """Return, by experiment in the config's order, the first seed whose run is done; experiments without are left out.

    Args:
        study: the config and what it names.
        results: ``results/<config name>``.
        protocol: one of the config's.
    """
    found: dict[str, int] = {}
    for experiment in study.experiments:
        for seed in study.seeds(protocol):
            record = layout.run(results, layout.place_of(protocol, experiment, seed)) / "run.json"
            if record.exists() and read_json(record)["status"] == "done":
                found[experiment] = seed
                break
    return found


def read_test_predictions(results: Path, protocol: str, seeds: Mapping[str, int]) -> dict[str, pd.DataFrame]:
    """Return the predictions of some runs for the test images.

    Args:
        results: ``results/<config name>``.
        protocol: of the runs.
        seeds: by experiment, as ``first_seeds`` returns them.

    Returns:
        By experiment, the test rows of ``predictions.csv`` with the column ``etiology`` of ``manifest.csv``, sorted by
        path.

    Raises:
        InputError: a ``predictions.csv`` is not well formed, or two runs have different test images.
    """
    etiology = pd.read_csv(layout.manifest(results), usecols=["path", "etiology"]).set_index("path")["etiology"]
    found: dict[str, pd.DataFrame] = {}
    for experiment, seed in seeds.items():
        path = layout.run(results, layout.place_of(protocol, experiment, seed)) / "predictions.csv"
        rows = read_test_rows(path)
        first = next(iter(found.values()), rows)
        if not rows[["path", "label"]].equals(first[["path", "label"]]):
            raise InputError(f"{path} has other test images than the other runs under '{protocol}'; train it again.")
        found[experiment] = rows.assign(etiology=rows["path"].map(etiology))
    return found


def agreement_of(predictions: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return how far networks agree, and where they are wrong.

    Args:
        predictions: of ``read_test_predictions``.

    Returns:
        ``images``: the number of test images by etiology (``none`` for normal ones; of those that occur);
        ``kappa``: a row for each pair of experiments with ``a``, ``b`` and Cohen's ``kappa`` of their predicted classes
        (Educ Psychol Meas 20(1):37-46, 1960), None where both predict one and the same class only;
        ``errors``: by experiment and etiology, the number of wrong images and their ``rate``;
        ``shared_errors``: the images that more than half of the networks get wrong, those of most networks first and
        then by path, with ``path``, ``label``, ``etiology``, ``patient`` (the fine key), ``wrong`` (how many networks)
        and ``mean_probability`` (of pneumonia, over all networks);
        ``certain_mistakes``: by experiment, ``false_positives`` (normal images called pneumonia) and
        ``false_negatives`` (pneumonia called anything else), each with ``path`` and ``probability`` of pneumonia, the
        14 most certain first and then by path.
    """
    if not predictions:
        return {"images": {}, "kappa": [], "errors": {}, "shared_errors": [], "certain_mistakes": {}}
    first = next(iter(predictions.values()))
    present = [name for names in ETIOLOGIES.values() for name in names if name in set(first["etiology"])]
    images = {name: int((first["etiology"] == name).sum()) for name in present}
    wrong = wrong_answers(predictions)
    return {
        "images": images,
        "kappa": [
            {"a": a, "b": b, "kappa": kappa_of(predictions[a]["predicted"], predictions[b]["predicted"])}
            for a, b in itertools.combinations(predictions, 2)
        ],
        "errors": {
            experiment: {
                name: {
                    "wrong": (count := int(wrong.loc[first["etiology"] == name, experiment].sum())),
                    "rate": count / n,
                }
                for name, n in images.items()
            }
            for experiment in predictions
        },
        "shared_errors": _shared_errors(predictions, wrong),
        "certain_mistakes": {experiment: _certain_mistakes(table) for experiment, table in predictions.items()},
    }


def wrong_answers(predictions: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return whether each network is wrong on each test image: a column for each experiment, the rows as theirs."""
    return pd.DataFrame({name: table["predicted"] != table["label"] for name, table in predictions.items()})


def kappa_of(a: "pd.Series[int]", b: "pd.Series[int]") -> float | None:
    """Return Cohen's kappa of two lists of classes, -1 to 1, or None where both hold one and the same class only."""
    if len(set(a) | set(b)) == 1:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        return float(cohen_kappa_score(a, b))


def _shared_errors(predictions: Mapping[str, pd.DataFrame], wrong: pd.DataFrame) -> list[dict[str, Any]]:
    probabilities = np.stack([table["probability"].to_numpy() for table in predictions.values()])
    first = next(iter(predictions.values()))
    rows = first[["path", "label", "etiology"]].assign(
        patient=first["patient_fine"],
        wrong=wrong.sum(axis=1),
        # Rounded as predictions are, so that the last digit does not depend on the order of the sum.
        mean_probability=probabilities.mean(axis=0).round(9),
    )
    chosen = rows[rows["wrong"] > len(predictions) / 2]
    return _records(chosen.sort_values(["wrong", "path"], ascending=[False, True]))


def _certain_mistakes(table: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    kinds = {
        "false_positives": (table[(table["label"] == NORMAL) & (table["predicted"] == PNEUMONIA)], False),
        "false_negatives": (table[(table["label"] == PNEUMONIA) & (table["predicted"] != PNEUMONIA)], True),
    }
    return {
        kind: _records(
            rows.sort_values(["probability", "path"], ascending=[ascending, True])[["path", "probability"]].head(
                CERTAIN
            )
        )
        for kind, (rows, ascending) in kinds.items()
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
