import csv
import json
import re
import shutil
from collections.abc import Iterable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pypdf import PdfReader
from result_tree import (
    PAPER,
    make_study,
    rescore,
    weigh,
    write_cohort,
    write_images,
    write_pictures,
    write_run,
    write_tree,
)

from cxr.errors import InputError
from cxr.paper.page import render_paper
from cxr.paper.print import write_pdf
from cxr.paper.svg import inline_svg
from cxr.study import layout
from cxr.study.config import Study
from cxr.study.schemas import read_yaml

RUN = "runs/published/custom/seed-42"
MARKS = {name: mark["sign"] for name, mark in read_yaml(PAPER / "words.yaml")["marks"].items()}
NETS, PARTS = ("resnet18", "densenet121"), ("train", "validation")

# Names that hold a digit: networks, a data digest, a score, image formats.
NAMES = r"ResNet-18|DenseNet-121|SHA-256|F1"


def words(html: str) -> str:
    html = re.sub(r"<(style|svg|script|template)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", "", html)))


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


def table_of(page: str, label: str) -> list[str]:
    """The rows of a table, below its head."""
    return re.search(rf'id="{label}".*?</table>', page, re.DOTALL)[0].split("<tr>")[2:]


def test_the_tables_hold_the_numbers_of_the_results(page, results):
    found = json.loads(layout.evaluation(results, "uncertainty.json").read_text())["protocols"]["published"][
        "experiments"
    ]["custom"]
    (row,) = table_of(page, "tab-results")
    shown = re.findall(r'class="number" title="(.*?) · (.*?) · (.*?)"[^>]*>(.*?)<', row)
    expected = [0.8438, found["accuracy"]["mean"], *found["accuracy"]["interval"], found["auroc"]["mean"]]
    assert [text for _, _, _, text in shown] == [f"{value:.3f}" for value in expected]
    assert {source for _, source, _, _ in shown[1:]} == {"evaluation/uncertainty.json"}
    assert shown[1][2] == "protocols.published.experiments.custom (seeds 42).accuracy.mean"


def test_a_number_of_a_run_links_to_the_runs_record(page):
    (row,) = table_of(page, "tab-results")
    assert 'href="#record-published-custom"' in row
    assert 'id="record-published-custom"' in "".join(table_of(page, "tab-runs"))
    (printed,) = re.findall(r'<(\w+) class="number" title="0.8438', row)
    assert printed == "span", "a number of the study has no record here"


def test_changing_one_prediction_changes_the_sentences_that_depend_on_it(study, own_results, page):
    predictions = layout.run(own_results, RUN) / "predictions.csv"
    rows = list(csv.DictReader(predictions.open()))
    wrong = next(row for row in rows if row["set"] == "test" and row["label"] == "0" and row["predicted"] == "1")
    wrong |= {"predicted": "0", "probability": "0.4"}
    with predictions.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    before = json.loads(layout.metrics(own_results, RUN).read_text())["test"]["accuracy"]
    rescore(own_results, RUN)
    weigh(own_results, study)
    changed = words(render_paper(study, own_results))
    assert f"reaches a test accuracy of {before:.3f} here" in words(page)
    assert f"reaches a test accuracy of {before + 1 / 160:.3f} here" in changed


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
        ("{{ item('plot-x') }}", "'plot-x' must begin with one of fig, sup, tab"),
        ("{{ words.figur }}", "no attribute 'figur'"),
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
    assert not [tag for tag, _ in elements if tag in ("link", "iframe", "object")]
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


def test_figures_tables_and_sections_are_numbered_in_their_order(study, own_results):
    curves = [f"curves-{net}-{part}.svg" for net in NETS for part in PARTS]
    write_pictures(own_results, ["strategies.svg", *curves, "roc.svg", "claims.svg"])
    page = render_paper(study, own_results)
    signs = re.findall(r'<(?:figcaption|caption)><span class="sign">([^<]*)\.</span>', page)
    figures = [sign for sign in signs if sign.startswith("Figure")]
    assert figures == [*(f"Figure\N{NO-BREAK SPACE}{number}" for number in (1, 2, 4, 5, 6, 7, 8)), "Figure S1"]
    tables = [int(sign.split("\N{NO-BREAK SPACE}")[1]) for sign in signs if sign.startswith("Table")]
    assert tables == list(range(1, len(tables) + 1)) and len(tables) >= 3
    assert "What curves-resnet18-train.svg shows." in page and 'aria-label="What roc.svg shows."' in page
    headings = re.findall(r'<h[23] id="sec-[^"]*"><span class="sign">([^<]*)</span> ([^<]*)', page)
    assert [f"{sign} {title.strip()}" for sign, title in headings] == [
        *("1 Introduction", "2 Related work", "3 Methods", "3.1 Preprocessing and augmentation"),
        *(
            "3.2 Transfer learning, strategies and hyperparameters",
            "4 Results",
            "4.1 Accuracy beside the printed numbers",
        ),
        *("4.2 Training", "4.3 Errors on the test set", "4.4 Baselines", "5 Discussion", "6 Conclusion"),
        *("A Reproduction verdicts", "B Discrepancies and their effects"),
        *("C Statistical methods", "D Data sheet", "E Model card", "F Limitations", "G Compute and provenance"),
        *("H Further results", "I Test images"),
    ]


