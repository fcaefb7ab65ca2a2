import re

import pytest
from result_tree import PAPER

from cxr.errors import InputError
from cxr.paper.bibliography import Bibliography
from cxr.paper.page import TEMPLATES


@pytest.fixture
def bibliography() -> Bibliography:
    return Bibliography(PAPER / "references.bib", TEMPLATES / "numeric.csl")


def words(html: str) -> str:
    return re.sub(r"<[^>]*>", "", html)


def test_works_are_numbered_in_the_order_of_their_first_citation(bibliography):
    assert words(bibliography.cite("he2016")) == "[1]"
    assert words(bibliography.cite("deng2009", "he2016")) == "[1, 2]"
    assert words(bibliography.cite("ke2019", "li2020", "he2016", "narin2021")) == "[1, 3\N{EN DASH}5]"
    assert [key for key, _ in bibliography.entries()] == ["he2016", "deng2009", "ke2019", "li2020", "narin2021"]
    assert bibliography.cite("deng2009") == '[<a href="#ref-deng2009">2</a>]'


def test_an_entry_has_its_facts_and_a_link_to_its_doi(bibliography):
    bibliography.cite("ajmi2020", "kulkarni2016")
    (_, ajmi), (_, kulkarni) = bibliography.entries()
    spaced = words(ajmi).replace("\N{NO-BREAK SPACE}", " ")
    assert spaced.startswith("C. Ajmi, J. Zapata, J. J. Martínez-Álvarez, G. Doménech, and R. Ruiz. Using deep")
    address = "https://doi.org/10.1007/s10921-020-00719-9"
    assert f'<a href="{address}">{address}</a>.' in ajmi
    assert "<i>American Journal of Respiratory and Critical Care Medicine</i>, 193(1):I, 2016." in kulkarni
    assert "What is pneumonia? " in kulkarni


def test_an_unknown_work_is_refused(bibliography):
    with pytest.raises(InputError, match=r"references.bib has no entry 'he2015'; did you mean 'he2016'"):
        bibliography.cite("he2015")


def test_every_entry_of_the_file_is_cited_in_the_paper(page):
    keys = re.findall(r"^@\w+\{(\w+),", (PAPER / "references.bib").read_text(), re.MULTILINE)
    listed = re.findall(r'<li id="ref-(\w+)">', page)
    assert sorted(listed) == sorted(keys)
