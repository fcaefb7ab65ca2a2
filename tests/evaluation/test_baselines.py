"""Baselines: what they know, what they are fitted to, and the shift between training and test images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxr.evaluation.baselines import (
    baselines_of,
    fit_baseline,
    frozen_features,
    out_of_fold,
    shift_of,
    write_baseline,
    write_baselines,
)
from cxr.evaluation.predictions import read_predictions
from cxr.evaluation.run_metrics import write_metrics
from cxr.files import read_json
from cxr.images.names import CLASSES, subject_of
from cxr.preprocessing.split import write_split
from cxr.study import layout
from cxr.study.arrays import array_name
from cxr.study.config import Study
from cxr.study.settings import split_settings

CONFIG: dict[str, Any] = {
    "name": "test",
    "data": {"source": "folder", "folder": "."},
    "device": "cpu",
    "image_size": 48,
    "protocols": ["published", "corrected"],
    "experiments": ["custom"],
    "seeds": [42],
}

NO_PARTS = dict.fromkeys(("lungs", "surroundings", "outline"), np.empty((0, 1024)))


def make_members(train: tuple[int, int] = (40, 40), held_out: int = 30) -> pd.DataFrame:
    """Rows of a split with their manifest rows: ``train`` images by class, ``held_out`` a class in both other sets."""
    sizes = {"train": train, "validation": (held_out, held_out), "test": (held_out, held_out)}
    rows = [(name, label) for name, counts in sizes.items() for label, count in enumerate(counts) for _ in range(count)]
    members = pd.DataFrame(rows, columns=["set", "label"])
    return members.assign(path=[f"{index}.png" for index in members.index], row=members.index)


def manifest_of(members: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "path": members["path"],
            "width": 224,
            "height": 224,
            "patient_coarse": members["path"],
            "patient_fine": members["path"],
        }
    )


def test_an_image_size_that_differs_between_classes_is_found_and_one_that_does_not_is_said_to_be_constant(
    tmp_path: Path,
) -> None:
    members = make_members()
    manifest = manifest_of(members)
    thumbnails = np.zeros((len(members), 1024), np.float32)
    constant = write_baseline(
        baselines_of(manifest, thumbnails, NO_PARTS, {})["image-size"], members, manifest, tmp_path / "constant.csv"
    )
    assert (constant["features"], constant["C"], constant["metrics"]["test"]["auroc"]) == (0, None, 0.5)
    manifest["width"] = 900 + 400 * (members["label"] == 0)
    found = write_baseline(
        baselines_of(manifest, thumbnails, NO_PARTS, {})["image-size"], members, manifest, tmp_path / "found.csv"
    )
    assert found["metrics"]["test"]["accuracy"] == found["metrics"]["test"]["auroc"] == 1


@pytest.mark.parametrize(
    ("train", "share", "predicted"), [((40, 40), 0.5, 1), ((60, 20), 0.25, 0), ((20, 60), 0.75, 1)]
)
def test_the_majority_class_is_that_of_the_training_set_and_pneumonia_in_a_tie(
    tmp_path: Path, train: tuple[int, int], share: float, predicted: int
) -> None:
    members = make_members(train)
    manifest = manifest_of(members)
    majority = baselines_of(manifest, np.zeros((len(members), 1024), np.float32), NO_PARTS, {})["majority-class"]
    write_baseline(majority, members, manifest, tmp_path / "majority.csv")
    rows = read_predictions(tmp_path / "majority.csv")
    assert set(rows["set"]) == {"validation", "test"}
    assert set(rows["probability"]) == {share}
    assert set(rows["predicted"]) == {predicted}


def test_labels_of_the_test_set_do_not_move_a_probability() -> None:
    members = make_members()
    features = np.random.default_rng(1).normal(size=(len(members), 5)) + members["label"].to_numpy()[:, None]
    flipped = members.assign(label=members["label"].where(members["set"] != "test", 1 - members["label"]))
    honest, facts = fit_baseline(features, members)
    np.testing.assert_array_equal(honest["probability"], fit_baseline(features, flipped)[0]["probability"])
    assert facts["training_images"] == 80


def test_training_images_without_features_are_left_out() -> None:
    members = make_members()
    features = np.random.default_rng(1).normal(size=(len(members), 3)) + members["label"].to_numpy()[:, None]
    features[:10] = np.nan
    table, facts = fit_baseline(features, members)
    assert facts["training_images"] == 70
    assert table["probability"].notna().all()


def test_frozen_features_stand_in_the_rows_of_their_images(tmp_path: Path) -> None:
    # The official test set overlaps the others: an image may be there twice.
    rows, found = np.array([4, 1, 4]), np.array([[4.0, 40], [1, 10], [4, 40]], np.float32)
    np.savez(tmp_path / "net.npz", **{"T0.rows": rows, "T0.features": found, "T2.rows": rows, "T2.features": -found})
    features = frozen_features(tmp_path / "net.npz", "T0", 6)
    assert features is not None
    np.testing.assert_array_equal(features[[1, 4]], [[1, 10], [4, 40]])
    assert np.isnan(features[[0, 2, 3, 5]]).all()
    np.savez(tmp_path / "empty.npz")
    assert frozen_features(tmp_path / "empty.npz", "T0", 6) is None


def test_out_of_fold_probabilities_never_come_from_the_same_patient() -> None:
    rng = np.random.default_rng(0)
    patients = pd.Series(np.repeat([f"p{number}" for number in range(60)], 4))
    label = np.repeat(rng.permutation(60) % 2, 4)
    # Images of a patient are alike, and have nothing in common with the patient's label: only a leak can tell it.
    features = np.repeat(rng.normal(size=(60, 200)), 4, axis=0) + rng.normal(0, 0.01, (240, 200))
    probability = out_of_fold(features, label, patients)
    assert probability is not None
    assert abs(((probability > 0.5) == label).mean() - 0.5) < 0.2
    own = pd.Series([f"i{number}" for number in range(240)])
    leaking = out_of_fold(features, label, own)
    assert leaking is not None
    assert ((leaking > 0.5) == label).mean() > 0.9


def make_shifted(shift: float, patients: int = 200) -> tuple[pd.DataFrame, np.ndarray]:
    """Images of both classes in train/ and test/; those of test/NORMAL are brighter by ``shift``."""
    rng = np.random.default_rng(0)
    classes, parts = rng.integers(0, 2, patients), rng.integers(0, 2, patients)
    manifest = pd.DataFrame(
        {
            "class": [CLASSES[value] for value in classes],
            "official_split": [("train", "test")[value] for value in parts],
            "patient_coarse": [f"p{number}" for number in range(patients)],
        }
    )
    thumbnails = rng.normal(size=(patients, 4)) + 6 * classes[:, None] + shift * (parts * (classes == 0))[:, None]
    return manifest, thumbnails.astype(np.float32)


def test_a_shift_is_seen_in_the_class_that_has_it_and_costs_accuracy_on_the_official_test_set() -> None:
    none, moved = shift_of(*make_shifted(0)), shift_of(*make_shifted(6))
    for name in CLASSES:
        assert abs(none["train_against_test"][name]["auroc"] - 0.5) < 0.2
    assert moved["train_against_test"]["NORMAL"]["auroc"] > 0.99
    assert moved["train_against_test"]["PNEUMONIA"] == none["train_against_test"]["PNEUMONIA"]
    assert none["official_test"]["accuracy"] > 0.98
    assert moved["cross_validated"]["accuracy"] > 0.98
    assert moved["official_test"]["specificity"] < 0.2


def test_too_few_patients_for_folds_leave_the_shift_open() -> None:
    manifest, thumbnails = make_shifted(0)
    manifest.loc[manifest["official_split"] == "test", "patient_coarse"] = "one"
    found = shift_of(manifest, thumbnails)
    assert found["train_against_test"]["NORMAL"]["auroc"] is None
    assert found["cross_validated"]["auroc"] > 0.9


@pytest.fixture
def results(make_cohort: Callable[..., tuple[Path, Path]], tmp_path: Path) -> Path:
    """``results/test`` up to the arrays and the lungs; images of PNEUMONIA are brighter."""
    manifest, _ = make_cohort(train=12, held_out=12)
    results, study = tmp_path / "results", Study.from_config(CONFIG)
    rows = pd.read_csv(manifest)
    (results / "images").mkdir(parents=True)
    rows.to_csv(layout.manifest(results), index=False)
    levels = 60 + 60 * (rows["class"] == "PNEUMONIA").to_numpy()[:, None, None]
    images = np.random.default_rng(0).normal(levels, 20, (len(rows), 48, 48)).clip(0, 255) * 128
    (results / "preprocessing" / "arrays").mkdir(parents=True)
    masks = np.zeros((len(rows), 64, 64), bool)
    masks[:, 10:50, 8:24] = True
    np.savez(layout.lungs(results), masks=np.packbits(masks, axis=-1))
    for protocol in study.protocols:
        write_split(manifest, split_settings(study, protocol), layout.split(results, protocol))
        np.save(layout.array(results, array_name(study, 1.0, protocol)), images.astype(np.int16))
    return results


def test_the_stage_writes_predictions_that_the_other_statistics_can_read(results: Path, tmp_path: Path) -> None:
    features = results / "training" / "features" / "corrected" / "net.npz"
    features.parent.mkdir(parents=True)
    count = len(pd.read_csv(layout.manifest(results)))
    stored = {"T0.rows": np.arange(count), "T0.features": np.random.default_rng(0).normal(size=(count, 3))}
    np.savez(features, **stored)
    write_baselines(CONFIG, results, layout.evaluation(results, "baselines.json"), [features])
    found = read_json(layout.evaluation(results, "baselines.json"))
    names = ["majority-class", "image-size", "mean-intensity", "thumbnail"]
    names += ["thumbnail-lungs", "thumbnail-surroundings", "lungs-outline"]
    assert {protocol: list(members) for protocol, members in found["protocols"].items()} == {
        "published": names,
        "corrected": [*names, "frozen-net"],
    }
    for protocol, members in found["protocols"].items():
        split = pd.read_csv(layout.split(results, protocol)).query("set != 'train'")
        for name in members:
            rows = read_predictions(results / "evaluation" / "baselines" / protocol / f"{name}.csv")
            assert rows[["path", "set"]].to_numpy().tolist() == split[["path", "set"]].to_numpy().tolist()
        assert members["mean-intensity"]["metrics"]["test"]["auroc"] == 1
    write_metrics([results / "evaluation" / "baselines" / "published" / "thumbnail.csv"], [tmp_path / "metrics.json"])
    assert read_json(tmp_path / "metrics.json") == found["protocols"]["published"]["thumbnail"]["metrics"]
    assert found["shift"]["array"] == "48px"
    first = {path: path.read_bytes() for path in sorted(results.rglob("*")) if path.is_file()}
    write_baselines(CONFIG, results, layout.evaluation(results, "baselines.json"), [features])
    assert first == {path: path.read_bytes() for path in sorted(results.rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_the_real_images_have_the_shift_that_was_measured_before(real_images: Path) -> None:
    """The specification: AUROC 0.99 in grouped cross-validation inside train/, 0.91 on the official test set."""
    paths = sorted(path.relative_to(real_images).as_posix() for path in real_images.glob("t*/*/*.jpeg"))
    manifest = pd.DataFrame([path.split("/")[:2] for path in paths], columns=["official_split", "class"])
    manifest["patient_coarse"] = [subject_of(path).patient_coarse for path in paths]
    images = [Image.open(real_images / path).convert("L").resize((32, 32), Image.Resampling.BOX) for path in paths]
    found = shift_of(manifest, np.stack([np.asarray(image, np.float32).ravel() for image in images]))
    assert found["cross_validated"]["auroc"] == pytest.approx(0.99, abs=0.005)
    assert found["official_test"]["auroc"] == pytest.approx(0.91, abs=0.01)
    assert found["train_against_test"]["NORMAL"]["auroc"] > 0.9
