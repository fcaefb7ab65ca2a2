import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pypdf import PdfReader
from result_tree import PAPER, make_study, rescore, write_cohort, write_run, write_tree

from cxr.errors import InputError
from cxr.report import inline_svg, render_paper, write_pdf
from cxr.study import Study

RUN = "runs/published/custom/seed-42"
CUSTOM = {"architecture": "custom_cnn", "experiment": "custom"}

# Names that hold a digit: networks, a data digest, a score, image formats.
NAMES = r"ResNet-18|DenseNet-121|SHA-256|F1"


def words(html: str) -> str:
    html = re.sub(r"<(style|svg)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", html))


class Elements(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_the_sections_hold_no_number_typed_by_hand():
    for path in sorted((PAPER / "sections").iterdir()):
        text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)
        typed = re.findall(r".*\d.*", re.sub(NAMES, "", text))
        assert not typed, f"{path.name}: {typed}"


def test_templates_hold_neither_words_nor_numbers_of_the_paper():
    for path in sorted((PAPER.parent / "report_templates").glob("*.j2")):
        text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|<[^>]*>", " ", path.read_text(), flags=re.DOTALL)
        assert not re.findall(r"[A-Za-z0-9]{2,}", text), path.name


def test_the_tables_hold_the_numbers_of_the_metrics(page, results):
    test = json.loads((results / RUN / "metrics.json").read_text())["test"]
    table = re.search(r'id="tab-results".*?</table>', page, re.DOTALL)[0]
    row = next(row for row in table.split("<tr>") if "as published" in row)
    pneumonia, normal = test["classes"]["PNEUMONIA"], test["classes"]["NORMAL"]
    expected = [test["accuracy"], test["auroc"], pneumonia["recall"], normal["recall"], pneumonia["precision"]]
    expected += [normal["precision"], pneumonia["f1"], normal["f1"]]
    shown = re.findall(r'class="number" title="(.*?) · (.*?) · (.*?)">(.*?)<', row)
    assert [text for _, _, _, text in shown] == [f"{value:.3f}" for value in expected]
    assert {source for _, source, _, _ in shown} == {f"{RUN}/metrics.json"}
    printed = next(row for row in table.split("<tr>") if "printed</td>" in row)
    assert re.findall(r">([\d.]+)</span>", printed)[:3] == ["0.844", "0.984", "0.636"]


def test_changing_one_prediction_changes_the_paper(study, own_results, page):
    predictions = own_results / RUN / "predictions.csv"
    rows = list(csv.DictReader(predictions.open()))
    wrong = next(row for row in rows if row["set"] == "test" and row["label"] == "0" and row["predicted"] == "1")
    wrong |= {"predicted": "0", "probability": "0.4"}
    with predictions.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    before = json.loads((own_results / RUN / "metrics.json").read_text())["test"]["accuracy"]
    rescore(own_results, own_results / RUN, CUSTOM)
    changed = words(render_paper(study, own_results))
    assert f"an accuracy of {before:.3f}" in words(page)
    assert f"an accuracy of {before + 1 / 160:.3f}" in changed


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("{{ runs[0].metrics.test.accuracy }}", r"conclusion.md.j2, line \d+: .*is printed bare"),
        ("{{ 0.84 }}", "0.84 is printed bare"),
        ("{{ none }}", "None is printed bare"),
        ("{{ runs[0].metrics.test.acuracy | number(3) }}", "metrics.json has no key 'test.acuracy'; did you mean 'acc"),
        ("{{ runs[0].metrix.test }}", r"conclusion.md.j2, line \d+: .*no attribute 'metrix'"),
        ("{{ accuracy | number(3) }}", "'accuracy' is undefined"),
        ("{{ ref('fig-transform') }}", "there is no label 'fig-transform' to refer to; did you mean 'fig-transforms'"),
        ("{{ item('fig-transforms') }}", "the label 'fig-transforms' is given twice"),
        ("{{ item('plot-x') }}", "'plot-x' must begin with one of fig, tab"),
        ("{{ cite('he2015') }}", "references.bib has no entry 'he2015'"),
        ("{{ svg('nowhere.svg', 'x') }}", "nowhere.svg does not exist; draw the figures first"),
        ("# Methods", "the label 'sec-methods' is given twice"),
        ("{{ ", r"conclusion.md.j2, line \d+:"),
    ],
)
def test_what_is_not_there_or_not_allowed_stops_the_paper(study, results, own_paper, added, message):
    section = own_paper / "sections" / "conclusion.md.j2"
    section.write_text(section.read_text() + f"\n{added}\n")
    with pytest.raises(InputError, match=message):
        render_paper(study, results, paper=own_paper)


