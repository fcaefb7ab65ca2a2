"""Numbers that know the file and the key they came from, and the one filter that prints them."""

import math
import re
from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass
from functools import total_ordering
from typing import Any, Union

from markupsafe import Markup

from cxr.errors import InputError, did_you_mean

MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"

# Where a source or a key tells which runs a number comes from: protocol and experiment.
RUN = re.compile(r"^\w+/runs/([\w~-]+)/([\w-]+)/")
EXPERIMENT = re.compile(r"protocols\.([\w-]+)\.experiments\.([\w-]+)")

Number = Union["Quantity", int, float]


@total_ordering
@dataclass(frozen=True, eq=False)
class Quantity:
    """A number and where it comes from; differences, sums, products and quotients remember both of their sources.

    It has no text of its own: only the filter ``number`` turns it into text, so that no number reaches the paper
    without its trace.

    Attributes:
        value: the number, never NaN or infinite.
        source: the file, as a path relative to the results or to the repository; several are joined by ``"; "``.
        key: the key in that file, such as ``test.classes.PNEUMONIA.recall``, or an expression of keys.
    """

    value: int | float
    source: str
    key: str

    def __str__(self) -> str:
        raise InputError(f"{self.key} of {self.source} is printed bare; write {{{{ ... | number }}}}.")

    __html__ = __str__

    def __format__(self, _: str) -> str:
        return str(self)

    def __hash__(self) -> int:
        return hash(self.value)

    def __eq__(self, other: object) -> bool:
        return self.value == (other.value if isinstance(other, Quantity) else other)

    def __lt__(self, other: Number) -> bool:
        return self.value < _value(other)

    def __neg__(self) -> "Quantity":
        return Quantity(-self.value, self.source, f"{MINUS}{self.key}")

    def __abs__(self) -> "Quantity":
        return Quantity(abs(self.value), self.source, f"|{self.key}|")

    def __add__(self, other: Number) -> "Quantity":
        return self._joined(self.value + _value(other), "+", other)

    def __sub__(self, other: Number) -> "Quantity":
        return self._joined(self.value - _value(other), MINUS, other)

    def __mul__(self, other: Number) -> "Quantity":
        return self._joined(self.value * _value(other), TIMES, other)

    def __truediv__(self, other: Number) -> "Quantity":
        return self._joined(self.value / _value(other), "/", other)

    def _joined(self, value: int | float, sign: str, other: Number) -> "Quantity":
        if not isinstance(other, Quantity):
            return Quantity(value, self.source, f"({self.key} {sign} {other})")
        sources = dict.fromkeys([*self.source.split("; "), *other.source.split("; ")])
        return Quantity(value, "; ".join(sources), f"({self.key} {sign} {other.key})")


def _value(number: Number) -> int | float:
    return number.value if isinstance(number, Quantity) else number


def number(
    quantity: Any, digits: int | None = None, percent: bool = False, signed: bool = False, grouped: bool = True
) -> Markup:
    """The filter through which every number reaches the text: ``{{ run.record.seed | number }}``.

    Args:
        quantity: what to print.
        digits: places after the point; without it integers are printed whole, others with up to six digits.
        percent: print a fraction as per cent.
        signed: print a plus or minus sign.
        grouped: separate thousands by commas (not for seeds and years).

    Returns:
        A ``span`` whose ``title`` holds the unrounded value, the file and the key; a link to the run's record in place
        of it where the number is of one experiment under one protocol.

    Raises:
        InputError: ``quantity`` is no ``Quantity``, for instance null in its file.
    """
    if not isinstance(quantity, Quantity):
        raise InputError(f"the filter 'number' prints numbers of result files only, but was given {quantity}.")
    value = quantity.value * 100 if percent else quantity.value
    if digits is not None:
        # -0.0004 at three digits is 0.000, without a sign.
        value = round(value, digits) + 0.0
    shape = ("+" if signed and value else "") + ("," if grouped else "")
    text = f"{value:{shape}.{digits}f}" if digits is not None else f"{value:{shape}{_general(value)}}"
    text = text.replace("-", MINUS) + ("%" if percent else "")
    trace = f"{quantity.value!r} · {quantity.source} · {quantity.key}"
    run = RUN.search(quantity.source) or EXPERIMENT.match(quantity.key)
    if run and ";" not in quantity.source:
        return Markup('<a class="number" title="{}" href="#{}">{}</a>').format(trace, record_label(*run.groups()), text)
    return Markup('<span class="number" title="{}">{}</span>').format(trace, text)


def record_label(protocol: str, experiment: str) -> str:
    """Return the label of the record of the runs of an experiment under a protocol."""
    return f"record-{protocol}-{experiment}"


def _general(value: int | float) -> str:
    return "d" if isinstance(value, int) else ".6g"


class Node:
    """A mapping of a JSON, YAML or CSV file, read by attribute or item: mappings are nodes, numbers quantities.

    Lists become tuples; text, booleans and null stay as they are. A key that is not there raises ``InputError``, which
    names the file and the key.
    """

    def __init__(self, content: Mapping[str, Any], source: str, key: str = "") -> None:
        """Wrap ``content``, which stands at ``key`` (empty for the whole) of the file ``source``."""
        self._content, self._source, self._key = content, source, key

    def __getitem__(self, name: str) -> Any:
        if name not in self._content:
            known = [str(key) for key in self._content]
            hint = did_you_mean(name, known) or f"; there are {', '.join(known)}."
            raise InputError(f"{self._source} has no key '{_key(self._key, name)}'{hint}")
        return quantities(self._content[name], self._source, _key(self._key, name))

    def __getattr__(self, name: str) -> Any:
        # Python and Jinja probe for special names, which no file has.
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __contains__(self, name: str) -> bool:
        return name in self._content

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def plain(self) -> Mapping[str, Any]:
        """Return the mapping as it is in the file."""
        return self._content

    def items(self) -> list[tuple[str, Any]]:
        """Return the pairs of key and wrapped value, in the file's order."""
        return [(name, self[name]) for name in self._content]


def _key(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def quantities(content: Any, source: str, key: str = "") -> Any:
    """Wrap what a file holds at ``key``: mappings as ``Node``, lists as tuples, numbers as ``Quantity``.

    Raises:
        InputError: a number is NaN or infinite.
    """
    if isinstance(content, Mapping):
        return Node(content, source, key)
    if isinstance(content, list | tuple):
        return tuple(quantities(item, source, f"{key}[{index}]") for index, item in enumerate(content))
    if isinstance(content, bool) or not isinstance(content, int | float):
        return content
    if not math.isfinite(content):
        raise InputError(f"{source}: '{key}' is {content}; make this file again.")
    return Quantity(content, source, key)


def counted(things: Sized, source: str) -> Quantity:
    """Return how many ``things`` there are, as a quantity whose source is told in words."""
    return Quantity(len(things), source, "count")
