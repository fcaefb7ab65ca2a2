"""Explain trained networks: maps of chosen images, measures over all test images, and the first filters.

The files of a run in ``explanation/runs/<protocol>/<experiment>/seed-<seed>/`` are:

``maps.npz``
    ``paths`` (k,) of the test images that ``cxr.explanation.cases`` chooses, and ``case`` (k,); k may be 0. For the
    shallow and the deep layer, ``map/<layer>/<class>`` (k, h, w) is Grad-CAM for class 0 (NORMAL) and 1 (PNEUMONIA), 0
    to 1 times ``peak/<layer>`` (k,), an image's largest value over both classes, in logits. ``cam/<class>`` (k, h, w)
    is CAM, in logits, where it is defined. ``filters`` (filters, channels, height, width) are those of the first
    convolution, and ``filters_before`` those that it started from, where it was trained. All are float16; ``peak`` is
    float32.
``explanation.json``
    ``status`` (``done``; ``not made`` with ``reason``), ``settings`` of the run, ``explains`` and ``outputs`` (SHA-256
    of the files that were explained and written), ``images`` (number of test images), ``layers`` (name and map size),
    ``cam`` (whether and where it is defined, and why not elsewhere), ``relevance`` (``cxr.explanation.relevance``, by
    layer and class), ``randomisation`` (``cxr.explanation.randomisation``), ``visible`` (``cxr.explanation.visible``),
    and the code, packages, hardware and inputs as in ``run.json``.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from cxr.errors import InputError
from cxr.explanation.cases import choose_cases
from cxr.explanation.filters import filters_before, first_filters, starts_pretrained
from cxr.explanation.grad_cam import explained, grad_cam, layers_of, read_explanations
from cxr.explanation.maps import Arrays, cam_arrays, cam_facts, grad_cam_arrays, half
from cxr.explanation.randomisation import cascade
from cxr.explanation.relevance import Flags, Numbers, lungs_of, share_inside, summarised
from cxr.explanation.visible import BATCH, aurocs, probabilities_by_view
from cxr.files import read_json, sha256_of, write_json, written_whole
from cxr.images.names import CLASSES
from cxr.networks.architectures import torch_device
from cxr.networks.checkpoint_loading import load_checkpoint
from cxr.networks.precision import in_format, set_precision
from cxr.networks.weights import load_weights
from cxr.provenance import provenance
from cxr.study import layout
from cxr.training.archive import check_outputs, unpack_explanation
from cxr.training.explanations import MAPS, RECORD, write_not_made
from cxr.training.sets import image_sets, members_of_sets, stored_images

log = logging.getLogger(__name__)

# Test images whose maps are computed again with randomised layers.
RANDOMISED = 32
# By how much a checkpoint's probabilities may differ from those in predictions.csv: rounding, in bfloat16 at worst.
TOLERANCE = 0.02


def explain_runs(
    results: Path,
    runs: list[str],
    arrays: list[Path],
    weights: list[Path] | None = None,
    archive: Path | None = None,
    threads: int = 1,
) -> None:
    """Write ``explanation.json`` and ``maps.npz`` of runs, into ``explanation/`` in the folder of results.

    A run that was not run, or whose network has no row in ``paper/explanations.yaml``, gets a ``maps.npz`` without
    arrays and an ``explanation.json`` that says why. The explanation of a run from an archive comes from there, too.

    Args:
        results: ``results/<config name>``, with the runs and their checkpoints, ``images/manifest.csv`` and, in
            ``preprocessing``, the masks of the lungs and the split and constants of each protocol.
        runs: names of runs, ``runs/<protocol>/<experiment>/seed-<seed>``.
        arrays: the arrays that the runs' evaluation transform starts from; others are not read.
        weights: the pretrained weights, files of ``cxr.networks.weights``, for what the first filters were.
        archive: finished runs (``cxr.training.archive``), for the runs that come from it.
        threads: CPU threads.

    Raises:
        InputError: a run is not there; its files are not those it wrote; its checkpoint gives other predictions, as it
            does with other images.
    """
    torch.set_num_threads(threads)
    # Asked now: a checkout may move on while this goes on with the code that it has loaded.
    origin = provenance({})
    for place in runs:
        run, folder = layout.run(results, place), layout.explanation(results, place)
        if not (run / "run.json").exists():
            found = results.glob("training/runs/*/*/seed-*/run.json")
            known = sorted(path.parent.relative_to(results / "training").as_posix() for path in found)
            raise InputError(
                f"{results} holds no run '{place}'; it holds {', '.join(known) or 'none, so train it first'}."
            )
        record = read_json(run / "run.json")
        backbone = record["settings"]["model"]["backbone"]
        if record["status"] != "done":
            write_not_made(folder, record["reason"])
        elif archive is not None and record.get("source", {}).get("kind") == "archive":
            unpack_explanation(archive, run, folder)
        elif backbone not in read_explanations():
            write_not_made(folder, f"paper/explanations.yaml names no layers of {backbone}")
        else:
            _explain(results, place, arrays, weights or [], origin)
            log.info("%s: explained", place)


def _explain(results: Path, place: str, arrays: list[Path], weights: list[Path], origin: Mapping[str, Any]) -> None:
    run, folder = layout.run(results, place), layout.explanation(results, place)
    record = _checked_record(run)
    settings, model = record["settings"], record["settings"]["model"]
    inputs = {
        "manifest": layout.manifest(results),
        "split": layout.split(results, settings["protocol"]),
        "preprocessing": layout.preprocessing(results, settings["protocol"]),
        "lungs": layout.lungs(results),
    }
    set_precision(settings)
    device = torch_device(settings["device"])
    network, _ = load_checkpoint(run / "checkpoint.pt", settings["experiment"], model, settings["image_size"])
    network = in_format(network.to(device), settings)
    manifest, split = pd.read_csv(inputs["manifest"]), pd.read_csv(inputs["split"])
    members = {"test": members_of_sets(settings, manifest, split)["test"]}
    stored = stored_images(tuple(arrays), device)
    test = image_sets(settings, members, manifest, read_json(inputs["preprocessing"]), stored)["test"]
    # The evaluation transform draws nothing at random.
    images = test.inputs(np.arange(len(test)), torch.zeros(len(test), 1))
    lungs = torch.from_numpy(lungs_of(inputs["lungs"], test.rows, len(manifest), settings["image_size"])).to(device)
    predictions = pd.read_csv(run / "predictions.csv").query("set == 'test'").set_index("path").loc[list(test.paths)]
    views = probabilities_by_view(network, images, lungs, settings)
    difference = np.abs(views["whole"] - predictions["probability"]).max()
    if difference > TOLERANCE:
        raise InputError(
            f"{run / 'checkpoint.pt'} gives probabilities that differ from predictions.csv by up to {difference:.2g}; "
            "explain the run with the images that it was trained with."
        )
    cases = choose_cases(predictions.reset_index())
    chosen = images[[test.paths.index(path) for path in cases["path"]]]
    maps: Arrays = (
        {**grad_cam_arrays(network, chosen, model), **cam_arrays(network, chosen, model)} if len(cases) else {}
    )
    filters = _filters(network, settings, record["weights"], weights)
    with written_whole(folder / MAPS) as part:
        columns: Arrays = {"paths": cases["path"].to_numpy(str), "case": cases["case"].to_numpy(str)}
        np.savez_compressed(part, allow_pickle=False, **columns, **maps, **filters)
    layers = layers_of(model)
    right = (predictions["label"] == predictions["predicted"]).to_numpy()
    relevance, sizes = _relevance(network, images, lungs, right, list(layers.values()))
    write_json(
        folder / RECORD,
        {
            "status": "done",
            "settings": settings,
            "explains": {name: record["outputs"][name] for name in ("checkpoint.pt", "predictions.csv")},
            "outputs": {MAPS: sha256_of(folder / MAPS)},
            "images": len(test),
            "layers": {kind: {"name": name, "size": sizes[name]} for kind, name in layers.items()},
            "cam": cam_facts(network, images[:1], model),
            "relevance": relevance,
            "randomisation": _randomisation(network, images, views["whole"], model),
            "visible": aurocs(predictions["label"].to_numpy(), views),
            **origin,
            "inputs": {name: sha256_of(path) for name, path in inputs.items()},
        },
    )


def _checked_record(run: Path) -> Any:
    """``run.json`` of a run whose files are those that it wrote."""
    check_outputs(run)
    record, checkpoint = read_json(run / "run.json"), run / "checkpoint.pt"
    if not checkpoint.exists() or sha256_of(checkpoint) != record["outputs"][checkpoint.name]:
        raise InputError(f"{checkpoint} is not the file that the run wrote; restore it, or train the run again.")
    return record


def _randomisation(
    network: nn.Module, images: Tensor, probability: Numbers, model: Mapping[str, Any]
) -> dict[str, Any]:
    # Evenly from the whole set, which is ordered by class; each map is that of the class that is more probable.
    some = np.linspace(0, len(images) - 1, min(RANDOMISED, len(images))).round().astype(int)
    targets = torch.from_numpy((probability[some] > 0.5).astype(np.int64)).to(images.device)
    layer = layers_of(model)["deep"]
    steps = cascade(network, images[some], targets, layer, explained(model)["from_the_top"])
    return {"layer": layer, "images": len(some), "steps": steps}


def _relevance(
    network: nn.Module, images: Tensor, lungs: Tensor, right: Flags, layers: list[str]
) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """The summary of all images' relevance by layer and class, and the size of each layer's maps."""
    areas = lungs.double().mean((1, 2)).cpu().numpy()
    relevance: dict[str, Any] = {}
    sizes = {}
    for layer in layers:
        relevance[layer] = {}
        for target in range(len(CLASSES)):
            shares = []
            for batch, masks in zip(images.split(BATCH), lungs.split(BATCH), strict=True):
                maps = grad_cam(network, batch, layer, target)
                sizes[layer] = list(maps.shape[1:])
                shares.append(share_inside(maps, masks))
            relevance[layer][str(target)] = summarised(np.concatenate(shares), areas, right)
    return relevance, sizes


def _filters(network: nn.Module, settings: Mapping[str, Any], used: Mapping[str, Any], weights: list[Path]) -> Arrays:
    """The first filters, and what they were before training where they were trained."""
    model, state = settings["model"], None
    if starts_pretrained(model):
        file = next((path for path in weights if path.stem == model["backbone"]), None)
        state, facts = load_weights(file, file.with_suffix(".json")) if file else (None, {})
        if state is None or facts.get("sha256") != used.get("sha256"):
            raise InputError(
                f"{settings['experiment']} was trained from weights other than {file or 'none'}; name those that its "
                "run.json tells."
            )
    before = filters_before(settings, state)
    found: Arrays = {"filters": half(first_filters(network, model))}
    return found if before is None else found | {"filters_before": half(before)}
