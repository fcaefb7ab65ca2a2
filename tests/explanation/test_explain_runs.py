"""The stage, on runs of the custom CNN whose evidence lies in a square in the middle of the images."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxr.errors import InputError
from cxr.explanation.explain import explain_runs
from cxr.files import read_json, sha256_of, write_json
from cxr.preprocessing.arrays import write_arrays
from cxr.preprocessing.normalisation import write_normalisation
from cxr.preprocessing.split import write_split
from cxr.study import layout
from cxr.study.arrays import all_arrays
from cxr.study.config import PAPER, Study
from cxr.study.settings import run_settings, split_settings
from cxr.training.archive import unpack_runs, write_archive
from cxr.training.tables import write_not_run
from cxr.training.train import train

CONFIG: dict[str, Any] = {
    "name": "test",
    "data": {"source": "folder", "folder": "."},
    "device": "cpu",
    "image_size": 32,
    "protocols": ["published"],
    "experiments": ["custom", "custom-T1"],
    "seeds": [1],
    "limits": [{"experiments": ["*"], "epochs": 8}],
}
STUDY = Study.from_config(CONFIG)
CUSTOM, T1 = "runs/published/custom/seed-1", "runs/published/custom-T1/seed-1"
# In the middle, as training mirrors and turns the images.
SQUARE = slice(10, 22)


def write_images(results: Path) -> None:
    """Noise, brighter in the square where it is pneumonia; and masks of the lungs, which are the square."""
    random, rows = np.random.default_rng(0), []
    for part, count in (("train", 40), ("val", 2), ("test", 80)):
        for kind in ("NORMAL", "PNEUMONIA"):
            for number in range(count + 5 * (part == "train" and kind == "PNEUMONIA")):
                path = f"{part}/{kind}/{kind[0].lower()}{number:03d}.png"
                pixels = random.normal(90, 20, (32, 32))
                pixels[SQUARE, SQUARE] += 100 * (kind == "PNEUMONIA")
                (results / "files" / path).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(results / "files" / path)
                rows.append((path, kind, part, f"{part}{number}", f"{part}{kind}{number}", 32, 32))
    columns = ["path", "class", "official_split", "patient_coarse", "patient_fine", "width", "height"]
    layout.manifest(results).parent.mkdir(parents=True)
    pd.DataFrame(rows, columns=columns).to_csv(layout.manifest(results), index=False)
    write_json(layout.cohort(results), {"root": str(results / "files")})
    write_masks(results, inside=True)


def write_masks(results: Path, inside: bool) -> None:
    masks = np.full((len(pd.read_csv(layout.manifest(results))), 64, 64), not inside)
    masks[:, 20:44, 20:44] = inside
    layout.lungs(results).parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(layout.lungs(results), masks=np.packbits(masks, axis=-1))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with a trained run and one that was not run."""
    results = tmp_path_factory.mktemp("explain") / "results"
    write_images(results)
    manifest, split = layout.manifest(results), layout.split(results, "published")
    preprocessing, settings = layout.preprocessing(results, "published"), split_settings(STUDY, "published")
    arrays = [layout.array(results, name) for name in all_arrays(STUDY)]
    write_arrays(manifest, layout.cohort(results), arrays)
    write_split(manifest, settings, split)
    write_normalisation(manifest, split, arrays[0], PAPER / "published" / "results.json", settings, preprocessing)
    runs = {str(layout.run(results, CUSTOM)): run_settings(STUDY, "custom", "published", 1)}
    train(runs, manifest, split, preprocessing, arrays)
    write_not_run(layout.run(results, T1), run_settings(STUDY, "custom-T1", "published", 1), {"reason": "no weights"})
    return results


@pytest.fixture
def results(trained: Path, tmp_path: Path) -> Path:
    """A copy of the results to change."""
    return Path(shutil.copytree(trained, tmp_path / "results"))


def explain(results: Path, *runs: str) -> dict[str, Any]:
    """Explain some runs and return the record of the first."""
    explain_runs(results, list(runs), [layout.array(results, name) for name in all_arrays(STUDY)])
    record: dict[str, Any] = read_json(layout.explanation(results, runs[0]) / "explanation.json")
    return record


def test_the_record_says_what_was_explained_and_where_the_network_looks(results: Path) -> None:
    record = explain(results, CUSTOM, T1)
    run, folder = layout.run(results, CUSTOM), layout.explanation(results, CUSTOM)
    assert record["status"] == "done" and record["settings"] == read_json(run / "run.json")["settings"]
    assert record["explains"] == {name: sha256_of(run / name) for name in ("checkpoint.pt", "predictions.csv")}
    assert record["outputs"] == {"maps.npz": sha256_of(folder / "maps.npz")}
    assert record["inputs"]["lungs"] == sha256_of(layout.lungs(results))
    assert record["layers"]["deep"] == {"name": "conv4", "size": [2, 2]}
    assert record["cam"] == {"defined": False, "reason": "no global average pooling stands before its linear layers"}
    assert record["visible"]["whole"] > 0.95 and record["visible"]["lungs"] > 0.95
    assert record["visible"]["outside"] < 0.8
    relevance = record["relevance"]["conv1"]["1"]["all"]
    assert relevance["n"] + relevance["without_relevance"] == record["images"]
    assert relevance["lung_area"] == pytest.approx((12 / 32) ** 2)
    assert record["randomisation"]["steps"][0]["randomised"] == "fc3"
    not_run = layout.explanation(results, T1)
    assert read_json(not_run / "explanation.json") == {"status": "not made", "reason": "no weights"}
    assert np.load(not_run / "maps.npz").files == []