def test_synthetic_data_are_declared_on_the_title_page_in_every_caption_and_in_the_text(page):
    assert page.count('<p class="banner"') == 1
    assert page.index('<p class="banner"') < page.index('<section class="abstract">')
    captions = re.findall(r"<(?:figcaption|caption)>.*?</(?:figcaption|caption)>", page, re.DOTALL)
    assert [words(caption) for caption in captions if 'class="synthetic"' not in caption] == []
    assert "On drawn phantoms, which say nothing about pneumonia" in words(page)


def test_real_data_are_not_called_synthetic(study, own_results):
    write_cohort(own_results, synthetic=False)
    rescore(own_results, RUN)
    shutil.rmtree(own_results / "preprocessing")
    write_images(own_results, study)
    weigh(own_results, study)
    real = words(render_paper(study, own_results)).lower()
    assert "synthetic" not in real and "phantom" not in real
    assert "reaches a test accuracy of" in real
    # These are other images than the study's, by their numbers.
    assert "or from patients.csv only" in real and "children of one hospital" not in real


def test_warnings_about_the_data_are_shown(page):
    assert words(page).count("test/NORMAL holds 114 images; the study had 234.") == 2


def test_the_paper_names_what_was_not_run(study, own_results):
    shutil.rmtree(own_results / "training" / "runs")
    weigh(own_results, study)
    partial = words(render_paper(study, own_results))
    assert "No network has been trained yet" in partial
    assert "1 run of the config has no result yet; Table" in partial
    assert "Custom CNN runs/published/custom/seed-42" in partial


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path]:
    """Three networks under two protocols with two seeds, one run missing; to be read only."""
    root = tmp_path_factory.mktemp("two")
    study = make_study(
        experiments=["custom", "resnet18-I-500", "resnet18-III"], protocols=["published", "described"], seeds=[1, 2]
    )
    write_tree(root, study)
    shutil.rmtree(root / "training" / "runs/described/resnet18-III/seed-2")
    weigh(root, study)
    return study, root


@pytest.mark.parametrize(
    ("difference", "interval", "sentence"),
    [
        (
            0.1,
            [0.05, 0.15],
            "0.100 above ResNet-18 III (paired interval +0.050 to +0.150); the interval excludes zero",
        ),
        (0.1, [-0.05, 0.25], "the interval includes zero, so either may be the better one"),
        (
            -0.1,
            [-0.15, -0.05],
            "0.100 above ResNet-18 I, n = 500 (paired interval +0.050",
        ),
        (0.0, [-0.1, 0.1], "share the highest test accuracy"),
    ],
)
def test_a_lead_is_told_with_its_size_and_its_certainty(two, tmp_path, difference, interval, sentence):
    study, root = two[0], Path(shutil.copytree(two[1], tmp_path / "results"))
    content = json.loads(layout.evaluation(root, "uncertainty.json").read_text())
    found = content["protocols"]["published"]
    found["experiments"]["resnet18-I-500"]["accuracy"]["mean"] = 0.8
    found["experiments"]["resnet18-III"]["accuracy"]["mean"] = 0.8 - difference
    for rows in found["comparisons"].values():
        for row in rows:
            if (row["a"], row["b"], row["metric"]) == ("resnet18-I-500", "resnet18-III", "accuracy"):
                row |= {"difference": difference, "interval": interval}
    layout.evaluation(root, "uncertainty.json").write_text(json.dumps(content))
    text = words(render_paper(study, root))
    assert sentence in text[text.rindex("5.1 ResNet-18") : text.rindex("6 Conclusion")]


