"""The phantom cohort: what it shares with the real one, that nobody takes it for real, and that it appears whole."""

import hashlib
import re
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from cxr.errors import InputError
from cxr.images.names import subject_of
from cxr.images.phantom.cohort import COMMENT, NOTICE, draw_cohort
from cxr.images.phantom.plan import Radiograph, plan_cohort
from cxr.images.phantom.radiograph import PLATE, draw_radiograph

TINY = {split: {"NORMAL": 2, "PNEUMONIA": 3} for split in ("train", "val", "test")}
SMALL = {
    "train": {"NORMAL": 50, "PNEUMONIA": 90},
    "val": {"NORMAL": 4, "PNEUMONIA": 4},
    "test": {"NORMAL": 26, "PNEUMONIA": 36},
}
REAL = {
    "train": {"NORMAL": 1341, "PNEUMONIA": 3875},
    "val": {"NORMAL": 8, "PNEUMONIA": 8},
    "test": {"NORMAL": 234, "PNEUMONIA": 390},
}
# Smaller than usual: these tests are about files.
SCALE = 0.1


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "cohort"
    draw_cohort(folder, seed=3, counts=SMALL, scale=SCALE)
    return folder


def images_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*/*"))


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def plate_of(path: Path, side: int) -> npt.NDArray[np.float64]:
    """The plate as a network sees it, after the image has been resized to a square."""
    square = Image.open(path).convert("L").resize((side, side), Image.Resampling.BILINEAR)
    left, top, right, bottom = (round(fraction * side) for fraction in PLATE)
    return np.asarray(square, dtype=float)[top:bottom, left:right]


def test_the_counts_are_those_asked_for_and_the_names_those_of_the_real_set(cohort: Path) -> None:
    pattern = {
        "NORMAL": re.compile(r"(NORMAL2-)?IM-\d{4}-0001(-000\d)?\.jpeg"),
        "PNEUMONIA": re.compile(r"person\d+_(bacteria|virus)_\d+\.jpeg"),
    }
    found: Counter[tuple[str, str]] = Counter()
    for path in images_in(cohort):
        split, name = path.parts[-3:-1]
        found[split, name] += 1
        assert pattern[name].fullmatch(path.name)
        assert subject_of(f"{split}/{name}/{path.name}").known
    assert found == {(split, name): n for split, classes in SMALL.items() for name, n in classes.items()}


def test_a_seed_gives_the_same_bytes_whatever_the_number_of_workers(tmp_path: Path) -> None:
    draw_cohort(tmp_path / "one", seed=5, counts=TINY, scale=SCALE, workers=1)
    draw_cohort(tmp_path / "two", seed=5, counts=TINY, scale=SCALE, workers=2)
    draw_cohort(tmp_path / "other", seed=6, counts=TINY, scale=SCALE)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert not set(contents(tmp_path / "one").values()) & set(contents(tmp_path / "other").values())


def test_only_train_pneumonia_has_colour_files(cohort: Path) -> None:
    modes = defaultdict(Counter)
    for path in images_in(cohort):
        with Image.open(path) as image:
            assert image.format == "JPEG"
            modes[path.parent.relative_to(cohort).as_posix()][image.mode] += 1
    assert 0 < modes["train/PNEUMONIA"]["RGB"] < 0.15 * SMALL["train"]["PNEUMONIA"]
    assert {folder for folder, kinds in modes.items() if kinds["RGB"]} == {"train/PNEUMONIA"}


def test_duplicates_are_the_same_file_of_the_same_patient() -> None:
    groups = defaultdict(list)
    for image in plan_cohort(1, REAL):
        groups[image.view].append(image)
    duplicates = [group for group in groups.values() if len(group) > 1]
    assert 15 < len(duplicates) < 90  # 30 in the real set
    for group in duplicates:
        assert len({(image.path.rsplit("/", 1)[0], image.patient, image.finding, image.colour) for image in group}) == 1


def test_a_view_drawn_twice_is_an_exact_duplicate_and_another_view_is_not(tmp_path: Path) -> None:
    counts = SMALL | {"train": {"NORMAL": 2, "PNEUMONIA": 250}}
    draw_cohort(tmp_path / "cohort", seed=1, counts=counts, scale=0.01)
    digests = contents(tmp_path / "cohort")
    views = {image.path: image.view for image in plan_cohort(1, counts)}
    assert len(set(views.values())) < len(views)
    assert len({(views[path], digests[path]) for path in views}) == len(set(views.values()))
    assert len({digests[path] for path in views}) == len(set(views.values()))


def test_patients_are_spread_as_in_the_real_set() -> None:
    paths = [image.path for image in plan_cohort(1, REAL)]
    assert len(set(paths)) == len(paths) == 5856
    splits = defaultdict(set)
    for path in paths:
        splits["fine", subject_of(path).patient_fine].add(path.split("/")[0])
        splits["coarse", subject_of(path).patient_coarse].add(path.split("/")[0])
    fine = [where for (key, _), where in splits.items() if key == "fine"]
    assert all(len(where) == 1 for where in fine)
    assert 3600 < len(fine) < 4600  # 4,097 in the real set
    assert any({"train", "test"} <= where for (key, _), where in splits.items() if key == "coarse")
    etiologies = Counter(subject_of(path).etiology for path in paths)
    assert abs(etiologies["bacteria"] - 2780) < 60
    assert abs(etiologies["virus"] - 1493) < 60


def test_the_test_set_is_blocks_of_patient_numbers() -> None:
    runs = 0
    before: dict[str, str] = {}
    for image in plan_cohort(1, REAL):
        series = re.sub(r"\d+.*", "", image.path.split("/")[2]) + image.finding
        split = image.path.split("/")[0]
        runs += split == "test" and before.get(series) != "test"
        before[series] = split
    assert runs == 5  # bacterial, viral at the beginning and at the end, both NORMAL series


def test_files_named_as_one_patient_show_one_patient_and_no_other() -> None:
    people = defaultdict(set)
    for image in plan_cohort(2, SMALL):
        people[subject_of(image.path).patient_fine].add(image.patient)
    assert all(len(drawn) == 1 for drawn in people.values())
    assert len(set.union(*people.values())) == len(people)


def test_the_patient_and_the_seed_decide_the_anatomy_and_the_view_the_exposure() -> None:
    one = Radiograph("train/NORMAL/IM-0001-0001.jpeg", patient=1, view=1, finding="none")
    first = draw_radiograph(one, seed=1, scale=SCALE)
    somebody_else = draw_radiograph(replace(one, patient=2), seed=1, scale=SCALE)
    assert first.shape == somebody_else.shape
    assert np.abs(first.astype(float) - somebody_else).mean() > 2
    assert draw_radiograph(replace(one, view=2), seed=1, scale=SCALE).shape != first.shape
    assert draw_radiograph(one, seed=2, scale=SCALE).shape != first.shape


def test_bacterial_and_viral_pneumonia_differ_in_the_lungs_and_not_at_the_margin() -> None:
    # The same children, exposed in the same way.
    middles, margins = [], []
    for number in range(20):
        sick = Radiograph("train/PNEUMONIA/person1_virus_1.jpeg", number, number, "virus")
        viral = draw_radiograph(sick, seed=1, scale=SCALE).astype(float)
        bacterial = draw_radiograph(replace(sick, finding="bacteria"), seed=1, scale=SCALE).astype(float)
        change, rows = np.abs(viral - bacterial), len(viral)
        middles.append(change[rows // 4 : rows * 3 // 4].mean())
        margins.append(change[:, :4].mean())
    assert np.mean(middles) > 4 * np.mean(margins)


@pytest.mark.parametrize("side", [64, 96])
def test_the_plate_is_on_every_image_and_does_not_depend_on_the_class(cohort: Path, side: int) -> None:
    plates = {path: plate_of(path, side) for path in images_in(cohort)}
    common = np.mean(list(plates.values()), axis=0)
    assert common.std() > 40  # white letters on black
    for plate in plates.values():
        assert np.corrcoef(plate.ravel(), common.ravel())[0, 1] > 0.85
    levels = [plate.mean() for plate in plates.values()]
    sick = ["PNEUMONIA" in path.parts for path in plates]
    assert 0.3 < roc_auc_score(sick, levels) < 0.7


def test_every_file_says_in_words_that_it_is_a_phantom(cohort: Path) -> None:
    for path in images_in(cohort):
        with Image.open(path) as image:
            assert image.info["comment"] == COMMENT
    assert "NOT A PATIENT" in (cohort / NOTICE).read_text(encoding="utf-8")


def test_size_and_aspect_ratio_hint_at_the_class_but_do_not_give_it_away(cohort: Path) -> None:
    paths = images_in(cohort)
    sizes = [Image.open(path).size for path in paths]
    assert len(set(sizes)) > len(sizes) / 2
    sick = ["PNEUMONIA" in path.parts for path in paths]
    assert 0.6 < roc_auc_score(sick, [width / height for width, height in sizes]) < 0.85
    assert 0.15 < roc_auc_score(sick, [height for _, height in sizes]) < 0.45


def test_brightness_alone_does_not_give_the_class_away(cohort: Path) -> None:
    paths = images_in(cohort)
    means = [np.asarray(Image.open(path).convert("L")).mean() for path in paths]
    assert 0.2 < roc_auc_score(["PNEUMONIA" in path.parts for path in paths], means) < 0.8


def test_scale_is_the_size_relative_to_the_originals(tmp_path: Path) -> None:
    draw_cohort(tmp_path / "cohort", seed=1, counts=TINY, scale=0.3)
    assert 300 < np.median([Image.open(path).width for path in images_in(tmp_path / "cohort")]) < 700


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_leaves_nothing_and_spares_what_was_there(tmp_path: Path, workers: int) -> None:
    draw_cohort(tmp_path / "cohort", seed=1, counts=TINY, scale=SCALE)
    before = contents(tmp_path)
    for folder in ("cohort", "another"):
        with pytest.raises(ValueError, match="NaN"):
            draw_cohort(tmp_path / folder, seed=1, counts=TINY, scale=float("nan"), workers=workers)
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]


def test_a_cohort_of_phantoms_is_replaced_whole(tmp_path: Path) -> None:
    draw_cohort(tmp_path / "cohort", seed=1, counts=SMALL, scale=0.01)
    draw_cohort(tmp_path / "cohort", seed=2, counts=TINY, scale=SCALE)
    assert len(images_in(tmp_path / "cohort")) == 15
    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]


def test_a_folder_that_may_hold_real_images_is_not_replaced(tmp_path: Path) -> None:
    scan = tmp_path / "train" / "NORMAL" / "IM-0115-0001.jpeg"
    scan.parent.mkdir(parents=True)
    scan.write_bytes(b"somebody's data")
    with pytest.raises(InputError, match=f"{tmp_path} exists and holds no PHANTOM.txt"):
        draw_cohort(tmp_path, seed=1, counts=TINY)
    assert scan.read_bytes() == b"somebody's data"


def test_a_kill_leaves_no_cohort_no_process_and_nothing_that_the_next_run_does_not_sweep_up(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from cxr.images.phantom.cohort import draw_cohort
if __name__ == "__main__":
    draw_cohort(Path({str(tmp_path / "cohort")!r}), seed=1, counts={REAL!r}, workers=2)
"""
    script = tmp_path / "draw.py"
    script.write_text(program, encoding="utf-8")
    # The workers inherit the pipe: it ends when the last of them has ended.
    running = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".*/*/*/*.jpeg")) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=20)
    script.unlink()
    assert [path.name for path in tmp_path.iterdir()] == [".cohort.part"]
    draw_cohort(tmp_path / "cohort", seed=1, counts=TINY, scale=SCALE)
    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]
    assert len(images_in(tmp_path / "cohort")) == 15
