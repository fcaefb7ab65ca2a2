"""The manifest: every image of a cohort, checked, measured and hashed, and the facts of the cohort as a whole."""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image, UnidentifiedImageError

from cxr.errors import InputError
from cxr.files import read_json, sha256_of, write_json, written_whole
from cxr.images.decoding import opened
from cxr.images.names import CLASSES, ETIOLOGIES, SPLITS, is_litter, listed, read_patients, subject_of
from cxr.progress import progress

SUFFIXES = (".jpeg", ".jpg", ".png")
PATIENTS = "patients.csv"
SMALLEST_SIDE = 32  # px
LARGEST_IMAGE = 100_000_000  # px; a chest radiograph has up to about 20 million

FOLDERS = [(split, name) for split in SPLITS for name in CLASSES]
Counts = Mapping[str, Mapping[str, int]]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inspection:
    """What one image file is; ``fault`` says, as the rest of a sentence, why it cannot be used.

    Attributes:
        width: px.
        height: px.
        mode: PIL's mode of the file: L, RGB, ...
        sha256: of the file, 64 hexadecimal digits.
        fault: empty for a sound image.
    """

    width: int = 0
    height: int = 0
    mode: str = ""
    sha256: str = ""
    fault: str = ""


def write_manifest(source: Path, published: Path, manifest: Path, cohort: Path, threads: int = 1) -> None:
    """Write ``manifest.csv`` and ``cohort.json``, both or neither.

    Args:
        source: ``source.json`` of the stage before: ``root`` (the folder that holds train/, val/ and test/),
            ``if_counts_differ`` (``refuse``, ``warn`` or ``ignore``) and facts that are handed on to ``cohort.json``.
        published: a JSON file whose ``dataset`` holds the published number of images by split and class.
        manifest: CSV with one row an image: ``path`` (POSIX, relative to the root), ``class`` (NORMAL, PNEUMONIA),
            ``official_split`` (train, val, test), ``etiology`` (none, bacteria, virus, unknown), ``patient_coarse``,
            ``patient_fine``, ``width``, ``height`` (px), ``mode`` (PIL's), ``sha256``. Rows go by split, class, and
            path without regard to case.
        cohort: JSON with the facts of ``describe`` and those of ``source``, ``published_counts`` and ``warnings``, a
            list of sentences.
        threads: how many images are decoded at once.

    Raises:
        InputError: as ``build_manifest``; or the counts differ from the published ones and the source refuses that.
    """
    origin = read_json(source)
    expected: Counts = read_json(published)["dataset"]
    policy = origin.pop("if_counts_differ")
    table, facts = build_manifest(Path(origin["root"]), threads)
    if policy != "ignore" and (difference := _difference(facts["counts"], expected)):
        if policy == "refuse":
            raise InputError(
                f"{origin['root']} does not hold the published images ({difference}); delete "
                f"{Path(origin['root']).parent} and run it again to get them anew."
            )
        facts["warnings"].insert(0, f"These are not the published numbers of images: {difference}.")
    for warning in facts["warnings"]:
        log.warning("%s", warning)
    with written_whole(manifest) as part, written_whole(cohort) as cohort_part:
        table.to_csv(part, index=False, lineterminator="\n")
        write_json(cohort_part, origin | {"published_counts": expected} | facts)


