"""What is to be run: a config, joined with the experiments and protocols of ``paper/``, as plain dictionaries.

This is what the Snakefile knows of the study. It imports neither torch nor pandas, so that a dry-run stays quick.
"""

import fnmatch
import functools
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxr.errors import InputError, did_you_mean
from cxr.files import sha256_of
from cxr.study.protocols import DISCREPANCIES, PAPER, flipped, merged, protocol_of, read_discrepancies, read_experiments
from cxr.study.schemas import validate
from cxr.study.steps import is_fixed, resize_of

__all__ = ["PAPER", "Study", "expanded", "read_experiments", "read_protocol"]

# What a run takes of a GPU's memory where the config has no estimate for its backbone.
GPU_MB = 8000


@dataclass(frozen=True)
class Study:
    """A validated config and the data of ``paper/`` that it names.

    Attributes:
        config: the config, as ``workflow/schemas/config.schema.yaml`` describes it.
        catalogue: the content of ``paper/experiments.yaml``.
        protocols: the content of ``paper/protocols/<name>.yaml`` by name, in the config's order.
        flips: by the name of a further protocol, ``<first protocol>~<row>``, the row of ``paper/discrepancies.yaml``
            in which it differs from the config's first protocol.
        flipped_protocols: the content of those further protocols.
    """

    config: Mapping[str, Any]
    catalogue: Mapping[str, Any]
    protocols: Mapping[str, Mapping[str, Any]]
    flips: Mapping[str, str] = field(default_factory=dict)
    flipped_protocols: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Study":
        """Validate a config and read what it names.

        Raises:
            InputError: an unknown key, a wrong value, or a name that ``paper/`` does not hold.
        """
        validate(dict(config), "config", f"config '{config.get('name', '?')}'")
        catalogue = read_experiments(PAPER / "experiments.yaml")
        protocols = {name: read_protocol(name, catalogue) for name in config["protocols"]}
        first, rows = config["protocols"][0], read_discrepancies(DISCREPANCIES)
        chosen = config.get("ablations", [])
        for row in [] if chosen == "all" else chosen:
            if "flip" not in rows.get(row, {}):
                known = [name for name in rows if "flip" in rows[name]]
                hint = did_you_mean(row, known) or f"; there are {', '.join(known)}."
                raise InputError(f"config '{config['name']}': ablations names '{row}', which has no flip{hint}")
        flips = {f"{first}~{row}": row for row in rows if "flip" in rows[row] and (chosen == "all" or row in chosen)}
        others = {name: flipped(protocols[first], row, catalogue) for name, row in flips.items()}
        study = cls(config, catalogue, protocols, flips, others)
        for experiment in study.experiments:
            if experiment not in catalogue["experiments"]:
                hint = did_you_mean(experiment, catalogue["experiments"]) or "; paper/experiments.yaml lists them."
                raise InputError(f"config '{config['name']}': there is no experiment '{experiment}'{hint}")
        return study

    @functools.cached_property
    def experiments(self) -> list[str]:
        """The ids of the experiments that are run, in the config's order."""
        chosen = self.config["experiments"]
        return list(self.catalogue["experiments"]) if chosen == "all" else list(chosen)

    def rules(self, protocol: str) -> Mapping[str, Any]:
        """The content of a protocol, flipped ones included."""
        return self.protocols.get(protocol) or self.flipped_protocols[protocol]

    def ablated(self, protocol: str) -> list[str]:
        """The experiments that are run under a flipped protocol, as far as the config runs them."""
        affected = read_discrepancies(DISCREPANCIES)[self.flips[protocol]]["flip"]["experiments"]
        return [name for name in self.experiments if name in affected]

    def experiments_under(self, protocol: str) -> list[str]:
        """The experiments that are run under a protocol, flipped ones included."""
        return self.experiments if protocol in self.protocols else self.ablated(protocol)

    @property
    def results(self) -> str:
        """The folder of everything that this config makes."""
        return f"results/{self.config['name']}"

    def image_source(self) -> dict[str, Any]:
        """Settings of the stage that fetches or draws the images, with the folder's variables expanded.

        For a folder, ``listing`` is a digest of its file names and sizes: when a file is added, removed or replaced,
        the settings change and Snakemake makes the manifest again; a mere touch changes nothing. For the embedded
        images, ``sha256`` of their archive does the same.

        Raises:
            InputError: the folder names an environment variable that is not set, or does not exist.
        """
        source = dict(self.config["data"])
        if source["source"] == "folder":
            folder = expanded(source["folder"], f"config '{self.config['name']}': data.folder")
            if not folder.is_dir():
                raise InputError(
                    f"data.folder '{folder}' does not exist; name the folder that holds train/, val/ and test/."
                )
            source |= {"folder": str(folder), "listing": listing_digest(folder)}
        if source["source"] == "embedded":
            source["sha256"] = sha256_of(PAPER / "data" / "chest_xray_80.zip")
        return source

    def array_name(self, scale: float, protocol: str) -> str:
        """The name of the array of all images at ``scale`` x image_size: ``280px``, ``224px-antialias-average``."""
        return f"{round(scale * self.config['image_size'])}px{self.array_kind(protocol)}"

    def array_kind(self, protocol: str) -> str:
        """How the names of a protocol's arrays end, which tells how images were made grey and resized; maybe empty."""
        rules = self.rules(protocol)
        return ("-antialias" if rules["resize_antialias"] else "") + ("-average" if rules["grey"] == "average" else "")

    def arrays_of(self, experiment: str, protocol: str) -> list[str]:
        """The names of the arrays that a run reads: one for each size that its transforms start from."""
        used = [*self.spec(experiment, protocol)["training_set"], self.catalogue["evaluation_transform"]]
        transforms = self.transforms(protocol)
        scales = {resize_of(transforms[name]["steps"]) for name in used}
        return [self.array_name(scale, protocol) for scale in sorted(scales)]

    def transforms(self, protocol: str) -> dict[str, Any]:
        """The transforms of a protocol: those of the catalogue, or the protocol's own in their place."""
        return {**self.catalogue["transforms"], **self.rules(protocol).get("transforms", {})}

    def spec(self, experiment: str, protocol: str) -> dict[str, Any]:
        """An experiment with the settings that a protocol overrides."""
        spec: dict[str, Any] = self.catalogue["experiments"][experiment]
        for override in self.rules(protocol).get("overrides", []):
            if any(fnmatch.fnmatchcase(experiment, pattern) for pattern in override["experiments"]):
                spec = merged(spec, override["settings"])
        return spec

    def arrays_of_protocol(self, protocol: str) -> list[str]:
        """The names of the arrays that a protocol's runs read."""
        experiments = self.experiments_under(protocol)
        return sorted({name for experiment in experiments for name in self.arrays_of(experiment, protocol)})

    def array_kinds(self) -> list[str]:
        """The kinds of arrays that the config's runs read."""
        return sorted({self.array_kind(protocol) for protocol in (*self.protocols, *self.flips)})

    def array_sizes(self) -> list[int]:
        """The sides in pixels that transforms start from, those of experiments that the config leaves out too.

        To add an experiment later then makes no array again, and no run.
        """
        transforms = [steps for protocol in self.protocols for steps in self.transforms(protocol).values()]
        return sorted({round(resize_of(transform["steps"]) * self.config["image_size"]) for transform in transforms})

    def all_arrays(self) -> list[str]:
        """The names of all arrays."""
        return sorted(f"{size}px{kind}" for size in self.array_sizes() for kind in self.array_kinds())

    def example_settings(self, protocol: str) -> dict[str, Any]:
        """Settings of the figure that shows every transform which the protocol's runs use."""
        used = {name for experiment in self.experiments for name in self.spec(experiment, protocol)["training_set"]}
        used.add(self.catalogue["evaluation_transform"])
        transforms = self.transforms(protocol)
        return {
            "transforms": {name: transforms[name]["steps"] for name in transforms if name in used},
            "arrays": self.arrays_of_protocol(protocol),
            "image_size": self.config["image_size"],
            "seed": self.config["seeds"][0],
        }

    def runs(self) -> list[tuple[str, str, int]]:
        """All runs, those of ablations last: protocol, experiment and seed of each."""
        return [
            (protocol, experiment, seed)
            for protocol in [*self.protocols, *self.flips]
            for experiment in self.experiments_under(protocol)
            for seed in self.config["seeds"]
        ]

    def run_folders(self) -> list[str]:
        """The folder of each of ``runs``, below the results' folder."""
        return [f"runs/{protocol}/{experiment}/seed-{seed}" for protocol, experiment, seed in self.runs()]

    def run_settings(self, experiment: str, protocol: str, seed: int) -> dict[str, Any]:
        """Everything that decides the result of a run, resolved; it is carried into ``run.json``."""
        spec = self.spec(experiment, protocol)
        transforms = self.transforms(protocol)
        rules = self.rules(protocol)
        evaluation = self.catalogue["evaluation_transform"]
        used = dict.fromkeys([evaluation, *spec["training_set"]])
        return {
            "experiment": experiment,
            "protocol": protocol,
            "seed": seed,
            "model": dict(spec["model"]),
            "training_set": list(spec["training_set"]),
            "evaluation_transform": evaluation,
            "transforms": {name: list(transforms[name]["steps"]) for name in used},
            "image_size": self.config["image_size"],
            "pixel_divisor": rules["pixel_divisor"],
            "batch_size": spec["batch_size"],
            "epochs": min(spec["epochs"], self._limit(experiment, "epochs", spec["epochs"])),
            "training_rows": self._limit(experiment, "training_images", None),
            "learning_rate": spec["learning_rate"],
            "lr_step": spec["lr_step"],
            "lr_gamma": spec["lr_gamma"],
            "fixed_batch_norm": rules["fixed_batch_norm"],
            "accuracy": rules["accuracy"],
            "validation_loss": rules["validation_loss"],
            **({"cached_features": True} if self.uses_features(experiment, protocol) else {}),
            "device": self.config["device"],
            "deterministic": self.config.get("deterministic", True),
            "precision": self.config.get("precision", "float32"),
            "channels_last": self.config.get("channels_last", False),
            **({"compile": True} if self.config.get("compile") else {}),
        }

    def _limit(self, experiment: str, name: str, otherwise: Any) -> Any:
        """The smallest limit that the config sets on an experiment."""
        found = [
            limit[name]
            for limit in self.config.get("limits", [])
            if name in limit and any(fnmatch.fnmatchcase(experiment, pattern) for pattern in limit["experiments"])
        ]
        return min(found, default=otherwise)

    def gpu_mb(self, experiment: str) -> int:
        """The GPU memory in MB that a run needs, by the config's estimate for its backbone; 0 on the CPU."""
        if self.config["device"] != "cuda":
            return 0
        backbone = self.catalogue["experiments"][experiment]["model"]["backbone"]
        return int(self.config.get("gpu_mb", {}).get(backbone, GPU_MB))

    def weights_settings(self, backbone: str) -> dict[str, Any]:
        """Where a backbone's pretrained weights come from: ``source`` torchvision, file (``path``, ``sha256``) or none.

        Raises:
            InputError: the file's path names an environment variable that is not set.
        """
        chosen = self.config.get("weights", {}).get(backbone, "none")
        if isinstance(chosen, str):
            return {"backbone": backbone, "source": chosen}
        path = expanded(chosen["file"], f"config '{self.config['name']}': weights.{backbone}.file")
        return {"backbone": backbone, "source": "file", "path": str(path), "sha256": chosen["sha256"]}

    def families(self) -> dict[str, dict[str, Any]]:
        """For each family whose experiments are all run, ``published`` of its experiments by id."""
        found: dict[str, dict[str, Any]] = {}
        for name, spec in self.catalogue["experiments"].items():
            if "family" in spec:
                found.setdefault(spec["family"], {})[name] = spec.get("published", {})
        return {family: members for family, members in found.items() if set(members) <= set(self.experiments)}

    def pretrained_backbone(self, experiment: str, protocol: str) -> str | None:
        """The backbone whose pretrained weights a run starts from, or None for random weights."""
        model = self.spec(experiment, protocol)["model"]
        return model["backbone"] if model.get("weights", "none") != "none" else None

    def uses_features(self, experiment: str, protocol: str) -> bool:
        """Return whether a run trains a head on the stored features of a fixed pretrained network.

        So it is where nothing but the head trains, batch normalisation is fixed with the network, and the transforms
        draw nothing at random; the config's ``cached_features: false`` turns it off.
        """
        spec, transforms = self.spec(experiment, protocol), self.transforms(protocol)
        model = spec["model"]
        head = model.get("head", {}).get("layer", "")
        return (
            self.config.get("cached_features", True)
            and model.get("weights", "none") != "none"
            and "first_convolution" not in model
            and model.get("trained") == [f"^{re.escape(head)}\\."]
            and self.rules(protocol)["fixed_batch_norm"] == "eval"
            and all(is_fixed(transforms[name]["steps"]) for name in spec["training_set"])
        )

    def features(self) -> list[tuple[str, str]]:
        """The features that runs train on: protocol and backbone of each."""
        found = (
            (protocol, self.pretrained_backbone(experiment, protocol) or "")
            for protocol in [*self.protocols, *self.flips]
            for experiment in self.experiments_under(protocol)
            if self.uses_features(experiment, protocol)
        )
        return list(dict.fromkeys(found))

    def heads_on(self, backbone: str, protocol: str) -> list[str]:
        """The experiments whose runs train on the features of a backbone under a protocol."""
        return [
            name
            for name in self.experiments_under(protocol)
            if self.uses_features(name, protocol) and self.pretrained_backbone(name, protocol) == backbone
        ]

    def features_settings(self, backbone: str, protocol: str) -> dict[str, Any]:
        """Settings of the features that the experiments of ``heads_on`` share."""
        seed = self.config["seeds"][0]
        sharing = [self.run_settings(name, protocol, seed) for name in self.heads_on(backbone, protocol)]
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

    def split_settings(self, protocol: str) -> dict[str, Any]:
        """Settings of the split and of the normalisation constants of one protocol."""
        rules = self.rules(protocol)
        return {
            "protocol": protocol,
            "split": dict(rules["split"]),
            "downsampling": dict(rules["downsampling"]),
            "pixel_divisor": rules["pixel_divisor"],
            "image_size": self.config["image_size"],
            "transforms_of_experiments": {
                name: len(self.spec(name, protocol)["training_set"]) for name in self.experiments_under(protocol)
            },
        }


