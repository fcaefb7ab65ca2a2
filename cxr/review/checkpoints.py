"""The author's own networks, tested again with no training: the strongest reproduction there is.

The repository Koldim2001/transfer_learning_CNN at f4ff152 holds them in ``models/`` as whole pickled networks, which
``cxr.networks.unpickling`` reads without running any of it. Their numbers go into a network of
``cxr.networks.architectures``.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from cxr.errors import InputError
from cxr.evaluation.metrics import decision_metrics
from cxr.files import read_json, sha256_of, write_json
from cxr.networks.architectures import build_model
from cxr.networks.precision import set_precision
from cxr.networks.unpickling import Array, Module, read_checkpoint
from cxr.provenance import provenance
from cxr.study import layout
from cxr.study.arrays import array_name
from cxr.study.config import PAPER, Study
from cxr.study.published import printed_row
from cxr.study.settings import run_settings
from cxr.study.steps import resize_of
from cxr.training.sets import image_sets, members_of_sets, stored_images
from cxr.training.tables import PATIENTS, PREDICTIONS, write_table
from cxr.training.train import predictions_of

# A checkpoint is judged as its author judged it, which is what this protocol is.
PROTOCOL = "published"
# The classes of the two notebooks' networks whose names differ here.
RENAMED = {"SimpleConvNet": "CustomCNN"}
# Attributes of layers, none of them learnt, that change what a network makes of an image.
SETTINGS = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode", "eps", "ceil_mode", "output_size")
HEAD_LAYERS: dict[str, type[nn.Module]] = {
    layer.__name__: layer for layer in (nn.Dropout, nn.Identity, nn.ReLU, nn.Sigmoid, nn.Tanh)
}


def verify_checkpoint(checkpoint: Path, experiment: str, results: Path, record: Path, threads: int = 1) -> None:
    """Test a checkpoint of the author's on the published split, and compare with what he printed.

    It runs on the CPU, as the study did. Images are normalised with the printed constants, since these are what the
    network was trained with; those of the images here may differ where the images do.

    Args:
        checkpoint: a file of ``torch.save``: the whole network, or its state_dict.
        experiment: whose network it is, an id of ``paper/experiments.yaml``.
        results: ``results/<config name>``, with manifest, arrays and preprocessing of the protocol ``published``.
        record: JSON to write: ``file``, ``sha256``, ``experiment``, ``protocol``; of ``load_checkpoint``, ``network``;
            ``image_size``, ``normalisation``; ``here`` and ``printed``, each with ``accuracy`` and
            ``confusion_matrix`` ([[TN, FP], [FN, TP]]) on the test set (``printed`` and either of its two are null
            where the study prints none); ``equal``, whether the printed of the two are the same here, accuracies to
            four decimals, or null where nothing is printed; ``images``, with ``title``, ``synthetic``, ``width`` and
            ``height`` (smallest, median and largest, in pixels) and ``one_size`` (then they are no originals); and
            ``cxr.provenance``. Beside it, ``predictions.csv`` is written as ``cxr.training.train`` does, validation set
            included.
        threads: CPU threads.

    Raises:
        InputError: the file is refused, damaged, or does not fit the experiment; or the results lack something.
    """
    torch.set_num_threads(threads)
    files = {
        "manifest": layout.manifest(results),
        "cohort": layout.cohort(results),
        "split": layout.split(results, PROTOCOL),
        "preprocessing": layout.preprocessing(results, PROTOCOL),
    }
    _check_there(files.values())
    preprocessing = read_json(files["preprocessing"])
    study = _study_of(experiment, preprocessing["image_size"])
    settings = run_settings(study, experiment, PROTOCOL, 0)
    scale = resize_of(settings["transforms"][settings["evaluation_transform"]])
    array = layout.array(results, array_name(study, scale, PROTOCOL))
    _check_there([array])

    set_precision(settings)
    network, facts = load_checkpoint(checkpoint, experiment, settings["model"], settings["image_size"])
    published = read_json(PAPER / "published" / "results.json")
    constants = {key: published["normalisation"][key] for key in ("mean", "std", "pixel_divisor")}
    cohort = pd.read_csv(files["manifest"])
    members = members_of_sets(settings, cohort, pd.read_csv(files["split"]))
    arrays = stored_images((array,), torch.device("cpu"))
    sets = image_sets(settings, members, cohort, {"normalisation": constants}, arrays)
    judged = [predictions_of(network, images, name, settings) for name, images in sets.items() if name != "train"]
    predictions = pd.concat(judged).merge(cohort[PATIENTS], on="path")[PREDICTIONS]

    test = predictions[predictions["set"] == "test"]
    metrics = decision_metrics(test["label"].to_numpy(), test["predicted"].to_numpy())
    here = {key: metrics[key] for key in ("accuracy", "confusion_matrix")}
    row = printed_row(study.catalogue["experiments"][experiment].get("published"), published["metrics"])
    printed = row and {"accuracy": row["test_accuracy_printed"], "confusion_matrix": row["confusion_matrix"]}
    images = read_json(files["cohort"])
    content = {
        "file": checkpoint.name,
        "sha256": sha256_of(checkpoint),
        "experiment": experiment,
        "protocol": PROTOCOL,
        "network": facts,
        "image_size": settings["image_size"],
        "normalisation": constants,
        "here": here,
        "printed": printed,
        "equal": printed and _equal(here, printed),
        "images": {key: images[key] for key in ("title", "synthetic", "width", "height")}
        | {"one_size": all(images[side]["min"] == images[side]["max"] for side in ("width", "height"))},
        **provenance(files),
    }
    write_table(record.with_name("predictions.csv"), predictions)
    write_json(record, content)
    print(summary_of(content))


def _check_there(files: Iterable[Path]) -> None:
    for file in files:
        if not file.exists():
            raise InputError(f"{file} does not exist; make it with snakemake, from a config with protocol {PROTOCOL}.")


def _study_of(experiment: str, image_size: int) -> Study:
    """A config of nothing but one experiment under the protocol, for its settings; no image is fetched by it."""
    return Study.from_config(
        {
            "name": "checkpoint",
            "data": {"source": "mendeley"},
            "device": "cpu",
            "image_size": image_size,
            "protocols": [PROTOCOL],
            "experiments": [experiment],
            "seeds": [0],
        }
    )


def _equal(here: Mapping[str, Any], printed: Mapping[str, Any]) -> bool:
    # Half a unit of the fourth decimal, and what a float may be off by.
    same_accuracy = abs(here["accuracy"] - printed["accuracy"]) <= 0.5e-4 + 1e-9
    return same_accuracy and printed["confusion_matrix"] in (None, here["confusion_matrix"])


def summary_of(record: Mapping[str, Any]) -> str:
    """Return two lines for the terminal: what the checkpoint does here, and how that compares with what is printed."""
    here, printed, images = record["here"], record["printed"], record["images"]
    subject = f"{record['experiment']}, {record['file']}, at {record['image_size']} px"
    first = f"{subject}: test accuracy {here['accuracy']:.4f}, {_words(here)}"
    if printed is None:
        second = "the study prints no result of it"
    else:
        verdict = "the same" if record["equal"] else "not the same"
        second = f"printed: test accuracy {printed['accuracy']:.4f}, {_words(printed)}: {verdict}"
    if images["synthetic"]:
        second += "; the images here are drawn phantoms"
    elif images["one_size"]:
        second += "; the images here are a resized copy, not the originals"
    return f"{first}\n{second}"


def _words(result: Mapping[str, Any]) -> str:
    matrix = result["confusion_matrix"]
    return f"[[TN, FP], [FN, TP]] = {matrix}" if matrix else "no confusion matrix"


def load_checkpoint(
    path: Path, experiment: str, model: Mapping[str, Any], image_size: int
) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network of an experiment with the numbers of a checkpoint.

    The layers of the head come from the file where it holds a whole network, since the study's text gives their sizes
    alone: with or without an activation, under whatever numbers; only shapes, in order, must be the experiment's. A
    state_dict knows no layers, so the head is that of ``cxr.networks.architectures``, filled in order. A part of one
    of torchvision's networks that its forward pass does not know, such as DenseNet's ``classifire``, is left out.

    Args:
        path: the file.
        experiment: the experiment's id, for messages.
        model: ``model`` of the experiment.
        image_size: side length of the images in pixels.

    Returns:
        The network, and ``class`` (as the file names it, or null), ``head`` (its layers in words, those with numbers
        with their sizes), ``head_here`` (those that ``cxr.networks.architectures`` builds) and ``left_out`` (names of
        parts).

    Raises:
        InputError: one sentence for the first thing that does not fit, or as ``read_checkpoint``.
    """
    kind, modules, state = read_checkpoint(path)
    network = build_model(model, image_size)
    misfit = f"{path} does not fit {experiment}"
    remedy = f"name the checkpoint of {experiment}"
    if kind is not None and _short(kind) != type(network).__name__:
        raise InputError(f"{misfit}: its network is a {kind} and not a {type(network).__name__}; {remedy}.")
    layer = model.get("head", {}).get("layer")
    head_here = head = None
    if layer:
        head_here = network.get_submodule(layer)
        head = _head(layer, modules, f"{misfit}: its head") if layer in modules else head_here
        found = {name: array.shape for name, array in state.items() if name.startswith(f"{layer}.")}
        expected, shapes = _shapes(head_here), list(found.values())
        if not shapes == expected == _shapes(head):
            raise InputError(f"{misfit}: its head has the shapes {shapes} and not {expected}; {remedy}.")
        network.set_submodule(layer, head)
        renamed = {old: f"{layer}.{new}" for old, (new, _) in zip(found, head.named_parameters(), strict=True)}
        state = {renamed.get(name, name): array for name, array in state.items()}
        modules = {name: module for name, module in modules.items() if not f"{name}.".startswith(f"{layer}.")}
    known = {name: own for name, own in network.named_modules() if not layer or not f"{name}.".startswith(f"{layer}.")}
    # A forward pass of the author's own is in no file; torchvision's are known, and use no part of another name.
    forward_known = kind is not None and kind.startswith("torchvision.")
    left_out = [
        name
        for name in modules
        if "." not in name and name not in known and (forward_known or not _numbers_in(name, state))
    ]
    modules = {name: module for name, module in modules.items() if name.split(".")[0] not in left_out}
    state = {name: array for name, array in state.items() if name.split(".")[0] not in left_out}
    fault = _difference(modules, known) if modules else None
    fault = fault or _difference_of_numbers(state, network.state_dict())
    if fault:
        raise InputError(f"{misfit}: {fault}; {remedy}.")
    # Copied, as torch warns of memory that must not be written to.
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in state.items()})
    facts = {
        "class": kind,
        "head": head and _layers(head),
        "head_here": head_here and _layers(head_here),
        "left_out": left_out,
    }
    return network.eval(), facts


