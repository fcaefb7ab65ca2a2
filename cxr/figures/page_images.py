"""The test images and what every network says of them, for the grid of images in the HTML page."""

import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

from cxr.evaluation.agreement import wrong_answers
from cxr.figures.data import FigureData
from cxr.files import write_json
from cxr.images.names import CLASSES

# The page embeds no larger and no more images, so that it stays below a few megabytes for any cohort.
LARGEST, MOST = 80, 400


def write_page_images(data: FigureData, path: Path) -> None:
    """Write ``test_images.json``, without images where they may not be shown, are not there, or no network was run.

    Args:
        data: what there is, under the config's first protocol.
        path: the file to write: ``may_show_images``; ``networks``, the ``title`` and ``seed`` of each; ``left_out``,
            how many test images are not listed; and ``images``, those that most networks get wrong first and then by
            path. An image has ``path``, ``class``, ``etiology``, ``patient``, ``png`` (base64), and by network
            ``probabilities`` of pneumonia and ``right``, whether its class is predicted.
    """
    shown = data.predictions if data.xrays is not None else {}
    images = _images(data)
    content: dict[str, Any] = {
        "may_show_images": data.may_show_images,
        "networks": [{"title": data.title(name), "seed": data.agreement["seeds"][name]} for name in shown],
        "left_out": max(0, len(images) - MOST),
        "images": images[:MOST],
    }
    for image, png in zip(content["images"], _pngs(data, [image["path"] for image in images[:MOST]]), strict=True):
        image["png"] = png
    write_json(path, content)


def _images(data: FigureData) -> list[dict[str, Any]]:
    if data.xrays is None or not data.predictions:
        return []
    wrong = wrong_answers(data.predictions)
    counts = wrong.sum(axis=1)
    rows = next(iter(data.predictions.values())).to_dict("records")
    return [
        {
            "path": rows[row]["path"],
            "class": CLASSES[rows[row]["label"]],
            "etiology": rows[row]["etiology"],
            "patient": rows[row]["patient_fine"],
            "probabilities": [float(table["probability"].iloc[row]) for table in data.predictions.values()],
            "right": [not bool(wrong[name].iloc[row]) for name in data.predictions],
        }
        for row in sorted(range(len(rows)), key=lambda row: (-counts[row], rows[row]["path"]))
    ]


def _pngs(data: FigureData, paths: list[str]) -> list[str]:
    if data.xrays is None or not paths:
        return []
    return [_png(Image.fromarray(image)) for image in data.xrays.read(paths, LARGEST)]


def _png(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
