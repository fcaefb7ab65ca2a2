"""The paper: one self-contained HTML file, and the same file printed as PDF.

The words are in ``paper/sections``, the look is in ``report_templates``, the numbers are in the result files, and this
module joins them. Equal inputs give equal bytes: no clock is read.
"""

import base64
import functools
import gc
import io
import re
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import weasyprint
from fontTools import subset  # type: ignore[import-untyped]
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from cxr import __version__
from cxr.errors import InputError, did_you_mean
from cxr.evaluation.quantities import Node, counted, number
from cxr.evaluation.results import measures, read_results
from cxr.figures.palette import INK
from cxr.files import REPOSITORY, written_whole
from cxr.paper.bibliography import Bibliography
from cxr.paper.findings import FIGURE_COLUMNS, mean, read_findings, total
from cxr.study import layout
from cxr.study.config import PAPER, Study
from cxr.study.schemas import read_yaml, validate

TEMPLATES = REPOSITORY / "report_templates"

MARKDOWN = MarkdownIt("commonmark", {"html": True, "typographer": True})
MARKDOWN.enable(["table", "replacements", "smartquotes"])

# Fonts that matplotlib brings along: STIX (SIL Open Font License) for the text, DejaVu for digests and keys.
FONTS = (
    ("Paper", "normal", 400, "STIXGeneral.ttf"),
    ("Paper", "italic", 400, "STIXGeneralItalic.ttf"),
    ("Paper", "normal", 700, "STIXGeneralBol.ttf"),
    ("Paper Mono", "normal", 400, "DejaVuSansMono.ttf"),
)
# Latin with its accents, Greek, punctuation, arrows, mathematical operators and the signs of verdicts.
CHARACTERS = [
    *(*range(0x20, 0x180), *range(0x391, 0x3CA), *range(0x2010, 0x2050), *range(0x2190, 0x2194)),
    *(0x2212, 0x2248, 0x2260, 0x2264, 0x2265, 0x2713),
]


def write_report(config: dict[str, Any], results: Path, html: Path, pdf: Path) -> None:
    """Write the paper of a config.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``, with ``data``, ``preprocessing``, ``runs`` and ``figures``.
        html: the page to write.
        pdf: the same page in print.

    Raises:
        InputError: a file, a key, a label or a reference that the text names is not there, a number is printed
            without the filter ``number``, or a run was made with settings other than the config's.
    """
    page = render_paper(Study.from_config(config), results)
    with written_whole(html) as part:
        part.write_text(page, encoding="utf-8")
    write_pdf(page, pdf)


def render_paper(study: Study, results: Path, paper: Path = PAPER, templates: Path = TEMPLATES) -> str:
    """Return the paper as one HTML page that needs neither network nor scripts.

    Args:
        study: the config and what it names.
        results: ``results/<config name>``.
        paper: the folder of ``front_matter.yaml``, ``sections/``, ``references.bib`` and ``published/``.
        templates: the folder of the page, the macros, the style sheets and the reference style.

    Raises:
        InputError: as ``write_report``.
    """
    front = read_yaml(paper / "front_matter.yaml")
    words = read_yaml(paper / "words.yaml")
    validate(words, "words", str(paper / "words.yaml"))
    found = read_results(results, study, paper)
    findings = read_findings(results, paper, found)
    outline = Outline(words, front["figures"])
    references = Bibliography(paper / "references.bib", templates / "numeric.csl")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([paper / "sections", templates]),
        undefined=jinja2.StrictUndefined,
        finalize=_text_only,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "markdown": _markdown,
        "in_one_block": _in_one_block,
        "with_headers": _with_headers,
        "first_upper": lambda text: text[:1].upper() + text[1:],
        "mean": mean,
        "total": total,
    }
    environment.tests["mapping_node"] = lambda value: isinstance(value, Node)
    environment.globals |= (
        vars(found)
        | vars(findings)
        | {
            "front": front,
            "words": words,
            "findings": findings,
            "figure_columns": FIGURE_COLUMNS,
            "cite": references.cite,
            "ref": outline.reference,
            "item": outline.item,
            "svg": lambda name, alt: inline_svg(layout.figures(results) / name, name, alt),
            "measures": measures,
            "count": counted,
        }
    )
    abstract = _markdown(_rendered(environment, "abstract.md.j2"))
    body = {
        part: [outline.numbered(_rendered(environment, f"{name}.md.j2"), part == "appendices") for name in front[part]]
        for part in ("sections", "appendices")
    }
    page = _rendered(
        environment,
        "page.html.j2",
        abstract=abstract,
        **body,
        references=references.entries(),
        fonts=Markup(font_faces()),
        css={media: Markup((templates / f"{media}.css").read_text()) for media in ("common", "screen", "print")},
        # The last run's day: the paper changes when its results do.
        date=max((run.record.started[:10] for run in found.runs), default=""),
        generator=f"cxr {__version__}",
    )
    return outline.resolve(page)


def write_pdf(page: str, pdf: Path) -> None:
    """Print a page as tagged PDF (PDF/UA-1) with bookmarks.

    Nothing can hover over paper: numbers lose their traces, which would take a quarter of the time.
    """
    page = re.sub(r'<(a|span) class="number"[^>]*>([^<]*)</\1>', r"\2", page)
    # Where the words before an element fit on a line but for the space after them, WeasyPrint 70 breaks the line at its
    # first word; a space on its own may hang over the edge.
    page = re.sub(r"(?<=[^\s>]) (?=<(?:a|b|code|em|i|span|strong)\b)", "<span> </span>", page)
    # An equation stays on its line.
    page = re.sub(r"\bn = (?=\d)", "n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}", page)
    # Looking for garbage among a page's million boxes takes a seventh of the time, and hardly any is found.
    gc.disable()
    try:
        with written_whole(pdf) as part:
            weasyprint.HTML(string=page).write_pdf(part, pdf_variant="pdf/ua-1")
    finally:
        gc.enable()


