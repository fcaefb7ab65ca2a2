"""The author's networks judged here: his answers, his printed numbers, and nothing written for a refused file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from saved_networks import Trap, resnet, saved, saved_by_the_author
from torch import nn

from cxr.errors import InputError
from cxr.files import read_json, sha256_of, write_json
from cxr.review.checkpoints import PROTOCOL, verify_checkpoint
from cxr.study import layout

SIZE = 64


def seen(array: np.ndarray) -> np.ndarray:
    """The images as the study's networks see them: 1/128 grey levels, divided by 225 and normalised as printed."""
    return ((array.astype(np.float32) / 128 / 225 - 0.5455) / 0.2587)[:, None]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the workflow leaves after preprocessing, for 4 training, 5 validation and 8 test images."""
    root = tmp_path_factory.mktemp("results") / "small"
    random = np.random.default_rng(0)
    sets = ["train"] * 4 + ["validation"] * 5 + ["test"] * 8
    paths = [f"{name}/{number}.png" for number, name in enumerate(sets)]
    manifest = pd.DataFrame({"path": paths, "patient_coarse": paths, "patient_fine": paths, "width": 90, "height": 80})
    split = pd.DataFrame({"path": paths, "set": sets, "label": [0, 1] * 8 + [1]})
    for folder in ("images", "preprocessing/arrays", f"preprocessing/{PROTOCOL}"):
        (root / folder).mkdir(parents=True)
    manifest.to_csv(layout.manifest(root), index=False)
    # The rows of the split are in another order than those of the manifest and of the array.
    split.iloc[::-1].to_csv(layout.split(root, PROTOCOL), index=False)
    sizes = {"min": 80, "median": 90.0, "max": 90}
    write_json(layout.cohort(root), {"title": "Noise", "synthetic": False, "width": sizes, "height": sizes})
    # Constants that are not the printed ones: the printed ones are what the author's networks were trained with.
    constants = {"mean": 0.1, "std": 0.9, "pixel_divisor": 225}
    facts = {"protocol": PROTOCOL, "image_size": SIZE, "normalisation": constants}
    write_json(layout.preprocessing(root, PROTOCOL), facts)
    np.save(layout.array(root, f"{SIZE}px"), random.integers(0, 255 * 128, (17, SIZE, SIZE)).astype(np.int16))
    return root


@pytest.fixture(scope="module")
def authors(tmp_path_factory: pytest.TempPathFactory, results: Path) -> tuple[Path, np.ndarray]:
    """A checkpoint of the author's kind, and what its network makes of all images."""
    folder = tmp_path_factory.mktemp("author")
    np.save(folder / "images.npy", seen(np.load(layout.array(results, f"{SIZE}px"))))
    path = saved_by_the_author(folder, folder / "images.npy", folder / "answers.npy")
    return path, np.load(folder / "answers.npy")


def test_the_authors_network_gives_the_authors_answers(
    authors: tuple[Path, np.ndarray], results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, answers = authors
    verify_checkpoint(path, "custom", results, tmp_path / "out" / "record.json")
    predictions = pd.read_csv(tmp_path / "out" / "predictions.csv")
    record = read_json(tmp_path / "out" / "record.json")

    assert predictions["set"].value_counts().to_dict() == {"test": 8, "validation": 5}
    logits = answers[[int(Path(name).stem) for name in predictions["path"]]]
    expected = np.exp(logits[:, 1]) / np.exp(logits).sum(axis=1)
    np.testing.assert_allclose(predictions["probability"], expected, rtol=1e-5)
    assert (predictions["predicted"] == logits.argmax(axis=1)).all()

    test = predictions[predictions["set"] == "test"]
    counts = pd.crosstab(test["label"], test["predicted"]).reindex(index=[0, 1], columns=[0, 1], fill_value=0)
    assert record["here"]["confusion_matrix"] == counts.to_numpy().tolist()
    assert record["here"]["accuracy"] == pytest.approx((test["label"] == test["predicted"]).mean())
    assert record["printed"] == {"accuracy": 0.8438, "confusion_matrix": [[82, 47], [3, 188]]}
    assert record["equal"] is False
    assert (record["file"], record["sha256"]) == ("custom.pth", sha256_of(path))
    assert record["network"]["class"] == "__main__.SimpleConvNet" and record["network"]["left_out"] == []
    assert record["image_size"] == SIZE and record["images"]["one_size"] is False
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "0.8438" in lines[1] and "not the same" in lines[1]


def test_equal_means_both_printed_numbers_or_the_one_there_is() -> None:
    from cxr.review.checkpoints import _equal

    here = {"accuracy": 278 / 320, "confusion_matrix": [[90, 39], [3, 188]]}
    assert _equal(here, {"accuracy": 0.8688, "confusion_matrix": None})
    assert _equal(here, {"accuracy": 0.8688, "confusion_matrix": [[90, 39], [3, 188]]})
    assert not _equal(here, {"accuracy": 0.8688, "confusion_matrix": [[91, 38], [4, 187]]})
    assert not _equal(here, {"accuracy": 0.8719, "confusion_matrix": None})


def test_without_a_printed_result_there_is_no_verdict(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = nn.Sequential(nn.Linear(512, 10), nn.ReLU(), nn.Linear(10, 2))
    verify_checkpoint(saved(resnet(head), tmp_path / "r.pth"), "resnet18-I-10", results, tmp_path / "record.json")
    record = read_json(tmp_path / "record.json")
    assert record["printed"] is None and record["equal"] is None
    assert "prints no result" in capsys.readouterr().out


def test_a_refusal_writes_nothing(results: Path, tmp_path: Path) -> None:
    path = saved({"w": Trap(tmp_path / "canary")}, tmp_path / "trap.pth")
    with pytest.raises(InputError):
        verify_checkpoint(path, "custom", results, tmp_path / "out" / "record.json")
    assert not (tmp_path / "out").exists() and not (tmp_path / "canary").exists()


def test_results_without_preprocessing_say_what_is_missing(results: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.csv does not exist; make it with snakemake"):
        verify_checkpoint(tmp_path / "c.pth", "custom", tmp_path / "nothing", tmp_path / "record.json")
    with pytest.raises(InputError, match="there is no experiment 'costum'; did you mean 'custom'"):
        verify_checkpoint(tmp_path / "c.pth", "costum", results, tmp_path / "record.json")
