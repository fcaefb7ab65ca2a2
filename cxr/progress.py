"""Log how far a long stage has come."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)


def progress(items: Iterable[T], total: int, unit: str, label: str, every: float = 10.0) -> Iterator[T]:
    """Yield the items, and log the rate and the time left every ``every`` seconds and at the end.

    tqdm draws a bar that overwrites itself, which neither log files nor stages that share one terminal can show; so
    this logs lines.

    Args:
        items: what the caller iterates over.
        total: number of items.
        unit: what the items are, such as ``images``.
        label: name of the work, which begins each line.
        every: seconds between two lines.
    """
    start = logged = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - logged >= every and done < total:
            rate = done / (now - start)
            left = clock((total - done) / rate)
            log.info("%s: %d of %d %s, %.0f %s/s, %s left", label, done, total, unit, rate, unit, left)
            logged = now
    seconds = time.monotonic() - start
    log.info("%s: %d %s in %s, %.0f %s/s", label, done, unit, clock(seconds), done / max(seconds, 1e-9), unit)


def clock(seconds: float) -> str:
    """Return a duration as text: ``41 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
