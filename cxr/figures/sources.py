"""Signs behind a network's name: results that were not trained here, and weights that are not the study's."""

from collections.abc import Iterable, Mapping
from typing import Any

Record = Mapping[str, Any]

TRAINED_HERE = "trained here"


def source_of(record: Record) -> str:
    """Return where a ``run.json`` says that its results come from: ``trained here`` or ``archive``."""
    return str(record.get("source", {}).get("kind", TRAINED_HERE))


def signs_of(records: Iterable[Record], everything: Iterable[Record], marks: Mapping[str, Any]) -> str:
    """Return the signs of some runs, maybe none.

    Where all results have the same source, it is said once in the text and no sign repeats it.

    Args:
        records: ``run.json`` of these runs.
        everything: ``run.json`` of all runs that are shown together.
        marks: ``marks`` of ``paper/words.yaml``.
    """
    records = list(records)
    kinds = {source_of(record) for record in everything}
    reference = len(kinds) > 1 and any(source_of(record) != TRAINED_HERE for record in records)
    stand_in = any(not record["weights"]["original"] for record in records)
    return (marks["reference"]["sign"] if reference else "") + (marks["stand_in"]["sign"] if stand_in else "")
