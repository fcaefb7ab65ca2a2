"""The images that a run was trained and judged on, known by the SHA-256 of their files.

Who predicts one of them should know: a network's opinion of an image that it was trained on says nothing. Besides, a
convolution may round the last bit of its result differently at another place of a batch. So an image that the run has
predicted gets the place that it had then, and the same probability to the last digit.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

# Images in a batch when a run predicts (``cxr.training.predictions``).
BATCH = 64
TRAINING = "train"


class Place(NamedTuple):
    """Where an image stood in a run.

    Attributes:
        set: the run's name of the set: ``train``, ``validation``, ``test``.
        batch: the number of the batch in which the run predicted it; -1 for training images, which it did not predict.
        slot: the place in the batch.
        size: the number of images in the batch.
    """

    set: str
    batch: int
    slot: int
    size: int


@dataclass
class Batch:
    """Images that are predicted together.

    Attributes:
        size: the number of places; those without a file stay black.
        files: the number of a file by its place.
    """

    size: int
    files: dict[int, int] = field(default_factory=dict)


OwnImages = Mapping[str, Sequence[Place]]


def own_images(training: Sequence[str], predictions: pd.DataFrame, sha256: Mapping[str, str]) -> OwnImages:
    """Return the places of the images of a run by SHA-256; equal files have several, in the order of their paths.

    Args:
        training: paths of the training images.
        predictions: ``predictions.csv``. Where an image is in two sets, its first is taken.
        sha256: the hash of each path, of ``manifest.csv``.
    """
    places = {path: Place(TRAINING, -1, 0, 0) for path in training}
    for name, members in reversed(list(predictions.groupby("set", sort=False))):
        count = len(members)
        for index, path in enumerate(members["path"]):
            batch, slot = divmod(index, BATCH)
            places[path] = Place(str(name), batch, slot, min(BATCH, count - batch * BATCH))
    found: dict[str, list[Place]] = defaultdict(list)
    for path in sorted(places, key=lambda path: (path.lower(), path)):
        found[sha256[path]].append(places[path])
    return dict(found)


def arranged(hashes: Sequence[str | None], own: OwnImages) -> tuple[list[Batch], list[str]]:
    """Return batches of all files, and the name of the run's set of each, empty for an image that the run never saw.

    Args:
        hashes: the SHA-256 of each file, None for a file that cannot be one of the run's.
        own: of ``own_images``.
    """
    batches: dict[tuple[str, int], Batch] = {}
    others: list[int] = []
    sets = []
    met: Counter[str] = Counter()
    for number, sha256 in enumerate(hashes):
        places = own.get(sha256, []) if sha256 else []
        copy = met[str(sha256)]
        met[str(sha256)] += 1
        place = places[copy % len(places)] if places else None
        sets.append(place.set if place else "")
        # Further copies of a file than the run has had go with the others.
        if place is None or place.batch < 0 or copy >= len(places):
            others.append(number)
        else:
            batches.setdefault((place.set, place.batch), Batch(place.size)).files[place.slot] = number
    rest = [others[start : start + BATCH] for start in range(0, len(others), BATCH)]
    return [*batches.values(), *(Batch(len(part), dict(enumerate(part))) for part in rest)], sets


def as_arrays(own: OwnImages) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], list[str]]:
    """Return own images as arrays to store: hashes (N, 32), places (N, 4) with the number of a set, names of sets."""
    rows = [(sha256, place) for sha256, places in own.items() for place in places]
    sets = sorted({place.set for _, place in rows})
    hashes = np.frombuffer(bytes.fromhex("".join(sha256 for sha256, _ in rows)), np.uint8).reshape(-1, 32)
    places = np.array([(sets.index(place.set), *place[1:]) for _, place in rows], np.int64).reshape(-1, 4)
    return hashes, places, sets


def from_arrays(hashes: npt.NDArray[np.uint8], places: npt.NDArray[np.int64], sets: Sequence[str]) -> OwnImages:
    """Return what ``as_arrays`` was given."""
    found: dict[str, list[Place]] = defaultdict(list)
    for sha256, (number, *rest) in zip(hashes, places.tolist(), strict=True):
        found[sha256.tobytes().hex()].append(Place(sets[number], *rest))
    return dict(found)