def build_manifest(root: Path, threads: int = 1) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Decode, measure and hash every image of a cohort.

    Args:
        root: the folder that holds train/, val/ and test/, each with NORMAL/ and PNEUMONIA/; if it holds a
            ``patients.csv``, this names the patients, otherwise the file names do.
        threads: how many images are decoded at once (decoding and hashing release the interpreter's lock).

    Returns:
        The rows of ``manifest.csv`` and the facts of ``describe``, joined with ``warnings``.

    Raises:
        InputError: a class folder is missing or empty; it holds anything but JPEG and PNG files; a file is empty,
            truncated, no image, under 32 px, from 100 megapixels on, or deeper than 8 bits; the same image is in two
            splits or in both classes; ``patients.csv`` does not fit. All offenders are named, up to 20.
    """
    paths = list_images(root)
    # PIL would warn from 89 megapixels on; the limit here is a little above.
    bombs = warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning)
    with ThreadPoolExecutor(threads) as pool, bombs:
        found = pool.map(inspect, (root / path for path in paths))
        inspections = list(progress(found, len(paths), "images", "manifest"))
    faults = [f"{path} {one.fault}" for path, one in zip(paths, inspections, strict=True) if one.fault]
    if faults:
        raise InputError(
            f"{len(faults)} of {len(paths)} images in {root} cannot be used: {listed(faults)}; replace or remove them."
        )
    named = (root / PATIENTS).exists()
    subjects = read_patients(root / PATIENTS, paths) if named else {path: subject_of(path) for path in paths}
    table = pd.DataFrame(
        {
            "path": path,
            "class": path.split("/")[1],
            "official_split": path.split("/")[0],
            "etiology": subjects[path].etiology,
            "patient_coarse": subjects[path].patient_coarse,
            "patient_fine": subjects[path].patient_fine,
            "width": one.width,
            "height": one.height,
            "mode": one.mode,
            "sha256": one.sha256,
        }
        for path, one in zip(paths, inspections, strict=True)
    )
    _refuse_shared_images(root, table)
    unknown = sum(not subjects[path].known for path in paths)
    return table, describe(table) | {"warnings": list(_warnings(table, unknown))}


def list_images(root: Path) -> list[str]:
    """Return the images of the six class folders in the manifest's order, as POSIX paths relative to ``root``.

    Hidden files, ``Thumbs.db`` and whatever lies outside the class folders (as the second copy ``chest_xray/`` and
    ``__MACOSX/`` in Kaggle's zip) are passed over. Anything else is refused rather than passed over, since a DICOM file
    or a folder of images that silently goes missing changes the cohort.

    Raises:
        InputError: a class folder is missing or empty, or holds something that is no JPEG or PNG file by its name.
    """
    missing, empty, strangers = [], [], []
    images: list[str] = []
    for split, name in FOLDERS:
        folder = root / split / name
        if not folder.is_dir():
            missing.append(f"{split}/{name}")
            continue
        entries = [entry for entry in folder.iterdir() if not is_litter(entry.name)]
        entries.sort(key=lambda entry: (entry.name.lower(), entry.name))
        for entry in entries:
            path = f"{split}/{name}/{entry.name}"
            if not _is_text(path) or entry.suffix.lower() not in SUFFIXES or entry.is_dir():
                strangers.append(os.fsencode(path).decode(errors="backslashreplace"))
            else:
                images.append(path)
        if not entries:
            empty.append(f"{split}/{name}")
    layout = "an image root holds train/, val/ and test/, each with NORMAL/ and PNEUMONIA/, none of them empty"
    if missing:
        raise InputError(f"{root} has no folder {listed(missing)}; {layout}.")
    if strangers:
        raise InputError(
            f"{root} holds {len(strangers)} files or folders that are no JPEG or PNG images by their names: "
            f"{listed(strangers)}; move them elsewhere, after converting DICOM files to 8-bit PNG."
        )
    if empty:
        raise InputError(f"{root} has no images in {listed(empty)}; {layout}.")
    return images


def inspect(path: Path) -> Inspection:
    """Hash an image file, read its header and, if this is harmless, decode all of it to find a truncated one.

    A header that promises too many pixels is believed: such a file is never decompressed.
    """
    try:
        if path.stat().st_size == 0:
            return Inspection(fault="is empty")
        with opened(path) as image:
            width, height = image.size
            if width * height >= LARGEST_IMAGE:
                return Inspection(fault="has 100 megapixels or more")
            if min(width, height) < SMALLEST_SIDE:
                return Inspection(fault=f"is only {width} x {height} px")
            if image.mode.startswith(("I", "F")):
                # PIL's convert("L") cuts deeper pixels at 255: nearly all would be white.
                return Inspection(fault="has more than 8 bits a pixel")
            image.load()
            return Inspection(width, height, image.mode, sha256_of(path))
    except UnidentifiedImageError:
        return Inspection(fault="is no JPEG or PNG image")
    except Image.DecompressionBombError:
        return Inspection(fault="has 100 megapixels or more")
    except Exception as error:
        # PIL's decoders meet damaged files with OSError, SyntaxError, ValueError, struct.error, ...
        return Inspection(fault=f"cannot be read ({error})")


def describe(table: pd.DataFrame) -> dict[str, Any]:
    """Return the facts of a cohort that ``cohort.json`` holds.

    Args:
        table: rows of ``manifest.csv``.

    Returns:
        ``counts`` by split and class; ``etiology`` and ``modes``: images by value; ``rgb_by_folder``: three-channel
        images by ``split/class``; ``width`` and ``height``: min, median and max in px; ``width_by_class`` and
        ``aspect_ratio_by_class`` (width / height): medians; ``duplicates``: groups of byte-identical files and the
        files in them; ``patients``: number of coarse and of fine keys.
    """
    folders = table["official_split"] + "/" + table["class"]
    etiology = table["etiology"].value_counts()
    again = table[table["sha256"].duplicated(keep=False)]
    aspect_ratio = (table["width"] / table["height"]).groupby(table["class"]).median()
    return {
        "counts": {split: {name: int((folders == f"{split}/{name}").sum()) for name in CLASSES} for split in SPLITS},
        "etiology": {name: int(etiology.get(name, 0)) for names in ETIOLOGIES.values() for name in names},
        "modes": {str(mode): int(count) for mode, count in table["mode"].value_counts().items()},
        "rgb_by_folder": {
            f"{split}/{name}": int((table["mode"].eq("RGB") & folders.eq(f"{split}/{name}")).sum())
            for split, name in FOLDERS
        },
        "width": _spread(table["width"]),
        "height": _spread(table["height"]),
        "aspect_ratio_by_class": {name: float(aspect_ratio[name]) for name in CLASSES},
        "width_by_class": {name: float(table.loc[table["class"] == name, "width"].median()) for name in CLASSES},
        "duplicates": {"groups": int(again["sha256"].nunique()), "files": len(again)},
        "patients": {key: int(table[f"patient_{key}"].nunique()) for key in ("coarse", "fine")},
    }


def _spread(values: "pd.Series[int]") -> dict[str, float]:
    return {"min": int(values.min()), "median": float(values.median()), "max": int(values.max())}


def _difference(counts: Counts, expected: Counts) -> str:
    """Where a cohort differs from the published one, as ``train/NORMAL 1340 instead of 1341``."""
    return ", ".join(
        f"{split}/{name} {counts[split][name]} instead of {expected[split][name]}"
        for split, name in FOLDERS
        if counts[split][name] != expected[split][name]
    )


def _warnings(table: pd.DataFrame, unknown: int) -> Iterator[str]:
    if unknown:
        yield (
            f"The file names of {unknown} of {len(table)} images do not tell the patient, so that each of these images "
            f"counts as a patient of its own; a table {PATIENTS} beside train/ can name them."
        )
    if len(table) > 1 and len(sizes := table[["width", "height"]].drop_duplicates()) == 1:
        width, height = sizes.iloc[0]
        yield (
            f"All images measure {width} x {height} px: these are not originals but a resized copy, so resizing here "
            f"is not the study's, and what the size of an original tells is lost."
        )
    splits = table.groupby("patient_fine")["official_split"].nunique()
    if crossing := int((splits > 1).sum()):
        yield f"Patients with images in more than one of train/, val/ and test/: {crossing}."


def _refuse_shared_images(root: Path, table: pd.DataFrame) -> None:
    """Identical files inside one class folder are counted; across two they would spoil labels or tests."""
    groups = table[table["sha256"].duplicated(keep=False)].groupby("sha256", sort=False)
    for column, where in (("class", "in both classes"), ("official_split", "in two of train/, val/ and test/")):
        shared = [" = ".join(group["path"]) for _, group in groups if group[column].nunique() > 1]
        if shared:
            raise InputError(f"{root} has the same image {where}: {listed(shared)}; keep one file of each.")


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
