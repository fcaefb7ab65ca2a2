"""What the figures of the paper are drawn from: outcomes of the config's first protocol, and what follows from them."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from cxr.files import read_json
from cxr.study import layout
from cxr.study.config import PAPER, Study
from cxr.study.published import printed_row
from cxr.study.schemas import read_yaml, validate

Numbers: TypeAlias = npt.NDArray[np.float64]

ABSENT = "not in this config"


@dataclass(frozen=True)
class Outcome:
    """An experiment under the first protocol.

    Attributes:
        title: for readers.
        spec: its row of ``paper/experiments.yaml`` with what the protocol overrides.
        records: ``run.json`` by seed, of the runs that are done.
        histories: the columns of ``history.csv`` by seed.
        tests: ``test`` of ``metrics.json`` by seed.
        absent: why there is no run, or None.
        curve: the study's row of ``published/curves.json``, or None.
        printed: the study's row of ``published/results.json``, or None.
    """

    title: str
    spec: Mapping[str, Any]
    records: Mapping[int, Mapping[str, Any]]
    histories: Mapping[int, Mapping[str, Numbers]]
    tests: Mapping[int, Mapping[str, Any]]
    absent: str | None
    curve: Mapping[str, Any] | None
    printed: Mapping[str, Any] | None


@dataclass(frozen=True)
class Shown:
    """Everything that figures are drawn from.

    Attributes:
        protocols: titles of the config's protocols by name; the first is that of the outcomes.
        outcomes: by id, of all experiments of ``paper/experiments.yaml``.
        chosen: the ids of those that the config names, in its order.
        groups: the ids of the experiments of each strategy in the study's table of its best networks, by architecture
            and strategy.
        sure: what ``uncertainty.json`` holds of the first protocol.
        level: of the intervals.
        questions: of the families of comparisons, by id.
        claims: ``claims`` of ``claims.json``.
        ablations: ``rows`` of ``ablations.json``, none if it is not there.
        networks: ``paper/networks.yaml``.
        synthetic: what figures say of the data, if they are synthetic.
        stand_ins: what figures say of the weights, if some are not the study's.
    """

    protocols: Mapping[str, str]
    outcomes: Mapping[str, Outcome]
    chosen: tuple[str, ...]
    groups: Mapping[tuple[str, str], tuple[str, ...]]
    sure: Mapping[str, Any]
    level: float
    questions: Mapping[str, str]
    claims: tuple[Mapping[str, Any], ...]
    ablations: tuple[Mapping[str, Any], ...]
    networks: Mapping[str, Any]
    synthetic: tuple[str, ...]
    stand_ins: tuple[str, ...]

    def title(self, experiment: str) -> str:
        """The title of an experiment."""
        return self.outcomes[experiment].title

    def estimate(self, experiment: str, metric: str) -> Mapping[str, Any] | None:
        """``mean``, ``interval`` and more of a metric of ``uncertainty.json``, or None where it is not defined."""
        found = self.sure["experiments"].get(experiment, {}).get(metric)
        return found if found and found["mean"] is not None and found["interval"] is not None else None


def read_figures(path: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of ``paper/figures.yaml`` by name, in the order of the paper.

    Raises:
        InputError: the schema is violated.
    """
    rows: dict[str, dict[str, Any]] = read_yaml(path)
    validate(rows, "figures", str(path))
    return rows


def read_shown(config: Mapping[str, Any], results: Path, published: Path) -> Shown:
    """Read what the figures are drawn from.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        results: ``results/<config name>``.
        published: ``paper/published``.
    """
    study = Study.from_config(config)
    first = next(iter(study.protocols))
    curves, printed = (read_json(published / f"{name}.json") for name in ("curves", "results"))
    networks = read_yaml(PAPER / "networks.yaml")
    validate(networks, "networks", "paper/networks.yaml")
    outcomes, groups = {}, dict[tuple[str, str], tuple[str, ...]]()
    table = [row for row in printed["metrics"] if row["preprint_figure_3"] is not None]
    for name, content in study.catalogue["experiments"].items():
        selector = content.get("published")
        outcomes[name] = _outcome(study, results, first, name, printed_row(selector, curves), printed["metrics"])
        strategy = {key: (selector or {}).get(key) for key in ("architecture", "experiment")}
        if printed_row(strategy, table) is not None:
            key = (str(strategy["architecture"]), str(strategy["experiment"]))
            groups[key] = (*groups.get(key, ()), name)
    uncertainty = read_json(layout.evaluation(results, "uncertainty.json"))
    ablations = layout.evaluation(results, "ablations.json")
    weights = [record["weights"] for outcome in outcomes.values() for record in outcome.records.values()]
    synthetic = read_json(layout.cohort(results))["synthetic"]
    return Shown(
        protocols={name: content["title"] for name, content in study.protocols.items()},
        outcomes=outcomes,
        chosen=tuple(study.experiments),
        groups=groups,
        sure=uncertainty["protocols"][first],
        level=uncertainty["level"],
        questions={row["id"]: row["question"] for row in read_yaml(PAPER / "comparisons.yaml")["families"]},
        claims=tuple(read_json(layout.claims(results))["claims"]),
        ablations=tuple(read_json(ablations)["rows"]) if ablations.exists() else (),
        networks=networks,
        synthetic=("synthetic phantom data",) if synthetic else (),
        stand_ins=() if all(facts["original"] for facts in weights) else ("not the study's weights",),
    )


def _outcome(
    study: Study, results: Path, protocol: str, experiment: str, curve: Any, printed: list[dict[str, Any]]
) -> Outcome:
    records, histories, tests = {}, {}, {}
    absent = None if experiment in study.experiments else ABSENT
    for seed in [] if absent else study.config["seeds"]:
        place = layout.place_of(protocol, experiment, seed)
        run = layout.run(results, place)
        record = (
            read_json(run / "run.json") if (run / "run.json").exists() else {"status": "", "reason": "not made yet"}
        )
        if record["status"] != "done":
            absent = absent or str(record["reason"])
            continue
        records[seed], tests[seed] = record, read_json(layout.metrics(results, place))["test"]
        with (run / "history.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        histories[seed] = {column: np.array([float(row[column]) for row in rows]) for column in rows[0]}
    spec = study.spec(experiment, protocol)
    selector = spec.get("published")
    return Outcome(
        title=spec["title"],
        spec=spec,
        records=records,
        histories=histories,
        tests=tests,
        absent=None if records else absent,
        curve=curve,
        printed=printed_row(selector, printed),
    )
