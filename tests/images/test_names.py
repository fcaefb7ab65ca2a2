"""Etiology and patient: from the file name, or from a table of the user's own."""

from pathlib import Path

import numpy as np
import pytest

from cxr.errors import InputError
from cxr.images.names import Subject, listed, read_patients, subject_of

PATHS = ["train/NORMAL/a.png", "train/PNEUMONIA/b.png", "test/PNEUMONIA/person3_virus_4.jpeg"]


@pytest.mark.parametrize(
    ("path", "etiology", "coarse", "fine"),
    [
        ("train/PNEUMONIA/person12_bacteria_46.jpeg", "bacteria", "person12", "person12_bacteria"),
        ("train/PNEUMONIA/person12_virus_47.jpeg", "virus", "person12", "person12_virus"),
        ("train/PNEUMONIA/person447_virus_921_1.jpeg", "virus", "person447", "person447_virus"),
        ("train/NORMAL/IM-0115-0001.jpeg", "none", "IM-0115", "IM-0115"),
        ("train/NORMAL/NORMAL2-IM-0115-0001-0002.jpeg", "none", "IM-0115", "NORMAL2-IM-0115"),
        ("test/NORMAL/normal2-im-0115-0004.PNG", "none", "IM-0115", "NORMAL2-IM-0115"),
        ("test/PNEUMONIA/Person12_Bacteria_46.JPG", "bacteria", "person12", "person12_bacteria"),
    ],
)
def test_names_of_the_data_set(path: str, etiology: str, coarse: str, fine: str) -> None:
    assert subject_of(path) == Subject(etiology, coarse, fine)


@pytest.mark.parametrize(
    "path",
    [
        "train/PNEUMONIA/scan 7.png",
        "train/PNEUMONIA/person12_fungus_46.jpeg",
        "train/PNEUMONIA/person12_bacteria_46_copy.jpeg",
        "train/PNEUMONIA/IM-0115-0001.jpeg",
        "train/NORMAL/person12_bacteria_46.jpeg",
        "train/NORMAL/IM-115-0001.jpeg",
    ],
)
def test_any_other_name_is_a_patient_of_its_own(path: str) -> None:
    subject = subject_of(path)
    assert not subject.known
    assert subject.patient_coarse == subject.patient_fine
    assert subject.etiology == ("none" if "NORMAL" in path else "unknown")
    # The same name in another folder need not be the same child.
    assert subject.patient_fine != subject_of(path.replace("train", "test")).patient_fine


def test_real_names_give_the_published_numbers_of_shared_patients(real_images: Path) -> None:
    rows = [
        f"{split}/{name}/{file}"
        for split, name in (("test", "NORMAL"), ("test", "PNEUMONIA"), ("val", "NORMAL"), ("val", "PNEUMONIA"))
        for file in sorted((path.name for path in (real_images / split / name).glob("*.jpeg")), key=str.lower)
    ]
    order = np.random.RandomState(42).permutation(640)
    test, validation = ([subject_of(rows[row]) for row in half] for half in (order[:320], order[320:]))
    for key, shared in (("patient_fine", 105), ("patient_coarse", 120)):
        selecting = {getattr(subject, key) for subject in validation}
        assert sum(getattr(subject, key) in selecting for subject in test) == shared


def write_table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    table = folder / "patients.csv"
    table.write_bytes(text.encode(encoding))
    return table


def test_a_table_names_patients_and_etiologies(tmp_path: Path) -> None:
    lines = ["path,patient,etiology", f"{PATHS[2]},NA,", f"{PATHS[0]},007,none", f" {PATHS[1]} ,007,bacteria", ""]
    # As spreadsheets save it: byte order mark, CR LF.
    subjects = read_patients(write_table(tmp_path, "\r\n".join(lines), "utf-8-sig"), PATHS)
    assert [subjects[path] for path in PATHS] == [
        Subject("none", "patient-007", "patient-007"),
        Subject("bacteria", "patient-007", "patient-007"),
        Subject("virus", "patient-NA", "patient-NA"),
    ]


def test_a_table_without_etiologies(tmp_path: Path) -> None:
    table = write_table(tmp_path, "patient,path\n" + "\n".join(f"p,{path}" for path in PATHS))
    assert [read_patients(table, PATHS)[path].etiology for path in PATHS] == ["none", "unknown", "virus"]


GOOD = [f"{path},p{row}," for row, path in enumerate(PATHS)]


@pytest.mark.parametrize(
    ("header", "rows", "said"),
    [
        ("path,patient,etiology", GOOD[:1], ["has no row for", PATHS[1], PATHS[2]]),
        (
            "path,patient,etiology",
            [*GOOD, "train/NORMAL/z.png,p,", "x.png,p,"],
            ["train/NORMAL/z.png, x.png", PATHS[0]],
        ),
        ("path,patient,etiology", [*GOOD, GOOD[1]], ["more than one row for", PATHS[1]]),
        ("path,patient,etiology", [*GOOD[:2], f"{PATHS[2]}, ,"], ["no patient for", PATHS[2]]),
        ("path,patient,etiology", [*GOOD[1:], f"{PATHS[0]},p,virus"], ["wrong etiology", PATHS[0]]),
        ("path,patient,etiology", [*GOOD[:2], f"{PATHS[2]},p,none"], ["wrong etiology", PATHS[2]]),
        (
            "path,patient,etiology",
            [GOOD[0], GOOD[0], f"{PATHS[1]},,virus", "x.png,p,"],
            ["more than one row for", "do not exist: x.png", f"no row for {PATHS[2]}", f"no patient for {PATHS[1]}"],
        ),
        ("path,patient,etiology", [*GOOD, "a,b,c,d"], ["more cells"]),
        ("path,patient,etiologie", GOOD, ["'etiologie'", "path,patient,etiology"]),
        ("path;patient;etiology", GOOD, ["'path;patient;etiology'", "path,patient"]),
        ("path,etiology", GOOD, ["no column 'patient'"]),
        ("", [], ["no column 'path'"]),
    ],
)
def test_what_is_wrong_with_a_table(tmp_path: Path, header: str, rows: list[str], said: list[str]) -> None:
    table = write_table(tmp_path, "\n".join([header, *rows]))
    with pytest.raises(InputError) as caught:
        read_patients(table, PATHS)
    for words in [str(table), *said]:
        assert words in str(caught.value)


def test_a_table_in_another_encoding(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="save it as CSV UTF-8"):
        read_patients(write_table(tmp_path, "path,patient\na.png,Müller\n", "latin-1"), PATHS)


def test_long_lists_are_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(map(str, range(20))).endswith("18, 19")
    assert listed(map(str, range(25))).endswith("18, 19 and 5 more")
