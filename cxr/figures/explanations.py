"""What explains a run: its record, its maps, and the X-rays that these lie over."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cxr.evaluation.predictions import read_test_rows
from cxr.figures.xrays import XRays
from cxr.files import read_json
from cxr.study import layout

Numbers = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Case:
    """A test image with its maps.

    Attributes:
        name: ``true positive``, ``true negative``, ``false positive`` or ``false negative``.
        xray: shape (H, H), 0 (black) to 1, at most 128 pixels a side.
        probability: of PNEUMONIA.
        predicted: the predicted class, 0 NORMAL or 1 PNEUMONIA.
        maps: by layer, Grad-CAM of both classes, shape (2, h, w), 0 to 1, the largest of the image.
        cam: CAM of both classes in the same way, without what speaks against a class; None where it is not defined.
    """

    name: str
    xray: Numbers
    probability: float
    predicted: int
    maps: Mapping[str, Numbers]
    cam: Numbers | None


@dataclass(frozen=True)
class Explanation:
    """What explains a run.

    Attributes:
        record: ``explanation.json``.
        cases: by name, the image of median confidence of each case that occurs.
        filters: of the first convolution, shape (filters, channels, height, width).
        filters_before: those that it started from; None where it was not trained.
    """

    record: Mapping[str, Any]
    cases: Mapping[str, Case]
    filters: Numbers
    filters_before: Numbers | None

    def layer(self, depth: str) -> str:
        """The name of the ``shallow`` or the ``deep`` layer."""
        return str(self.record["layers"][depth]["name"])


def read_explanation(results: Path, place: str, xrays: XRays | None) -> Explanation | None:
    """Return what explains a run; None where nothing does.

    Args:
        results: ``results/<config name>``.
        place: ``runs/<protocol>/<experiment>/seed-<seed>``.
        xrays: the images, None where they may not be shown; there are no cases then.
    """
    folder = layout.explanation(results, place)
    record = read_json(folder / "explanation.json") if (folder / "explanation.json").exists() else {}
    if record.get("status") != "done":
        return None
    with np.load(folder / "maps.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    layers = [layer["name"] for layer in record["layers"].values()]
    tested = read_test_rows(layout.run(results, place) / "predictions.csv").set_index("path")
    predictions = tested.loc[arrays["paths"].tolist(), ["probability", "predicted"]].to_numpy()
    shown = list(enumerate(arrays["case"].tolist()))
    images = xrays.read(arrays["paths"].tolist()) if xrays is not None and shown else ()
    cases = {}
    # Of each case the most confident image comes first and that of median confidence, if there are two, second.
    for (index, name), image in zip(shown, images, strict=False):
        cases[name] = Case(
            name=name,
            xray=image / 255.0,
            probability=float(predictions[index, 0]),
            predicted=int(predictions[index, 1]),
            maps={layer: _relative(arrays, f"map/{layer}", index) for layer in layers},
            cam=_relative(arrays, "cam", index) if "cam/0" in arrays else None,
        )
    return Explanation(record, cases, arrays["filters"].astype(np.float64), _doubles(arrays.get("filters_before")))


def _relative(arrays: Mapping[str, Numbers], name: str, index: int) -> Numbers:
    """The positive part of both classes' maps of an image, over the largest value."""
    maps = np.stack([arrays[f"{name}/{target}"][index].astype(np.float64).clip(0) for target in (0, 1)])
    relative: Numbers = maps / max(float(maps.max()), np.finfo(float).tiny)
    return relative


def _doubles(values: Numbers | None) -> Numbers | None:
    return None if values is None else values.astype(np.float64)
