"""The paper as one self-contained HTML page.

The words come from ``paper/sections``, the layout from ``report_templates`` and the numbers from the result files. The
same input gives the same bytes, because nothing here reads the clock.
"""

import functools
import re
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from cxr import __version__
from cxr.errors import InputError
from cxr.evaluation.quantities import Node, counted, number
from cxr.evaluation.results import Run, measures, read_results
from cxr.figures.sources import signs_of, source_of
from cxr.files import REPOSITORY
from cxr.images.cohort import is_of_study
from cxr.paper.bibliography import Bibliography
from cxr.paper.conclusions import untested_reasons
from cxr.paper.findings import FIGURE_COLUMNS, digits_of, mean, read_findings, spans, total
from cxr.paper.fonts import font_faces
from cxr.paper.image_findings import read_image_findings
from cxr.paper.image_grid import read_image_grid
from cxr.paper.markdown import in_one_block, markdown, with_headers
from cxr.paper.outline import Outline
from cxr.paper.styles import style_sheets
from cxr.paper.svg import inline_svg
from cxr.study import layout
from cxr.study.config import PAPER, Study
from cxr.study.schemas import read_yaml, validate

TEMPLATES = REPOSITORY / "report_templates"


def render_paper(study: Study, results: Path, paper: Path = PAPER, templates: Path = TEMPLATES) -> str:
    """Return the paper as one HTML page that needs neither network nor scripts.

    Args:
        study: the config and what it names.
        results: ``results/<config name>``.
        paper: the folder of ``front_matter.yaml``, ``sections/``, ``references.bib`` and ``published/``.
        templates: the folder of the page, the macros, the style sheets and the reference style.

    Raises:
        InputError: as ``write_paper``.
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
        "markdown": markdown,
        "in_one_block": in_one_block,
        "with_headers": with_headers,
        "titled": functools.partial(_titled, {name: spec.title for name, spec in found.catalogue.experiments.items()}),
        "source": lambda run: source_of(run.record.plain()),
        "first_upper": lambda text: text[:1].upper() + text[1:],
        "mean": mean,
        "total": total,
        "spans": spans,
        "untested_reasons": untested_reasons,
    }
    environment.tests["whole"] = lambda quantity: isinstance(quantity.value, int)
    environment.tests["mapping_node"] = lambda value: isinstance(value, Node)
    cohort = found.cohort.plain()
    environment.globals |= (
        vars(found)
        | vars(findings)
        | vars(read_image_findings(results))
        | {
            "front": front,
            "words": words,
            "own_images": not (cohort["synthetic"] or is_of_study(cohort, cohort["published_counts"])),
            "findings": findings,
            "figure_columns": FIGURE_COLUMNS,
            "grid": read_image_grid(layout.figures(results) / "test_images.json"),
            "cite": references.cite,
            "ref": outline.reference,
            "item": outline.item,
            "svg": lambda name, alt: inline_svg(layout.figures(results) / name, name, alt),
            "measures": measures,
            "signs": functools.partial(_signs, found.runs, words["marks"]),
            "digits_of": digits_of,
            "claim_signs": functools.partial(_claim_signs, found.runs, words["marks"]),
            "count": counted,
        }
    )
    abstract = markdown(_rendered(environment, "abstract.md.j2"))
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
        css=style_sheets(templates, words["verdicts"]),
        # The last run's day: the paper changes when its results do.
        date=max((run.record.started[:10] for run in found.runs), default=""),
        generator=f"cxr {__version__}",
    )
    return outline.resolve(page)


def _signs(runs: Sequence[Run], marks: Mapping[str, Any], experiment: str, protocol: str | None = None) -> str:
    """Return the signs that go behind the name of an experiment, under one protocol or under all of them."""
    chosen = [run for run in runs if run.experiment == experiment and protocol in (None, run.protocol)]
    return signs_of((run.record.plain() for run in chosen), (run.record.plain() for run in runs), marks)


def _claim_signs(runs: Sequence[Run], marks: Mapping[str, Any], claim: Node, protocol: str) -> str:
    """Return the signs of all experiments that a claim's quantity names."""
    named = set(re.findall(r"'([\w-]+)'", claim.quantity or ""))
    found = "".join(_signs(runs, marks, name, protocol) for name in named)
    return "".join(mark["sign"] for mark in marks.values() if mark["sign"] in found)


def _titled(titles: Mapping[str, str], text: str) -> str:
    """Replace the ids of experiments by their titles."""
    return re.sub(r"[\w-]+", lambda match: titles.get(match[0], match[0]), text)


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
