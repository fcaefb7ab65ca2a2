"""The paper in print: its tags, its bookmarks, its pages."""

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from result_tree import write_cohort

from cxr.paper.page import TEMPLATES, render_paper
from cxr.paper.print import write_pdf


@pytest.fixture(scope="module")
def reader(pdf: Path) -> PdfReader:
    return PdfReader(pdf)


@pytest.fixture(scope="module")
def sheets(reader: PdfReader) -> list[str]:
    """The text of each page."""
    return [re.sub(r"\s+", " ", sheet.extract_text()) for sheet in reader.pages]


def tags(node: Any) -> Iterator[Any]:
    """Walk the tree of tags."""
    node = node.get_object()
    if isinstance(node, list):
        for child in node:
            yield from tags(child)
    elif isinstance(node, dict):
        if "/S" in node:
            yield node
        if "/K" in node:
            yield from tags(node["/K"])


def printed(document: str, folder: Path) -> list[str]:
    """Print HTML under the style sheets of the paper; return the text of each page."""
    css = "".join((TEMPLATES / f"{name}.css").read_text() for name in ("common", "print"))
    write_pdf(f"<!DOCTYPE html><html lang=en><title>x</title><style>{css}</style>{document}", folder / "x.pdf")
    return [sheet.extract_text() for sheet in PdfReader(folder / "x.pdf").pages]


def test_the_tags_name_headings_tables_lists_and_figures_with_their_texts(reader, page):
    root = reader.trailer["/Root"]
    assert root["/Lang"] == "en"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    found = list(tags(root["/StructTreeRoot"]))
    count = {role: sum(tag["/S"] == f"/{role}" for tag in found) for role in ("H1", "H2", "Table", "TH", "L", "Link")}
    assert count["H1"] == 1
    assert count["H2"] == len(re.findall(r"<h2\b[^>]*>(?!</h2>)", page))
    # A table that goes over pages has a tag on each.
    assert count["Table"] >= page.count("<table>") > 0
    assert min(count["TH"], count["L"], count["Link"]) > 0
    alternatives = [tag.get("/Alt") for tag in found if tag["/S"] == "/Figure"]
    assert alternatives == [html.unescape(alt) for alt in re.findall(r'<svg role="img" aria-label="([^"]*)"', page)]


def test_every_font_is_in_the_file(reader):
    for sheet in reader.pages:
        for font in sheet["/Resources"]["/Font"].values():
            (descendant,) = font.get_object()["/DescendantFonts"]
            assert "/FontFile2" in descendant.get_object()["/FontDescriptor"].get_object()


def test_the_bookmarks_are_the_headings(reader, page):
    def titles(items: list[Any]) -> Iterator[str]:
        for item in items:
            if isinstance(item, list):
                yield from titles(item)
            else:
                yield item.title

    headings = re.findall(r"<h[23][^>]*>(.+?)</h[23]>", page)
    assert list(titles(reader.outline)) == [html.unescape(re.sub(r"<[^>]*>", "", heading)) for heading in headings]


def test_pages_are_numbered_and_carry_the_running_head_and_the_mark(sheets, page):
    assert 6 <= len(sheets) <= 8, "the paper of one experiment"
    head = re.search(r'data-head="([^"]*)"', page)[1]
    mark = re.search(r'data-mark="([^"]*)"', page)[1]
    for number, text in enumerate(sheets, 1):
        assert (head in text) == (number > 1)
        assert re.search(rf"\b{number}\b", text)
        assert mark in text


def test_real_data_carry_no_mark(study, own_results, tmp_path):
    write_cohort(own_results, synthetic=False)
    shutil.rmtree(own_results / "training" / "runs")
    page = render_paper(study, own_results)
    assert "<body>" in page
    assert "data-mark=" not in re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)


def test_the_text_holds_the_numbers_of_all_tables(sheets, page):
    text = " ".join(sheets)
    tables = re.findall(r"<table>.*?</table>", page, re.DOTALL)
    numbers = {shown for table in tables for shown in re.findall(r'class="number"[^>]*>([^<]*)<', table)}
    assert len(numbers) > 20
    assert not {shown for shown in numbers if shown not in text}


def test_what_belongs_to_the_screen_is_not_printed(sheets, page):
    text = " ".join(sheets)
    parts = page[page.index('<template id="parts">') : page.index("</template>")]
    skip = re.search(r'class="skip"[^>]*>([^<]*)<', page)[1]
    assert skip not in text
    assert re.search(r"<label>([^<]*) <", parts)[1] not in text


def test_a_long_table_repeats_its_head_and_cuts_no_row(tmp_path):
    rows = "".join(f"<tr><td>begin{i}<br>middle<br>end{i}</td><td>{i}</td></tr>" for i in range(60))
    table = f"<table><thead><tr><th>Fruit</th><th>No.</th></tr></thead><tbody>{rows}</tbody></table>"
    text = "<p>" + "some words " * 200
    sheets = printed(f'<main>{text}<div class="table">{table}</div></main>', tmp_path)
    assert "begin0" in sheets[0], "it begins where it stands"
    assert len(sheets) > 3
    for sheet in sheets:
        assert sheet.count("Fruit") == 1
        assert re.findall(r"begin(\d+)", sheet) == re.findall(r"end(\d+)", sheet)


def test_a_short_table_is_kept_whole(tmp_path):
    rows = "".join(f"<tr><td>row{i}</td></tr>" for i in range(20))
    text = "<p>" + "some words " * 420
    sheets = printed(f'<main>{text}<div class="table"><table><tbody>{rows}</tbody></table></div></main>', tmp_path)
    assert [sheet.count("row") for sheet in sheets if "row" in sheet] == [20]


def test_paragraphs_leave_no_widow_and_no_orphan(tmp_path):
    lines = [f"line{i}<br>" for i in range(12)]
    for above in range(40, 52):
        sheets = printed(f"<main><div>{'x<br>' * above}</div><p>{''.join(lines)}</p></main>", tmp_path)
        parts = [sheet.count("line") for sheet in sheets if "line" in sheet]
        assert min(parts) >= 3


def test_words_that_fit_before_an_element_stay_on_their_line(tmp_path):
    """A paragraph for each width about that at which all words before the element just fit."""
    words = "J. Deng, W. Dong, R. Socher, L.-J. Li, K. Li, and L. Fei-Fei. ImageNet: a hierarchical image database."
    widths = [64 + 0.2 * step for step in range(150)]
    paragraphs = "".join(
        f'<p style="width: {width:.1f}mm; font-size: 5pt; hyphens: none">{words} <i>Proceedings</i></p>'
        for width in widths
    )
    lines = [line for sheet in printed(paragraphs, tmp_path) for line in sheet.splitlines()]
    starts = [line for line in lines if line.startswith("J.")]
    assert len(starts) == len(widths)
    # From the narrowest to the widest, all words come to stand on the first line.
    assert not starts[0].rstrip().endswith("database.") and starts[-1].rstrip().endswith("Proceedings")
    assert min(map(len, starts)) > 60


def test_an_equation_stays_on_its_line(tmp_path):
    widths = [20 + 0.5 * step for step in range(40)]
    paragraphs = "".join(f'<p style="width: {width}mm">The network ResNet-18 II, n = 10</p>' for width in widths)
    text = "\n".join(printed(paragraphs, tmp_path)).replace("\N{NO-BREAK SPACE}", " ")
    assert text.count("n = 10") == len(widths)