def _short(kind: str) -> str:
    name = kind.rpartition(".")[2]
    return RENAMED.get(name, name)


def _numbers_in(name: str, state: Mapping[str, Array]) -> bool:
    return any(key.startswith(f"{name}.") for key in state)


def _head(name: str, modules: Mapping[str, Module], place: str) -> nn.Module:
    """Build a head, or a layer of it, as a file describes it; its numbers are not set yet."""
    module = modules[name]
    kind = _short(module.kind)
    if kind == "Sequential":
        return nn.Sequential(
            *(_head(f"{name}.{child}", modules, place) for child in module.members("_modules", Module))
        )
    numbers = module.members("_parameters", np.ndarray)
    if kind == "Linear" and "weight" in numbers and numbers["weight"].ndim == 2:
        outputs, inputs = numbers["weight"].shape
        return nn.Linear(inputs, outputs, bias="bias" in numbers)
    if kind not in HEAD_LAYERS:
        raise InputError(f"{place} holds a {module.kind}; only {', '.join(HEAD_LAYERS)} and Linear are understood.")
    return HEAD_LAYERS[kind]()


def _shapes(head: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in head.parameters()]


def _layers(head: nn.Module) -> list[str]:
    """The layers of a head in words: ``["Linear 512-10", "ReLU", "Linear 10-2"]``."""
    return [
        type(layer).__name__ + (f" {layer.in_features}-{layer.out_features}" if isinstance(layer, nn.Linear) else "")
        for layer in head.modules()
        if not isinstance(layer, nn.Sequential)
    ]


