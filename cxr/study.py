"""What is to be run: a config, joined with the experiments and protocols of ``paper/``, as plain dictionaries.

This is what the Snakefile knows of the study. It imports neither torch nor pandas, so that a dry-run stays quick.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cxr.errors import InputError, did_you_mean
from cxr.schema import REPOSITORY, read_yaml, validate

PAPER = REPOSITORY / "paper"


@dataclass(frozen=True)
class Study:
    """A validated config and the data of ``paper/`` that it names.

    Attributes:
        config: the config, as ``workflow/schemas/config.schema.yaml`` describes it.
        catalogue: the content of ``paper/experiments.yaml``.
        protocols: the content of ``paper/protocols/<name>.yaml`` by name, in the config's order.
    """

    config: Mapping[str, Any]
    catalogue: Mapping[str, Any]
    protocols: Mapping[str, Mapping[str, Any]]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Study":
        """Validate a config and read what it names.

        Raises:
            InputError: an unknown key, a wrong value, or a name that ``paper/`` does not hold.
        """
        validate(dict(config), "config", f"config '{config.get('name', '?')}'")
        catalogue = read_experiments(PAPER / "experiments.yaml")
        study = cls(config, catalogue, {name: read_protocol(name) for name in config["protocols"]})
        for experiment in study.experiments:
            if experiment not in catalogue["experiments"]:
                hint = did_you_mean(experiment, catalogue["experiments"]) or "; paper/experiments.yaml lists them."
                raise InputError(f"config '{config['name']}': there is no experiment '{experiment}'{hint}")
        return study

    @cached_property
    def experiments(self) -> list[str]:
        """The ids of the experiments that are run, in the config's order."""
        chosen = self.config["experiments"]
        return list(self.catalogue["experiments"]) if chosen == "all" else list(chosen)

    @property
    def results(self) -> str:
        """The folder of everything that this config makes."""
        return f"results/{self.config['name']}"

    def image_source(self) -> dict[str, Any]:
        """Settings of the stage that fetches or draws the images, with the folder's variables expanded.

        For a folder, ``listing`` is a digest of its file names and sizes: when a file is added, removed or replaced,
        the settings change and Snakemake makes the manifest again; a mere touch changes nothing.

        Raises:
            InputError: the folder names an environment variable that is not set, or does not exist.
        """
        source = dict(self.config["data"])
        if source["source"] == "folder":
            folder = Path(os.path.expandvars(source["folder"])).expanduser()
            if "$" in str(folder):
                raise InputError(
                    f"config '{self.config['name']}': data.folder is '{source['folder']}', an environment variable "
                    f"that is not set; set it to the folder that holds train/, val/ and test/."
                )
            if not folder.is_dir():
                raise InputError(
                    f"data.folder '{folder}' does not exist; name the folder that holds train/, val/ and test/."
                )
            source |= {"folder": str(folder), "listing": listing_digest(folder)}
        return source

    def array_name(self, scale: float, antialias: bool) -> str:
        """The name of the array of all images at ``scale`` x image_size pixels: ``280px``, ``224px-antialias``."""
        size = round(scale * self.config["image_size"])
        return f"{size}px-antialias" if antialias else f"{size}px"

    def arrays_of(self, experiment: str, protocol: str) -> list[str]:
        """The names of the arrays that a run reads: one for each size that its transforms start from."""
        antialias = self.protocols[protocol]["resize_antialias"]
        used = [*self.catalogue["experiments"][experiment]["training_set"], self.catalogue["evaluation_transform"]]
        scales = {self.catalogue["transforms"][name]["steps"][0]["resize"] for name in used}
        return [self.array_name(scale, antialias) for scale in sorted(scales)]

    def all_arrays(self) -> list[str]:
        """The names of all arrays that the config's runs read."""
        pairs = ((experiment, protocol) for protocol in self.protocols for experiment in self.experiments)
        return sorted({name for pair in pairs for name in self.arrays_of(*pair)})

    def run_settings(self, experiment: str, protocol: str, seed: int) -> dict[str, Any]:
        """Everything that decides the result of a run, resolved; it is carried into ``run.json``."""
        spec = self.catalogue["experiments"][experiment]
        rules = self.protocols[protocol]
        evaluation = self.catalogue["evaluation_transform"]
        used = dict.fromkeys([evaluation, *spec["training_set"]])
        return {
            "experiment": experiment,
            "protocol": protocol,
            "seed": seed,
            "model": dict(spec["model"]),
            "training_set": list(spec["training_set"]),
            "evaluation_transform": evaluation,
            "transforms": {name: list(self.catalogue["transforms"][name]["steps"]) for name in used},
            "image_size": self.config["image_size"],
            "pixel_divisor": rules["pixel_divisor"],
            "batch_size": spec["batch_size"],
            "epochs": min(spec["epochs"], self.config.get("max_epochs", spec["epochs"])),
            "learning_rate": spec["learning_rate"],
            "lr_step": spec["lr_step"],
            "lr_gamma": spec["lr_gamma"],
            "accuracy": rules["accuracy"],
            "validation_loss": rules["validation_loss"],
            "device": self.config["device"],
            "deterministic": self.config.get("deterministic", True),
        }

    def split_settings(self, protocol: str) -> dict[str, Any]:
        """Settings of the split and of the normalisation constants of one protocol."""
        rules = self.protocols[protocol]
        return {
            "protocol": protocol,
            "split": dict(rules["split"]),
            "downsampling": dict(rules["downsampling"]),
            "pixel_divisor": rules["pixel_divisor"],
            "image_size": self.config["image_size"],
            "transforms_of_experiments": {
                name: len(self.catalogue["experiments"][name]["training_set"]) for name in self.experiments
            },
        }


def read_experiments(path: Path) -> dict[str, Any]:
    """Read and check ``paper/experiments.yaml``.

    Raises:
        InputError: the schema is violated, or an experiment names a transform that is not defined.
    """
    catalogue: dict[str, Any] = read_yaml(path)
    validate(catalogue, "experiments", str(path))
    transforms = catalogue["transforms"]
    for name, transform in transforms.items():
        if "resize" not in transform["steps"][0]:
            raise InputError(f"{path}: the first step of transform '{name}' must be a resize.")
    for name, experiment in catalogue["experiments"].items():
        for used in experiment["training_set"]:
            if used not in transforms:
                raise InputError(f"{path}: '{name}' uses an unknown transform '{used}'{did_you_mean(used, transforms)}")
    if catalogue["evaluation_transform"] not in transforms:
        raise InputError(f"{path}: evaluation_transform names an unknown transform.")
    return catalogue


def read_protocol(name: str) -> dict[str, Any]:
    """Read and check ``paper/protocols/<name>.yaml``.

    Raises:
        InputError: there is no such protocol, or its schema is violated.
    """
    path = PAPER / "protocols" / f"{name}.yaml"
    if not path.exists():
        known = sorted(file.stem for file in path.parent.glob("*.yaml"))
        hint = did_you_mean(name, known) or f"; there are {', '.join(known)}."
        raise InputError(f"there is no protocol '{name}' in paper/protocols{hint}")
    protocol: dict[str, Any] = read_yaml(path)
    validate(protocol, "protocol", str(path))
    return protocol


def listing_digest(folder: Path) -> str:
    """Return a digest of the relative names and sizes of all files under ``folder``, hidden ones left out."""
    digest = hashlib.sha256()
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in files if not name.startswith(".")):
            path = Path(parent, name)
            digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\n".encode())
    return digest.hexdigest()[:16]