def test_the_page_stands_alone(page, results):
    elements = Elements(page).found
    assert not [tag for tag, _ in elements if tag in ("script", "link", "iframe", "img", "object")]
    for tag, attributes in elements:
        for name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            address = attributes.get(name) or "#"
            allowed = ("#", "data:", "https://doi.org/") if tag == "a" else ("#", "data:")
            assert address.startswith(allowed), address
    addresses = re.findall(r"url\(\s*[\"']?([^\"')]{1,40})|@import", page)
    assert all(address.startswith(("#", "data:font/woff2;base64,")) for address in addresses)
    assert str(results.parent) not in page


def test_ids_are_unique_and_every_link_inside_the_page_has_its_target(page):
    elements = Elements(page).found
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [a.get("href") or a.get("xlink:href") or "" for _, a in elements]
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", page)) <= set(ids)
    assert 'class="ref" href="#fig-transforms">Figure\N{NO-BREAK SPACE}1</a>' in page


def test_figures_tables_and_sections_are_numbered_in_their_order(page):
    signs = re.findall(r'<(?:figcaption|caption)><span class="sign">(\w+)\N{NO-BREAK SPACE}(\d+)\.</span>', page)
    for kind in ("Figure", "Table"):
        numbers = [int(sign) for name, sign in signs if name == kind]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= 3
    headings = re.findall(r'<h[23] id="sec-[^"]*"><span class="sign">([^<]*)</span> ([^<]*)', page)
    assert [f"{sign} {title.strip()}" for sign, title in headings if "." not in sign] == [
        *("1 Introduction", "2 Related work", "3 Methods", "4 Results", "5 Discussion", "6 Conclusion"),
        *("A Coverage", "B Provenance", "C Data sheet"),
    ]


def test_synthetic_data_are_declared_on_the_title_page_in_every_caption_and_in_the_text(page):
    assert page.count('<p class="banner"') == 1
    assert page.index('<p class="banner"') < page.index('<section class="abstract">')
    captions = re.findall(r"<(?:figcaption|caption)>.*?</(?:figcaption|caption)>", page, re.DOTALL)
    assert [words(caption) for caption in captions if 'class="synthetic"' not in caption] == [
        "Table 4. The trainings of the study."
    ]
    assert "The images are synthetic phantoms" in page


def test_real_data_are_not_called_synthetic(study, own_results):
    write_cohort(own_results, synthetic=False)
    rescore(own_results, own_results / RUN, CUSTOM)
    shutil.rmtree(own_results / "preprocessing")
    real = words(render_paper(study, own_results)).lower()
    assert "synthetic" not in real and "phantom" not in real
    assert "that accuracy is" in real


def test_warnings_about_the_data_are_shown(page):
    assert words(page).count("test/NORMAL holds 114 images; the study had 234.") == 2


def test_the_paper_names_what_was_not_run(study, own_results):
    shutil.rmtree(own_results / "runs")
    partial = words(render_paper(study, own_results))
    assert "No training has been run yet" in partial
    assert "these runs, which have not been made: Custom CNN (runs/published/custom/seed-42)." in partial


def test_sentences_follow_the_results(study, own_results, page):
    metrics = own_results / RUN / "metrics.json"
    content = json.loads(metrics.read_text())
    content["test"]["accuracy"] = 270 / 320
    metrics.write_text(json.dumps(content))
    assert "This is the printed value, 0.844, to the last place shown" in words(render_paper(study, own_results))
    content["test"]["accuracy"] = 0.9
    metrics.write_text(json.dumps(content))
    assert "This is 0.056 above the printed 0.844" in words(render_paper(study, own_results))
    assert "below the printed 0.844" in words(page)


def test_every_run_of_every_protocol_and_seed_finds_its_room(tmp_path):
    base = make_study(seeds=[1, 2])
    catalogue = json.loads(json.dumps(base.catalogue))
    catalogue["experiments"]["wide"] = catalogue["experiments"]["custom"] | {"title": "Wide CNN"}
    del catalogue["experiments"]["wide"]["published"]
    published = base.protocols["published"]
    protocols = {"published": published, "other": {**published, "title": "other way"}}
    study = Study({**base.config, "experiments": ["custom", "wide"]}, catalogue, protocols)
    write_tree(tmp_path, study)
    shutil.rmtree(tmp_path / "runs/other/wide/seed-2")
    page = render_paper(study, tmp_path)
    headings = re.findall(r"<h3[^>]*>(.*?)</h3>", page)
    shown = [words(heading) for heading in headings if "seed" in heading]
    assert shown == ["4.1 Custom CNN (as published, seed 1)"], (
        "in detail: first protocol and seed, with a printed result"
    )
    assert "Wide CNN (runs/other/wide/seed-2)" in words(page)
    table = re.search(r'id="tab-results".*?</table>', page, re.DOTALL)[0]
    rows = [words(row).strip() for row in table.split("<tr>")[2:]]
    variants = ["as published, seed 1", "as published, seed 2", "other way, seed 1", "other way, seed 2"]
    assert len(rows) == 8
    assert rows[0].startswith("Custom CNN printed") and rows[5].startswith("Wide CNN as published, seed 1")
    assert all(variant in row for variant, row in zip(variants, rows[1:5], strict=True))
    runs = re.search(r'id="tab-runs".*?</table>', page, re.DOTALL)[0]
    assert len(runs.split("<tr>")) == 2 + 7


