"""What claims are held against: the results of one protocol, or the numbers that the study itself printed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxr.errors import InputError
from cxr.evaluation.bootstrap import bootstrap_weights
from cxr.evaluation.metrics import Integers, Numbers, confusion_counts
from cxr.evaluation.predictions import read_test_rows
from cxr.evaluation.results import Results, Run
from cxr.images.cohort import is_of_study, is_resized
from cxr.study import layout
from cxr.study.config import Study
from cxr.study.published import printed_row
from cxr.study.settings import run_settings

FACTS = ["path", "label", "patient_fine"]


@dataclass(frozen=True)
class RunEvidence:
    """What one run shows.

    Attributes:
        counts: (1, 2, 3) test images by true class and class given: NORMAL, PNEUMONIA, any other; None if not known.
        resampled: (R, 2, 3) the same in every resample of the test set's patients; None if images are not known.
        curves: (epochs,) by column of ``history.csv``.
        steps: batches in an epoch of training; None if not known.
    """

    counts: Numbers | None
    resampled: Numbers | None
    curves: Mapping[str, Numbers]
    steps: int | None


@dataclass(frozen=True)
class Evidence:
    """What is known under one protocol.

    Attributes:
        origin: what it is called in a sentence.
        printed: whether it is what the study printed, and no results.
        runs: by experiment and seed.
        absent: why an experiment has no run, or not all of them, by experiment.
        limited: experiments that the config's limits shorten.
        other_weights: experiments that start from other pretrained weights than the study's.
        cohort: ``cohort.json``.
        preprocessing: ``preprocessing.json``.
        patients: how many the test set has.
        of_study: whether the images are the study's.
        resized: whether they are a resized copy.
    """

    origin: str
    runs: Mapping[str, Mapping[int, RunEvidence]]
    absent: Mapping[str, str] = field(default_factory=dict)
    limited: frozenset[str] = frozenset()
    other_weights: frozenset[str] = frozenset()
    cohort: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    patients: int = 0
    of_study: bool = True
    resized: bool = False
    printed: bool = False


def evidence_of(study: Study, found: Results, root: Path, protocol: str, resamples: int) -> Evidence:
    """Read the evidence of one protocol.

    Args:
        study: the config and what it names.
        found: its results.
        root: ``results/<config name>``.
        protocol: one of the config's.
        resamples: R, how often the patients of the test set are drawn; the config's first seed decides the draws.

    Raises:
        InputError: two runs of the protocol have different test images, labels or patients.
    """
    reference: pd.DataFrame | None = None
    weights: Integers | None = None
    runs: dict[str, dict[int, RunEvidence]] = {}
    for run in (run for run in found.runs if run.protocol == protocol):
        path = layout.run(root, run.place) / "predictions.csv"
        test = read_test_rows(path)
        if reference is None or weights is None:
            reference = test
            patients = test["patient_fine"].to_numpy(dtype=str)
            weights = bootstrap_weights(test["label"].to_numpy(), patients, resamples, study.config["seeds"][0])
        if not test[FACTS].equals(reference[FACTS]):
            raise InputError(
                f"{path} has other test images, labels or patients than the other runs of the protocol '{protocol}'; "
                f"make the predictions of all of them from one split."
            )
        runs.setdefault(run.experiment, {})[run.seed] = _of_run(run, test, weights)
    absent = {name: f"the config '{study.config['name']}' does not run it" for name in study.catalogue["experiments"]}
    absent |= {name: "its files are not there" for name in study.experiments}
    for row in found.not_run:
        _, of, experiment, _ = row["place"].split("/")
        if of == protocol:
            absent[experiment] = row["reason"]
    preprocessing, cohort = found.preprocessing.get(protocol), found.cohort.plain()
    return Evidence(
        origin=f"the protocol '{protocol}'",
        runs=runs,
        absent=absent,
        limited=frozenset(name for name in study.experiments if is_limited(study, name, protocol)),
        other_weights=frozenset(
            run.experiment for run in found.runs if run.protocol == protocol and not run.record.weights.original
        ),
        cohort=cohort,
        preprocessing=preprocessing.plain() if preprocessing else {},
        patients=0 if reference is None else reference["patient_fine"].nunique(),
        of_study=is_of_study(cohort, found.printed.plain()["dataset"]),
        resized=is_resized(cohort),
    )


def is_limited(study: Study, experiment: str, protocol: str) -> bool:
    """Return whether the config's limits give an experiment fewer epochs or fewer images than the study has."""
    settings = run_settings(study, experiment, protocol, study.config["seeds"][0])
    return settings["training_rows"] is not None or settings["epochs"] < study.spec(experiment, protocol)["epochs"]


def printed_evidence(study: Study, printed: Mapping[str, Any], curves: list[Mapping[str, Any]]) -> Evidence:
    """Return what the study printed, as if it were results: confusion matrices and training curves, of one seed.

    Args:
        study: names the printed rows of each experiment.
        printed: ``paper/published/results.json``.
        curves: ``paper/published/curves.json``.
    """
    runs = {}
    for name, spec in study.catalogue["experiments"].items():
        row = printed_row(spec.get("published"), printed["metrics"]) or {}
        curve = printed_row(spec.get("published"), curves) or {}
        columns = [key for key in ("train_loss", "train_accuracy", "val_accuracy") if key in curve]
        matrix = row.get("confusion_matrix")
        counts = None if matrix is None else np.array([[[*matrix[0], 0.0], [*matrix[1], 0.0]]])
        if columns or matrix:
            by_column = {key: np.array(curve[key], dtype=float) for key in columns}
            runs[name] = {0: RunEvidence(counts=counts, resampled=None, curves=by_column, steps=None)}
    absent = dict.fromkeys(study.catalogue["experiments"], "the study prints nothing of it")
    return Evidence(origin="the study's own numbers", runs=runs, absent=absent, printed=True)


def _of_run(run: Run, test: pd.DataFrame, weights: Integers) -> RunEvidence:
    label, predicted = test["label"].to_numpy(), test["predicted"].to_numpy()
    columns = list(run.history[0]) if run.history else []
    return RunEvidence(
        counts=confusion_counts(label, predicted, np.ones((1, len(test)))),
        resampled=confusion_counts(label, predicted, weights.astype(float)),
        curves={name: np.array([row[name].value for row in run.history], dtype=float) for name in columns},
        steps=run.record.steps_per_epoch.value,
    )
