"""What the stages after evaluation found, as the paper reads it."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxr.errors import InputError
from cxr.evaluation.quantities import Node, Quantity, quantities
from cxr.evaluation.results import Results
from cxr.figures.data import read_figures
from cxr.files import read_json
from cxr.paper.conclusions import Conclusion, read_conclusions
from cxr.study import layout
from cxr.study.published import printed_row

# Columns of the preprint's Figure 3, as paper/published/results.json names them, and our metrics.
FIGURE_COLUMNS = {
    "accuracy": "accuracy",
    "f1_1": "f1_pneumonia",
    "f1_0": "f1_normal",
    "recall_1": "sensitivity",
    "recall_0": "specificity",
    "precision_1": "precision_pneumonia",
    "precision_0": "precision_normal",
}


@dataclass(frozen=True)
class Lead:
    """Which of several experiments has the highest metric, and how sure that is.

    Attributes:
        leader: the experiment, the first of equals.
        value: its metric, the mean over seeds.
        interval: of that mean, (low, high).
        second: the experiment that comes next, or None if there is no other.
        gap: by how much the leader is ahead of it.
        gap_interval: (low, high) of the gap, paired; None if this pair is not among the comparisons.
        clear: whether the paired interval leaves zero out or, without one, the two intervals do not overlap.
    """

    leader: str
    value: Quantity
    interval: tuple[Quantity, Quantity]
    second: str | None = None
    gap: Quantity | None = None
    gap_interval: tuple[Quantity, Quantity] | None = None
    clear: bool = False


@dataclass(frozen=True)
class Beside:
    """A test accuracy beside the one that the study printed.

    Attributes:
        experiment: its id.
        here: the accuracy, a node of ``uncertainty.json`` with ``mean`` and ``interval``.
        printed: by the study.
        difference: the mean here minus the printed accuracy.
    """

    experiment: str
    here: Node
    printed: Quantity
    difference: Quantity


@dataclass(frozen=True)
class Findings:
    """What the paper reads beside runs.

    Attributes:
        uncertainty: ``uncertainty.json``.
        verdicts: ``claims.json``.
        baselines: ``baselines.json``.
        ablations: ``ablations.json``, or None.
        other_sizes: ``rows`` of ``other_sizes.json``, none if the config names no such runs.
        discrepancies: ``paper/discrepancies.yaml``.
        pictures: by section of ``paper/figures.yaml``, the label of each figure that was drawn, with its ``file``,
            ``title`` and ``finding``.
        conclusions: of ``paper/conclusions.yaml``.
        printed_rows: the row of ``paper/published/results.json`` of each experiment that has one.
        figure_rows: the rows of the preprint's Figure 3: the printed row by experiment.
        curve_rows: the rows of ``paper/published/curves.json``, likewise.
    """

    uncertainty: Node
    verdicts: Node
    baselines: Node
    ablations: Node | None
    other_sizes: tuple[Node, ...]
    discrepancies: Node
    pictures: Mapping[str, list[tuple[str, Node]]]
    conclusions: tuple[Conclusion, ...]
    printed_rows: Mapping[str, Node]
    figure_rows: Mapping[str, Node]
    curve_rows: Mapping[str, Node]

    def sure(self, protocol: str, experiment: str) -> Node | None:
        """Return the metrics of an experiment with both kinds of uncertainty, or None if it has no run.

        The keys of its numbers name the seeds, too.
        """
        experiments = self.uncertainty.protocols[protocol].experiments if self._has(protocol) else {}
        if experiment not in experiments:
            return None
        content = experiments[experiment].plain()
        seeds = ", ".join(str(seed) for seed in content["seeds"])
        return Node(
            content, "evaluation/uncertainty.json", f"protocols.{protocol}.experiments.{experiment} (seeds {seeds})"
        )

    def _has(self, protocol: str) -> bool:
        return protocol in self.uncertainty.protocols

    def difference(self, protocol: str, first: str, second: str, metric: str) -> Node | None:
        """Return the comparison of two experiments, in either order, or None if the families do not hold it."""
        families = self.uncertainty.protocols[protocol].comparisons if self._has(protocol) else {}
        for family in families:
            for row in families[family]:
                if row.metric == metric and {row.a, row.b} == {first, second} and row.difference is not None:
                    return row  # type: ignore[no-any-return]
        return None

    def lead(self, protocol: str, experiments: Iterable[str], metric: str) -> Lead | None:
        """Return which of the experiments leads in a metric; None if none of them has it.

        Args:
            protocol: one of the config's.
            experiments: ids; those without a run are passed over.
            metric: a key of ``uncertainty.json``.
        """
        known = {name: self.sure(protocol, name) for name in experiments}
        found = {
            name: node[metric]
            for name, node in known.items()
            if node is not None and node[metric].mean is not None and node[metric].interval is not None
        }
        if not found:
            return None
        order = sorted(found, key=lambda name: -found[name].mean.value)
        leader = found[order[0]]
        if len(order) == 1:
            return Lead(order[0], leader.mean, leader.interval)
        second = found[order[1]]
        gap = leader.mean - second.mean
        paired, clear = None, leader.interval[0] > second.interval[1]
        row = self.difference(protocol, order[0], order[1], metric)
        if row is not None and row.interval is not None:
            low, high = row.interval
            gap = row.difference if row.a == order[0] else -row.difference
            paired = (low, high) if row.a == order[0] else (-high, -low)
            clear = paired[0] > 0
        return Lead(order[0], leader.mean, leader.interval, order[1], gap, paired, clear)

    def beside_print(self, protocol: str) -> list[Beside]:
        """Return the test accuracies that were measured and that the study printed too, the highest of ours first."""
        found = []
        for name, row in self.printed_rows.items():
            ours = self.sure(protocol, name)
            if ours is not None and ours.accuracy.mean is not None:
                printed = row.test_accuracy_printed
                found.append(Beside(name, ours.accuracy, printed, ours.accuracy.mean - printed))
        return sorted(found, key=lambda pair: -pair.here.mean.value)

    def best_in_print(self) -> tuple[str, Quantity]:
        """Return the experiment with the highest test accuracy that the study printed, and that accuracy."""
        name = max(self.printed_rows, key=lambda name: self.printed_rows[name].test_accuracy_printed.value)
        return name, self.printed_rows[name].test_accuracy_printed

    def cell(self, protocol: str, experiment: str, metric: str) -> Node | None:
        """Return what the claims say under a protocol about one number of the preprint's table, or None.

        Its claim is the one whose quantity is that number alone.
        """
        quantity = f"test('{experiment}', '{metric}')"
        for claim in self.verdicts.claims:
            if claim.quantity == quantity and claim.figure is not None and protocol in claim.protocols:
                return claim.protocols[protocol]  # type: ignore[no-any-return]
        return None

    def untestable(self) -> dict[str, list[str]]:
        """Return why claims could not be tested under the first protocol, each reason with the ids of its claims.

        Claims that lack different runs for the same reason are put together.
        """
        reasons: dict[str, list[str]] = {}
        for claim in self.verdicts.claims:
            found = next((held for _, held in claim.protocols.items()), None)
            if found is not None and found.reason is not None:
                lacking, _, reason = found.reason.partition(" was not run: ")
                reasons.setdefault(f"not run: {reason}" if reason else lacking, []).append(claim.id)
        return reasons


def read_findings(root: Path, paper: Path, found: Results) -> Findings:
    """Read what the stages after evaluation found.

    Args:
        root: ``results/<config name>``.
        paper: the folder ``paper``.
        found: the results of the same config.

    Raises:
        InputError: ``uncertainty.json``, ``claims.json`` or ``baselines.json`` does not exist.
    """
    nodes: dict[str, Any] = {}
    for name in ("uncertainty", "claims", "baselines"):
        path = layout.claims(root) if name == "claims" else layout.evaluation(root, f"{name}.json")
        if not path.exists():
            raise InputError(
                f"{path} does not exist; these results are older than this paper, or the rule {name} failed: run "
                f"snakemake again for this config."
            )
        nodes[name] = quantities(read_json(path), path.relative_to(root).as_posix())
    ablations = layout.evaluation(root, "ablations.json")
    other_sizes = layout.evaluation(root, "other_sizes.json")
    return Findings(
        uncertainty=nodes["uncertainty"],
        verdicts=nodes["claims"],
        baselines=nodes["baselines"],
        ablations=quantities(read_json(ablations), "evaluation/ablations.json") if ablations.exists() else None,
        other_sizes=quantities(read_json(other_sizes), "evaluation/other_sizes.json").rows
        if "other_sizes" in found.config
        else (),
        discrepancies=quantities(_discrepancies(paper), "paper/discrepancies.yaml"),
        pictures=_pictures(layout.figures(root) / "paper" / "index.json", read_figures(paper / "figures.yaml")),
        conclusions=read_conclusions(paper / "conclusions.yaml", nodes["claims"].claims),
        printed_rows=_by_experiment(found.printed.metrics, found),
        figure_rows=_by_experiment([row for row in found.printed.metrics if row.preprint_figure_3 is not None], found),
        curve_rows=_by_experiment(found.curves, found),
    )


def _pictures(index: Path, figures: Mapping[str, Mapping[str, Any]]) -> dict[str, list[tuple[str, Node]]]:
    """Return the figures that ``index.json`` lists, by section, in the order of ``paper/figures.yaml``."""
    content = read_json(index) if index.exists() else {}
    found: dict[str, list[tuple[str, Node]]] = {row["section"]: [] for row in figures.values()}
    for name, row in figures.items():
        if (file := f"{name}.svg") in content:
            label = f"{'sup' if row['section'] == 'supplement' else 'fig'}-{name}"
            node = Node({"file": file, **content[file]}, "figures/paper/index.json", file)
            found[row["section"]].append((label, node))
    return found


def _discrepancies(paper: Path) -> Mapping[str, Any]:
    from cxr.study.protocols import read_discrepancies

    return read_discrepancies(paper / "discrepancies.yaml")


def _by_experiment(rows: Iterable[Node], found: Results) -> dict[str, Node]:
    """Return, in their order, the printed rows that belong to experiments of ``paper/experiments.yaml``, by name."""
    named = {}
    for row in rows:
        for name, experiment in found.catalogue.experiments.items():
            selector = experiment.plain().get("published")
            if selector is not None and printed_row(selector, [row.plain()]) is not None:
                named[name] = row
    return named


def mean(numbers: Iterable[Quantity]) -> Quantity | None:
    """Return the mean of numbers of the same key of several files, or None if one of them is None or there are none."""
    found = list(numbers)
    if not found or any(number is None for number in found):
        return None
    first = found[0]
    source = first.source if len(found) == 1 else re.sub(r"seed-\d+", "seed-*", first.source)
    key = first.key if len(found) == 1 else f"mean of {len(found)} of {first.key}"
    return Quantity(sum(number.value for number in found) / len(found), source, key)


def total(numbers: Iterable[Quantity]) -> Quantity:
    """Return the sum of numbers of the same key of several files, at least one."""
    first, *others = numbers
    if not others:
        return first
    source = re.sub(r"seed-\d+", "seed-*", first.source)
    return Quantity(first.value + sum(number.value for number in others), source, f"sum of {first.key}")


def digits_of(claim: Node) -> int:
    """Return how many digits behind the point a claim's value is shown with: whole units, such as epochs, with one."""
    return 1 if claim.printed_precision is not None and claim.printed_precision >= 1 else 3


def spans(ids: Sequence[str]) -> str:
    """Shorten a list of ids: ``C1, C3 to C5, N2``."""
    runs = itertools.groupby(enumerate(ids), lambda pair: (pair[1][0], int(pair[1][1:]) - pair[0]))
    parts = []
    for _, pairs in runs:
        members = [name for _, name in pairs]
        parts += members if len(members) < 3 else [f"{members[0]} to {members[-1]}"]
    return ", ".join(parts)
