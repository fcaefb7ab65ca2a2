"""The published split, held against the study's printed numbers and against an independent reading of the facts."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxr.errors import InputError
from cxr.preprocessing.split import digest_of_test_rows, make_split, shared_patients
from cxr.study.config import read_protocol

PUBLISHED = read_protocol("published")


def manifest_of(counts: dict[str, tuple[int, int]]) -> pd.DataFrame:
    rows = [
        (f"{part}/{name}/{'b' if number % 2 else 'A'}{number:02d}.jpeg", name, part, f"p{number // 2}")
        for part, sizes in counts.items()
        for name, size in zip(("NORMAL", "PNEUMONIA"), sizes, strict=True)
        for number in range(size)
    ]
    return pd.DataFrame(rows, columns=["path", "class", "official_split", "patient_fine"])


def test_real_images_give_the_published_sets(real_images: Path) -> None:
    rows = [
        (f"{part}/{name}/{file.name}", name, part)
        for part in ("train", "val", "test")
        for name in ("NORMAL", "PNEUMONIA")
        for file in (real_images / part / name).iterdir()
    ]
    split = make_split(pd.DataFrame(rows, columns=["path", "class", "official_split"]), PUBLISHED)
    assert split.groupby(["set", "label"]).size().to_dict() == {
        ("test", 0): 129,
        ("test", 1): 191,
        ("train", 0): 1341,
        ("train", 1): 1341,
        ("validation", 0): 113,
        ("validation", 1): 207,
    }
    assert digest_of_test_rows(split).startswith("1d7a6fb2f7fc9b5b")


def test_held_out_rows_are_a_halved_permutation_of_the_case_insensitive_listing() -> None:
    split = make_split(manifest_of({"train": (3, 3), "val": (2, 2), "test": (4, 6)}), PUBLISHED)
    listing = [
        f"{part}/{name}/{'b' if number % 2 else 'A'}{number:02d}.jpeg"
        for part, name, size in (
            ("test", "NORMAL", 4),
            ("test", "PNEUMONIA", 6),
            ("val", "NORMAL", 2),
            ("val", "PNEUMONIA", 2),
        )
        # A00, A02, ... sort before b01, b03, ...
        for number in [*range(0, size, 2), *range(1, size, 2)]
    ]
    order = np.random.RandomState(42).permutation(14)
    assert split.loc[split["set"] == "test", "path"].tolist() == [listing[row] for row in order[:7]]
    assert split.loc[split["set"] == "validation", "path"].tolist() == [listing[row] for row in order[7:]]
    expected = hashlib.sha256("\n".join(listing[row] for row in order[:7]).encode()).hexdigest()
    assert digest_of_test_rows(split) == expected


def test_listing_order_changes_the_split() -> None:
    manifest = manifest_of({"train": (3, 3), "val": (2, 2), "test": (9, 9)})
    manifest["path"] = manifest["path"].str.replace("/b", "/a").where(manifest.index % 3 > 0, manifest["path"])
    sensitive = {**PUBLISHED, "split": {**PUBLISHED["split"], "listing_order": "case_sensitive"}}
    assert not make_split(manifest, PUBLISHED).equals(make_split(manifest, sensitive))


@pytest.mark.parametrize("sizes", [(5, 20), (20, 5), (7, 7)])
def test_larger_class_is_reduced_as_pandas_samples(sizes: tuple[int, int]) -> None:
    manifest = manifest_of({"train": sizes, "val": (2, 2), "test": (4, 4)})
    train = make_split(manifest, PUBLISHED).query("set == 'train'")
    assert train["label"].value_counts().to_dict() == {0: min(sizes), 1: min(sizes)}
    # NORMAL rows come first, so the PNEUMONIA rows are sizes[0]... in the frame from which the study sampled.
    frame = pd.Series(
        sorted(manifest.query("official_split == 'train'")["path"], key=lambda p: (p.split("/")[1], p.lower()))
    )
    larger = frame[frame.str.contains("NORMAL" if sizes[0] > sizes[1] else "PNEUMONIA")]
    dropped = larger.sample(n=abs(sizes[0] - sizes[1]), random_state=42)
    assert train["path"].tolist() == frame.drop(dropped.index).tolist()


def test_shared_patients_counts_test_images() -> None:
    split = pd.DataFrame({"path": list("abcde"), "set": ["validation", "test", "test", "test", "train"]})
    manifest = pd.DataFrame({"path": list("abcde"), "patient_fine": ["p", "p", "p", "q", "q"]})
    assert shared_patients(split, manifest, "patient_fine") == 2


def test_too_few_held_out_images_is_one_sentence() -> None:
    manifest = manifest_of({"train": (3, 3), "test": (1, 0)})
    with pytest.raises(InputError, match="too few"):
        make_split(manifest, PUBLISHED)


def test_grouped_halves_share_no_patient_and_are_stratified() -> None:
    corrected = read_protocol("corrected")
    manifest = manifest_of({"train": (5, 5), "val": (8, 8), "test": (60, 100)})
    manifest["patient_coarse"] = manifest["path"].str.split("/").str[1] + manifest["patient_fine"]
    split = make_split(manifest, corrected)
    patients = manifest.set_index("path")["patient_coarse"]
    halves = {name: set(patients[split.loc[split["set"] == name, "path"]]) for name in ("validation", "test")}
    assert not halves["validation"] & halves["test"]
    sizes = split.groupby(["set", "label"]).size()
    assert abs(sizes["test", 0] - sizes["validation", 0]) <= 4 and abs(sizes["test", 1] - sizes["validation", 1]) <= 4
    assert sizes["official_test", 0] == 60 and sizes["official_test", 1] == 100
    again = make_split(manifest, {**corrected, "split": {**corrected["split"], "seed": 43}})
    assert not split.equals(again)


@pytest.mark.parametrize("protocol", ["published", "described", "corrected"])
def test_a_protocol_that_claims_to_separate_patients_does_on_the_real_images(real_images: Path, protocol: str) -> None:
    from cxr.images.manifest import build_manifest

    rules = read_protocol(protocol)
    manifest, _ = build_manifest(real_images, threads=2)
    split = make_split(manifest, rules)
    leak = {key: shared_patients(split, manifest, f"patient_{key}") for key in ("fine", "coarse")}
    claims = "patient-leak" not in rules["takes"].get("code", [])
    assert leak == ({"fine": 0, "coarse": 0} if claims else {"fine": 105, "coarse": 120})
