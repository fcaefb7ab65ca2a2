"""Fixtures of the paper's tests: a result tree, its page and its PDF, made once."""

import shutil
from pathlib import Path

import pytest
from result_tree import PAPER, make_study, write_tree

from cxr.report import render_paper, write_pdf
from cxr.study import Study


@pytest.fixture(scope="session")
def study() -> Study:
    return make_study()


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory, study: Study) -> Path:
    """``results/toy`` with one run of synthetic data and all figures; to be read only."""
    root = tmp_path_factory.mktemp("results") / "toy"
    write_tree(root, study)
    return root


@pytest.fixture
def own_results(results: Path, tmp_path: Path) -> Path:
    """A copy of ``results`` to change."""
    return Path(shutil.copytree(results, tmp_path / "results"))


@pytest.fixture
def own_paper(tmp_path: Path) -> Path:
    """A copy of the folder ``paper`` to change."""
    return Path(shutil.copytree(PAPER, tmp_path / "paper"))


@pytest.fixture(scope="session")
def page(study: Study, results: Path) -> str:
    return render_paper(study, results)


@pytest.fixture(scope="session")
def pdf(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pdf") / "paper.pdf"
    write_pdf(page, path)
    return path
