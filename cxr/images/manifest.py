"""The manifest, with a row for every image of a cohort, and the facts of the cohort as a whole."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from cxr.errors import InputError
from cxr.files import read_json, write_json, written_whole
from cxr.images.inspection import FOLDERS, find_images, inspect, refuse, shared_images, unusable_files
from cxr.images.names import CLASSES, ETIOLOGIES, SPLITS, read_patients, subject_of
from cxr.progress import progress

PATIENTS = "patients.csv"
Counts = Mapping[str, Mapping[str, int]]

log = logging.getLogger(__name__)


def write_manifest(source: Path, published: Path, manifest: Path, cohort: Path, threads: int = 1) -> None:
    """Write ``manifest.csv`` and ``cohort.json``, both or neither.

    Args:
        source: ``source.json`` of the stage before: ``root`` (the folder that holds train/, val/ and test/),
            ``if_counts_differ`` (``refuse``, ``warn`` or ``ignore``) and facts that are copied to ``cohort.json``.
        published: a JSON file whose ``dataset`` holds the published number of images by split and class.
        manifest: CSV with one row an image: ``path`` (POSIX, relative to the root), ``class`` (NORMAL, PNEUMONIA),
            ``official_split`` (train, val, test), ``etiology`` (none, bacteria, virus, unknown), ``patient_coarse``,
            ``patient_fine``, ``width``, ``height`` (px), ``mode`` (PIL's), ``sha256``. Rows are sorted by
            split, class, and path, ignoring case.
        cohort: JSON with the facts of ``describe`` and those of ``source``, ``published_counts`` and ``warnings``, a
            list of sentences.
        threads: how many images are decoded at once.

    Raises:
        InputError: as ``build_manifest``; or the counts differ from the published ones, and ``if_counts_differ`` is
            ``refuse``.
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
            truncated, no image, under 32 px, of 100 megapixels or more, or deeper than 8 bits; the same image is in two
            splits or in both classes. One message names all of these, with up to 20 offenders each. Or
            ``patients.csv`` does not fit the images.
    """
    paths, problems = find_images(root)
    # PIL warns from 89 megapixels on; the limit here is 100.
    bombs = warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning)
    with ThreadPoolExecutor(threads) as pool, bombs:
        found = pool.map(inspect, (root / path for path in paths))
        inspections = list(progress(found, len(paths), "images", "manifest"))
    problems += [*unusable_files(paths, inspections), *shared_images(paths, inspections)]
    if problems:
        refuse(root, problems)
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
    unknown = sum(not subjects[path].known for path in paths)
    return table, describe(table) | {"warnings": list(_warnings(table, unknown))}


def describe(table: pd.DataFrame) -> dict[str, Any]:
    """Return the facts of a cohort for ``cohort.json``.

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
    """Return where a cohort differs from the published one: ``train/NORMAL 1340 instead of 1341``."""
    return ", ".join(
        f"{split}/{name} {counts[split][name]} instead of {expected[split][name]}"
        for split, name in FOLDERS
        if counts[split][name] != expected[split][name]
    )


def _warnings(table: pd.DataFrame, unknown: int) -> Iterator[str]:
    if unknown:
        yield (
            f"The file names of {unknown} of {len(table)} images do not tell the patient, so each of these images "
            f"counts as a patient of its own; a table {PATIENTS} beside train/ can name the patients."
        )
    if len(table) > 1 and len(sizes := table[["width", "height"]].drop_duplicates()) == 1:
        width, height = sizes.iloc[0]
        yield (
            f"All images measure {width} x {height} px: these are not originals but a resized copy, so they were not "
            f"resized as in the study, and the information in the size of an original is lost."
        )
    splits = table.groupby("patient_fine")["official_split"].nunique()
    if crossing := int((splits > 1).sum()):
        yield f"Patients with images in more than one of train/, val/ and test/: {crossing}."
