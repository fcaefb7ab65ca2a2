"""Which image is in the training, the validation and the test set."""

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from cxr.errors import InputError
from cxr.files import written_whole
from cxr.images.names import CLASSES


def make_split(manifest: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows of the three sets in the order in which the protocol lists them.

    As notebook 1 does it (cells on loading and on ``train_test_split``): the official test and val images are listed
    folder by folder and shared between test and validation; the larger class of the training set is reduced to the
    smaller by dropping ``DataFrame.sample(random_state=seed)`` of its rows.

    Args:
        manifest: rows of ``manifest.csv``.
        settings: ``split`` and ``downsampling`` of a protocol.

    Returns:
        Columns ``path``, ``set`` (train, validation, test, and official_test where the method scores that one, too)
        and ``label`` (0 NORMAL, 1 PNEUMONIA).

    Raises:
        InputError: fewer than two images to share between validation and test.
    """
    case_insensitive = settings["split"]["listing_order"] == "case_insensitive"
    listed = {
        (part, name): sorted(paths, key=str.lower if case_insensitive else None)
        for (part, name), paths in manifest.groupby(["official_split", "class"])["path"]
    }
    held_out = [path for part in ("test", "val") for name in CLASSES for path in listed.get((part, name), [])]
    if len(held_out) < 2:
        raise InputError("test/ and val/ hold fewer than two images together, too few for a test and a validation set.")
    class_of = manifest.set_index("path")["class"]
    halves = HALVES[settings["split"]["method"]](held_out, manifest, settings["split"]["seed"])
    train = [path for name in CLASSES for path in listed.get(("train", name), [])]
    rows = pd.DataFrame(
        [(path, "train") for path in train] + [(path, name) for name, paths in halves.items() for path in paths],
        columns=["path", "set"],
    )
    rows["label"] = rows["path"].map(class_of).map(CLASSES.index)
    return _downsampled(rows, settings["downsampling"]["seed"])


def permuted_halves(held_out: list[str], manifest: pd.DataFrame, seed: int) -> dict[str, list[str]]:
    """The study's: a permutation of the rows, its first half the test set, its second the validation set."""
    order = np.random.RandomState(seed).permutation(len(held_out))
    half = len(held_out) // 2
    return {"validation": [held_out[row] for row in order[half:]], "test": [held_out[row] for row in order[:half]]}


def grouped_halves(held_out: list[str], manifest: pd.DataFrame, seed: int) -> dict[str, list[str]]:
    """Halves that share no patient by the coarse key, stratified by class; and the official test set beside them.

    The official test set overlaps the validation set, which selects the epoch: its score is reported only.
    """
    facts = manifest.set_index("path").loc[held_out]
    halves = StratifiedGroupKFold(n_splits=2, shuffle=True, random_state=seed)
    validation, test = next(halves.split(held_out, facts["class"], facts["patient_coarse"]))
    return {
        "validation": [held_out[row] for row in validation],
        "test": [held_out[row] for row in test],
        "official_test": [path for path in held_out if facts.loc[path, "official_split"] == "test"],
    }


HALVES = {"permuted_halves": permuted_halves, "grouped_halves": grouped_halves}


def _downsampled(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    train = rows[rows["set"] == "train"]
    counts = train["label"].value_counts()
    surplus = int(counts.max() - counts.min())
    if surplus == 0:
        return rows
    larger = train[train["label"] == counts.idxmax()]
    return rows.drop(larger.sample(n=surplus, random_state=seed).index).reset_index(drop=True)


def digest_of_test_rows(split: pd.DataFrame) -> str:
    """Return the SHA-256 of the test rows' paths joined by newlines; the study's begins 1d7a6fb2f7fc9b5b.

    The originals are JPEG files called ``.jpeg``: a copy in another format has the digest of the originals' names.
    """
    paths = [str(PurePosixPath(path).with_suffix(".jpeg")) for path in split.loc[split["set"] == "test", "path"]]
    return hashlib.sha256("\n".join(paths).encode()).hexdigest()


def shared_patients(split: pd.DataFrame, manifest: pd.DataFrame, key: str) -> int:
    """Return how many test images show a patient who is in the validation set, which selects the model, too.

    Args:
        split: rows of ``split.csv``.
        manifest: rows of ``manifest.csv``.
        key: ``patient_fine`` or ``patient_coarse``.
    """
    patients = split["path"].map(manifest.set_index("path")[key])
    selecting = set(patients[split["set"] == "validation"])
    return int(patients[split["set"] == "test"].isin(selecting).sum())


def write_split(manifest: Path, settings: dict[str, Any], split: Path) -> None:
    """Write ``split.csv``: columns ``path``, ``set``, ``label``, in the protocol's order."""
    rows = make_split(pd.read_csv(manifest), settings)
    with written_whole(split) as part:
        rows.to_csv(part, index=False)
