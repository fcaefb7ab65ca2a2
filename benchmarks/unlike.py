"""How often ``cxr predict`` warns that an image is unlike the training images, measured on the embedded X-rays.

The warning of the distance alone is measured; colour and the header of a DICOM file are further ones.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pydicom.data
from PIL import Image, ImageDraw, ImageFilter
from sklearn.datasets import load_sample_images
from sklearn.metrics import roc_auc_score

from benchmarks.timing import scratch
from cxr.images.manifest import write_manifest
from cxr.images.sources import provide_images
from cxr.prediction.dicom import read_dicom
from cxr.prediction.likeness import fit_likeness
from cxr.preprocessing.arrays import LEVEL, open_array, resized, write_arrays
from cxr.preprocessing.split import make_split
from cxr.study.config import PAPER, read_protocol

SIZE, PROTOCOL, CROPS, HANDS = 64, "published", 200, 100
WHITE = 255 * LEVEL

Stored = npt.NDArray[np.int16]

# What is done to the test images.
CHANGES: dict[str, Callable[[Stored], Stored]] = {
    "inverted": lambda images: (WHITE - images).astype(np.int16),
    "turned by 90 degrees": lambda images: np.rot90(images, 1, (1, 2)).copy(),
    "turned by 180 degrees": lambda images: np.rot90(images, 2, (1, 2)).copy(),
    "upside down": lambda images: images[:, ::-1].copy(),
    "mirrored left to right": lambda images: images[:, :, ::-1].copy(),
    "half as bright": lambda images: images // 2,
    "the middle quarter alone": lambda images: images[:, SIZE // 4 : -SIZE // 4, SIZE // 4 : -SIZE // 4].copy(),
}


def photographs() -> Iterator[Stored]:
    """Random squares of scikit-learn's two photographs, in grey."""
    random = np.random.default_rng(0)
    for pixels in load_sample_images().images:
        picture = Image.fromarray(pixels).convert("L")
        for _ in range(CROPS // 2):
            side = int(random.integers(120, min(picture.size)))
            left, top = (int(random.integers(0, length - side + 1)) for length in picture.size)
            yield _stored(picture.crop((left, top, left + side, top + side)))


def drawn_hands() -> Iterator[Stored]:
    """Bright drawings of a hand on black, which stand for radiographs of hands, of which none was at hand."""
    random = np.random.default_rng(0)
    for _ in range(HANDS):
        picture = Image.new("L", (256, 256))
        draw, middle = ImageDraw.Draw(picture), 128 + random.normal(0, 8)
        draw.ellipse((middle - 52, 120, middle + 52, 250), fill=150)
        for finger in range(5):
            foot = (middle + 24 * (finger - 2), 150)
            angle, length = 0.22 * (finger - 2) + random.normal(0, 0.05), random.normal(105, 8) - 12 * abs(finger - 2)
            tip = (foot[0] + length * np.sin(angle), foot[1] - length * np.cos(angle))
            for width, level in ((24, 110), (10, 210)):
                draw.line([foot, tip], fill=level, width=width)
        yield _stored(picture.filter(ImageFilter.GaussianBlur(random.uniform(1, 4))))


def slices() -> Iterator[Stored]:
    """A slice of a CT and one of an MRI, which pydicom brings along."""
    for name in ("CT_small.dcm", "MR_small.dcm"):
        path = pydicom.data.get_testdata_file(name, download=False)
        assert path is not None
        yield resized(read_dicom(Path(path), "luma").grey, SIZE, antialias=False)


def noise() -> Iterator[Stored]:
    """White noise."""
    random = np.random.default_rng(0)
    yield from random.integers(0, WHITE, (100, SIZE, SIZE)).astype(np.int16)


def _stored(picture: Image.Image) -> Stored:
    return resized(np.asarray(picture, np.float32), SIZE, antialias=True)


def rates() -> list[dict[str, Any]]:
    """Return for each kind of image how many were warned of, and how well the distance tells it from test X-rays.

    Returns:
        Rows with ``kind``, ``images``, ``warned`` (a share) and ``auroc`` (None for the X-rays themselves).
    """
    folder = scratch("unlike")
    provide_images({"source": "embedded"}, folder / "images", folder / "source.json")
    manifest, cohort = folder / "manifest.csv", folder / "cohort.json"
    write_manifest(folder / "source.json", PAPER / "published" / "results.json", manifest, cohort, threads=2)
    write_arrays(manifest, cohort, [folder / f"{SIZE}px.npy"], threads=2)
    images, table = open_array(folder / f"{SIZE}px.npy"), pd.read_csv(manifest)
    row_of = pd.Series(np.arange(len(table)), index=table["path"])
    sets = {
        str(name): row_of[members["path"]].to_numpy()
        for name, members in make_split(table, read_protocol(PROTOCOL)).groupby("set")
    }
    likeness = fit_likeness(images, sets["train"], sets["validation"], None)
    test = images[sets["test"]]
    others: dict[str, Stored] = {
        "photographs, in grey": np.stack(list(photographs())),
        "drawn hands": np.stack(list(drawn_hands())),
        "slices of a CT and an MRI": np.stack(list(slices())),
        "noise": np.stack(list(noise())),
        "black": np.zeros((1, SIZE, SIZE), np.int16),
        **{f"X-rays, {name}": change(test) for name, change in CHANGES.items()},
    }
    own = likeness.distances(test)
    found = [{"kind": "X-rays of the test set", "images": len(test), "warned": float((own > likeness.limit).mean())}]
    found[0]["auroc"] = None
    for kind, pictures in others.items():
        distances = likeness.distances(pictures)
        label = np.repeat([0, 1], [len(own), len(distances)])
        auroc = float(roc_auc_score(label, np.concatenate([own, distances])))
        warned = float((distances > likeness.limit).mean())
        found.append({"kind": kind, "images": len(pictures), "warned": warned, "auroc": auroc})
    return found


def table(found: list[dict[str, Any]]) -> str:
    """Return the rates as a Markdown table."""
    lines = ["| images | number | warned of | AUROC against X-rays of the test set |", "|:--|--:|--:|--:|"]
    for row in found:
        auroc = "" if row["auroc"] is None else f"{row['auroc']:.3f}"
        lines.append(f"| {row['kind']} | {row['images']} | {row['warned']:.1%} | {auroc} |")
    return "\n".join(lines)
