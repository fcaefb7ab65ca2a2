"""Numbers and lists in the sentences that say what figures show."""

from collections.abc import Sequence


def fraction(value: float, digits: int = 3, sign: bool = False) -> str:
    """A number with so many digits behind its point, and with a minus that is one; nothing is minus zero."""
    text = f"{abs(value):.{digits}f}"
    zero = not text.strip("0.")
    return ("" if zero else "\N{MINUS SIGN}" if value < 0 else "+" if sign else "") + text


def three_digits(value: float) -> str:
    """A probability or a loss with three digits, which is 0 or 1 only where it is exactly that."""
    if 0 < value < 0.0005:
        return "< 0.001"
    return "> 0.999" if 0.9995 <= value < 1 else fraction(value)


def joined(names: Sequence[str], limit: int = 4) -> str:
    """``a``, ``a and b``, ``a, b and c``; after ``limit`` names, ``and 5 more``."""
    shown = list(names[:limit])
    if len(names) > limit:
        shown.append(f"{len(names) - limit} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def part_of(count: int, whole: int, noun: str) -> str:
    """``no network``, ``the one network``, ``all 22 networks``, ``3 of 22 networks``."""
    if count == 0:
        return f"no {noun}"
    if whole == 1:
        return f"the one {noun}"
    return f"all {whole} {noun}s" if count == whole else f"{count} of {whole} {noun}s"


def of_seeds(seeds: Sequence[int]) -> str:
    """``one seed`` or ``mean of 5 seeds``."""
    return "one seed" if len(seeds) == 1 else f"mean of {len(seeds)} seeds"
