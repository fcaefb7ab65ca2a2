"""The whole study at its own settings, with random predictions: whatever its numbers are, there is a paper."""

import re
from pathlib import Path

import pytest
from pypdf import PdfReader
from result_tree import PAPER, PUBLISHED, weigh, write_cohort, write_preprocessing, write_run

from cxr.figures.draw import write_paper_figures
from cxr.files import REPOSITORY, read_json, write_json
from cxr.paper.write import write_paper
from cxr.study import layout
from cxr.study.config import Study
from cxr.study.schemas import read_yaml


@pytest.mark.slow
def test_a_full_run_whose_numbers_nobody_can_explain_ends_in_a_paper(tmp_path: Path) -> None:
    config = read_yaml(REPOSITORY / "config" / "config.yaml") | {"device": "cpu", "ablations": []}
    study = Study.from_config(config)
    assert study.config["image_size"] == 224 and len(study.config["seeds"]) == 5
    assert config["experiments"] == "all" and len(study.protocols) == 3
    write_cohort(tmp_path, synthetic=False)
    originals = {
        "source": "kaggle",
        "counts": PUBLISHED,
        "width": {"min": 384, "median": 1281.5, "max": 2916},
        "height": {"min": 127, "median": 888, "max": 2713},
    }
    write_json(layout.cohort(tmp_path), read_json(layout.cohort(tmp_path)) | originals)
    for protocol in study.protocols:
        write_preprocessing(tmp_path, study, protocol)
    for protocol, experiment, seed in study.runs():
        write_run(tmp_path, study, experiment, protocol, seed)
    weigh(tmp_path, study)
    claims = read_json(layout.claims(tmp_path))
    assert not claims["provisional"], "results like these are judged as the study's"
    assert claims["unexplained"]
    write_paper_figures(config, tmp_path, PAPER / "published", layout.figures(tmp_path))
    write_paper(config, tmp_path, tmp_path / "paper.html", tmp_path / "paper.pdf")
    words = re.sub(r"<[^>]+>|\s+", " ", (tmp_path / "paper.html").read_text())
    listed = words[words.index("no known cause") :]
    for claim in claims["unexplained"]:
        assert re.search(rf"\b{claim}\b", listed), f"{claim} failed, and the paper does not say so"
    reader = PdfReader(tmp_path / "paper.pdf")
    headings = [item for item in reader.outline if not isinstance(item, list)]
    pages = {item.title: reader.get_destination_page_number(item) for item in headings}
    assert pages["5 Discussion"] < pages["References"] <= pages["A Reproduction verdicts"]
    assert pages["A Reproduction verdicts"] < 12, "the text before the appendices has at most twelve pages"
