"""The settings of each stage, resolved: plain dictionaries that decide what a stage writes."""

import fnmatch
import functools
import re
from pathlib import Path
from typing import Any

from cxr.errors import InputError
from cxr.files import REPOSITORY
from cxr.study.arrays import arrays_of_protocol
from cxr.study.config import Study, expanded
from cxr.study.layout import place_of
from cxr.study.protocols import merged
from cxr.study.steps import is_fixed

# Settings that say how a run is computed and not what: they change its numbers by no more than rounding.
EXECUTION = ("device", "deterministic", "precision", "channels_last", "compile", "cached_features")
# What a run takes of a GPU's memory where the config has no estimate for its backbone.
GPU_MB = 8000


def run_settings(study: Study, experiment: str, protocol: str, seed: int) -> dict[str, Any]:
    """Everything that decides the result of a run, resolved; it is carried into ``run.json``."""
    spec = study.spec(experiment, protocol)
    transforms = study.transforms(protocol)
    rules = study.rules(protocol)
    evaluation = study.catalogue["evaluation_transform"]
    used = dict.fromkeys([evaluation, *spec["training_set"]])
    return {
        "experiment": experiment,
        "protocol": protocol,
        "seed": seed,
        "model": dict(spec["model"]),
        "training_set": list(spec["training_set"]),
        "evaluation_transform": evaluation,
        "transforms": {name: list(transforms[name]["steps"]) for name in used},
        "image_size": study.config["image_size"],
        "pixel_divisor": rules["pixel_divisor"],
        "batch_size": spec["batch_size"],
        "epochs": min(spec["epochs"], _limit(study, experiment, "epochs", spec["epochs"])),
        "training_rows": _limit(study, experiment, "training_images", None),
        "learning_rate": spec["learning_rate"],
        "lr_step": spec["lr_step"],
        "lr_gamma": spec["lr_gamma"],
        "fixed_batch_norm": rules["fixed_batch_norm"],
        "accuracy": rules["accuracy"],
        "validation_loss": rules["validation_loss"],
        **({"cached_features": True} if uses_features(study, experiment, protocol) else {}),
        "device": study.config["device"],
        "deterministic": study.config.get("deterministic", True),
        "precision": study.config.get("precision", "float32"),
        "channels_last": study.config.get("channels_last", False),
        **({"compile": True} if study.config.get("compile") else {}),
    }


def _limit(study: Study, experiment: str, name: str, otherwise: Any) -> Any:
    """The smallest limit that the config sets on an experiment."""
    found = [
        limit[name]
        for limit in study.config.get("limits", [])
        if name in limit and any(fnmatch.fnmatchcase(experiment, pattern) for pattern in limit["experiments"])
    ]
    return min(found, default=otherwise)


def split_settings(study: Study, protocol: str) -> dict[str, Any]:
    """Settings of the split and of the normalisation constants of one protocol."""
    rules = study.rules(protocol)
    return {
        "protocol": protocol,
        "split": dict(rules["split"]),
        "downsampling": dict(rules["downsampling"]),
        "pixel_divisor": rules["pixel_divisor"],
        "image_size": study.config["image_size"],
        "transforms_of_experiments": {
            name: len(study.spec(name, protocol)["training_set"]) for name in study.experiments_under(protocol)
        },
    }


def example_settings(study: Study, protocol: str) -> dict[str, Any]:
    """Settings of the figure that shows every transform which the protocol's runs use."""
    used = {name for experiment in study.experiments for name in study.spec(experiment, protocol)["training_set"]}
    used.add(study.catalogue["evaluation_transform"])
    transforms = study.transforms(protocol)
    return {
        "transforms": {name: transforms[name]["steps"] for name in transforms if name in used},
        "arrays": arrays_of_protocol(study, protocol),
        "image_size": study.config["image_size"],
        "seed": study.config["seeds"][0],
    }


def gpu_mb(study: Study, experiment: str) -> int:
    """The GPU memory in MB that a run needs, by the config's estimate for its backbone; 0 on the CPU."""
    if study.config["device"] != "cuda":
        return 0
    backbone = study.catalogue["experiments"][experiment]["model"]["backbone"]
    return int(study.config.get("gpu_mb", {}).get(backbone, GPU_MB))


def weights_settings(study: Study, backbone: str) -> dict[str, Any]:
    """Where a backbone's pretrained weights come from: ``source`` torchvision, file (``path``, ``sha256``) or none.

    Raises:
        InputError: the file's path names an environment variable that is not set.
    """
    chosen = study.config.get("weights", {}).get(backbone, "none")
    if isinstance(chosen, str):
        return {"backbone": backbone, "source": chosen}
    path = expanded(chosen["file"], f"config '{study.config['name']}': weights.{backbone}.file")
    return {"backbone": backbone, "source": "file", "path": str(path), "sha256": chosen["sha256"]}