def _difference(modules: Mapping[str, Module], known: Mapping[str, nn.Module]) -> str | None:
    """The first layer that is missing, surplus, of another class or with other settings, in words; None if none is."""
    for name in [*known, *modules]:
        if name not in modules:
            return f"it lacks the layer '{name}'"
        module = modules[name]
        if name not in known:
            return f"it has a surplus layer '{name}', a {module.kind}"
        own = known[name]
        if _short(module.kind) != type(own).__name__:
            return f"its layer '{name}' is a {module.kind} and not a {type(own).__name__}"
        for setting in SETTINGS:
            if setting in module.state and hasattr(own, setting):
                # Compared as text: whatever a file holds in its place, this is a plain comparison.
                found, expected = repr(module.state[setting]), repr(getattr(own, setting))
                if found != expected:
                    return f"its layer '{name}' has {setting} {found.split(chr(10))[0]} and not {expected}"
    return None


def _difference_of_numbers(state: Mapping[str, Array], expected: Mapping[str, torch.Tensor]) -> str | None:
    """The first parameter or buffer that is missing, surplus, of another shape or not finite, in words, or None."""
    for name, value in expected.items():
        if name not in state:
            return f"it lacks '{name}'"
        if state[name].shape != value.shape:
            return f"'{name}' has the shape {state[name].shape} and not {tuple(value.shape)}"
        if not np.isfinite(state[name]).all():
            return f"'{name}' holds numbers that are not finite"
    return next((f"it has a surplus '{name}'" for name in state if name not in expected), None)
