"""Drawings inside the page."""

import re
from pathlib import Path

from markupsafe import Markup, escape

from cxr.errors import InputError
from cxr.figures.palette import INK


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