def test_what_was_not_run_is_named_with_its_reason(study, own_results):
    record = own_results / RUN / "run.json"
    content = json.loads(record.read_text())
    settings = {name: content[name] for name in ("settings", "weights")}
    record.write_text(json.dumps({"status": "not run", "reason": "no weights: none to be had", **settings}))
    page = words(render_paper(study, own_results))
    assert "Custom CNN (as published, seed 42)" in page and "no weights: none to be had" in page
    assert "There is no result yet." in page


def test_weights_that_stand_in_are_said_on_the_first_page_and_in_captions(study, own_results, page):
    assert "Not the study's pretrained weights" not in words(page)
    record = own_results / RUN / "run.json"
    content = json.loads(record.read_text())
    content["weights"] = {"available": True, "original": False, "origin": "file mine.pth"}
    record.write_text(json.dumps(content))
    changed = render_paper(study, own_results)
    assert "In their place stand: file mine.pth." in words(changed)
    computed = len(re.findall(r"Synthetic phantom data\.", changed))
    assert computed > 5 and len(re.findall(r"Some weights are not the study", changed)) == computed


def test_equal_inputs_give_the_same_page(study, results, page):
    assert render_paper(study, results) == page


@pytest.mark.slow
def test_equal_inputs_give_the_same_pdf(page, pdf, tmp_path):
    write_pdf(page, tmp_path / "again.pdf")
    assert (tmp_path / "again.pdf").read_bytes() == pdf.read_bytes()


def test_the_pdf_holds_the_numbers_of_the_tables(pdf, page):
    text = re.sub(r"\s+", " ", " ".join(sheet.extract_text() for sheet in PdfReader(pdf).pages))
    table = re.search(r'id="tab-results".*?</table>', page, re.DOTALL)[0]
    rows = [re.findall(r'<span class="number"[^>]*>([^<]*)<', row) for row in table.split("<tr>")[2:]]
    assert len(rows) == 2
    for row in rows:
        for shown in row:
            assert shown in text
    assert "Synthetic data." in text


def test_the_pdf_is_tagged_titled_and_navigable_and_needs_no_font_of_the_reader(pdf):
    reader = PdfReader(pdf)
    assert reader.metadata.title.startswith("Transfer learning method in the problem of binary classification")
    assert "Kolesnikov" in reader.metadata.author
    assert reader.metadata.creation_date_raw.startswith("D:20260203")
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]
    assert b"pdfuaid" in reader.trailer["/Root"]["/Metadata"].get_data()
    titles = [item.title for item in reader.outline if not isinstance(item, list)]
    assert "4 Results" in titles and "References" in titles
    assert {tuple(round(float(side)) for side in sheet.mediabox[2:]) for sheet in reader.pages} == {(595, 842)}
    for sheet in reader.pages:
        for font in sheet["/Resources"]["/Font"].values():
            (descendant,) = font.get_object()["/DescendantFonts"]
            assert "Paper" in font.get_object()["/BaseFont"]
            assert "/FontFile2" in descendant.get_object()["/FontDescriptor"].get_object()


def test_an_svg_in_the_page_has_ids_of_its_own_and_a_description(tmp_path: Path):
    drawing = tmp_path / "a.svg"
    drawing.write_text(
        '<?xml version="1.0"?><svg width="9pt"><metadata>x</metadata><defs><style>*{}</style><path id="p"/></defs>'
        '<use xlink:href="#p" style="fill: #231f20; stroke: none" clip-path="url(#p)"/></svg>'
    )
    assert inline_svg(drawing, "run-1/a.svg", 'loss & "gain"') == (
        '<svg role="img" aria-label="loss &amp; &#34;gain&#34;" stroke-linejoin="round" stroke-linecap="butt" '
        'width="9pt"><title>loss &amp; &#34;gain&#34;</title><defs><path id="run-1-a-p"/></defs>'
        '<use xlink:href="#run-1-a-p" fill="currentColor" stroke="none" clip-path="url(#run-1-a-p)"/></svg>'
    )


def test_a_run_written_again_with_its_own_seed_is_found(tmp_path):
    study = make_study(seeds=[7])
    write_cohort(tmp_path, synthetic=True)
    write_run(tmp_path, study, "custom", "published", 7)
    assert "seed 7" in words(render_paper(study, tmp_path))
