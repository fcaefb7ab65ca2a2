"""The stage ``paper``: the paper of a config as one HTML file and as PDF."""

from pathlib import Path
from typing import Any

from cxr.files import written_whole
from cxr.paper.page import render_paper
from cxr.paper.print import write_pdf
from cxr.study.config import Study


def write_paper(config: dict[str, Any], results: Path, html: Path, pdf: Path) -> None:
    """Write the paper of a config.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``, with the results of all other stages but ``review``.
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
