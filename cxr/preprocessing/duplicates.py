"""Images that occur twice: identical files, and pairs with nearly the same perceptual hash.

The hash is ``dhash`` of ImageHash with 16 x 16 bits: the image is reduced to 17 x 16 px, and each bit tells whether a
pixel is brighter than its left neighbour. Pillow reduces 8-bit images in fixed point and the comparison is one of
integers, so the hash is the same on every processor. The better known ``phash`` compares floating-point coefficients
with their median, where a last bit can decide.

``NEAR`` was chosen on the study's 5,856 X-rays at 80 px. Saved again as JPEG of quality 75, halved in size, or made a
fifth brighter, an image moves by 7 of the 256 bits or less in 19 of 20 cases; of two different X-rays the closest
differ by 14. A hash of 8 x 8 bits would call thousands of different X-rays equal, since frontal chest X-rays are alike.
Copies that were cropped, rotated or mirrored are not found.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import imagehash
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from cxr.files import read_json, write_json
from cxr.images.cohort import common_side
from cxr.preprocessing.arrays import grey_levels, open_array
from cxr.study import layout
from cxr.study.arrays import array_of_side
from cxr.study.config import Study

SIDE = 16
BITS = SIDE * SIDE
# Pairs that differ in at most so many bits are near duplicates; those up to LISTED are kept for comparison.
NEAR, LISTED = 10, 20
# The columns of the manifest in which the images of a pair may differ.
KEYS = ("class", "official_split", "patient_fine", "patient_coarse")
# Pairs of sets that should have no image in common.
SETS = (("train", "validation"), ("train", "test"), ("validation", "test"))

Words: TypeAlias = npt.NDArray[np.uint64]


def hashes_of(images: npt.NDArray[np.int16]) -> Words:
    """Return the hash of each image.

    Args:
        images: shape (N, H, W), in 1/128 grey levels.

    Returns:
        Shape (N, 4): 256 bits as four words.
    """
    bits = [imagehash.dhash(Image.fromarray(grey_levels(image)), SIDE).hash.ravel() for image in images]
    return np.packbits(np.array(bits, bool).reshape(len(bits), BITS), axis=1).view(np.uint64)


def pairs_of(manifest: pd.DataFrame, hashes: Words) -> tuple[pd.DataFrame, dict[str, list[int]]]:
    """Return the pairs that are equal or close, and how many pairs there are at each distance.

    Args:
        manifest: ``manifest.csv``, N rows.
        hashes: shape (N, 4).

    Returns:
        A table with the manifest rows ``a`` < ``b`` of each pair, the ``distance`` of their hashes, and whether the
        files are ``identical``: all identical pairs, and all within ``LISTED``; by distance, then in the manifest's
        order. And the number of pairs at each distance from 0 to 256, of the ``same_patient`` (by the fine key) and of
        ``different_patients``.
    """
    patients, digests = (manifest[column].to_numpy() for column in ("patient_fine", "sha256"))
    counts = {name: np.zeros(BITS + 1, np.int64) for name in ("same_patient", "different_patients")}
    found = [np.empty((0, 4), np.int64)]
    for row in range(len(hashes) - 1):
        distances = np.bitwise_count(hashes[row] ^ hashes[row + 1 :]).sum(axis=1, dtype=np.int64)
        same, identical = patients[row + 1 :] == patients[row], digests[row + 1 :] == digests[row]
        counts["same_patient"] += np.bincount(distances[same], minlength=BITS + 1)
        counts["different_patients"] += np.bincount(distances[~same], minlength=BITS + 1)
        kept = np.flatnonzero(identical | (distances <= LISTED))
        found.append(np.stack([np.full(len(kept), row), row + 1 + kept, distances[kept], identical[kept]], axis=1))
    table = pd.DataFrame(np.concatenate(found), columns=["a", "b", "distance", "identical"])
    table = table.astype({"identical": bool}).sort_values(["distance", "a", "b"], ignore_index=True)
    return table, {name: values.tolist() for name, values in counts.items()}


def tally(pairs: pd.DataFrame, manifest: pd.DataFrame, splits: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return how many pairs there are, and how many of them cross a border.

    Args:
        pairs: with ``a`` and ``b``, rows of the manifest.
        manifest: ``manifest.csv``.
        splits: ``split.csv`` by protocol.

    Returns:
        ``pairs``; ``across``: by column of the manifest, the pairs whose images differ in it; ``sets``: by protocol
        and ``train, test`` and the like, the pairs with one image in either set.
    """
    first, second = manifest.iloc[pairs["a"]], manifest.iloc[pairs["b"]]
    sets: dict[str, dict[str, int]] = {}
    for protocol, split in splits.items():
        # An image of a test set may be in the official test set, too, which is not counted here.
        members = {name: set(rows["path"]) for name, rows in split.groupby("set")}
        sets[protocol] = {
            f"{one}, {other}": sum(
                (a in members.get(one, ()) and b in members.get(other, ()))
                or (b in members.get(one, ()) and a in members.get(other, ()))
                for a, b in zip(first["path"], second["path"], strict=True)
            )
            for one, other in SETS
        }
    across = {key: int((first[key].to_numpy() != second[key].to_numpy()).sum()) for key in KEYS}
    return {"pairs": len(pairs), "across": across, "sets": sets}


def _listed(pairs: pd.DataFrame, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
    for a, b, distance, identical in pairs.to_numpy(np.int64).tolist():
        yield {"paths": [paths[a], paths[b]], "distance": distance, "identical": bool(identical)}


def write_duplicates(config: dict[str, Any], results: Path, duplicates: Path) -> None:
    """Write ``duplicates.json``.

    Args:
        config: the config.
        results: ``results/<config name>``, with the manifest, the splits and the arrays.
        duplicates: the file to write. ``array`` that was hashed, ``hash``, ``bits``, ``near`` (the largest distance of
            near duplicates); ``identical``: ``groups`` of identical files, ``files`` in them, groups ``across`` each
            of ``KEYS``; ``tallies`` (of ``tally``) of ``identical`` files and of ``near`` duplicates that are not
            identical files; ``distances``: pairs by distance (of ``pairs_of``); ``listed``: ``paths``, ``distance``
            and ``identical`` of each pair of ``pairs_of``.
    """
    study = Study.from_config(config)
    manifest = pd.read_csv(layout.manifest(results))
    array = array_of_side(study, common_side(read_json(layout.cohort(results))))
    pairs, distances = pairs_of(manifest, hashes_of(open_array(layout.array(results, array))))
    splits = {protocol: pd.read_csv(layout.split(results, protocol)) for protocol in study.protocols}
    near = pairs[~pairs["identical"] & (pairs["distance"] <= NEAR)]
    again = manifest[manifest["sha256"].duplicated(keep=False)].groupby("sha256")
    write_json(
        duplicates,
        {
            "array": array,
            "hash": "dhash",
            "bits": BITS,
            "near": NEAR,
            "identical": {
                "groups": again.ngroups,
                "files": int(again.size().sum()),
                "across": {key: int((again[key].nunique() > 1).sum()) for key in KEYS},
            },
            "tallies": {
                "identical": tally(pairs[pairs["identical"]], manifest, splits),
                "near": tally(near, manifest, splits),
            },
            "distances": distances,
            "listed": list(_listed(pairs, manifest["path"].tolist())),
        },
    )