def read_protocol(name: str, catalogue: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read and check ``paper/protocols/<name>.yaml``, as ``cxr.study.protocols.protocol_of`` does."""
    return protocol_of(PAPER, name, catalogue or read_experiments(PAPER / "experiments.yaml"))


def expanded(path: str, key: str) -> Path:
    """Return a path of a config with ``~`` and ``$VARIABLES`` expanded.

    Raises:
        InputError: a variable is not set; ``key`` names the place in the config.
    """
    result = Path(os.path.expandvars(path)).expanduser()
    if "$" in str(result):
        raise InputError(f"{key} is '{path}', an environment variable that is not set; set it, or write the path.")
    return result


def listing_digest(folder: Path) -> str:
    """Return a digest of the relative names and sizes of all files under ``folder``, hidden ones left out.

    Raises:
        InputError: a symbolic link leads to a folder that holds it, so the listing would never end.
    """
    digest = hashlib.sha256()
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for link in (Path(parent, name) for name in folders if Path(parent, name).is_symlink()):
            walked = [place for place in link.parents if place.is_relative_to(folder)]
            if any(place.resolve().is_relative_to(link.resolve()) for place in walked):
                raise InputError(f"{link} is a symbolic link to a folder that holds it; remove the link.")
        for name in sorted(name for name in files if not name.startswith(".")):
            path = Path(parent, name)
            # A broken link has no size; the manifest will name it.
            size = path.stat().st_size if path.exists() else "missing"
            digest.update(f"{path.relative_to(folder)}\0{size}\n".encode())
    return digest.hexdigest()[:16]
