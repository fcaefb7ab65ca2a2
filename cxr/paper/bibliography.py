"""References: numbered in the order in which the text cites them, formatted by citeproc from a BibTeX file."""

import itertools
import re
from pathlib import Path

from citeproc import Citation, CitationItem, CitationStylesBibliography, CitationStylesStyle, formatter
from citeproc.source.bibtex import BibTeX
from markupsafe import Markup

from cxr.errors import InputError, did_you_mean


class Bibliography:
    """The works that a text cites.

    Args:
        references: the ``.bib`` file, UTF-8.
        style: a CSL style for the entries of the list.
    """

    def __init__(self, references: Path, style: Path) -> None:
        """Read the references; none is cited yet."""
        self._path = references
        self._source = BibTeX(str(references), encoding="utf-8")
        self._style = CitationStylesStyle(str(style), validate=False)
        self._numbers: dict[str, int] = {}

    def cite(self, *keys: str) -> Markup:
        """Return ``[1, 5-7]``, each number a link to its entry; a work cited for the first time gets the next number.

        Raises:
            InputError: a key is not in the ``.bib`` file.
        """
        for key in keys:
            if key not in self._source:
                raise InputError(f"{self._path} has no entry '{key}'{did_you_mean(key, self._source)}")
            self._numbers.setdefault(key, len(self._numbers) + 1)
        cited = {self._numbers[key]: key for key in keys}
        # Neighbours share the same difference of number and rank.
        runs = itertools.groupby(enumerate(sorted(cited)), lambda pair: pair[1] - pair[0])
        parts = []
        for _, pairs in runs:
            numbers = [number for _, number in pairs]
            ends = numbers if len(numbers) < 3 else [numbers[0], numbers[-1]]
            links = [Markup('<a href="#ref-{}">{}</a>').format(cited[number], number) for number in ends]
            parts.append(Markup(", " if len(numbers) < 3 else "\N{EN DASH}").join(links))
        return Markup("[{}]").format(Markup(", ").join(parts))

    def entries(self) -> list[tuple[str, Markup]]:
        """Return key and formatted entry of every cited work, in the order of their numbers."""
        if not self._numbers:
            return []
        cited = CitationStylesBibliography(self._style, self._source, formatter.html)
        cited.register(Citation([CitationItem(key) for key in self._numbers]))
        return [(key, _finished(str(entry))) for key, entry in zip(self._numbers, cited.bibliography(), strict=True)]


def _finished(entry: str) -> Markup:
    """Keep initials on the line of their name, a question mark without a full stop, and make the DOI a link."""
    entry = re.sub(r"\b([A-Z]\.) ", "\\1\N{NO-BREAK SPACE}", entry).replace("?.", "?")
    return Markup(re.sub(r"(https://doi\.org/[^\s<]+?)(?=\.?$)", r'<a href="\1">\1</a>', entry))