def test_every_protocol_and_seed_finds_its_room(two):
    page = render_paper(*two)
    assert "ResNet-18 III runs/described/resnet18-III/seed-2" in words(page)
    rows = table_of(page, "tab-results")
    assert [words(row).split("0.")[0].strip() for row in rows] == [
        "Custom CNN",
        "ResNet-18 I, n = 500",
        "ResNet-18 III",
    ]
    assert [row.count("\N{PLUS-MINUS SIGN}") for row in rows] == [2, 2, 1]
    assert len(table_of(page, "tab-runs")) == 6
    affected = [row.split("</th>")[0].split(">")[-1] for row in table_of(page, "tab-discrepancies")]
    assert "pixel-scale" in affected and "densenet-head" not in affected


def test_claims_are_listed_if_they_were_tested_and_counted_by_reason_if_not(two, tmp_path):
    study, root = two[0], Path(shutil.copytree(two[1], tmp_path / "results"))
    cohort = json.loads(layout.cohort(root).read_text())
    layout.cohort(root).write_text(json.dumps({**cohort, "synthetic": False, "counts": cohort["published_counts"]}))
    weigh(root, study)
    page = render_paper(study, root)
    assert "children of one hospital" in words(page) and "patients.csv" not in words(page)
    content = json.loads(layout.claims(root).read_text())
    tested = [claim for claim in content["claims"] if any(f["value"] is not None for f in claim["protocols"].values())]
    unexplained = [words(row).split()[0] for row in table_of(page, "tab-unexplained")]
    assert unexplained == content["unexplained"] and "Not reproduced; no known cause" in words(page)
    assert len(table_of(page, "tab-claims")) + len(unexplained) == len(tested)
    counts = [int(words(row).split()[0]) for row in table_of(page, "tab-untestable")]
    first = [claim["protocols"]["published"]["value"] for claim in content["claims"]]
    assert sum(counts) == first.count(None) and len(counts) < 8, "a row for each reason"


def test_the_studys_table_has_a_row_for_each_of_its_networks_that_was_run(two):
    rows = table_of(render_paper(*two), "fig-metrics")
    assert [words(row).split("0.")[0].strip() for row in rows] == ["ResNet-18 I, n = 500", "ResNet-18 III"]
    printed = json.loads((PAPER / "published" / "results.json").read_text())["metrics"][2]["preprint_figure_3"]
    shown = re.findall(r'class="printed"><span[^>]*>([\d.]+)</span>', rows[0])
    assert shown == [f"{value:.6g}" for value in printed.values()]


def test_an_ablation_is_told_and_its_absence_too(two, tmp_path):
    study, root = two[0], Path(shutil.copytree(two[1], tmp_path / "results"))
    assert "What each of them changes was not measured here" in words(render_paper(study, root))
    effect = {"accuracy": -0.0123, "auroc": 0.0}
    row = {"experiment": "custom", "n_seeds": 2, "difference": effect, "interval": {"accuracy": [-0.03, 0.01]}}
    rows = [{"id": "pixel-scale", "kind": "flip", "experiments": [row]}]
    content = {"protocol": "published", "seeds": [1, 2], "rows": rows, "unmeasured": {"batch-size": "not flipped"}}
    layout.evaluation(root, "ablations.json").write_text(json.dumps(content))
    table = [words(row) for row in table_of(render_paper(study, root), "tab-discrepancies")]
    assert "custom: \u22120.012 [\u22120.030, +0.010]".replace(" [", " [") in table[0].replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert "not measured: not flipped" in next(row for row in table if row.strip().startswith("batch-size"))


def test_the_verdicts_of_the_table_are_those_of_the_claims(two):
    study, root = two
    rows = table_of(render_paper(study, root), "fig-metrics")
    claims = json.loads(layout.claims(root).read_text())["claims"]
    by_quantity = {claim["quantity"]: claim["protocols"]["published"]["verdict"] for claim in claims}
    metrics = ["accuracy", "f1_pneumonia", "f1_normal", "sensitivity", "specificity"]
    metrics += ["precision_pneumonia", "precision_normal"]
    expected = [by_quantity[f"test('resnet18-I-500', '{metric}')"].replace(" ", "-") for metric in metrics]
    assert re.findall(r"verdict-([\w-]+)", rows[0]) == expected


@pytest.mark.parametrize("name", ["uncertainty", "claims", "baselines"])
def test_results_without_what_the_paper_weighs_are_refused_in_one_sentence(study, own_results, name):
    next(own_results.glob(f"*/{name}.json")).unlink()
    with pytest.raises(InputError, match=rf"{name}.json does not exist; .* run snakemake again for this config\.$"):
        render_paper(study, own_results)


