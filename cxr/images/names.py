"""The etiology and the patient of an image, from its name or from a table.

The data set (DOI 10.17632/rscbjbr9sj.2) has no table of patients; only its file names tell them:

- ``person12_bacteria_46.jpeg``, ``person12_virus_47.jpeg`` (once ``person447_virus_921_1.jpeg``) for PNEUMONIA;
- ``IM-0115-0001.jpeg``, ``IM-0001-0001-0002.jpeg`` or the same after ``NORMAL2-`` for NORMAL.

Whether ``person12_bacteria`` and ``person12_virus``, or ``IM-0115`` and ``NORMAL2-IM-0115``, are one child is
unresolved. So an image has two keys. The **fine** one keeps etiology and prefix: ``person12_bacteria``,
``NORMAL2-IM-0115``. The **coarse** one drops both: ``person12``, ``IM-0115``; it keeps the words ``person`` and ``IM``,
so a child with pneumonia and a normal one never get the same key. In the published split, 105 of the 320 test images
share a patient with the validation set by the fine key, and 120 by the coarse one (162 by the number alone, which is
not used).

Over all 5,856 images there are 4,097 fine and 2,790 coarse keys; no fine key is in two of the folders train/, val/ and
test/, but 264 coarse keys are in both train/ and test/.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cxr.errors import InputError

SPLITS = ("train", "val", "test")
CLASSES = ("NORMAL", "PNEUMONIA")
# Files that file managers leave in folders, besides hidden ones (.DS_Store, ._IM-0001-0001.jpeg).
LITTER = {"thumbs.db", "desktop.ini", "__macosx"}
ETIOLOGIES = {"NORMAL": ("none",), "PNEUMONIA": ("bacteria", "virus", "unknown")}

_PNEUMONIA = re.compile(r"(person\d+)_(bacteria|virus)_\d+(_\d+)?", re.IGNORECASE)
_NORMAL = re.compile(r"(NORMAL2-)?(IM-\d{4})-\d{4}(-\d{4})?", re.IGNORECASE)


@dataclass(frozen=True)
class Subject:
    """The etiology and the patient of an image.

    Attributes:
        etiology: ``none`` for NORMAL; ``bacteria``, ``virus`` or ``unknown`` for PNEUMONIA.
        patient_coarse: the key that may join two children into one patient.
        patient_fine: the key that may make two patients of one child.
        known: False where the name does not tell the patient; the image then counts as a patient of its own.
    """

    etiology: str
    patient_coarse: str
    patient_fine: str
    known: bool = True


def subject_of(path: str) -> Subject:
    """Read etiology and patient from the name of an image; case and file type do not matter.

    An image whose name has another form counts as a patient of its own. Its key is its whole path without the suffix,
    since ``train/NORMAL/0001.png`` and ``test/NORMAL/0001.png`` need not show the same child.

    Args:
        path: relative to the image root, POSIX: ``train/PNEUMONIA/person1_virus_6.jpeg``.
    """
    image = PurePosixPath(path)
    normal = _class(path) == "NORMAL"
    if normal and (match := _NORMAL.fullmatch(image.stem)):
        scan = match[2].upper()
        return Subject("none", scan, (match[1] or "").upper() + scan)
    if not normal and (match := _PNEUMONIA.fullmatch(image.stem)):
        person, etiology = match[1].lower(), match[2].lower()
        return Subject(etiology, person, f"{person}_{etiology}")
    own = str(image.with_suffix(""))
    return Subject("none" if normal else "unknown", own, own, known=False)


def read_patients(table: Path, paths: Sequence[str]) -> dict[str, Subject]:
    """Read patients from ``patients.csv``, a table that a user may put beside the images.

    The columns are ``path`` (such as ``train/NORMAL/scan 1.png``), ``patient`` and, optionally, ``etiology``; where the
    etiology is missing or empty, the file name tells it. Both keys are ``patient-`` and the patient's id; with the
    prefix, ids such as ``007`` or ``NA`` stay text wherever a table is read.

    Args:
        table: the file.
        paths: all images, relative to the root.

    Returns:
        A subject for each of ``paths``.

    Raises:
        InputError: a column is missing or unknown; an image has no row or several; a row names no image; a patient is
            empty; an etiology does not fit the class. All rows in question are named, with up to 20 of each kind.
    """
    rows = _rows(table)
    times = Counter(row["path"] for row in rows)
    images = set(paths)
    example = f"paths are relative to {table.parent}, like {paths[0]}"
    problems = (
        ("more than one row for", [path for path, n in times.items() if n > 1], "keep one row for each image"),
        ("rows for images that do not exist:", [path for path in times if path not in images], example),
        ("no row for", [path for path in paths if path not in times], "add one row for each image"),
        ("no patient for", [row["path"] for row in rows if not row["patient"]], "fill the column patient"),
        (
            "a wrong etiology for",
            [row["path"] for row in rows if row["etiology"] not in ("", *ETIOLOGIES.get(_class(row["path"]), ()))],
            "it is none for NORMAL, and bacteria, virus or unknown for PNEUMONIA",
        ),
    )
    found = [f"{what} {listed(offenders)} ({remedy})" for what, offenders, remedy in problems if offenders]
    if found:
        raise InputError(f"{table} has {'; '.join(found)}.")
    subjects = {}
    for row in rows:
        patient = f"patient-{row['patient']}"
        subjects[row["path"]] = Subject(row["etiology"] or subject_of(row["path"]).etiology, patient, patient)
    return subjects


def is_litter(name: str) -> bool:
    """Return whether a file or folder is hidden or one of ``LITTER``."""
    return name.startswith(".") or name.lower() in LITTER


def listed(names: Iterable[str], limit: int = 20) -> str:
    """Return ``a, b, c``, cut after ``limit`` names with ``and 5 more``."""
    every = list(names)
    shown = ", ".join(every[:limit])
    return f"{shown} and {len(every) - limit} more" if len(every) > limit else shown


def _rows(table: Path) -> list[dict[str, str]]:
    """Return the table's rows, each with the keys path, patient and etiology, without surrounding spaces."""
    columns = ("path", "patient", "etiology")
    first_line = "path,patient or path,patient,etiology"
    try:
        # Spreadsheets begin UTF-8 files with a byte order mark, which utf-8-sig drops.
        with table.open(encoding="utf-8-sig", newline="") as stream:
            lines = csv.DictReader(stream, restval="")
            header = list(lines.fieldnames or [])
            for name in header:
                if name not in columns:
                    raise InputError(f"{table} has a column '{name}'; its first line must be {first_line}.")
            for name in columns[:2]:
                if name not in header:
                    raise InputError(f"{table} has no column '{name}'; its first line must be {first_line}.")
            rows = list(lines)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} is not a CSV table in UTF-8 ({error}); save it as CSV UTF-8.") from None
    if any(None in row for row in rows):
        raise InputError(f"{table} has lines with more cells than the first one; quote cells that hold commas.")
    return [{name: row.get(name, "").strip() for name in columns} for row in rows]


def _class(path: str) -> str:
    return PurePosixPath(path).parent.name
