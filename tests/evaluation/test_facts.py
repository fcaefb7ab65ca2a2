"""Facts of the study's images: what agrees, what differs, and what a copy does not tell."""

import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from result_tree import PAPER

from cxr.errors import InputError
from cxr.evaluation.facts import (
    RESIZED,
    agrees,
    changes_of_folder,
    judged,
    measured,
    measurements,
    read_facts,
    write_facts,
)
from cxr.files import read_json, write_json
from cxr.study import layout

FACTS = read_facts(PAPER / "facts.yaml")
PUBLISHED = PAPER / "published" / "results.json"


def patients(folders: dict[str, str]) -> pd.DataFrame:
    """A manifest with one image of each patient: fine key and folder."""
    return pd.DataFrame({"patient_fine": list(folders), "official_split": list(folders.values())})


def test_blocks_of_numbers_have_few_changes_and_a_random_test_set_about_as_many_as_chance() -> None:
    blocks = {f"person{n}_virus": "train" if n < 150 else "test" for n in range(200)}
    assert changes_of_folder(patients(blocks)) == pytest.approx(1 / (2 * 150 * 50 / 200))
    drawn = {f"NORMAL2-IM-{n:04d}": random.Random(n).choice(["train", "test"]) for n in range(2000)}
    assert changes_of_folder(patients(drawn)) == pytest.approx(1, abs=0.1)
    # Two series whose numbers overlap do not disturb each other; val does not count.
    series = {f"person{n}_bacteria": "test" for n in range(200)} | {"person7_virus_x": "val"}
    assert changes_of_folder(patients(blocks | series)) == changes_of_folder(patients(blocks))


def test_patients_without_numbers_and_a_single_folder_have_no_order() -> None:
    assert changes_of_folder(patients({"train/NORMAL/a": "train", "person1_virus": "test"})) is None
    assert changes_of_folder(patients({f"person{n}_virus": "train" for n in range(9)})) is None


@pytest.mark.parametrize(
    ("expected", "tolerance", "value", "right"),
    [
        ({"equals": 30}, 0, 30, True),
        ({"equals": 30}, 0, 31, False),
        ({"equals": 0.91}, 0.01, 0.9155, True),
        ({"equals": 0.91}, 0.01, 0.9255, False),
        ({"above": 0}, 0, 0, False),
        ({"above": 0}, 0, 0.1, True),
        ({"below": 0.05}, 0, 0.05, False),
        ({"below": 0.05}, 0, 0.01, True),
    ],
)
def test_numbers_agree_within_their_tolerance(
    expected: dict[str, float], tolerance: float, value: float, right: bool
) -> None:
    assert agrees(value, expected, tolerance) is right


def test_a_wrong_expectation_differs_and_a_copy_does_not_tell_what_the_originals_had() -> None:
    fact = {"says": "RGB images", "measure": "rgb.elsewhere", "expected": {"equals": 283}}
    of_originals = {**fact, "needs": "originals"}

    def found(fact: dict[str, Any], value: float | None, resized: bool = False, of_study: bool = True) -> Any:
        row = judged(fact, value, resized, of_study)
        return row["agreement"], row["measured"]

    assert found(fact, 283) == ("agrees", 283)
    assert found({**fact, "expected": {"equals": 284}}, 283) == ("differs", 283)
    assert found(of_originals, 283) == ("agrees", 283)
    assert found(of_originals, 0, resized=True) == ("not known", None)
    assert judged(of_originals, 0, True, True)["reason"] == RESIZED
    assert found(fact, 283, resized=True) == ("agrees", 283)
    assert found(fact, None) == ("not known", None)
    assert found(fact, 12, of_study=False) == ("another cohort", 12)


def test_the_numbers_of_images_are_those_that_the_study_printed() -> None:
    dataset = read_json(PUBLISHED)["dataset"]
    counts = {fact["measure"]: fact["expected"]["equals"] for fact in FACTS if fact["measure"].startswith("images.")}
    assert counts == {f"images.{split}.{name}": dataset[split][name] for split in dataset for name in dataset[split]}


def test_every_fact_is_measured_and_an_unknown_one_is_answered_with_the_near_one(results: Path, tmp_path: Path) -> None:
    write_facts(results, PUBLISHED, tmp_path / "facts.json")
    rows = read_json(tmp_path / "facts.json")["facts"]
    assert [row["says"] for row in rows] == [fact["says"] for fact in FACTS]
    assert {row["agreement"] for row in rows} == {"another cohort"}, "these are phantoms"
    by_measure = dict(zip([fact["measure"] for fact in FACTS], rows, strict=True))
    assert by_measure["identical.groups"]["measured"] == 1 and by_measure["identical.files"]["measured"] == 2
    assert by_measure["rgb.train_pneumonia"]["measured"] == 50
    found = measurements(
        pd.read_csv(layout.manifest(results)),
        read_json(layout.cohort(results)),
        read_json(layout.duplicates(results)),
        read_json(layout.evaluation(results, "baselines.json")),
    )
    with pytest.raises(InputError, match=r"nothing is measured as 'images.trian.NORMAL'; did you mean 'images.train"):
        measured(found, "images.trian.NORMAL")


def test_the_study_s_images_are_compared_and_their_resized_copy_too(results: Path, tmp_path: Path) -> None:
    for path in (layout.manifest, layout.duplicates, lambda root: layout.evaluation(root, "baselines.json")):
        copy = path(tmp_path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(path(results).absolute())
    side = {"min": 80, "median": 80.0, "max": 80}
    cohort = read_json(layout.cohort(results)) | {"source": "embedded", "width": side, "height": side}
    cohort["counts"] = read_json(PUBLISHED)["dataset"]
    write_json(layout.cohort(tmp_path), cohort)
    write_facts(tmp_path, PUBLISHED, tmp_path / "facts.json")
    agreement = {
        fact["measure"]: row["agreement"]
        for fact, row in zip(FACTS, read_json(tmp_path / "facts.json")["facts"], strict=True)
    }
    assert agreement["images.train.NORMAL"] == "agrees" and agreement["identical.groups"] == "differs"
    unknown = {measure for measure, word in agreement.items() if word == "not known"}
    assert unknown >= {"rgb.train_pneumonia", "rgb.elsewhere", "size.width_difference", "size.aspect_ratio_difference"}
