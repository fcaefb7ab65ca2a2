"""What is to be run: a config, joined with the experiments and protocols of ``paper/``, as plain dictionaries.

This is what the Snakefile knows of the study. It imports neither torch nor pandas, so that a dry-run stays quick.
"""

import fnmatch
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxr.errors import InputError, did_you_mean
from cxr.study.device import resolved_device
from cxr.study.layout import place_of
from cxr.study.protocols import DISCREPANCIES, PAPER, flipped, merged, protocol_of, read_discrepancies, read_experiments
from cxr.study.schemas import coerced, validate

__all__ = ["PAPER", "Study", "expanded", "read_experiments", "read_protocol"]


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

        Args:
            config: numbers, lists and the like may be strings, as Snakemake's ``--config`` gives them. ``device: auto``
                becomes ``cuda`` where this machine has a GPU, and ``cpu`` elsewhere.

        Raises:
            InputError: an unknown key, a wrong value, or a name that ``paper/`` does not hold.
        """
        config = coerced(dict(config), "config")
        validate(config, "config", f"config '{config.get('name', '?')}'")
        config = {**config, "device": resolved_device(config["device"])}
        catalogue = read_experiments(PAPER / "experiments.yaml")
        protocols = {name: read_protocol(name, catalogue) for name in config["protocols"]}
        first, rows = config["protocols"][0], read_discrepancies(DISCREPANCIES)
        chosen = config.get("ablations", [])
        for row in [] if chosen == "all" else chosen:
            if "flip" not in rows.get(row, {}):
                known = [name for name in rows if "flip" in rows[name]]
                hint = did_you_mean(row, known) or f"; there are {', '.join(known)}."
                raise InputError(f"config '{config['name']}': ablations names '{row}', which has no flip{hint}")
        for name in config.get("fewer_seeds", {}):
            if name not in protocols:
                hint = did_you_mean(name, protocols) or f"; there are {', '.join(protocols)}."
                raise InputError(
                    f"config '{config['name']}': fewer_seeds names the protocol '{name}', not run here{hint}"
                )
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

    def runs(self) -> list[tuple[str, str, int]]:
        """All runs, those of ablations last: protocol, experiment and seed of each."""
        return [
            (protocol, experiment, seed)
            for protocol in [*self.protocols, *self.flips]
            for experiment in self.experiments_under(protocol)
            for seed in self.seeds(protocol)
        ]

    def seeds(self, protocol: str) -> list[int]:
        """The seeds of every experiment under a protocol; a flipped one has those of the protocol that it flips."""
        fewer = self.config.get("fewer_seeds", {}).get(protocol.split("~")[0])
        return list(self.config["seeds"][:fewer])

    def is_archived(self, place: str) -> bool:
        """Return whether a run is taken from an archive of finished runs, and not trained here.

        Args:
            place: the run's name, ``runs/<protocol>/<experiment>/seed-<seed>``.
        """
        runs = self.config.get("runs", {"source": "training"})
        here = runs.get("trained_here", [])
        return runs["source"] == "archive" and not any(
            fnmatch.fnmatchcase(place.removeprefix("runs/"), pattern) for pattern in here
        )

    def run_places(self) -> list[str]:
        """The name of each of ``runs``, as ``cxr.study.layout`` has it."""
        return [place_of(*run) for run in self.runs()]

    def explained_places(self) -> list[str]:
        """The names of the runs whose networks are explained: all but those of ablations."""
        return [place_of(*run) for run in self.runs() if run[0] in self.protocols]

    def families(self) -> dict[str, dict[str, Any]]:
        """For each family whose experiments are all run, ``published`` of its experiments by id."""
        found: dict[str, dict[str, Any]] = {}
        for name, spec in self.catalogue["experiments"].items():
            if "family" in spec:
                found.setdefault(spec["family"], {})[name] = spec.get("published", {})
        return {family: members for family, members in found.items() if set(members) <= set(self.experiments)}


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
