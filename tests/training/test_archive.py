"""Finished runs in one file: packed, taken, and refused where they do not fit."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cxr.errors import InputError
from cxr.files import read_json, sha256_of, write_json
from cxr.preprocessing.split import write_split
from cxr.sealed_zip import SUMS, sha256_of_bytes
from cxr.study import layout
from cxr.study.config import Study
from cxr.study.settings import run_settings, split_settings
from cxr.training.archive import check_outputs, unpack_run, unpack_runs, write_archive
from cxr.training.tables import HISTORY, write_not_run

CONFIG: dict[str, Any] = {
    "name": "x",
    "data": {"source": "folder", "folder": "."},
    "device": "cpu",
    "image_size": 32,
    "protocols": ["published"],
    "experiments": ["custom", "custom-T1"],
    "seeds": [1, 2],
}
UNPACKING = CONFIG | {"runs": {"source": "archive", "file": "runs.zip", "trained_here": ["published/custom/seed-2"]}}
CUSTOM, T1 = "runs/published/custom/seed-1", "runs/published/custom-T1/seed-1"


@pytest.fixture
def trained(tmp_path: Path, make_cohort: Callable[..., tuple[Path, Path]]) -> Path:
    """Results with a finished run of one experiment, and one that was not run, both with seed 1."""
    results, study = tmp_path / "trained", Study.from_config(CONFIG)
    manifest, _ = make_cohort()
    layout.manifest(results).parent.mkdir(parents=True)
    layout.manifest(results).write_bytes(manifest.read_bytes())
    write_split(manifest, split_settings(study, "published"), layout.split(results, "published"))
    rows = pd.read_csv(layout.split(results, "published")).query("set != 'train'")
    folder = layout.run(results, CUSTOM)
    folder.mkdir(parents=True)
    rows = rows.merge(pd.read_csv(manifest)[["path", "patient_coarse", "patient_fine"]], on="path")
    rows.assign(probability=0.75, predicted=1).to_csv(folder / "predictions.csv", index=False)
    pd.DataFrame([[1, 0.001, 0.5, 0.8, 0.4, 0.9]], columns=HISTORY).to_csv(folder / "history.csv", index=False)
    record = {
        "status": "done",
        "settings": run_settings(study, "custom", "published", 1),
        "outputs": {name: sha256_of(folder / name) for name in ("history.csv", "predictions.csv")},
        "inputs": {"manifest": sha256_of(manifest)},
    }
    write_json(folder / "run.json", record)
    write_not_run(layout.run(results, T1), run_settings(study, "custom-T1", "published", 1), {"reason": "no weights"})
    return results


@pytest.fixture
def unpacking(trained: Path, tmp_path: Path) -> Path:
    """Other results of the same images, without runs, and the archive ``runs.zip`` beside them."""
    write_archive([trained], tmp_path / "runs.zip")
    results = tmp_path / "unpacking"
    for path in (layout.manifest(trained), layout.split(trained, "published")):
        copy = results / path.relative_to(trained)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return results


def unpack(results: Path, **changes: Any) -> None:
    unpack_runs(UNPACKING | changes, results, results.parent / "runs.zip")


def test_runs_are_taken_as_they_were_and_say_where_they_come_from(trained: Path, unpacking: Path) -> None:
    unpack(unpacking)
    for name in ("history.csv", "predictions.csv"):
        before, after = (layout.run(results, CUSTOM) / name for results in (trained, unpacking))
        assert before.read_bytes() == after.read_bytes()
    record = read_json(layout.run(unpacking, CUSTOM) / "run.json")
    source = {"kind": "archive", "archive": "runs.zip", "sha256": sha256_of(unpacking.parent / "runs.zip")}
    assert record == read_json(layout.run(trained, CUSTOM) / "run.json") | {"source": source}
    check_outputs(layout.run(unpacking, CUSTOM))


def test_what_was_not_run_or_is_not_there_says_so_and_what_is_trained_here_is_left_alone(unpacking: Path) -> None:
    unpack(unpacking)
    assert read_json(layout.run(unpacking, T1) / "run.json")["reason"] == "no weights"
    absent = layout.run(unpacking, "runs/published/custom-T1/seed-2")
    assert read_json(absent / "run.json")["reason"] == "runs.zip holds no such run"
    assert pd.read_csv(absent / "predictions.csv").empty
    assert not layout.run(unpacking, "runs/published/custom/seed-2").exists()


def test_how_a_run_is_computed_may_differ_and_what_it_is_may_not(unpacking: Path) -> None:
    unpack(unpacking, device="cuda", channels_last=True, precision="bfloat16")
    with pytest.raises(InputError, match="was made with other settings, image_size is 32 instead of 48; change"):
        unpack(unpacking, image_size=48)
    with pytest.raises(InputError, match="epochs is 25 instead of 3"):
        unpack(unpacking, limits=[{"experiments": ["custom"], "epochs": 3}])


def test_runs_of_other_images_or_other_sets_are_refused_and_nothing_is_written(unpacking: Path) -> None:
    split = layout.split(unpacking, "published")
    split.write_text(split.read_text().replace(",test,", ",validation,", 1))
    with pytest.raises(InputError, match="predicts other images than the sets of"):
        unpack(unpacking)
    manifest = layout.manifest(unpacking)
    manifest.write_text(manifest.read_text() + "\n")
    with pytest.raises(InputError, match="was made from other images than"):
        unpack(unpacking)
    assert not (unpacking / "training").exists()


def test_runs_as_recorded_keep_what_their_record_says_of_their_source(trained: Path, unpacking: Path) -> None:
    record = layout.run(trained, CUSTOM) / "run.json"
    elsewhere = {"source": {"kind": "archive", "archive": "earlier.zip", "sha256": "ab"}}
    for changes in ({}, elsewhere):
        write_json(record, read_json(record) | changes)
        write_archive([trained], unpacking.parent / f"recorded{len(changes)}.zip")
        runs = {"source": "archive", "file": "runs.zip", "as_recorded": True}
        unpack_runs(CONFIG | {"runs": runs}, unpacking, unpacking.parent / f"recorded{len(changes)}.zip")
        assert (layout.run(unpacking, CUSTOM) / "run.json").read_bytes() == record.read_bytes()


def explained(results: Path) -> Path:
    """Write a small explanation of the finished run, and return its folder."""
    run, folder = read_json(layout.run(results, CUSTOM) / "run.json"), layout.explanation(results, CUSTOM)
    folder.mkdir(parents=True)
    np.savez_compressed(folder / "maps.npz", paths=np.array(["a", "b"]))
    outputs = {"maps.npz": sha256_of(folder / "maps.npz")}
    explains = {"predictions.csv": run["outputs"]["predictions.csv"]}
    write_json(folder / "explanation.json", {"status": "done", "explains": explains, "outputs": outputs})
    return folder


def test_an_archive_without_explanations_says_so_in_their_place(unpacking: Path) -> None:
    unpack(unpacking)
    for place, reason in ((CUSTOM, "runs.zip holds no explanation of this run"), (T1, "no weights")):
        folder = layout.explanation(unpacking, place)
        assert read_json(folder / "explanation.json") == {"status": "not made", "reason": reason}
        assert np.load(folder / "maps.npz").files == []


def test_an_explanation_is_packed_and_unpacked_with_its_run(trained: Path, unpacking: Path, tmp_path: Path) -> None:
    folder = explained(trained)
    write_archive([trained], tmp_path / "runs.zip")
    unpack(unpacking)
    after = layout.explanation(unpacking, CUSTOM)
    assert (after / "maps.npz").read_bytes() == (folder / "maps.npz").read_bytes()
    record, packed = (read_json(place / "explanation.json") for place in (after, folder))
    assert record.pop("source")["archive"] == "runs.zip" and record == packed


@pytest.mark.parametrize(("key", "name"), [("explains", "predictions.csv"), ("outputs", "maps.npz")])
def test_an_explanation_of_other_predictions_or_with_other_maps_is_refused(
    trained: Path, unpacking: Path, tmp_path: Path, key: str, name: str
) -> None:
    file = explained(trained) / "explanation.json"
    write_archive([trained], tmp_path / "runs.zip")
    foreign = read_json(file)
    foreign[key][name] = "0" * 64
    write_json(file, foreign)
    words = rf"explanation\.json (explains|belongs to) another {name}"
    with pytest.raises(InputError, match=words):
        write_archive([trained], tmp_path / "foreign.zip")
    assert not (tmp_path / "foreign.zip").exists()
    changed(tmp_path / "runs.zip", f"{CUSTOM}/explanation.json", file.read_bytes(), listed=True)
    with pytest.raises(InputError, match=words):
        unpack(unpacking)
    assert not (unpacking / "training").exists() and not (unpacking / "explanation").exists()


def test_maps_without_their_record_are_refused(trained: Path, unpacking: Path, tmp_path: Path) -> None:
    explained(trained)
    write_archive([trained], tmp_path / "runs.zip")
    without(tmp_path / "runs.zip", f"{CUSTOM}/explanation.json")
    with pytest.raises(InputError, match=f"{CUSTOM} has no explanation.json; restore it"):
        unpack(unpacking)


def without(archive: Path, name: str) -> None:
    """Write the archive again without a file, which its list does not name either."""
    with zipfile.ZipFile(archive) as zipped:
        files = {entry: zipped.read(entry) for entry in zipped.namelist() if entry != name}
    files[SUMS] = b"".join(line for line in files[SUMS].splitlines(True) if name.encode() not in line)
    with zipfile.ZipFile(archive, "w") as zipped:
        for entry, data in files.items():
            zipped.writestr(entry, data)


def changed(archive: Path, name: str, content: bytes | None, listed: bool = False) -> None:
    """Write the archive again with another content of one file, or without it; its list may know, too."""
    with zipfile.ZipFile(archive) as zipped:
        files = {entry: zipped.read(entry) for entry in zipped.namelist()}
    old = sha256_of_bytes(files.pop(name))
    if content is not None:
        files[name] = content
        if listed:
            files[SUMS] = files[SUMS].replace(old.encode(), sha256_of_bytes(content).encode())
    with zipfile.ZipFile(archive, "w") as zipped:
        for entry, data in files.items():
            zipped.writestr(entry, data)


@pytest.mark.parametrize(
    ("content", "listed", "words"),
    [
        (b"path,set\n", False, "predictions.csv does not have the SHA-256 that SHA256SUMS lists"),
        (b"path,set\n", True, "predictions.csv is not the file that the run wrote"),
        (None, False, "holds other files than SHA256SUMS lists"),
    ],
)
def test_an_archive_that_was_changed_is_refused(
    unpacking: Path, content: bytes | None, listed: bool, words: str
) -> None:
    changed(unpacking.parent / "runs.zip", f"{CUSTOM}/predictions.csv", content, listed)
    with pytest.raises(InputError, match=words) as caught:
        unpack(unpacking)
    assert "runs.zip" in str(caught.value) and "\n" not in str(caught.value) and not (unpacking / "training").exists()


def test_a_missing_or_damaged_archive_is_one_sentence(unpacking: Path) -> None:
    archive = unpacking.parent / "runs.zip"
    archive.write_bytes(archive.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"runs\.zip is a damaged zip file .*; restore it"):
        unpack(unpacking)
    with pytest.raises(InputError, match=r"nowhere\.zip does not exist; restore it, or name another file"):
        unpack_runs(UNPACKING, unpacking, unpacking / "nowhere.zip")


def test_a_run_that_was_edited_is_not_packed(trained: Path, tmp_path: Path) -> None:
    predictions = layout.run(trained, CUSTOM) / "predictions.csv"
    predictions.write_text(predictions.read_text().replace("0.75", "1.0"))
    with pytest.raises(InputError, match=r"predictions\.csv is not the file that the run wrote: its SHA-256"):
        write_archive([trained], tmp_path / "edited.zip")
    predictions.unlink()
    with pytest.raises(InputError, match=r"predictions\.csv does not exist, but .*run\.json says that it was written"):
        write_archive([trained], tmp_path / "edited.zip")
    assert not (tmp_path / "edited.zip").exists()


def test_equal_runs_make_an_equal_archive_and_two_of_one_name_none(trained: Path, tmp_path: Path) -> None:
    write_archive([trained], tmp_path / "a.zip")
    write_archive([trained], tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as zipped:
        assert json.loads(zipped.read(f"{CUSTOM}/run.json"))["status"] == "done"
        assert not any(name.endswith(".pt") for name in zipped.namelist())
    with pytest.raises(InputError, match="both hold runs/published/custom"):
        write_archive([trained, trained], tmp_path / "c.zip")
    with pytest.raises(InputError, match="hold no finished runs"):
        write_archive([tmp_path / "nothing"], tmp_path / "c.zip")


def test_a_run_that_could_not_be_run_does_not_replace_one_with_a_reason_of_its_own(unpacking: Path) -> None:
    study = Study.from_config(UNPACKING)
    archive, folder = unpacking.parent / "runs.zip", unpacking / "training" / T1
    settings = run_settings(study, "custom-T1", "published", 1)
    files = (layout.manifest(unpacking), layout.split(unpacking, "published"))
    assert not unpack_run(archive, folder, settings, *files, done=True) and not folder.exists()
    assert unpack_run(archive, folder, settings, *files) and (folder / "run.json").exists()
