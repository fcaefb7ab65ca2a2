"""The image that jobs run in, and what is said where there is none."""

from pathlib import Path

import pytest
from result_tree import make_study

from cxr.errors import InputError
from cxr.study.config import Study
from cxr.study.container import container_of


def study_with(container: str) -> Study:
    return Study.from_config(make_study().config | {"container": container})


def test_the_image_is_a_file_or_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cxr.sif").touch()
    monkeypatch.setenv("IMAGES", str(tmp_path))
    assert container_of(study_with("$IMAGES/cxr.sif"), wanted=True) == str(tmp_path / "cxr.sif")
    assert container_of(study_with("docker://cxr:0.1.0"), wanted=True) == "docker://cxr:0.1.0"


def test_nothing_is_asked_of_those_who_want_no_container() -> None:
    assert container_of(make_study(), wanted=False) is None
    assert container_of(study_with("none.sif"), wanted=False) == "none.sif"


def test_a_missing_image_ends_in_one_sentence() -> None:
    with pytest.raises(InputError, match=r"names none; build it with `apptainer build cxr.sif apptainer.def`"):
        container_of(make_study(), wanted=True)
    with pytest.raises(InputError, match=r"none.sif does not exist; build it with"):
        container_of(study_with("none.sif"), wanted=True)
