"""Verification: whatever differs is said in its row, and nothing else is."""

import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cxr.errors import Differs, InputError
from cxr.evaluation.run_metrics import write_metrics
from cxr.files import read_json, sha256_of, write_json
from cxr.images.names import CLASSES
from cxr.preprocessing.arrays import write_arrays
from cxr.preprocessing.normalisation import write_normalisation
from cxr.preprocessing.split import digest_of_test_rows, write_split
from cxr.provenance import PACKAGES, processor
from cxr.review.checks import check_data, check_environment
from cxr.review.expectation import expectation_of
from cxr.review.verify import verify
from cxr.study import layout
from cxr.study.arrays import all_arrays, array_name, arrays_of
from cxr.study.config import PAPER, Study
from cxr.study.settings import run_settings, split_settings
from cxr.training.train import train

CONFIG: dict[str, Any] = {
    "name": "toy",
    "data": {"source": "folder", "folder": "."},
    "device": "cpu",
    "image_size": 32,
    "protocols": ["published", "corrected"],
    "experiments": ["custom"],
    "seeds": [42],
    "limits": [{"experiments": ["*"], "epochs": 1}],
}
RUN = "runs/published/custom/seed-42"
PATIENTS = ["path", "patient_coarse", "patient_fine"]


@pytest.fixture
def results(make_cohort: Callable[..., tuple[Path, Path]], tmp_path: Path) -> Path:
    """``results/toy`` as the stages leave it, but with invented predictions."""
    source, _ = make_cohort()
    results, study = tmp_path / "results", Study.from_config(CONFIG)
    images = tmp_path / "images"
    manifest = layout.manifest(results)
    rows = pd.read_csv(source)
    counts = {
        part: {name: int(((rows["official_split"] == part) & (rows["class"] == name)).sum()) for name in CLASSES}
        for part in ("train", "val", "test")
    }
    write_json(
        layout.cohort(results),
        {"root": str(images), "source": "folder", "synthetic": False, "counts": counts},
    )
    rows.assign(sha256=[sha256_of(images / path) for path in rows["path"]]).to_csv(manifest, index=False)
    for protocol in study.protocols:
        folder = results / "preprocessing" / protocol
        write_split(manifest, split_settings(study, protocol), folder / "split.csv")
        split = pd.read_csv(folder / "split.csv")
        write_json(folder / "preprocessing.json", {"test_rows_sha256": digest_of_test_rows(split)})
    for (protocol, experiment, seed), place in zip(study.runs(), study.run_places(), strict=True):
        write_run(results, place, run_settings(study, experiment, protocol, seed))
    verdicts = {protocol: {"verdict": "reproduced", "value": 1} for protocol in study.protocols}
    write_json(
        layout.claims(results),
        {"claims": [{"id": "C1", "says": "something", "protocols": verdicts}], "unexplained": ["C1"]},
    )
    return results


def write_run(results: Path, place: str, settings: dict[str, Any]) -> None:
    """Write the files of one run, with random probabilities for the images of its split."""
    run, protocol = layout.run(results, place), settings["protocol"]
    inputs = {
        "manifest": layout.manifest(results),
        "split": layout.split(results, protocol),
        "preprocessing": layout.preprocessing(results, protocol),
    }
    rows = pd.read_csv(inputs["split"]).query("set != 'train'")
    probability = np.random.default_rng(0).random(len(rows))
    rows = rows.assign(probability=probability, predicted=(probability > 0.5).astype(int))
    rows = rows.merge(pd.read_csv(inputs["manifest"])[PATIENTS], on="path")
    columns = ["path", "set", "label", "patient_coarse", "patient_fine", "probability", "predicted"]
    run.mkdir(parents=True)
    rows[columns].to_csv(run / "predictions.csv", index=False, float_format="%.9g")
    (run / "history.csv").write_text("epoch,val_accuracy\n1,0.5\n")
    write_json(
        run / "run.json",
        {
            "status": "done",
            "settings": settings,
            "wall_seconds": 1.0,
            "device": {"name": "CPU", "threads": 1},
            "hardware": {"processor": processor()},
            "inputs": {name: sha256_of(path) for name, path in inputs.items()},
        },
    )
    write_metrics([run / "predictions.csv"], [layout.metrics(results, place)])


