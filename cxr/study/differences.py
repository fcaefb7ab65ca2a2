"""Where two contents of JSON files differ."""

from collections.abc import Mapping, Sequence
from typing import Any

TOLERANCE = 1e-12


def first_difference(expected: Any, found: Any, place: str = "", ignored: Sequence[str] = ()) -> str | None:
    """Return where two contents of JSON first differ, in words, or None; numbers may differ by ``TOLERANCE``.

    Args:
        expected: dictionaries, lists, numbers and strings.
        found: what is compared with it.
        place: what the sentence calls the contents, such as ``settings``.
        ignored: keys of the outermost dictionary that are not compared.
    """
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        keys = [key for key in {**expected, **found} if key not in ignored]
        pairs = [(str(key), expected.get(key, "absent"), found.get(key, "absent")) for key in keys]
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = [(str(index), *pair) for index, pair in enumerate(zip(expected, found, strict=True))]
    else:
        numbers = all(isinstance(value, (int, float)) for value in (expected, found))
        same = abs(expected - found) <= TOLERANCE if numbers else expected == found
        return None if same else f"{place or 'content'} is {_short(found)} instead of {_short(expected)}"
    inner = (first_difference(old, new, f"{place}.{key}".lstrip(".")) for key, old, new in pairs)
    return next((difference for difference in inner if difference), None)


def _short(value: Any, limit: int = 60) -> str:
    text = str(value)
    return text if len(text) <= limit else f"{text[:limit]}..."
