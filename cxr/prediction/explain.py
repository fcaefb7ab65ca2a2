"""The command ``cxr explain``: where a finished run looks in images of one's own."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.PngImagePlugin import PngInfo
from torch import nn

from cxr.errors import InputError, SomeFailed, did_you_mean
from cxr.explanation.grad_cam import grad_cam, layers_of, upsampled
from cxr.files import write_json, written_whole
from cxr.images.names import CLASSES
from cxr.networks.precision import forward
from cxr.prediction.image_files import find_files, read_image
from cxr.prediction.loading import load_network
from cxr.prediction.maps import draw_maps
from cxr.prediction.trained import NOTICE, TrainedNetwork
from cxr.preprocessing.arrays import resized
from cxr.progress import progress

INDEX = "maps.json"

log = logging.getLogger(__name__)


def explain(
    images: list[Path],
    /,
    run: Path,
    maps: Path,
    layer: str | None = None,
    target: str | None = None,
    device: str | None = None,
) -> None:
    """Draw where a finished run looks in images: Grad-CAM over each X-ray. Research use only; not for clinical use.

    A map shows what raised the network's output for a class. It shows neither that this is the disease, nor that the
    network is right.

    Args:
        images: image files (JPEG, PNG, DICOM) and folders, which are searched with their subfolders.
        run: the folder of a finished run, or a file of ``cxr export``, as for ``cxr predict``.
        maps: folder to write to: ``NUMBER-NAME.png`` for each image, both classes beside each other with one colour
            bar in units of the logit, and ``maps.json``, which says which file shows which image.
        layer: the layer whose maps are summed; the network's deep layer in paper/explanations.yaml if not given.
        target: NORMAL or PNEUMONIA; both if not given.
        device: cpu or cuda; that of the run if not given.

    Raises:
        InputError: there is no such run, layer or class, or no file.
        SomeFailed: some files could not be used; the others have their maps.
    """
    if target is not None and target not in CLASSES:
        hint = did_you_mean(target.upper(), CLASSES)
        raise InputError(f"there is no class '{target}', only {' and '.join(CLASSES)}{hint or '.'}")
    trained = load_network(run)
    files = find_files(images)
    settings = trained.settings_on(device)
    torch.set_num_threads(trained.facts["record"]["device"].get("threads", 1))
    network = trained.network(settings)
    layer = layer or layers_of(settings["model"])["deep"]
    # A layer that does not exist is no fault of the first image.
    blank = trained.inputs(np.zeros((1, trained.size, trained.size), np.int16), settings)
    grad_cam(network, blank, layer, 0)
    drawn, failed = [], []
    for number, file in enumerate(progress(files, len(files), "images", "explain"), start=1):
        try:
            drawn.append(_draw(trained, network, settings, file, maps / _name(number, file), layer, target))
        except InputError as error:
            failed.append({"path": str(file), "error": str(error)})
    index = {"notice": NOTICE, "run": trained.facts["name"], "layer": layer, "maps": drawn, "failed": failed}
    write_json(maps / INDEX, index)
    log.info("%d maps in %s. %s", len(drawn), maps, NOTICE)
    if failed:
        sentences = "\n".join(each["error"] for each in failed)
        raise SomeFailed(f"{len(failed)} of {len(files)} files could not be used:\n{sentences}")


def _name(number: int, file: Path) -> str:
    """Return a file name that is safe everywhere; the number keeps files of one name in different folders apart."""
    words = re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem).strip("-")[:60]
    return f"{number:04d}-{words or 'image'}.png"


def _draw(
    trained: TrainedNetwork,
    network: nn.Module,
    settings: dict[str, Any],
    file: Path,
    picture: Path,
    layer: str,
    target: str | None,
) -> dict[str, Any]:
    """Write the picture of one image; return its row of the index."""
    image = read_image(file, trained.facts["grey"])
    stored = resized(image.grey, trained.size, trained.facts["antialias"])
    inputs = trained.inputs(stored[None], settings)
    with torch.no_grad():
        probability = float(forward(network, inputs, settings).softmax(1)[0, 1])
    warnings = [*trained.likeness.warnings(image, float(trained.likeness.distances(stored[None])[0])), *image.remarks]
    shown = [target] if target else list(CLASSES)
    found = {}
    for name in shown:
        small = grad_cam(network, inputs, layer, CLASSES.index(name)).cpu()
        found[f"speaks for {name}"] = upsampled(small, image.grey.shape)[0].numpy()
    text = _text(trained, probability, layer, warnings)
    marks = PngInfo()
    marks.add_text("Comment", NOTICE)
    with written_whole(picture) as part:
        draw_maps(image.grey, found, text, NOTICE).save(part, "PNG", pnginfo=marks)
    return {"path": str(file), "map": picture.name, "probability": probability, "warnings": warnings}


def _text(trained: TrainedNetwork, probability: float, layer: str, warnings: Sequence[str]) -> list[str]:
    return [
        f"{trained.facts['name']}: probability of PNEUMONIA {probability:.3f}",
        f"Grad-CAM at {layer}, in units of the logit",
        *(f"Warning: {words}" for words in warnings),
    ]
