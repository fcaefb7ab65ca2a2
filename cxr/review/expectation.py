"""What a reviewer may expect of results, as ``paper/expected`` has it, and how far processors may differ from it.

Floating point differs in last bits between processors, numbers of threads and versions of libraries. A run that is
trained again carries such a difference through all its epochs, so that its metrics move by more than rounding. How far,
was measured (``bounds``), and a verdict that lies nearer to another one than that counts as the same.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cxr.files import read_json, sha256_of
from cxr.images.names import listed
from cxr.review.checks import Check, each, skipped
from cxr.study import layout
from cxr.study.config import Study

# The metrics of the test set that are expected of a run that is trained here.
METRICS = ("accuracy", "auroc", "sensitivity", "specificity")


def expectation_of(study: Study, results: Path, bounds: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return what ``paper/expected/<config name>.json`` says of results like these.

    Args:
        study: the config.
        results: ``results/<config name>``.
        bounds: how far floating point was measured to move each of ``METRICS``, and ``verdicts``, the value of a claim.

    Returns:
        ``manifest`` and ``splits`` (SHA-256 of ``manifest.csv``, and of ``split.csv`` by protocol), ``claims`` (verdict
        by claim and protocol), ``weights`` (see ``origins_of_weights``), ``metrics`` (of the test set, by run, for runs
        that are trained here) and ``bounds``.
    """
    splits = {name: layout.split(results, name) for name in study.protocols}
    return {
        "manifest": sha256_of(layout.manifest(results)),
        "splits": {name: sha256_of(path) for name, path in splits.items() if path.exists()},
        "claims": verdicts_of(results) or {},
        "weights": origins_of_weights(study, results),
        "metrics": metrics_of_trained(study, results),
        "bounds": dict(bounds or {}),
    }


def metrics_of_trained(study: Study, results: Path) -> dict[str, dict[str, float]]:
    """Return the metrics of the test set of each run that was trained here, by the run's name."""
    found: dict[str, dict[str, float]] = {}
    for place in study.run_places():
        record, metrics = layout.run(results, place) / "run.json", layout.metrics(results, place)
        if record.exists() and metrics.exists() and "source" not in read_json(record):
            test = read_json(metrics).get("test", {})
            numbers = {name: test[name] for name in METRICS if isinstance(test.get(name), float)}
            found |= {place: numbers} if numbers else {}
    return found


def origins_of_weights(study: Study, results: Path) -> dict[str, dict[str, list[str]]]:
    """Return where the pretrained weights of the runs come from, by protocol and experiment; none for random ones."""
    found: dict[str, dict[str, list[str]]] = {protocol: {} for protocol in study.protocols}
    for protocol, experiment, seed in study.runs():
        record = layout.run(results, layout.place_of(protocol, experiment, seed)) / "run.json"
        if protocol not in found or not record.exists():
            continue
        weights = read_json(record).get("weights", {"origin": "none"})
        origins = found[protocol].setdefault(experiment, [])
        if weights.get("origin") != "random" and weights.get("origin", "none") not in origins:
            origins.append(weights.get("origin", "none"))
    return {
        protocol: {experiment: origins for experiment, origins in of.items() if origins}
        for protocol, of in found.items()
    }


def verdicts_of(results: Path) -> dict[str, dict[str, str]] | None:
    """Return the verdicts of ``claims.json`` by claim and protocol, or None if it is not there."""
    path = layout.claims(results)
    if not path.exists():
        return None
    return {
        claim["id"]: {protocol: outcome["verdict"] for protocol, outcome in claim["protocols"].items()}
        for claim in read_json(path)["claims"]
    }


def check_metrics(study: Study, results: Path, expectation: Mapping[str, Any] | None) -> Iterator[Check]:
    """Compare the metrics of the runs that were trained here with the expected ones, to within the measured bounds."""
    expected = (expectation or {}).get("metrics", {})
    bounds = (expectation or {}).get("bounds", {})
    found = metrics_of_trained(study, results)
    both = [place for place in found if place in expected]
    faults = (
        f"{place}: {name} is {found[place][name]:.4f} and not {value:.4f}, more than {bounds.get(name, 0):.4f} off"
        for place in both
        for name, value in expected[place].items()
        if name in found[place] and abs(found[place][name] - value) > bounds.get(name, 0) + 1e-12
    )
    yield each("metrics of the runs trained here", len(both), "runs", faults)


def check_claims(study: Study, results: Path, expectation: Mapping[str, Any] | None) -> Iterator[Check]:
    """Compare the verdicts of the claims with the committed ones, and count the failures without a known cause.

    Verdicts under a protocol are not compared where runs start from other pretrained weights than expected, as they do
    where torchvision's could be downloaded.
    """
    name, found = "verdicts of claims", verdicts_of(results)
    if found is None:
        yield skipped(name, "claims.json is not there")
        return
    content = read_json(layout.claims(results))
    yield Check("claims that failed for no known cause", "listed in the paper", f"{len(content['unexplained'])}", True)
    if expectation is None:
        yield skipped(name, "no expectation is committed")
        return
    committed, bound = expectation["claims"], expectation.get("bounds", {}).get("verdicts", 0.0)
    distances = {
        (claim["id"], protocol): outcome.get("distance")
        for claim in content["claims"]
        for protocol, outcome in claim["protocols"].items()
    }
    weights, expected_weights = origins_of_weights(study, results), expectation.get("weights", {})
    others = [
        protocol for protocol in weights if weights[protocol] != expected_weights.get(protocol, weights[protocol])
    ]
    for protocol in others:
        changed = [
            name for name in weights[protocol] if weights[protocol][name] != expected_weights[protocol].get(name)
        ]
        yield skipped(f"{name} under {protocol}", f"other pretrained weights than expected: {listed(changed)}")
    pairs = {
        (claim, protocol): (committed.get(claim, {}).get(protocol), found.get(claim, {}).get(protocol))
        for claim in {**committed, **found}
        for protocol in {**committed.get(claim, {}), **found.get(claim, {})}
        if protocol not in others
    }
    other = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
    near = [key for key in other if (distance := distances.get(key)) is not None and distance <= bound]
    faults = (
        f"{claim} ({protocol}): {new or 'no verdict'} instead of {old or 'no verdict'}"
        for (claim, protocol), (old, new) in other.items()
        if (claim, protocol) not in near
    )
    yield each(name, len(pairs), "verdicts", faults)
    if near:
        names = ", ".join(f"{claim} ({protocol})" for claim, protocol in near)
        yield Check("verdicts at their boundary", "the same", f"{len(near)} within {bound:g} of another: {names}", True)