def _rendered(environment: jinja2.Environment, name: str, **context: Any) -> str:
    try:
        return environment.get_template(name).render(context)
    except (InputError, jinja2.TemplateError) as error:
        if isinstance(error, jinja2.TemplateSyntaxError):
            place = f"{error.filename or name}, line {error.lineno}"
        else:
            lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
            place = f"{lines[-1].filename}, line {lines[-1].lineno}" if lines else name
        raise InputError(f"{place}: {error}") from error


@jinja2.pass_eval_context
def _text_only(_: Any, value: Any) -> Any:
    """Refuse to print what is not text; numbers become text by the filter ``number`` alone.

    Were it not for the context, which keeps Jinja from asking ahead of time, a number typed into an expression would
    come as text. Apostrophes of the files become those of print; Markdown sees to its own.
    """
    if isinstance(value, str) and not isinstance(value, Markup):
        return re.sub(r"(?<=\w)'(?=\w)", "\N{RIGHT SINGLE QUOTATION MARK}", value)
    if isinstance(value, str | jinja2.Undefined):
        return value
    raise InputError(f"{value!r} is printed bare; write {{{{ ... | number }}}} for a number of a result file.")


def _markdown(text: str, inline: bool = False) -> Markup:
    return Markup(MARKDOWN.renderInline(text.strip()) if inline else MARKDOWN.render(text))


def _in_one_block(html: str) -> Markup:
    """Drop empty lines, at which Markdown would take an HTML block to end."""
    return Markup("\n\n" + re.sub(r"\n\s*\n", "\n", html.strip()) + "\n\n")


def _with_headers(table: str) -> Markup:
    """Mark the head of each column and, but in columns of numbers, of each row; an empty head is a plain cell."""
    table = re.sub(r"<th( style=\"[^\"]*\")?></th>", r"<td\1></td>", table)
    table = table.replace("<th>", '<th scope="col">').replace("<th ", '<th scope="col" ')
    return Markup(re.sub(r'<tr>\n<td( style="text-align:left")?>(.+?)</td>', r'<tr>\n<th scope="row"\1>\2</th>', table))


class Outline:
    """Numbers of sections, figures and tables, in the order in which they are met, and references to them by label.

    Labels begin with their kind: ``sec-``, ``fig-``, ``sup-`` (a supplementary figure), ``tab-``. A section's label
    follows from its title. Figures have the numbers of the study's.
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
                hint = did_you_mean(label, self._figures) or "; give supplementary figures labels with sup-."
                raise InputError(f"front_matter.yaml has no figure '{label}'{hint}")
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


def inline_svg(path: Path, name: str, alt: str) -> Markup:
    """Return an SVG to stand in a page: ids made unique by ``name``, ink in the colour of the text, ``alt`` as title.

    Raises:
        InputError: the file does not exist.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; draw the figures first.")
    prefix = re.sub(r"\W+", "-", name.removesuffix(".svg"))
    drawing = path.read_text(encoding="utf-8")
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing[drawing.index("<svg") :], flags=re.DOTALL)
    drawing = re.sub(r'( id="|href="#|url\(#)', rf"\1{prefix}-", drawing).replace(INK, "currentColor")
    # Style sheets and declarations of a drawing would act on, or be read as those of, the page: attributes are not.
    drawing = re.sub(r"<style.*?</style>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r' style="([^"]*)"', _attributes, drawing)
    # HTML wants each attribute once, and paths with data.
    drawing = re.sub(r"<path(?![^>]* d=)([^>]*)/>", r'<path\1 d="M0 0"/>', drawing)
    # WeasyPrint shows pixels as they are for any word but auto, browsers for the style sheet's.
    drawing = re.sub(r' image-rendering="[^"]*"', "", drawing)
    drawing = drawing.replace("<image ", '<image image-rendering="optimizeSpeed" ')
    root = f'<svg role="img" aria-label="{escape(alt)}" stroke-linejoin="round" stroke-linecap="butt"'
    return Markup(
        re.sub(r"<svg([^>]*)>", lambda match: f"{root}{match[1]}><title>{escape(alt)}</title>", drawing, count=1)
    )


def _attributes(style: re.Match[str]) -> str:
    declarations = (part.partition(":") for part in style[1].split(";") if part.strip())
    return "".join(f' {name.strip()}="{value.strip()}"' for name, _, value in declarations)


@functools.cache
def font_faces() -> str:
    """Return CSS that embeds the fonts, reduced to ``CHARACTERS``, as WOFF2.

    The fonts' own names are left out, as their licence wants of a changed font; copyright and licence stay.
    """
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    faces = []
    for family, style, weight, file in FONTS:
        options = subset.Options(flavor="woff2", name_IDs=[0, 13, 14], layout_features=["kern", "liga"])
        options.drop_tables += ["FFTM"]
        font = subset.load_font(str(folder / file), options)
        reducer = subset.Subsetter(options)
        reducer.populate(unicodes=CHARACTERS)
        reducer.subset(font)
        buffer = io.BytesIO()
        subset.save_font(font, buffer, options)
        data = base64.b64encode(buffer.getvalue()).decode()
        faces.append(
            f'@font-face {{ font-family: "{family}"; font-style: {style}; font-weight: {weight}; '
            f'src: url("data:font/woff2;base64,{data}") format("woff2"); }}\n'
        )
    return "".join(faces)
