"""The page in print: the HTML page as a tagged PDF."""

import gc
import re
from pathlib import Path

import weasyprint

from cxr.files import written_whole


def write_pdf(page: str, pdf: Path) -> None:
    """Print a page as tagged PDF (PDF/UA-1) with bookmarks.

    Nothing can hover over paper: numbers lose their traces, which would take a quarter of the time.
    """
    page = re.sub(r'<(a|span) class="number"[^>]*>([^<]*)</\1>', r"\2", page)
    # Figures of the supplement show a choice of these images.
    page = re.sub(r'<ul class="image-grid".*?</ul>', "", page, flags=re.DOTALL)
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
