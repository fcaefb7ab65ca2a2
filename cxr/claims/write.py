"""Writing ``claims.json`` and ``claims.csv``: a verdict on each claim of ``paper/claims.yaml`` under each protocol."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cxr.claims.catalogue import read_claims
from cxr.claims.shortfalls import shortfalls
from cxr.claims.verdicts import FACTORS, NOT_REPRODUCED, RESAMPLES, VERDICTS, records_of
from cxr.errors import InputError
from cxr.evaluation.results import read_results
from cxr.files import write_json, written_whole
from cxr.images.names import listed
from cxr.study.config import PAPER, Study


def write_claims(config: dict[str, Any], results: Path, claims: Path) -> None:
    """Write ``claims.json``: a verdict on every claim under every protocol.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``, with ``data``, ``preprocessing`` and ``runs``.
        claims: the file to write: ``resamples`` and ``seed`` of the intervals; ``protocols``, each with ``counts``,
            ``counts_half_tolerance`` and ``counts_double_tolerance`` of verdicts; ``provisional``, why these results
            are not yet the study's; ``unexplained``, ids of ``unexplained``; ``claims``, records of ``record_of``.

    Raises:
        InputError: ``paper/claims.yaml`` is not well formed; or results that are not provisional leave a claim neither
            reproduced nor explained.
    """
    study = Study.from_config(config)
    found = read_results(results, study, PAPER)
    records = records_of(study, found, results, read_claims(PAPER / "claims.yaml", study))
    left, provisional = unexplained(records), shortfalls(study, found)
    if left and not provisional:
        raise InputError(
            f"paper/claims.yaml: nothing explains why {listed(left)} failed to be reproduced "
            f"under '{next(iter(study.protocols))}'; name what does under explained_by, rows of "
            f"paper/discrepancies.yaml, or write an explanation."
        )
    content = {
        "resamples": RESAMPLES,
        "seed": config["seeds"][0],
        "protocols": {
            protocol: {
                f"counts{suffix}": counts_of([record["protocols"][protocol][f"verdict{suffix}"] for record in records])
                for suffix in FACTORS
            }
            for protocol in study.protocols
        },
        "provisional": provisional,
        "unexplained": left,
        "claims": records,
    }
    write_json(claims, content)
    with written_whole(claims.with_suffix(".csv")) as part:
        table_of(records).to_csv(part, index=False, float_format="%.6g")


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
                    "low": low,
                    "high": high,
                    "verdict": found["verdict"],
                    "reason": found["reason"],
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
