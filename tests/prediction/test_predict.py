"""``cxr predict``: a run's own predictions to the last digit, and one sentence for each file that cannot be used."""

import io
import json
import shutil
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dicom_files import SECRETS, write
from PIL import Image
from sklearn.datasets import load_sample_image

from cxr.cli import main
from cxr.errors import InputError
from cxr.files import read_json, write_json
from cxr.images.names import CLASSES
from cxr.prediction.predict import COLUMNS, predict
from cxr.prediction.run_folder import read_run
from cxr.prediction.trained import NOTICE


def table_of(*paths: Path, run: Path, folder: Path) -> pd.DataFrame:
    """Predict; return the CSV as text."""
    predict(list(paths), run=run, csv=folder / "out.csv")
    return pd.read_csv(folder / "out.csv", dtype=str, keep_default_na=False)


def check_own_digits(table: pd.DataFrame, run: Path, root: Path) -> None:
    recorded = pd.read_csv(run / "predictions.csv", dtype=str)
    table = table.assign(path=[Path(path).relative_to(root).as_posix() for path in table["path"]])
    joined = table.merge(recorded, on="path", suffixes=("", "_run"))
    assert len(joined) == len(table) > 60
    assert joined["probability"].tolist() == joined["probability_run"].tolist()
    assert joined["predicted"].tolist() == [CLASSES[int(number)] for number in joined["predicted_run"]]
    assert joined["set"].tolist() == joined["set_run"].tolist()


def test_the_runs_own_images_get_its_predictions_to_the_last_digit(run: Path, embedded: Path, tmp_path: Path) -> None:
    check_own_digits(table_of(embedded / "test", run=run, folder=tmp_path), run, embedded)
    # Neither the order nor the company of the files changes a digit.
    some = sorted((embedded / "test").rglob("*.png"))[::-2] + sorted((embedded / "val").rglob("*.png"))
    check_own_digits(table_of(*some, run=run, folder=tmp_path), run, embedded)


def test_so_do_real_images(real_run: tuple[Path, Path], tmp_path: Path) -> None:
    images, run = real_run
    check_own_digits(table_of(images / "test", images / "val", run=run, folder=tmp_path), run, images)


def test_a_row_has_calibration_set_warning_and_notice(run: Path, embedded: Path, tmp_path: Path) -> None:
    trained = sorted((embedded / "train" / "NORMAL").iterdir())[0]
    table = table_of(embedded / "test", trained, run=run, folder=tmp_path)
    assert list(table.columns) == list(COLUMNS)
    assert set(table["notice"]) == {NOTICE} and "Research use only" in NOTICE
    assert set(table["run"]) == {"small/published/custom/seed-42"}
    recorded = pd.read_csv(run / "predictions.csv").query("set == 'validation'")
    for row in table.itertuples():
        tenth = min(int(np.ceil(float(row.probability) * 10)) - 1, 9)
        low = recorded["probability"] > tenth / 10
        mine = recorded[(low | (tenth == 0)) & (recorded["probability"] <= (tenth + 1) / 10)]
        assert int(row.calibrated_on) == len(mine)
        if len(mine):
            assert float(row.calibrated_probability) == pytest.approx(mine["label"].mean())
            assert float(row.calibrated_low) <= mine["label"].mean() <= float(row.calibrated_high)
        else:
            assert row.calibrated_probability == ""
    last = table.iloc[-1]
    assert last["set"] == "train" and "was trained on this image" in last["warnings"]
    validation = table[table["set"] == "validation"]
    assert len(validation) and all("epoch was chosen" in words for words in validation["warnings"])


