"""The facts that are known of the study's images, measured again on the images of this config.

``paper/facts.yaml`` says what is expected, and ``measurements`` returns all that it can expect something of.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cxr.errors import InputError, did_you_mean
from cxr.files import read_json, write_json
from cxr.images.cohort import is_of_study, is_resized
from cxr.images.names import CLASSES
from cxr.study import layout
from cxr.study.config import PAPER
from cxr.study.schemas import read_yaml, validate

RESIZED = "the images are a resized copy, which keeps neither the sizes nor the colour modes of the originals"


def changes_of_folder(manifest: pd.DataFrame) -> float | None:
    """Return how often train and test change in the order of the patients' numbers, as a share of chance.

    A patient's fine key consists of a number and of what surrounds it and names a series: ``person12_virus``. If the
    test patients of a series were drawn at random, neighbours would lie in different folders 2 a b / (a + b) times on
    average, where a and b patients are in train and test (Wald and Wolfowitz, Ann Math Stat 11(2):147-162, 1940).

    Args:
        manifest: ``manifest.csv``.

    Returns:
        About 1 for a random test set, almost 0 for blocks of numbers; None if patients have no numbers, or no series
        is in both folders.
    """
    patients = manifest[manifest["official_split"].isin(["train", "test"])].drop_duplicates("patient_fine")
    parts = patients["patient_fine"].astype(str).str.extract(r"^(?P<before>.*?)(?P<number>\d+)(?P<after>_\D+)?$")
    if parts["number"].isna().any():
        return None
    parts = parts.assign(number=parts["number"].astype(int), test=patients["official_split"] == "test")
    changes, by_chance = 0, 0.0
    for _, series in parts.sort_values("number").groupby(["before", "after"], dropna=False):
        test = series["test"].to_numpy()
        changes += int((test[1:] != test[:-1]).sum())
        by_chance += 2 * test.sum() * (~test).sum() / len(test)
    return changes / by_chance if by_chance else None


def measurements(
    manifest: pd.DataFrame, cohort: Mapping[str, Any], duplicates: Mapping[str, Any], baselines: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what is measured; None where it is not defined.

    Args:
        manifest: ``manifest.csv``.
        cohort: ``cohort.json``.
        duplicates: ``duplicates.json``.
        baselines: ``baselines.json``.
    """
    width, ratio = (cohort[f"{name}_by_class"] for name in ("width", "aspect_ratio"))
    normal, pneumonia = CLASSES
    folders = manifest.groupby("patient_fine")["official_split"].nunique()
    train, test = (set(rows["patient_coarse"]) for rows in _folders(manifest, "train", "test"))
    rgb = cohort["rgb_by_folder"]
    shift = baselines["shift"]
    return {
        "images": cohort["counts"],
        "etiology": cohort["etiology"],
        "identical": duplicates["identical"],
        "patients": {
            **cohort["patients"],
            "fine_in_two_folders": int((folders > 1).sum()),
            "coarse_in_train_and_test": len(train & test),
        },
        "rgb": {"train_pneumonia": rgb["train/PNEUMONIA"], "elsewhere": sum(rgb.values()) - rgb["train/PNEUMONIA"]},
        "size": {
            "width_difference": abs(width[normal] - width[pneumonia]),
            "aspect_ratio_difference": abs(ratio[normal] - ratio[pneumonia]),
        },
        "patient_numbers": {"changes_of_folder": changes_of_folder(manifest)},
        "thumbnails": {name: (shift[name] or {}).get("auroc") for name in ("cross_validated", "official_test")},
    }


def _folders(manifest: pd.DataFrame, *names: str) -> list[pd.DataFrame]:
    return [manifest[manifest["official_split"] == name] for name in names]


def measured(found: Mapping[str, Any], place: str) -> float | None:
    """Return a number of ``measurements`` by its place, such as ``images.train.NORMAL``.

    Raises:
        InputError: there is no such place.
    """
    value: Any = found
    for name in place.split("."):
        if not isinstance(value, Mapping) or name not in value:
            hint = did_you_mean(place, _places(found)) or f"; there are {', '.join(_places(found))}."
            raise InputError(f"paper/facts.yaml: nothing is measured as '{place}'{hint}")
        value = value[name]
    return value  # type: ignore[no-any-return]


def _places(found: Mapping[str, Any], before: str = "") -> list[str]:
    places = []
    for name, value in found.items():
        places += _places(value, f"{before}{name}.") if isinstance(value, Mapping) else [before + name]
    return places


def agrees(value: float, expected: Mapping[str, float], tolerance: float) -> bool:
    """Return whether a number is as expected: ``{equals: 1341}``, ``{above: 0}`` or ``{below: 0.05}``."""
    ((relation, number),) = expected.items()
    if relation == "equals":
        return abs(value - number) <= tolerance
    return value > number if relation == "above" else value < number


def judged(fact: Mapping[str, Any], value: float | None, resized: bool, of_study: bool) -> dict[str, Any]:
    """Return a fact with what was measured.

    Args:
        fact: of ``paper/facts.yaml``.
        value: what was measured.
        resized: whether the images are a resized copy.
        of_study: whether they are the study's.

    Returns:
        ``says``, ``expected``, ``tolerance`` (0 if none), ``measured``, ``agreement`` (``agrees``, ``differs``,
        ``not known``, or ``another cohort`` if the images are not the study's) and ``reason``: why it is not known.
    """
    tolerance = fact.get("tolerance", 0)
    reason = None
    if fact.get("needs") == "originals" and resized:
        value, reason = None, RESIZED
    elif value is None:
        reason = "the measurement is not defined for these images"
    if not of_study:
        agreement = "another cohort"
    elif value is None:
        agreement = "not known"
    else:
        agreement = "agrees" if agrees(value, fact["expected"], tolerance) else "differs"
    return {
        "says": fact["says"],
        "expected": fact["expected"],
        "tolerance": tolerance,
        "measured": value,
        "agreement": agreement,
        "reason": reason,
    }


def read_facts(path: Path) -> list[dict[str, Any]]:
    """Return the rows of ``paper/facts.yaml``.

    Raises:
        InputError: the schema is violated.
    """
    content = read_yaml(path)
    validate(content, "facts", str(path))
    rows: list[dict[str, Any]] = content["facts"]
    return rows


def write_facts(results: Path, published: Path, facts: Path) -> None:
    """Write ``facts.json``: under ``facts`` every row of ``paper/facts.yaml`` as ``judged`` returns it.

    Args:
        results: ``results/<config name>``, with the manifest, ``cohort.json``, ``duplicates.json`` and
            ``baselines.json``.
        published: ``paper/published/results.json``, whose ``dataset`` tells the study's images.
        facts: the file to write.

    Raises:
        InputError: ``paper/facts.yaml`` violates its schema, or expects something of what is not measured.
    """
    manifest, cohort = pd.read_csv(layout.manifest(results)), read_json(layout.cohort(results))
    duplicates = read_json(layout.duplicates(results))
    found = measurements(manifest, cohort, duplicates, read_json(layout.evaluation(results, "baselines.json")))
    resized, of_study = is_resized(cohort), is_of_study(cohort, read_json(published)["dataset"])
    rows = [
        judged(fact, measured(found, fact["measure"]), resized, of_study) for fact in read_facts(PAPER / "facts.yaml")
    ]
    write_json(facts, {"facts": rows})