@pytest.fixture
def options(results: Path, tmp_path: Path) -> dict[str, Any]:
    """Arguments of ``verify`` with which all is well: the expectation is accepted, the lock is that of this system."""
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "".join(f"{name}=={importlib.metadata.version(name)} \\\n    --hash=sha256:ab\n" for name in PACKAGES)
    )
    write_json(tmp_path / "expected.json", expectation_of(Study.from_config(CONFIG), results))
    return {
        "config": CONFIG,
        "results": results,
        "expected": tmp_path / "expected.json",
        "record": tmp_path / "verification.json",
        "lock": lock,
        "repeat": False,
    }


def checks_of(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The checks that ``verify`` recorded, by name."""
    return {check["name"]: check for check in read_json(options["record"])["checks"]}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_results_that_are_as_expected_pass_and_stay_as_they_are(
    options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    files = {path: path.read_bytes() for path in options["results"].rglob("*") if path.is_file()}
    verify(**options)
    assert {path: path.read_bytes() for path in options["results"].rglob("*") if path.is_file()} == files
    checks = checks_of(options)
    skipped = {"other packages", "numbers of images", "a run done twice"}
    assert {name for name, check in checks.items() if check["verdict"] == "skipped"} == skipped
    assert {check["verdict"] for check in checks.values()} == {"ok", "skipped"}
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == f"{len(checks) - 3} ok, 0 differs, 3 skipped"
    places = {line.index(checks[name]["found"]) for line in printed for name in skipped if name in line}
    assert len(places) == 1, "columns are not aligned"


def changed_probability(results: Path) -> None:
    rows = pd.read_csv(layout.run(results, RUN) / "predictions.csv", dtype=str)
    rows.loc[3, "probability"] = rows.loc[3, "probability"][:-1] + (
        "1" if rows.loc[3, "probability"][-1] == "2" else "2"
    )
    rows.to_csv(layout.run(results, RUN) / "predictions.csv", index=False)


def changed_patient(results: Path) -> None:
    rows = pd.read_csv(layout.run(results, RUN) / "predictions.csv", dtype=str)
    path = rows.loc[0, "path"]
    rows.loc[rows["path"] == path, "patient_fine"] = "another"
    rows.to_csv(layout.run(results, RUN) / "predictions.csv", index=False)


def broken_predictions(results: Path) -> None:
    rows = pd.read_csv(layout.run(results, RUN) / "predictions.csv", dtype=str)
    rows.loc[0, "probability"] = "1.5"
    rows.to_csv(layout.run(results, RUN) / "predictions.csv", index=False)


def changed_metrics(results: Path) -> None:
    metrics = read_json(layout.metrics(results, RUN))
    metrics["test"]["accuracy"] += 1e-9
    write_json(layout.metrics(results, RUN), metrics)


def another_split(results: Path) -> None:
    path = results / "preprocessing" / "published" / "split.csv"
    split = pd.read_csv(path)
    split["set"] = split["set"].replace({"validation": "test", "test": "validation"})
    split.to_csv(path, index=False)


def changed_image(results: Path) -> None:
    image = next(Path(read_json(layout.cohort(results))["root"]).glob("test/NORMAL/*.png"))
    image.write_bytes(image.read_bytes() + b" ")


def changed_verdict(results: Path) -> None:
    edit(layout.claims(results), "reproduced", "not reproduced")


def missing_claim(results: Path) -> None:
    edit(layout.claims(results), "C1", "C2")


@pytest.mark.parametrize(
    ("fault", "differing"),
    [
        (changed_probability, {"metrics recomputed, to 1e-12"}),
        (changed_metrics, {"metrics recomputed, to 1e-12", "metrics of the runs trained here"}),
        (changed_patient, {"images of predictions"}),
        (broken_predictions, {"images of predictions"}),
        (
            another_split,
            {
                "split published, made anew",
                "split published, recorded test rows",
                "split published, committed",
                "inputs of runs",
                "images of predictions",
            },
        ),
        (changed_image, {"hashes of images"}),
        (lambda results: layout.metrics(results, RUN).unlink(), {"runs"}),
        (
            lambda results: edit(layout.run(results, RUN) / "run.json", '"epochs": 1', '"epochs": 2'),
            {"settings of runs"},
        ),
        (changed_verdict, {"verdicts of claims"}),
        (missing_claim, {"verdicts of claims"}),
        (
            lambda results: edit(layout.manifest(results), "train/NORMAL/n000.png,NORMAL", "n000.png,NORMAL"),
            {"hashes of images", "manifest", "inputs of runs"},
        ),
    ],
)
def test_a_fault_is_found_in_its_row(
    options: dict[str, Any],
    fault: Callable[[Path], None],
    differing: set[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    fault(options["results"])
    with pytest.raises(Differs) as difference:
        verify(**options)
    checks = checks_of(options)
    found = {name for name, check in checks.items() if check["verdict"] == "differs"}
    assert differing <= found
    # A manifest without an image makes another split, too.
    assert found - differing <= {"split published, made anew", "split corrected, made anew"}
    assert all(name in str(difference.value) for name in found)
    printed = capsys.readouterr().out.splitlines()
    assert {name for name in checks for line in printed if line.startswith(f"differs  {name}  ")} == found


def test_a_fault_names_the_run_and_the_number(options: dict[str, Any]) -> None:
    changed_metrics(options["results"])
    with pytest.raises(Differs):
        verify(**options)
    (fault,) = checks_of(options)["metrics recomputed, to 1e-12"]["faults"]
    assert fault.startswith(f"{RUN}: test.accuracy is 0.")


def test_without_an_expectation_or_released_files_checks_are_skipped_with_a_reason(options: dict[str, Any]) -> None:
    options["expected"].unlink()
    (options["results"] / "claims" / "claims.json").unlink()
    cohort = options["results"] / "images" / "cohort.json"
    write_json(cohort, {**read_json(cohort), "root": "images-of-another-machine"})
    verify(**options)
    checks = checks_of(options)
    assert checks["hashes of images"]["found"] == "images-of-another-machine is not there"
    assert checks["manifest"]["found"] == "no expectation is committed"
    assert checks["verdicts of claims"]["found"] == "claims.json is not there"


def test_results_that_are_not_there_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest.csv does not exist; run the workflow"):
        verify(**options | {"results": tmp_path / "nothing"})


def test_the_studys_own_images_must_have_the_studys_numbers(results: Path) -> None:
    published = read_json(PAPER / "published" / "results.json")
    path = layout.cohort(results)
    cohort = read_json(path)
    write_json(path, {**cohort, "source": "kaggle"})
    checks = {check.name: check for check in check_data(results, published, None)}
    assert checks["images in train"].ok is False
    assert checks["images in train"].expected == "1341 NORMAL, 3875 PNEUMONIA"
    write_json(path, {**cohort, "counts": published["dataset"]})
    checks = {check.name: check for check in check_data(results, published, None)}
    assert [checks[f"images in {part}"].ok for part in ("train", "val", "test")] == [True] * 3


def test_the_studys_images_must_give_the_studys_test_rows(options: dict[str, Any]) -> None:
    path = options["results"] / "images" / "cohort.json"
    published = read_json(PAPER / "published" / "results.json")
    write_json(path, {**read_json(path), "counts": published["dataset"]})
    with pytest.raises(Differs, match="split published, the study's test rows"):
        verify(**options)
    assert checks_of(options)["split published, the study's test rows"]["expected"] == "1d7a6fb2f7fc9b5b"
    assert "split corrected, the study's test rows" not in checks_of(options)


def test_a_package_of_another_version_is_found(options: dict[str, Any]) -> None:
    version = importlib.metadata.version("numpy")
    edit(options["lock"], f"numpy=={version}", "numpy==1.0.0")
    with pytest.raises(Differs, match="package numpy"):
        verify(**options)
    check = checks_of(options)["package numpy"]
    assert (check["expected"], check["found"]) == ("1.0.0", version)


def test_pins_are_read_as_pip_reads_them(tmp_path: Path) -> None:
    versions = {name: "2.0" for name in PACKAGES} | {"torch": "2.0+cpu", "jinja2": "3.1.5", "numpy": None}
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "# a comment with numpy==9\n"
        + "".join(f"{name}==2.0 \\\n    --hash=sha256:00==\n" for name in PACKAGES)
        + "jinja2==3.1.6\nnvidia-cublas==13.1 ; sys_platform == 'linux' \\\n"
        + "colorama==0.4 ; sys_platform == 'none'\n"
    )
    checks = {check.name: check for check in check_environment(lock, versions.get)}
    assert checks["package torch"].ok is True
    assert (checks["package numpy"].found, checks["package numpy"].ok) == ("not installed", False)
    assert checks["other packages"].faults == ("jinja2 is 3.1.5 instead of 3.1.6",)
    lock.write_text("numpy==2.0\n")
    assert {check.name: check for check in check_environment(lock, versions.get)}["package torch"].ok is False


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hardware": {"processor": "Another"}}, "it was made on another processor (Another)"),
        ({"settings": {"device": "cuda"}, "device": {"name": "A GPU"}}, "it was made on a GPU (A GPU)"),
        ({}, "32px.npy is not there"),
    ],
)
def test_a_run_that_cannot_be_repeated_here_is_skipped_with_the_reason(
    options: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    path = layout.run(options["results"], RUN) / "run.json"
    record = read_json(path)
    changes = {part: {**record[part], **values} for part, values in changes.items()}
    write_json(path, {**record, **changes, "wall_seconds": 0.5})
    try:
        verify(**options | {"repeat": True})
    except Differs as difference:
        assert "settings" in changes, difference
    (check,) = (check for name, check in checks_of(options).items() if name.startswith("a run done twice"))
    assert check["verdict"] == "skipped"
    assert reason in check["found"]
    assert "published/custom" in check["name"]


@pytest.mark.slow
def test_the_shortest_run_is_trained_again_and_compared_byte_for_byte(options: dict[str, Any]) -> None:
    results, study = options["results"], Study.from_config(CONFIG)
    data = results / "images"
    arrays = [layout.array(results, name) for name in all_arrays(study)]
    write_arrays(data / "manifest.csv", data / "cohort.json", arrays)
    folder = results / "preprocessing" / "published"
    write_normalisation(
        *(data / "manifest.csv", folder / "split.csv"),
        array=layout.array(results, array_name(study, 1.0, "published")),
        published=PAPER / "published" / "results.json",
        settings=split_settings(study, "published"),
        preprocessing=folder / "preprocessing.json",
    )
    train(
        {str(layout.run(results, RUN)): run_settings(study, "custom", "published", 42)},
        *(data / "manifest.csv", folder / "split.csv", folder / "preprocessing.json"),
        arrays=[layout.array(results, name) for name in arrays_of(study, "custom", "published")],
    )
    write_metrics([layout.run(results, RUN) / "predictions.csv"], [layout.metrics(results, RUN)])
    other = results / "training" / "runs" / "corrected" / "custom" / "seed-42" / "run.json"
    write_json(other, {**read_json(other), "wall_seconds": 1e6})
    # The metrics of these runs were not expected yet.
    verify(**options | {"repeat": True, "accept": True})
    names = [f"a run done twice: published/custom/seed-42, {table}" for table in ("history.csv", "predictions.csv")]
    assert [checks_of(options)[name]["verdict"] for name in names] == ["ok", "ok"]
    assert not list(results.rglob("unfinished*"))
    # No metric depends on the history.
    history = (layout.run(results, RUN) / "history.csv").read_bytes()
    (layout.run(results, RUN) / "history.csv").write_bytes(history.replace(b"0", b"1", 1))
    with pytest.raises(Differs, match=r"history\.csv"):
        verify(**options | {"repeat": True})
    assert [checks_of(options)[name]["verdict"] for name in names] == ["differs", "ok"]


def test_the_expectation_is_written_only_when_it_is_accepted(options: dict[str, Any]) -> None:
    before = options["expected"].read_bytes()
    assert json.loads(before)["claims"] == {"C1": {"published": "reproduced", "corrected": "reproduced"}}
    changed_verdict(options["results"])
    with pytest.raises(Differs):
        verify(**options)
    assert options["expected"].read_bytes() == before
    verify(**options, accept=True)
    assert read_json(options["expected"])["claims"]["C1"]["published"] == "not reproduced"


def test_an_edited_table_is_found_by_the_hash_in_its_record(options: dict[str, Any]) -> None:
    folder = layout.run(options["results"], RUN)
    record = read_json(folder / "run.json")
    write_json(folder / "run.json", record | {"outputs": {"history.csv": sha256_of(folder / "history.csv")}})
    verify(**options)
    (folder / "history.csv").write_text("epoch,val_accuracy\n1,1.0\n")
    with pytest.raises(Differs, match="tables as the runs wrote them"):
        verify(**options)
    (fault,) = checks_of(options)["tables as the runs wrote them"]["faults"]
    assert "history.csv is not the file that the run wrote" in fault


@pytest.mark.parametrize(("distance", "same"), [(0.004, True), (0.006, False), (None, False)])
def test_a_verdict_that_floating_point_can_turn_counts_as_the_same(
    options: dict[str, Any], distance: float | None, same: bool
) -> None:
    expectation = read_json(options["expected"]) | {"bounds": {"verdicts": 0.005}}
    write_json(options["expected"], expectation)
    content = read_json(layout.claims(options["results"]))
    content["claims"][0]["protocols"]["published"] |= {"verdict": "undecided", "distance": distance}
    write_json(layout.claims(options["results"]), content)
    if same:
        verify(**options)
        assert "1 within 0.005 of another: C1 (published)" in checks_of(options)["verdicts at their boundary"]["found"]
    else:
        with pytest.raises(Differs, match="verdicts of claims"):
            verify(**options)
    assert checks_of(options)["claims that failed for no known cause"]["found"] == "1"


def test_metrics_of_runs_trained_here_may_differ_within_the_measured_bounds(options: dict[str, Any]) -> None:
    expectation = read_json(options["expected"])
    expectation["metrics"][RUN]["accuracy"] += 0.02
    write_json(options["expected"], expectation | {"bounds": {"accuracy": 0.03}})
    verify(**options)
    write_json(options["expected"], expectation | {"bounds": {"accuracy": 0.01}})
    with pytest.raises(Differs, match="metrics of the runs trained here"):
        verify(**options)
    verify(**options, accept=True)
    assert read_json(options["expected"])["bounds"] == {"accuracy": 0.01}, "measured bounds are kept"


def test_verdicts_are_not_compared_where_runs_start_from_other_weights(options: dict[str, Any]) -> None:
    expectation = read_json(options["expected"])
    expectation["claims"]["C1"]["published"] = "undecided"
    write_json(options["expected"], expectation)
    with pytest.raises(Differs, match="verdicts of claims"):
        verify(**options)
    write_json(options["expected"], expectation | {"weights": {"published": {"custom": ["torchvision"]}}})
    record = layout.run(options["results"], RUN) / "run.json"
    write_json(record, read_json(record) | {"weights": {"origin": "a file"}})
    verify(**options)
    check = checks_of(options)["verdicts of claims under published"]
    assert check["verdict"] == "skipped" and "other pretrained weights than expected: custom" in check["found"]
