"""What the figures of the paper are drawn from: outcomes of the config's first protocol, and what follows from them."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxr.errors import InputError
from cxr.evaluation.agreement import read_test_predictions
from cxr.figures.explanations import Explanation, read_explanation
from cxr.figures.image_data import ImageData, read_image_data
from cxr.figures.sources import signs_of
from cxr.figures.xrays import XRays, find_xrays
from cxr.files import read_json
from cxr.images.cohort import may_show_images
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
        title: for readers, with ``signs`` behind it.
        signs: what its numbers rest on, as ``cxr.figures.sources.signs_of`` returns.
        spec: its row of ``paper/experiments.yaml`` with what the protocol overrides.
        records: ``run.json`` by seed, of the runs that are done.
        histories: the columns of ``history.csv`` by seed.
        tests: ``test`` of ``metrics.json`` by seed.
        absent: why there is no run, or None.
        curve: the study's row of ``published/curves.json``, or None.
        printed: the study's row of ``published/results.json``, or None.
    """

    title: str
    signs: str
    spec: Mapping[str, Any]
    records: Mapping[int, Mapping[str, Any]]
    histories: Mapping[int, Mapping[str, Numbers]]
    tests: Mapping[int, Mapping[str, Any]]
    absent: str | None
    curve: Mapping[str, Any] | None
    printed: Mapping[str, Any] | None

    @property
    def strategy(self) -> str:
        """The title without the number of hidden units."""
        return self.title.removesuffix(self.signs).split(",")[0] + self.signs


@dataclass(frozen=True)
class FigureData:
    """Everything that figures are drawn from.

    Attributes:
        protocols: titles of the config's protocols by name; the first is that of the outcomes.
        outcomes: by id, of all experiments of ``paper/experiments.yaml``.
        experiment_ids: the ids of those that the config names, in its order.
        groups: the ids of the experiments of each strategy in the study's table of its best networks, by architecture
            and strategy.
        uncertainty: what ``uncertainty.json`` holds of the first protocol.
        level: of the intervals.
        questions: of the families of comparisons, by id.
        claims: ``claims`` of ``claims.json``.
        verdicts: word, sign and colour of each verdict that occurs in them, in the order of ``paper/words.yaml``.
        ablations: ``rows`` of ``ablations.json``, none if it is not there.
        networks: ``paper/networks.yaml``.
        explanations: by id of the experiment, what explains its first run, as far as it is explained.
        synthetic: what figures say of the data, if they are synthetic.
        notes: by sign, what figures say of the experiments that bear it.
        images: what figures of the images themselves are drawn from, None where there are none.
        agreement: what ``agreement.json`` holds of the first protocol, nothing if it is not there.
        predictions: for the test images, by experiment, as ``cxr.evaluation.agreement.read_test_predictions`` returns
            them, of the runs that ``agreement`` is about.
        may_show_images: whether figures may show images; those of patients of one's own stay private.
        xrays: the images, or None where they may not be shown or are not there.
    """

    protocols: Mapping[str, str]
    outcomes: Mapping[str, Outcome]
    experiment_ids: tuple[str, ...]
    groups: Mapping[tuple[str, str], tuple[str, ...]]
    uncertainty: Mapping[str, Any]
    level: float
    questions: Mapping[str, str]
    claims: tuple[Mapping[str, Any], ...]
    verdicts: Mapping[str, tuple[str, str, str]]
    ablations: tuple[Mapping[str, Any], ...]
    networks: Mapping[str, Any]
    synthetic: tuple[str, ...]
    notes: Mapping[str, str]
    explanations: Mapping[str, Explanation] = field(default_factory=dict)
    images: ImageData | None = None
    agreement: Mapping[str, Any] = field(default_factory=dict)
    predictions: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    may_show_images: bool = False
    xrays: XRays | None = None

    def title(self, experiment: str) -> str:
        """The title of an experiment."""
        return self.outcomes[experiment].title

    def estimate(self, experiment: str, metric: str) -> Mapping[str, Any] | None:
        """``mean``, ``interval`` and more of a metric of ``uncertainty.json``, or None where it is not defined."""
        found = self.uncertainty["experiments"].get(experiment, {}).get(metric)
        return found if found and found["mean"] is not None and found["interval"] is not None else None