def test_other_masks_turn_round_what_is_seen(results: Path) -> None:
    write_masks(results, inside=False)
    visible = explain(results, CUSTOM)["visible"]
    assert visible["outside"] > 0.95 and visible["lungs"] < 0.8


def test_the_maps_are_those_of_right_and_wrong_test_images_and_come_out_the_same_again(results: Path) -> None:
    explain(results, CUSTOM)
    file = layout.explanation(results, CUSTOM) / "maps.npz"
    maps, predictions = np.load(file), pd.read_csv(layout.run(results, CUSTOM) / "predictions.csv")
    labels = predictions.query("set == 'test'").set_index("path").loc[maps["paths"], "label"]
    assert [case in ("true positive", "false negative") for case in maps["case"]] == labels.astype(bool).tolist()
    for layer, size in (("conv1", 32), ("conv4", 2)):
        both = np.stack([maps[f"map/{layer}/{target}"] for target in (0, 1)])
        assert both.shape == (2, len(labels), size, size) and both.dtype == np.float16
        assert set(both.max((0, 2, 3))) <= {0, 1} and both.min() >= 0 and maps[f"peak/{layer}"].shape == labels.shape
    assert maps["filters"].shape == maps["filters_before"].shape == (6, 1, 3, 3)
    before = file.read_bytes()
    explain(results, CUSTOM)
    assert file.read_bytes() == before


def test_the_first_filters_are_as_training_found_them(results: Path) -> None:
    place = "runs/published/custom/seed-9"
    still = run_settings(STUDY, "custom", "published", 9) | {"learning_rate": 0.0, "epochs": 1}
    arrays = [layout.array(results, name) for name in all_arrays(STUDY)]
    tables = (layout.manifest(results), layout.split(results, "published"), layout.preprocessing(results, "published"))
    train({str(layout.run(results, place)): still}, *tables, arrays)
    explain(results, place)
    maps = np.load(layout.explanation(results, place) / "maps.npz")
    assert np.array_equal(maps["filters"], maps["filters_before"])


def test_a_run_that_is_not_there_is_refused_with_those_that_are(results: Path) -> None:
    with pytest.raises(InputError, match=f"holds no run 'runs/published/custm/seed-1'; it holds {T1}, {CUSTOM}"):
        explain(results, "runs/published/custm/seed-1")


@pytest.mark.parametrize("name", ["checkpoint.pt", "predictions.csv"])
def test_a_run_that_was_changed_is_refused_and_nothing_is_written(results: Path, name: str) -> None:
    file = layout.run(results, CUSTOM) / name
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(InputError, match=rf"{name} is not the file that the run wrote"):
        explain(results, CUSTOM)
    assert not layout.explanation(results, CUSTOM).exists()


def test_other_constants_than_those_of_the_training_are_refused(results: Path) -> None:
    file = layout.preprocessing(results, "published")
    content = read_json(file)
    content["normalisation"]["mean"] += 0.3
    write_json(file, content)
    with pytest.raises(InputError, match=r"differ from predictions\.csv by up to .* images that it was trained with"):
        explain(results, CUSTOM)


def test_an_explanation_travels_with_its_run_and_with_no_other(results: Path, tmp_path: Path) -> None:
    explain(results, CUSTOM, T1)
    write_archive([results], tmp_path / "runs.zip")
    other = tmp_path / "other"
    for path in (layout.manifest(results), layout.split(results, "published")):
        (other / path.relative_to(results)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, other / path.relative_to(results))
    unpack_runs(CONFIG | {"runs": {"source": "archive", "file": "runs.zip"}}, other, tmp_path / "runs.zip")
    before, after = (layout.explanation(root, CUSTOM) for root in (results, other))
    assert (before / "maps.npz").read_bytes() == (after / "maps.npz").read_bytes()
    source = {"kind": "archive", "archive": "runs.zip", "sha256": sha256_of(tmp_path / "runs.zip")}
    assert read_json(after / "explanation.json") == read_json(before / "explanation.json") | {"source": source}
    assert read_json(layout.explanation(other, T1) / "explanation.json")["reason"] == "no weights"
    # Where training takes a run from the archive, its explanation comes from there as well.
    shutil.rmtree(after)
    explain_runs(other, [CUSTOM], [], archive=tmp_path / "runs.zip")
    assert read_json(after / "explanation.json")["source"] == source

    record = before / "explanation.json"
    foreign = read_json(record)
    foreign["explains"]["predictions.csv"] = "0" * 64
    write_json(record, foreign)
    with pytest.raises(InputError, match=r"explanation\.json explains another predictions\.csv than that of the run"):
        write_archive([results], tmp_path / "foreign.zip")
    assert not (tmp_path / "foreign.zip").exists()
