"""Numbers of sections, figures and tables, and the references to them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markdown_it.token import Token
from markupsafe import Markup

from cxr.errors import InputError, did_you_mean
from cxr.paper.markdown import MARKDOWN


class Outline:
    """Numbers of sections, figures and tables, in the order in which they are met, and references to them by label.

    Labels begin with their kind: ``sec-``, ``fig-``, ``sup-`` (a supplementary figure), ``tab-``. A section's label
    follows from its title. The study's figures keep their numbers, and further ones follow them.
    """

    KINDS: Mapping[str, str] = {"fig": "figure", "sup": "supplement", "tab": "table"}

    def __init__(self, words: Mapping[str, Any], figures: Sequence[str]) -> None:
        """Start with nothing numbered.

        Args:
            words: ``paper/words.yaml``.
            figures: the labels of the study's figures, in the order of their numbers.
        """
        self._words, self._figures = words, list(figures)
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._sections = {False: [0, 0], True: [0, 0]}

    def item(self, label: str) -> str:
        """Give the figure or table ``label`` its number; return its name, such as ``Figure 2``."""
        kind = label.partition("-")[0]
        if kind not in self.KINDS:
            raise InputError(f"the label '{label}' must begin with one of {', '.join(self.KINDS)}.")
        if kind == "fig":
            if label not in self._figures:
                self._figures.append(label)
            count = self._figures.index(label) + 1
        else:
            count = self._counts[kind] = self._counts.get(kind, 0) + 1
        space = "" if kind == "sup" else "\N{NO-BREAK SPACE}"
        return self._add(label, f"{self._words[self.KINDS[kind]]}{space}{count}")

    def _add(self, label: str, name: str) -> str:
        if label in self._names:
            raise InputError(f"the label '{label}' is given twice; every figure, table and section needs its own.")
        self._names[label] = name
        return name

    def reference(self, label: str) -> Markup:
        """Return a link to a label that may come later; ``resolve`` fills it in."""
        return Markup('<a class="ref" href="#{}"></a>').format(label)

    def resolve(self, page: str) -> str:
        """Fill in the references of a page; numbers of runs that it has no record of lose their link.

        Raises:
            InputError: a label is not there.
        """

        def filled(match: re.Match[str]) -> str:
            label = match[1]
            if label not in self._names:
                raise InputError(f"there is no label '{label}' to refer to{did_you_mean(label, self._names)}")
            return f'<a class="ref" href="#{label}">{self._names[label]}</a>'

        page = re.sub(r'<a class="ref" href="#([^"]*)"></a>', filled, page)
        records = set(re.findall(r' id="(record-[^"]*)"', page))
        return re.sub(
            r'<a class="number" (title="[^"]*") href="#([^"]*)">([^<]*)</a>',
            lambda match: match[0] if match[2] in records else f'<span class="number" {match[1]}>{match[3]}</span>',
            page,
        )

    def numbered(self, text: str, appendix: bool) -> Markup:
        """Turn the Markdown of a section into HTML with numbered headings; ``#`` becomes ``h2``.

        Appendices are numbered with letters.
        """
        tokens = MARKDOWN.parse(text)
        for opening, content, closing in zip(tokens, tokens[1:], tokens[2:], strict=False):
            if opening.type != "heading_open":
                continue
            level = int(opening.tag[1])
            first, second = self._sections[appendix]
            self._sections[appendix] = [first + 1, 0] if level == 1 else [first, second + 1]
            first, second = self._sections[appendix]
            sign = (chr(ord("A") + first - 1) if appendix else str(first)) + (f".{second}" if level > 1 else "")
            title = re.sub(r"<[^>]*>", "", content.content)
            label = "sec-" + re.sub(r"\W+", "-", title.lower()).strip("-")
            self._add(label, f"{self._words['appendix' if appendix else 'section']}\N{NO-BREAK SPACE}{sign}")
            opening.tag = closing.tag = f"h{level + 1}"
            opening.attrSet("id", label)
            mark = Token("html_inline", "", 0, content=f'<span class="sign">{sign}</span> ')
            content.children = [mark, *(content.children or [])]
        return Markup(MARKDOWN.renderer.render(tokens, MARKDOWN.options, {}))