def read_figures(path: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of ``paper/figures.yaml`` by name, in the order of the paper.

    Raises:
        InputError: the schema is violated.
    """
    rows: dict[str, dict[str, Any]] = read_yaml(path)
    validate(rows, "figures", str(path))
    return rows


def read_figure_data(config: Mapping[str, Any], results: Path, published: Path) -> FigureData:
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
    words = read_yaml(PAPER / "words.yaml")
    outcomes = {name: _signed(outcome, outcomes.values(), words["marks"]) for name, outcome in outcomes.items()}
    claims = read_json(layout.claims(results))["claims"]
    cohort = read_json(layout.cohort(results))
    agreement = layout.evaluation(results, "agreement.json")
    agreed = read_json(agreement)["protocols"][first] if agreement.exists() else {}
    may_show = may_show_images(config, cohort, printed["dataset"])
    xrays = find_xrays(study, results, first) if may_show else None
    return FigureData(
        protocols={name: content["title"] for name, content in study.protocols.items()},
        outcomes=outcomes,
        experiment_ids=tuple(study.experiments),
        groups=groups,
        uncertainty=uncertainty["protocols"][first],
        level=uncertainty["level"],
        questions={row["id"]: row["question"] for row in read_yaml(PAPER / "comparisons.yaml")["families"]},
        claims=tuple(claims),
        verdicts=_verdicts(claims, words["verdicts"]),
        ablations=tuple(read_json(ablations)["rows"]) if ablations.exists() else (),
        networks=networks,
        explanations=_explanations(results, first, outcomes, xrays),
        synthetic=(words["synthetic_mark"],) if cohort["synthetic"] else (),
        notes={
            mark["sign"]: mark["short"]
            for mark in words["marks"].values()
            if any(mark["sign"] in outcome.signs for outcome in outcomes.values())
        },
        images=read_image_data(study, results),
        agreement=agreed,
        predictions=read_test_predictions(results, first, agreed.get("seeds", {})) if agreed else {},
        may_show_images=may_show,
        xrays=xrays if agreed else None,
    )


def _explanations(
    results: Path, protocol: str, outcomes: Mapping[str, Outcome], xrays: XRays | None
) -> dict[str, Explanation]:
    found = {
        name: read_explanation(results, layout.place_of(protocol, name, next(iter(outcome.records))), xrays)
        for name, outcome in outcomes.items()
        if outcome.records
    }
    return {name: explanation for name, explanation in found.items() if explanation is not None}


def _signed(outcome: Outcome, outcomes: Iterable[Outcome], marks: Mapping[str, Any]) -> Outcome:
    everything = [record for other in outcomes for record in other.records.values()]
    signs = signs_of(outcome.records.values(), everything, marks)
    return replace(outcome, title=outcome.title + signs, signs=signs)


def _verdicts(
    claims: Iterable[Mapping[str, Any]], words: Mapping[str, Mapping[str, str]]
) -> dict[str, tuple[str, str, str]]:
    given = {found["verdict"] for claim in claims for found in claim["protocols"].values()}
    if unknown := sorted(given - set(words)):
        raise InputError(f"paper/words.yaml has no verdict '{unknown[0]}'; add it under verdicts.")
    return {name: (row["word"], row["sign"], row["colour"]) for name, row in words.items() if name in given}


def _outcome(
    study: Study, results: Path, protocol: str, experiment: str, curve: Any, printed: list[dict[str, Any]]
) -> Outcome:
    records, histories, tests = {}, {}, {}
    absent = None if experiment in study.experiments else ABSENT
    for seed in [] if absent else study.seeds(protocol):
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
        signs="",
        spec=spec,
        records=records,
        histories=histories,
        tests=tests,
        absent=None if records else absent,
        curve=curve,
        printed=printed_row(selector, printed),
    )
