"""The result tree of one config, with the study's printed numbers beside it, as the paper reads it."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxr.errors import InputError
from cxr.evaluation.metrics import METRICS
from cxr.evaluation.quantities import Node, quantities
from cxr.files import read_json
from cxr.study import layout
from cxr.study.config import Study
from cxr.study.differences import first_difference
from cxr.study.published import printed_row
from cxr.study.settings import EXECUTION, run_settings
from cxr.training.archive import check_outputs


@dataclass(frozen=True)
class Run:
    """The results of one experiment under one protocol with one seed.

    Attributes:
        protocol: the name of a file of ``paper/protocols/``.
        experiment: a key of ``paper/experiments.yaml``.
        seed: what its random numbers come from.
        rank: where its experiment stands in the config.
        place: its name, ``runs/<protocol>/<experiment>/seed-<seed>``.
        spec: the experiment's row of ``paper/experiments.yaml`` with what the protocol overrides.
        record: ``run.json``.
        metrics: ``metrics.json``.
        history: the rows of ``history.csv``.
        printed: the study's row of ``published/results.json``, or None if it printed no such result.
        curve: the study's row of ``published/curves.json``, or None.
    """

    protocol: str
    experiment: str
    seed: int
    rank: int
    place: str
    spec: Node
    record: Node
    metrics: Node
    history: tuple[Node, ...]
    printed: Node | None
    curve: Node | None

    @property
    def id(self) -> str:
        """A name for labels: ``published-custom-seed-42``."""
        return self.place.removeprefix("runs/").replace("/", "-")

    @property
    def origin(self) -> str:
        """What made it: equal for runs of the same code and packages on the same hardware."""
        parts = (self.record.code, self.record.packages, self.record.hardware, self.record.device)
        return json.dumps([part.plain() for part in parts], sort_keys=True)


@dataclass(frozen=True)
class Results:
    """Everything the paper may speak of.

    Attributes:
        cohort: ``images/cohort.json``.
        preprocessing: ``preprocessing.json`` by protocol, for those that are there.
        runs: the runs that the config names and that are there, in the config's order.
        not_run: the runs that could not be run, each with the reason.
        stand_ins: where weights come from that stand in for the study's pretrained ones, each origin once.
        selection: ``selection.json``, or None.
        missing: the places of the config's other runs, each with what is not there.
        config: the config.
        catalogue: ``paper/experiments.yaml``.
        experiments: those rows of the catalogue that the config names, by id.
        protocols: ``paper/protocols/*.yaml`` by name.
        printed: the study's printed results, ``paper/published/results.json``.
        curves: the study's printed training curves, ``paper/published/curves.json``.
    """

    cohort: Node
    preprocessing: dict[str, Node]
    runs: tuple[Run, ...]
    not_run: tuple[Mapping[str, str], ...]
    stand_ins: tuple[str, ...]
    selection: Node | None
    missing: tuple[Mapping[str, str], ...]
    config: Node
    catalogue: Node
    experiments: dict[str, Node]
    protocols: dict[str, Node]
    printed: Node
    curves: tuple[Node, ...]


def read_results(root: Path, study: Study, paper: Path) -> Results:
    """Read the results of a config.

    Args:
        root: ``results/<config name>``.
        study: the config and what it names.
        paper: the folder that holds ``published/``.

    Raises:
        InputError: ``cohort.json`` is not there; a run was made with other settings than the config's; or its tables
            were changed after the run.
    """
    cohort = layout.cohort(root)
    if not cohort.exists():
        raise InputError(f"{cohort} does not exist; make the manifest first.")
    preprocessing = {name: layout.preprocessing(root, name) for name in study.protocols}
    catalogue = quantities(study.catalogue, "paper/experiments.yaml")
    printed = quantities(read_json(paper / "published" / "results.json"), "paper/published/results.json")
    curves = quantities(read_json(paper / "published" / "curves.json"), "paper/published/curves.json")
    selection = layout.evaluation(root, "selection.json")
    runs, missing, not_run = [], [], []
    for protocol in study.protocols:
        for experiment in study.experiments:
            for seed in study.seeds(protocol):
                place = layout.place_of(protocol, experiment, seed)
                run, metrics = layout.run(root, place), layout.metrics(root, place)
                files = (run / "run.json", metrics, run / "history.csv")
                absent = [path.name for path in files if not path.exists()]
                spec = quantities(study.spec(experiment, protocol), f"paper/experiments.yaml under {protocol}")
                if absent:
                    missing.append({"place": place, "title": spec.title, "absent": absent[0]})
                    continue
                check_outputs(run)
                _check_settings(run / "run.json", run_settings(study, experiment, protocol, seed))
                record = _file(root, run / "run.json")
                if record.status != "done":
                    title = f"{spec.title} ({study.protocols[protocol]['title']}, seed {seed})"
                    not_run.append({"place": place, "title": title, "reason": record.reason})
                    continue
                selector = study.catalogue["experiments"][experiment].get("published")
                runs.append(
                    Run(
                        *(protocol, experiment, seed, study.experiments.index(experiment), place, spec),
                        record=record,
                        metrics=_file(root, metrics),
                        history=_rows(root, run / "history.csv"),
                        printed=printed_row(selector, printed.metrics),
                        curve=printed_row(selector, curves),
                    )
                )
    return Results(
        cohort=_file(root, cohort),
        preprocessing={name: _file(root, path) for name, path in preprocessing.items() if path.exists()},
        runs=tuple(runs),
        not_run=tuple(not_run),
        stand_ins=tuple(dict.fromkeys(run.record.weights.origin for run in runs if not run.record.weights.original)),
        selection=_file(root, selection) if selection.exists() else None,
        missing=tuple(missing),
        config=quantities(study.config, f"config '{study.config['name']}'"),
        catalogue=catalogue,
        experiments={name: catalogue.experiments[name] for name in study.experiments},
        protocols={
            name: quantities(content, f"paper/protocols/{name}.yaml") for name, content in study.protocols.items()
        },
        printed=printed,
        curves=curves,
    )


def _check_settings(path: Path, settings: Mapping[str, Any]) -> None:
    record = read_json(path)
    # How a run of an archive was computed is not this config's to say.
    ignored = EXECUTION if "source" in record else ()
    difference = first_difference(settings, record["settings"], ignored=ignored)
    if difference:
        raise InputError(
            f"{path}: the run was made with other settings than the config's, {difference}; train it again, or restore "
            f"the config."
        )


def _file(root: Path, path: Path) -> Node:
    node: Node = quantities(read_json(path), path.relative_to(root).as_posix())
    return node


def _rows(root: Path, path: Path) -> tuple[Node, ...]:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [{key: _parsed(text) for key, text in row.items()} for row in csv.DictReader(stream)]
    name = path.relative_to(root).as_posix()
    return tuple(Node(row, name, f"epoch {row['epoch']}") for row in rows)


def _parsed(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def measures(metrics: Node) -> dict[str, Any]:
    """Return the metrics of ``cxr.evaluation.metrics.METRICS`` of one set of ``metrics.json``, None where undefined."""
    return {name: metrics[name] for name in METRICS}
