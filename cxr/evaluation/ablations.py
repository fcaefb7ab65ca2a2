"""What each disagreement between the study's text and its code changes: one choice flipped, all else the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxr.evaluation.bootstrap import bootstrap_weights, interval, replicates
from cxr.evaluation.metrics import Integers, Numbers
from cxr.evaluation.predictions import read_test_rows
from cxr.files import read_json, write_json, written_whole
from cxr.study import layout
from cxr.study.config import Study
from cxr.study.protocols import DISCREPANCIES, read_discrepancies

METRICS = ("accuracy", "auroc")
SAME = ["path", "label", "patient_fine"]


def write_ablations(config: dict[str, Any], results: Path, ablations: Path, resamples: int = 10000) -> None:
    """Write ``ablations.json``: for each row of ``paper/discrepancies.yaml``, the test metrics with and without it.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``.
        ablations: the file to write: ``protocol`` (the first of the config), ``seeds``, ``resamples``, ``rows``
            (``id``, ``kind``: flip, or compared for two experiments of the protocol, and ``experiments``: what
            ``effect_of`` returns for each) and ``unmeasured``, the reason for each row that is not among them.
        resamples: how often patients are drawn for the intervals.
    """
    study = Study.from_config(config)
    first = next(iter(study.protocols))
    seeds = study.seeds(first)
    rows, unmeasured = [], {}
    for row, content in read_discrepancies(DISCREPANCIES).items():
        pairs = []
        if "compared" in content:
            one, other = content["compared"]
            pairs = [(f"{one} against {other}", (first, one), (first, other))]
        elif f"{first}~{row}" in study.flips:
            changed = f"{first}~{row}"
            pairs = [(name, (first, name), (changed, name)) for name in study.ablated(changed)]
        effects = []
        for title, before, after in pairs:
            tests = [_tests(results, *place, seeds) for place in (before, after)]
            common = [seed for seed in tests[0] if seed in tests[1]]
            if common:
                old, new = ([found[seed] for seed in common] for found in tests)
                effect = effect_of(old, new, resamples, seeds[0])
                effects.append({"experiment": title, "n_seeds": len(common), **effect})
        if effects:
            rows.append({"id": row, "kind": "compared" if "compared" in content else "flip", "experiments": effects})
        else:
            why = "the runs that would tell are not among the results" if pairs else "this config does not flip it"
            unmeasured[row] = content.get("unmeasured", why)
    content = {"protocol": first, "seeds": seeds, "resamples": resamples, "rows": rows, "unmeasured": unmeasured}
    write_json(ablations, content)
    with written_whole(ablations.with_suffix(".csv")) as part:
        table_of(rows).to_csv(part, index=False, float_format="%.6g")


def table_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the effects as a table, a row for each discrepancy, experiment and metric, for people to open."""
    flat = [
        {
            "id": row["id"],
            "experiment": effect["experiment"],
            "seeds": effect["n_seeds"],
            "metric": metric,
            "published": effect["published"][metric],
            "flipped": effect["flipped"][metric],
            "difference": effect["difference"][metric],
            **dict(zip(("low", "high"), effect["interval"][metric] or (None, None), strict=True)),
        }
        for row in rows
        for effect in row["experiments"]
        for metric in METRICS
    ]
    columns = ["id", "experiment", "seeds", "metric", "published", "flipped", "difference", "low", "high"]
    return pd.DataFrame(flat, columns=columns)


def effect_of(before: list[pd.DataFrame], after: list[pd.DataFrame], resamples: int, seed: int) -> dict[str, Any]:
    """Return test metrics before and after a change, and their difference with its interval.

    Where both have the same test images, the patients drawn are the same for both; where the change is one of the
    split, each test set is drawn from by itself, and the interval is that of two samples.

    Args:
        before: test rows of ``predictions.csv``, one table a seed, sorted by path.
        after: the same with the change.
        resamples: how often patients are drawn.
        seed: of the draws.

    Returns:
        ``published`` and ``flipped`` (the means over seeds), ``difference`` (flipped minus published) and ``interval``
        (95 %, of the finite test sets), each by metric: accuracy and auroc; and ``same_test_set``.
    """
    same = before[0][SAME].equals(after[0][SAME])
    values, drawn = [], []
    for number, tables in enumerate((before, after)):
        label, patient = tables[0]["label"].to_numpy(), tables[0]["patient_fine"].to_numpy(dtype=str)
        weights = bootstrap_weights(label, patient, resamples, seed + (0 if same else number))
        values.append(_means(tables, np.ones((1, len(label)), dtype=np.int64)))
        drawn.append(_means(tables, weights))
    published, flipped = ({metric: float(found[metric][0]) for metric in METRICS} for found in values)
    return {
        "published": published,
        "flipped": flipped,
        "difference": {metric: flipped[metric] - published[metric] for metric in METRICS},
        "interval": {metric: interval(drawn[1][metric] - drawn[0][metric]) for metric in METRICS},
        "same_test_set": same,
    }


def _means(tables: list[pd.DataFrame], weights: Integers) -> Mapping[str, Numbers]:
    """The mean over seeds of each metric on each resample."""
    found = [
        replicates(table["label"].to_numpy(), table["predicted"].to_numpy(), table["probability"].to_numpy(), weights)
        for table in tables
    ]
    return {metric: np.mean([by_metric[metric] for by_metric in found], axis=0) for metric in METRICS}


def _tests(results: Path, protocol: str, experiment: str, seeds: list[int]) -> dict[int, pd.DataFrame]:
    """The test rows of the runs that are done, by seed."""
    found = {}
    for seed in seeds:
        run = layout.run(results, layout.place_of(protocol, experiment, seed))
        if (run / "run.json").exists() and read_json(run / "run.json")["status"] == "done":
            found[seed] = read_test_rows(run / "predictions.csv")
    return found
