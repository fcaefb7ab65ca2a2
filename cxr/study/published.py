"""Which of the study's printed numbers belong to an experiment."""

from collections.abc import Mapping, Sequence
from typing import Any


def printed_row(selector: Mapping[str, Any] | None, rows: Sequence[Any]) -> Any:
    """Return the row of a file of ``paper/published/`` that belongs to an experiment, or None.

    Args:
        selector: ``published`` of the experiment: ``architecture``, ``experiment``, perhaps ``hidden_units``; a row
            belongs to it if it agrees in all that is given.
        rows: ``metrics`` of ``results.json``, or ``curves.json``, as plain dictionaries or as nodes.
    """
    if selector is None:
        return None
    return next((row for row in rows if all(row[key] == selector[key] for key in selector)), None)
