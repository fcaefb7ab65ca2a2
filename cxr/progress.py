"""How far a long stage has come: how many a second, and how much time is left."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)


def progress(items: Iterable[T], total: int, unit: str, label: str, every: float = 10.0) -> Iterator[T]:
    """Yield the items, and log a line every ``every`` seconds and at the end.

    Lines rather than a bar: several stages run at once and share one terminal, and logs keep them.

    Args:
        items: what is worked on.
        total: how many there are.
        unit: their name, such as ``images``.
        label: what is done with them.
        every: seconds between two lines.
    """
    start = spoke = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - spoke >= every and done < total:
            rate = done / (now - start)
            log.info(
                "%s: %d of %d %s, %.0f %s/s, %s left",
                label,
                done,
                total,
                unit,
                rate,
                unit,
                clock((total - done) / rate),
            )
            spoke = now
    seconds = time.monotonic() - start
    log.info("%s: %d %s in %s, %.0f %s/s", label, done, unit, clock(seconds), done / max(seconds, 1e-9), unit)


def clock(seconds: float) -> str:
    """Return a duration as people say it: ``41 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
