"""The list of images in a cohort of phantoms: names, patients, findings and duplicates as in the real set."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from cxr.images.names import SPLITS

Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Radiograph:
    """One file of the cohort.

    Attributes:
        path: relative to the cohort's folder, POSIX.
        patient: number of the patient, which determines anatomy and disease.
        view: number of the exposure, which determines everything else; exact duplicates have the same number.
        finding: ``none``, ``bacteria`` or ``virus``.
        colour: whether the JPEG is RGB.
    """

    path: str
    patient: int
    view: int
    finding: str
    colour: bool = False


@dataclass(frozen=True)
class _Block:
    """Patients with consecutive numbers, all in one split."""

    split: str
    share: float  # of the images of this split and class
    again: float  # probability that a patient has one more image
    gap: float  # mean number of numbers left out before each patient


# The real numberings in their order: bacterial patients 1 to 77 are in train, 78 to 175 in test, then train and val;
# viral ones 1 to 79 in test, then train, then test; both NORMAL series begin with test, and the second one reaches val.
_NUMBERINGS = {
    "NORMAL": {
        "IM-": (_Block("test", 0.29, 0.06, 0.6), _Block("train", 0.45, 0.13, 0.2)),
        "NORMAL2-IM-": (_Block("test", 0.71, 0.02, 1.3), _Block("train", 0.55, 0.07, 0.5), _Block("val", 1, 0, 0.8)),
    },
    "PNEUMONIA": {
        "bacteria": (
            _Block("train", 0.03, 0.46, 0),
            _Block("test", 0.62, 0.68, 0.3),
            _Block("train", 0.62, 0.46, 0.3),
            _Block("val", 1, 0.12, 0.3),
        ),
        "virus": (_Block("test", 0.20, 0.15, 0.2), _Block("train", 0.35, 0.19, 0.4), _Block("test", 0.18, 0.15, 0.3)),
    },
}
_DUPLICATES = 0.03  # of the further images of patients
_COLOUR = 283 / 3875  # of train/PNEUMONIA


def plan_cohort(seed: int, counts: Counts) -> list[Radiograph]:
    """Return the files of a cohort: names, patients and duplicates as in the real set.

    No patient is in two splits by the fine key; by the coarse one (``person12`` whether bacterial or viral) some are,
    as in the real set.

    Args:
        seed: >= 0.
        counts: number of images by split and class, at least 1 each.
    """
    random = np.random.default_rng((seed, 0))
    cohort: list[Radiograph] = []
    patients = count()
    for name, numberings in _NUMBERINGS.items():
        shared = dict.fromkeys(SPLITS, 0.0)
        for series, blocks in numberings.items():
            number = file = 0
            for block in blocks:
                wanted = counts[block.split][name]
                before = round(wanted * shared[block.split])
                shared[block.split] += block.share
                missing = round(wanted * shared[block.split]) - before
                while missing:
                    number += _trials(random, block.gap / (1 + block.gap))
                    images = min(missing, _trials(random, block.again))
                    patient, missing = next(patients), missing - images
                    for image in range(1, images + 1):
                        file += 1
                        repeated = image > 1 and random.random() < _DUPLICATES
                        view = cohort[-1].view if repeated else len(cohort)
                        if name == "NORMAL":
                            stem = f"{series}{number:04d}-0001" + (f"-{image:04d}" if images > 1 else "")
                        else:
                            stem = f"person{number}_{series}_{file}"
                        finding = "none" if name == "NORMAL" else series
                        cohort.append(Radiograph(f"{block.split}/{name}/{stem}.jpeg", patient, view, finding))
    views = sorted({image.view for image in cohort if image.path.startswith("train/PNEUMONIA/")})
    coloured = set(random.choice(views, size=max(1, round(_COLOUR * len(views))), replace=False).tolist())
    return [replace(image, colour=image.view in coloured) for image in cohort]


def _trials(random: np.random.Generator, again: float) -> int:
    """Draw the number of trials until one fails, if each succeeds with probability ``again``.

    ``Generator.geometric`` may compute logarithms, whose last bits depend on the C library.
    """
    trials = 1
    while random.random() < again:
        trials += 1
    return trials