@pytest.fixture
def mixed(tmp_path: Path, xray: Path) -> Path:
    """A folder as people have them: X-rays in several formats, and what is none."""
    folder = tmp_path / "mixed"
    (folder / "deeper" / "still").mkdir(parents=True)
    eight = np.asarray(Image.open(xray))
    shutil.copy(xray, folder / "xray.png")
    shutil.copy(xray, folder / "deeper" / "still" / "misnamed.txt")
    write(folder / "a.dcm", eight)
    write(folder / "b-inverted.dcm", 255 - eight, PhotometricInterpretation="MONOCHROME1")
    write(folder / "c-deep", eight.astype(np.uint16) * 257, WindowCenter=32768, WindowWidth=65536)
    Image.fromarray(load_sample_image("china.jpg")).save(folder / "photograph.jpg")
    (folder / "notes.txt").write_text("patient was coughing")
    Image.fromarray(eight).resize((300, 300)).save(folder / "whole.jpg")
    (folder / "truncated.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:-3000])
    (folder / "whole.jpg").unlink()
    (folder / "empty.png").touch()
    (folder / "deep.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\1" * 100)
    Image.fromarray(eight.astype(np.uint16)).save(folder / "sixteen.png")
    Image.new("L", (20, 40)).save(folder / "tiny.png")
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (folder / ".DS_Store").touch()
    return folder


FAILED = ["deep.dcm", "empty.png", "notes.txt", "sixteen.png", "tiny.png", "truncated.jpg"]


def test_a_mixed_folder_gives_numbers_or_a_sentence_each_and_exit_1(
    run: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    outputs = ["--csv", str(tmp_path / "o.csv"), "--json", str(tmp_path / "o.json")]
    code = main(["--log", str(tmp_path / "log"), "predict", str(mixed), "--run", str(run), *outputs])
    table, report = pd.read_csv(tmp_path / "o.csv", dtype=str, keep_default_na=False), read_json(tmp_path / "o.json")
    printed = capsys.readouterr()
    assert code == 1

    rows = {Path(row["path"]).name: row for row in table.to_dict("records")}
    twins = [rows[name]["probability"] for name in ("a.dcm", "b-inverted.dcm", "c-deep")]
    assert 0 <= float(twins[0]) <= 1
    assert [float(twin) for twin in twins] == pytest.approx([float(twins[0])] * 3, abs=1e-6)
    # The PNG is the run's own image and keeps its place in a batch; another place may move the last bit.
    for name in ("xray.png", "misnamed.txt"):
        assert float(rows[name]["probability"]) == pytest.approx(float(twins[0]), abs=1e-6)
    assert "coloured" in rows["photograph.jpg"]["warnings"] and "unlike" in rows["photograph.jpg"]["warnings"]
    assert float(rows["photograph.jpg"]["probability"]) >= 0

    assert sorted(name for name, row in rows.items() if row["error"]) == FAILED
    assert sorted(Path(each["path"]).name for each in report["failed"]) == FAILED
    for each in report["failed"]:
        sentence = each["error"]
        assert each["path"] in sentence and sentence.endswith(".") and "\n" not in sentence
        assert sentence in printed.err and ";" in sentence
        assert rows[Path(each["path"]).name]["probability"] == ""
    assert f"{len(FAILED)} of {len(rows)} files could not be used" in printed.err
    assert len(report["predictions"]) == len(rows) - len(FAILED) == 6
    assert report["notice"] == NOTICE and report["calibration"]["images"] == 76
    text = caplog.text + json.dumps(report) + table.to_csv() + printed.err + printed.out
    assert not any(secret in text for secret in SECRETS.values())
    assert "6 images: " in text and "images/s" in text


def test_without_outputs_the_table_goes_to_standard_output(run: Path, xray: Path) -> None:
    stream = io.StringIO()
    with redirect_stdout(stream):
        predict([xray], run=run)
    table = pd.read_csv(io.StringIO(stream.getvalue()))
    assert table["path"].tolist() == [str(xray)]


def test_a_run_at_another_place_of_a_batch_moves_the_last_bit_at_most(
    run: Path, embedded: Path, tmp_path: Path
) -> None:
    """Images that the run does not know, because their files are others, go into ordinary batches."""
    copies = tmp_path / "copies"
    copies.mkdir()
    for path in sorted((embedded / "test").rglob("*.png")):
        Image.open(path).save(copies / path.name, compress_level=1)
    table = table_of(copies, run=run, folder=tmp_path)
    recorded = pd.read_csv(run / "predictions.csv")
    recorded = recorded.assign(name=[Path(path).name for path in recorded["path"]]).set_index("name")["probability"]
    names = [Path(path).name for path in table["path"]]
    np.testing.assert_allclose(table["probability"].astype(float), recorded[names], atol=2e-6)
    assert set(table["set"]) == {""}


def test_no_file_and_no_class_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file was found there"):
        predict([tmp_path / "nothing"], run=run)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no file was found there"):
        predict([tmp_path / "empty"], run=run)


def test_a_run_that_does_not_exist_is_answered_with_those_that_do(run: Path, xray: Path) -> None:
    with pytest.raises(InputError, match="is no folder of a run") as caught:
        predict([xray], run=run.with_name("seed-43"))
    assert str(run) in str(caught.value)
    assert main(["predict", str(xray), "--run", str(run.with_name("seed-43"))]) == 2


def changed(run: Path, **changes: Any) -> None:
    write_json(run / "run.json", read_json(run / "run.json") | changes)


def test_a_run_that_is_not_finished_or_was_changed_is_refused(
    own_run: Path, xray: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where no other results are found.
    monkeypatch.chdir(tmp_path)
    record = read_json(own_run / "run.json")
    changed(own_run, status="not run", reason="no weights")
    with pytest.raises(InputError, match=r"was not run \(no weights\); no finished run was found"):
        predict([xray], run=own_run)
    write_json(own_run / "run.json", record)
    checkpoint = (own_run / "checkpoint.pt").read_bytes()
    (own_run / "checkpoint.pt").write_bytes(checkpoint[:-1])
    with pytest.raises(InputError, match="another SHA-256"):
        read_run(own_run)
    (own_run / "checkpoint.pt").unlink()
    with pytest.raises(InputError, match=r"has no checkpoint.pt"):
        read_run(own_run)
    (own_run / "checkpoint.pt").write_bytes(checkpoint)
    assert read_run(own_run).facts["name"] == "small/published/custom/seed-42"
    preprocessing = own_run.parents[4] / "preprocessing" / "published" / "preprocessing.json"
    facts = read_json(preprocessing)
    facts["normalisation"]["mean"] += 0.01
    write_json(preprocessing, facts)
    with pytest.raises(InputError, match=r"preprocessing.json is not the one"):
        read_run(own_run)
    preprocessing.unlink()
    with pytest.raises(InputError, match=r"preprocessing.json does not exist"):
        read_run(own_run)


def test_without_metrics_there_is_no_calibration(own_run: Path, xray: Path, tmp_path: Path) -> None:
    shutil.rmtree(own_run.parents[4] / "evaluation")
    row = table_of(xray, run=own_run, folder=tmp_path).iloc[0]
    assert row["probability"] and row["calibrated_probability"] == "" and row["calibrated_on"] == "0"


def test_a_device_that_does_not_exist_is_refused(run: Path, xray: Path) -> None:
    with pytest.raises(InputError, match="there is no device 'gpu'"):
        predict([xray], run=run, device="gpu")
