"""Fixtures of the paper's tests: the page and the PDF of a result tree, made once."""

from pathlib import Path

import pytest

from cxr.paper.page import render_paper
from cxr.paper.print import write_pdf
from cxr.study.config import Study


@pytest.fixture(scope="session")
def page(study: Study, results: Path) -> str:
    return render_paper(study, results)


@pytest.fixture(scope="session")
def pdf(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pdf") / "paper.pdf"
    write_pdf(page, path)
    return path
