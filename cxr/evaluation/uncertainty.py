"""How sure the metrics of a config's runs are, and the differences between them.

Two kinds of uncertainty, never mixed: between seeds (the same experiment trained again: mean, standard deviation,
range) and of the finite test set (the same networks on other patients: bootstrap intervals).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxr.errors import InputError
from cxr.evaluation.bootstrap import bootstrap_weights, interval, replicates, roc_replicates
from cxr.evaluation.metrics import METRICS, Numbers
from cxr.evaluation.paired_tests import delong_p, holm, mcnemar_p, read_comparisons
from cxr.evaluation.predictions import read_test_rows
from cxr.files import read_json, write_json
from cxr.study import layout
from cxr.study.config import PAPER, Study

LEVEL = 0.95
# A patient's keys: the fine one decides, the coarse one is a sensitivity analysis.
KEYS = ("fine", "coarse")
ROC_GRID = np.linspace(0, 1, 51)


@dataclass(frozen=True)
class Experiment:
    """What is known of one experiment under one protocol.

    Attributes:
        tests: the test rows of ``predictions.csv`` by seed; equal in all columns but ``probability`` and ``predicted``.
        values: by metric and seed; NaN where undefined.
        fine: by metric and seed, (R,) replicates over patients of the fine key.
        coarse: the same over the coarse key.
    """

    tests: Mapping[int, pd.DataFrame]
    values: Mapping[str, Mapping[int, float]]
    fine: Mapping[str, Mapping[int, Numbers]]
    coarse: Mapping[str, Mapping[int, Numbers]]


def write_uncertainty(config: dict[str, Any], results: Path, uncertainty: Path, resamples: int = 10000) -> None:
    """Write ``uncertainty.json``: the metrics of all runs on the test set, and their differences, with intervals.

    All intervals are percentile intervals of a bootstrap over patients of the test set, in which the networks stay as
    they are; the patients drawn are the same for all runs of a protocol.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``.
        uncertainty: the file to write: ``resamples``, ``seed`` (of the draws, the config's first) and ``level`` of the
            intervals; ``protocols``, each with ``test_set`` (how many ``images``, ``patients_fine``,
            ``patients_coarse``), ``not_run`` (``experiment``, ``seed``, ``reason``), ``experiments`` by id (see
            ``summary_of``) and ``comparisons`` by family (see ``compared``).
        resamples: how often patients are drawn.

    Raises:
        InputError: predictions are not well formed, or two runs of a protocol have different test images.
    """
    study = Study.from_config(config)
    families = read_comparisons(PAPER / "comparisons.yaml", study.catalogue["experiments"])
    content: dict[str, Any] = {"resamples": resamples, "seed": config["seeds"][0], "level": LEVEL, "protocols": {}}
    for protocol in study.protocols:
        tests, not_run = _read_tests(study, results, protocol)
        found: dict[str, Any] = {"test_set": None, "not_run": not_run, "experiments": {}, "comparisons": {}}
        content["protocols"][protocol] = found
        if not tests:
            continue
        rows = next(iter(next(iter(tests.values())).values()))
        label = rows["label"].to_numpy()
        found["test_set"] = {
            "images": len(rows),
            **{f"patients_{key}": rows[f"patient_{key}"].nunique() for key in KEYS},
        }
        weights = patient_weights(rows, resamples, config["seeds"][0])
        experiments = {name: resampled(by_seed, weights) for name, by_seed in tests.items()}
        for name, experiment in experiments.items():
            first = next(iter(experiment.tests.values()))
            found["experiments"][name] = {
                **summary_of(experiment),
                "roc_band": roc_band(label, first["probability"].to_numpy(), weights["fine"]),
            }
        for family in families:
            if rows_of_family := compared(family, experiments):
                found["comparisons"][family["id"]] = rows_of_family
    write_json(uncertainty, content)


def _read_tests(
    study: Study, results: Path, protocol: str
) -> tuple[dict[str, dict[int, pd.DataFrame]], list[dict[str, Any]]]:
    """The test rows of the runs that are done, by experiment and seed, and the runs that are not, with the reason."""
    tests: dict[str, dict[int, pd.DataFrame]] = {}
    not_run = []
    reference: pd.DataFrame | None = None
    facts = ["path", "label", "patient_fine", "patient_coarse"]
    for experiment in study.experiments:
        for seed in study.seeds(protocol):
            run = layout.run(results, layout.place_of(protocol, experiment, seed))
            absent = [name for name in ("run.json", "predictions.csv") if not (run / name).exists()]
            record = {"reason": f"{absent[0]} is not there"} if absent else read_json(run / "run.json")
            if record.get("status") != "done":
                not_run.append({"experiment": experiment, "seed": seed, "reason": record["reason"]})
                continue
            test = read_test_rows(run / "predictions.csv")
            reference = test if reference is None else reference
            if not test[facts].equals(reference[facts]):
                raise InputError(
                    f"{run / 'predictions.csv'} has other test images, labels or patients than the other runs of the "
                    f"protocol '{protocol}'; make the predictions of all of them from one split."
                )
            tests.setdefault(experiment, {})[seed] = test
    return tests, not_run


def patient_weights(rows: pd.DataFrame, resamples: int, seed: int) -> dict[str, Any]:
    """Return the weights of ``bootstrap_weights`` for some test rows by each of ``KEYS``, shape (R, n)."""
    label = rows["label"].to_numpy()
    return {key: bootstrap_weights(label, rows[f"patient_{key}"].to_numpy(dtype=str), resamples, seed) for key in KEYS}


def resampled(tests: Mapping[int, pd.DataFrame], weights: Mapping[str, Any]) -> Experiment:
    """Return the metrics of one experiment and their replicates.

    Args:
        tests: test rows by seed.
        weights: (R, n) by ``fine`` and ``coarse``.
    """
    found: dict[str, dict[str, dict[int, Any]]] = {
        key: {metric: {} for metric in METRICS} for key in ("values", "fine", "coarse")
    }
    for seed, rows in tests.items():
        label, predicted, probability = (rows[name].to_numpy() for name in ("label", "predicted", "probability"))
        once = np.ones((1, len(rows)), dtype=np.int64)
        for key, chosen in {"values": once, **weights}.items():
            for metric, values in replicates(label, predicted, probability, chosen).items():
                found[key][metric][seed] = float(values[0]) if key == "values" else values
    return Experiment(tests, found["values"], found["fine"], found["coarse"])


def summary_of(experiment: Experiment) -> dict[str, Any]:
    """Return ``seeds``, and for each metric of ``cxr.evaluation.metrics.METRICS`` both kinds of uncertainty.

    Returns:
        ``seeds``, the list of those done, and by metric: ``values`` by seed; ``mean``, ``sd`` (n - 1; null for one
        seed), ``min`` and ``max`` over seeds; ``interval`` and ``interval_coarse`` of the mean over these seeds, from
        patients drawn by either key. Null where undefined.
    """
    summary: dict[str, Any] = {"seeds": list(experiment.tests)}
    for metric in METRICS:
        values = np.array(list(experiment.values[metric].values()))
        defined = not np.isnan(values).any()
        summary[metric] = {
            "mean": float(values.mean()) if defined else None,
            "sd": float(values.std(ddof=1)) if defined and len(values) > 1 else None,
            "min": float(values.min()) if defined else None,
            "max": float(values.max()) if defined else None,
            "values": {
                str(seed): None if np.isnan(value) else value for seed, value in experiment.values[metric].items()
            },
            "interval": interval(_mean(experiment.fine[metric]), LEVEL),
            "interval_coarse": interval(_mean(experiment.coarse[metric]), LEVEL),
        }
    return summary


def _mean(replicates_by_seed: Mapping[int, Numbers]) -> Numbers:
    return np.mean(list(replicates_by_seed.values()), axis=0)  # type: ignore[no-any-return]


def roc_band(label: Any, probability: Numbers, weights: Any) -> dict[str, list[float]]:
    """Return the pointwise interval of the ROC curve: ``false_positive_rate`` (the grid), ``low`` and ``high``.

    Args:
        label: (n,) 0 or 1.
        probability: (n,) of PNEUMONIA.
        weights: (R, n).

    Returns:
        Empty lists when a class is missing.
    """
    if len(set(label)) < 2:
        return {"false_positive_rate": [], "low": [], "high": []}
    curves = roc_replicates(label, probability, weights, ROC_GRID)
    low, high = np.quantile(curves, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return {"false_positive_rate": ROC_GRID.tolist(), "low": low.tolist(), "high": high.tolist()}


def compared(family: Mapping[str, Any], experiments: Mapping[str, Experiment]) -> list[dict[str, Any]]:
    """Return a row for each pair and metric of a family, as far as both experiments are there with a common seed.

    Returns:
        Rows of ``a``, ``b``, ``metric``; ``seeds``, those that both have; ``difference``, the mean of a minus b over
        them, ``values`` by seed, and ``sd`` between seeds; ``interval`` and ``p_bootstrap`` (see ``two_sided_p``) from
        the patients drawn, fine key; and, for the one seed ``test_seed``, ``delong_p`` (metric auroc) and ``mcnemar_p``
        (metric accuracy), which take images for independent, null for other metrics. ``holm_bootstrap``,
        ``holm_delong`` and ``holm_mcnemar`` are the same adjusted over the rows of the family that have them.
    """
    rows = []
    for a, b in family["pairs"]:
        if a not in experiments or b not in experiments:
            continue
        first, second = experiments[a], experiments[b]
        seeds = [seed for seed in first.tests if seed in second.tests]
        for metric in family["metrics"] if seeds else []:
            by_seed = [first.values[metric][seed] - second.values[metric][seed] for seed in seeds]
            drawn = np.mean([first.fine[metric][seed] - second.fine[metric][seed] for seed in seeds], axis=0)
            defined = not np.isnan(by_seed).any()
            rows.append(
                {
                    "a": a,
                    "b": b,
                    "metric": metric,
                    "seeds": seeds,
                    "difference": float(np.mean(by_seed)) if defined else None,
                    "sd": float(np.std(by_seed, ddof=1)) if defined and len(seeds) > 1 else None,
                    "values": {
                        str(seed): None if np.isnan(value) else value
                        for seed, value in zip(seeds, by_seed, strict=True)
                    },
                    "interval": interval(drawn, LEVEL),
                    "p_bootstrap": two_sided_p(drawn),
                    "test_seed": seeds[0],
                    **_second_opinions(metric, first.tests[seeds[0]], second.tests[seeds[0]]),
                }
            )
    for test in ("p_bootstrap", "delong_p", "mcnemar_p"):
        adjusted = holm([row[test] for row in rows])
        for row, value in zip(rows, adjusted, strict=True):
            row[f"holm_{test.removeprefix('p_').removesuffix('_p')}"] = value
    return rows


def _second_opinions(metric: str, first: pd.DataFrame, second: pd.DataFrame) -> dict[str, float | None]:
    label = first["label"].to_numpy()
    delong = delong_p(label, first["probability"].to_numpy(), second["probability"].to_numpy())
    mcnemar = mcnemar_p(label == first["predicted"], label == second["predicted"])
    return {"delong_p": delong if metric == "auroc" else None, "mcnemar_p": mcnemar if metric == "accuracy" else None}


def two_sided_p(differences: Numbers) -> float | None:
    """Return the p of no difference that belongs to the percentile interval.

    It is the smallest 1 - level at which the interval leaves 0 out: twice the smaller tail, 0 itself in both, with the
    observed sample counted as one more resample, so that it is never 0 (as Davison, Hinkley, Bootstrap Methods and
    their Application, 1997, section 4.2, count). None when all replicates are undefined.

    Args:
        differences: (R,) replicates, not recentred.
    """
    defined = differences[~np.isnan(differences)]
    if not len(defined):
        return None
    tail = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(defined) + 1))