def all_weights_settings(study: Study) -> dict[str, dict[str, Any]]:
    """Return ``weights_settings`` of every backbone of the catalogue.

    Raises:
        InputError: as ``weights_settings``.
    """
    backbones = {experiment["model"]["backbone"] for experiment in study.catalogue["experiments"].values()}
    return {backbone: weights_settings(study, backbone) for backbone in sorted(backbones)}


def pretrained_backbone(study: Study, experiment: str, protocol: str) -> str | None:
    """The backbone whose pretrained weights a run starts from, or None for random weights."""
    model = study.spec(experiment, protocol)["model"]
    return model["backbone"] if model.get("weights", "none") != "none" else None


def uses_features(study: Study, experiment: str, protocol: str) -> bool:
    """Return whether a run trains a head on the stored features of a fixed pretrained network.

    So it is where nothing but the head trains, batch normalisation is fixed with the network, and the transforms
    draw nothing at random; the config's ``cached_features: false`` turns it off.
    """
    spec, transforms = study.spec(experiment, protocol), study.transforms(protocol)
    model = spec["model"]
    head = model.get("head", {}).get("layer", "")
    return (
        study.config.get("cached_features", True)
        and model.get("weights", "none") != "none"
        and "first_convolution" not in model
        and model.get("trained") == [f"^{re.escape(head)}\\."]
        and study.rules(protocol)["fixed_batch_norm"] == "eval"
        and all(is_fixed(transforms[name]["steps"]) for name in spec["training_set"])
    )


def archive_of(study: Study) -> Path | None:
    """The archive of finished runs that the config names, or None.

    A relative path is looked for in the working directory, then in the repository.

    Raises:
        InputError: it does not exist, or its path names an environment variable that is not set.
    """
    return _packed_runs(study, "runs.file", study.config.get("runs", {}).get("file"))


def other_sizes_of(study: Study) -> Path | None:
    """The archive of runs at other image sizes that the config names, or None.

    Raises:
        InputError: as ``archive_of``.
    """
    return _packed_runs(study, "other_sizes", study.config.get("other_sizes"))


def _packed_runs(study: Study, key: str, file: str | None) -> Path | None:
    if file is None:
        return None
    path = expanded(file, f"config '{study.config['name']}': {key}")
    if not path.is_file():
        path = REPOSITORY / path
    if not path.is_file():
        raise InputError(f"{key} '{file}' does not exist; name a file that `cxr pack` wrote.")
    return path


def is_trained(study: Study, experiment: str, protocol: str) -> bool:
    """Return whether any run of an experiment under a protocol is trained here, and not taken from an archive."""
    return not all(study.is_archived(place_of(protocol, experiment, seed)) for seed in study.seeds(protocol))


def features(study: Study) -> list[tuple[str, str]]:
    """The features that runs train on: protocol and backbone of each."""
    found = (
        (protocol, pretrained_backbone(study, experiment, protocol) or "")
        for protocol in [*study.protocols, *study.flips]
        for experiment in study.experiments_under(protocol)
        if uses_features(study, experiment, protocol) and is_trained(study, experiment, protocol)
    )
    return list(dict.fromkeys(found))


def heads_on(study: Study, backbone: str, protocol: str) -> list[str]:
    """The experiments whose runs train on the features of a backbone under a protocol."""
    return [
        name
        for name in study.experiments_under(protocol)
        if uses_features(study, name, protocol)
        and is_trained(study, name, protocol)
        and pretrained_backbone(study, name, protocol) == backbone
    ]


def features_settings(study: Study, backbone: str, protocol: str) -> dict[str, Any]:
    """Settings of the features that the experiments of ``heads_on`` share."""
    seed = study.config["seeds"][0]
    sharing = [run_settings(study, name, protocol, seed) for name in heads_on(study, backbone, protocol)]
    limits = [settings["training_rows"] for settings in sharing]
    model = sharing[0]["model"]
    shared = ("evaluation_transform", "image_size", "pixel_divisor", "device", "deterministic", "precision")
    return {
        "model": {
            "backbone": backbone,
            "input_channels": model["input_channels"],
            "head": {"layer": model["head"]["layer"]},
        },
        **{key: sharing[0][key] for key in (*shared, "channels_last")},
        "transforms": functools.reduce(merged, [settings["transforms"] for settings in sharing]),
        "training_set": list(dict.fromkeys(name for settings in sharing for name in settings["training_set"])),
        "training_rows": None if None in limits else max(limits),
    }