def test_an_unknown_word_of_the_page_is_refused(study, results, own_paper):
    path = own_paper / "words.yaml"
    path.write_text(path.read_text() + "outcome: x\n")
    with pytest.raises(InputError, match=r"words.yaml: unknown key 'outcome'; did you mean 'outcomes'"):
        render_paper(study, results, paper=own_paper)


def test_what_was_not_run_is_named_with_its_reason(study, own_results):
    record = layout.run(own_results, RUN) / "run.json"
    content = json.loads(record.read_text())
    settings = {name: content[name] for name in ("settings", "weights")}
    record.write_text(json.dumps({"status": "not run", "reason": "no weights: none to be had", **settings}))
    weigh(own_results, study)
    page = words(render_paper(study, own_results))
    assert "Custom CNN (as published, seed 42)" in page and "no weights: none to be had" in page
    assert "There is no result yet." in page


def test_weights_that_stand_in_are_said_on_the_first_page_and_in_captions(study, own_results, page):
    assert "Not the study's pretrained weights" not in words(page)
    record = layout.run(own_results, RUN) / "run.json"
    content = json.loads(record.read_text())
    content["weights"] = {"available": True, "original": False, "origin": "file mine.pth"}
    record.write_text(json.dumps(content))
    changed = render_paper(study, own_results)
    assert "In their place stand: file mine.pth." in words(changed)
    captions = re.findall(r"<(?:figcaption|caption)>.*?</(?:figcaption|caption)>", changed, re.DOTALL)
    sign = MARKS["stand_in"]
    assert sum(f"{sign} Starts from weights" in caption for caption in captions) >= 3
    assert f"Custom CNN{sign}, reaches a test accuracy" in words(changed)


def test_runs_of_the_reference_results_are_marked_where_others_were_trained_here(two, tmp_path):
    root = Path(shutil.copytree(two[1], tmp_path / "results"))

    def come_from_reference(runs: Iterable[Path]) -> str:
        for record in runs:
            content = json.loads(record.read_text())
            source = {"kind": "archive", "archive": "paper/reference/x.zip", "sha256": "ab" * 32}
            record.write_text(json.dumps({**content, "source": source}))
        return render_paper(two[0], root)

    sign = MARKS["reference"]
    assert sign not in words(render_paper(*two))
    mixed = come_from_reference((root / "training" / "runs").glob("*/resnet18-III/*/run.json"))
    assert "Of the 11 trainings, 8 were made for this paper" in words(mixed)
    assert f"ResNet-18 III{sign}" in words(mixed) and f"Custom CNN{sign}" not in words(mixed)
    assert f"{sign} From the reference results" in words(mixed)
    rows = [words(row) for row in table_of(mixed, "tab-runs")]
    assert [("archive" in row, "trained here" in row) for row in rows] == [(False, True)] * 4 + [(True, False)] * 2
    same = come_from_reference((root / "training" / "runs").glob("*/*/*/run.json"))
    assert sign not in words(same) and "All results come from the reference results" in words(same)


def test_equal_inputs_give_the_same_page(study, results, page):
    assert render_paper(study, results) == page


@pytest.mark.slow
def test_equal_inputs_give_the_same_pdf(page, pdf, tmp_path):
    write_pdf(page, tmp_path / "again.pdf")
    assert (tmp_path / "again.pdf").read_bytes() == pdf.read_bytes()


def test_the_pdf_holds_the_numbers_of_the_tables(pdf, page):
    text = re.sub(r"\s+", " ", " ".join(sheet.extract_text() for sheet in PdfReader(pdf).pages))
    table = re.search(r'id="tab-results".*?</table>', page, re.DOTALL)[0]
    rows = [re.findall(r'class="number"[^>]*>([^<]*)<', row) for row in table.split("<tr>")[2:]]
    assert [len(row) for row in rows] == [5]
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
        'width="9pt"><title>loss &amp; &#34;gain&#34;</title><defs><path id="run-1-a-p" d="M0 0"/></defs>'
        '<use xlink:href="#run-1-a-p" fill="currentColor" stroke="none" clip-path="url(#run-1-a-p)"/></svg>'
    )


def test_a_run_written_again_with_its_own_seed_is_found(tmp_path):
    study = make_study(seeds=[7])
    write_cohort(tmp_path, synthetic=True)
    write_run(tmp_path, study, "custom", "published", 7)
    weigh(tmp_path, study)
    assert "\u00b7 seed 7" not in words(render_paper(study, tmp_path))
