"""Writing ``claims.json`` and ``claims.csv``: a verdict on each claim of ``paper/claims.yaml`` under each protocol."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cxr.claims.catalogue import read_claims
from cxr.claims.inference import ALPHA, POWER
from cxr.claims.records import KINDS, RESAMPLES, records_of
from cxr.claims.shortfalls import shortfalls
from cxr.claims.verdicts import NOT_REPRODUCED, VERDICTS
from cxr.evaluation.results import read_results
from cxr.files import write_json, written_whole
from cxr.study.config import PAPER, Study

# Columns of claims.csv that are entries of the record of a claim under a protocol.
MEASURED = (
    *("minimum_detectable_difference", "p", "p_equivalence", "p_adjusted", "p_equivalence_adjusted", "variance"),
    *("verdict", "verdict_adjusted", "distance", "reason"),
)


def write_claims(config: dict[str, Any], results: Path, claims: Path) -> None:
    """Write ``claims.json`` and, beside it, ``claims.csv``: a verdict on every claim under every protocol.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``, with ``images``, ``preprocessing``, ``training`` and ``evaluation``.
        claims: the file to write: ``resamples`` and ``seed`` of the bootstrap; ``alpha`` and ``power``, to which tests
            and detectable differences belong; ``protocols``, each with ``tests``, how many were made, and ``counts``
            of verdicts, also as ``counts_adjusted`` (p values adjusted for the number of tests),
            ``counts_half_tolerance`` and ``counts_double_tolerance``; ``provisional``, why these results are not yet
            the study's; ``unexplained``, ids of ``unexplained``; ``claims``, records of ``records_of``.

    Raises:
        InputError: ``paper/claims.yaml`` is not well formed, or the results are not whole.
    """
    study = Study.from_config(config)
    found = read_results(results, study, PAPER)
    records = records_of(study, found, results, read_claims(PAPER / "claims.yaml", study))
    content = {
        "resamples": RESAMPLES,
        "seed": config["seeds"][0],
        "alpha": ALPHA,
        "power": POWER,
        "protocols": {name: _summary([record["protocols"][name] for record in records]) for name in study.protocols},
        "provisional": shortfalls(study, found),
        "unexplained": unexplained(records),
        "claims": records,
    }
    write_json(claims, content)
    with written_whole(claims.with_suffix(".csv")) as part:
        table_of(records).to_csv(part, index=False, float_format="%.6g")


def _summary(assessed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    tests = sum(found[name] is not None for found in assessed for name in ("p", "p_equivalence"))
    counts = {f"counts{suffix}": counts_of([found[f"verdict{suffix}"] for found in assessed]) for suffix in KINDS}
    return {"tests": tests, **counts}


def table_of(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the verdicts as a table, a row for each claim and protocol, for people to open."""
    rows = []
    for record in records:
        for protocol, found in record["protocols"].items():
            relation, number = next(iter((record["claimed"] or {"": None}).items()))
            low, high = found["interval"] or (None, None)
            rows.append(
                {
                    "id": record["id"],
                    "section": record["section"] or record["notebook"],
                    "says": record["says"],
                    "claimed": relation,
                    "number": number,
                    "tolerance": record["tolerance"],
                    "protocol": protocol,
                    "value": found["value"],
                    "standard_error": found["standard_error"],
                    "low": low,
                    "high": high,
                    **{name: found[name] for name in MEASURED},
                }
            )
    return pd.DataFrame(rows)


def counts_of(verdicts: Sequence[str]) -> dict[str, int]:
    """Return how often each of ``VERDICTS`` was given."""
    times = Counter(verdicts)
    return {name: times[name] for name in VERDICTS}


def unexplained(claims: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the ids of records that are not reproduced under the first protocol, with nothing that explains it."""
    return [
        record["id"]
        for record in claims
        if next(iter(record["protocols"].values()))["verdict"] == NOT_REPRODUCED
        and not record["explained_by"]
        and not record["explanation"]
    ]
