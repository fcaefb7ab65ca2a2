"""The recipes of docs/extending.md, followed word for word in a copy of the repository."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from cxr.files import REPOSITORY, read_json
from cxr.study import layout
from cxr.study.schemas import read_yaml

PAGE = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## A new (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
BLOCK = re.compile(r"^```\w+\n# (\S+?)(?:, ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Tests that read the data of paper/ to which the recipes add.
TOUCHED = [
    "tests/claims/test_catalogue.py",
    "tests/study/test_config.py",
    "tests/evaluation/test_metrics.py",
    "tests/figures/test_draw.py::test_every_figure_is_drawn_says_what_its_data_are_and_is_the_same_twice",
]


def follow(recipe: str, repository: Path) -> list[Path]:
    """Do what a recipe says; return the files that were changed."""
    changed = []
    for name, place, content in BLOCK.findall(recipe):
        path = repository / name
        if place == "new file":
            assert path.parent.is_dir() and not path.exists()
            path.write_text(content, encoding="utf-8")
        elif place == "at the end":
            path.write_text(path.read_text(encoding="utf-8") + content, encoding="utf-8")
        else:
            lines = content.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if not line.startswith("+"))
            text = path.read_text(encoding="utf-8")
            assert before and text.count(before) == 1, f"{name} has no such lines:\n{before}"
            path.write_text(text.replace(before, "".join(line[1:] for line in lines)), encoding="utf-8")
        changed.append(path)
    return changed


def run(repository: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module in the copy."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=repository,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(repository)},
    )


def test_there_are_five_recipes_and_every_block_says_where_it_goes() -> None:
    assert list(RECIPES) == ["network", "metric", "claim", "figure", "protocol"]
    blocks = BLOCK.findall(PAGE)
    assert len(blocks) == PAGE.count("\n```") // 2
    assert {place for _, place, _ in blocks} == {"new file", "at the end", ""}
    assert PAGE.count("\n```diff") == sum(place == "" for _, place, _ in blocks)


@pytest.mark.slow
def test_the_copys_own_tests_of_what_the_recipes_touch_pass(copy_repository: Callable[[], Path]) -> None:
    repository = copy_repository()
    shutil.copytree(REPOSITORY / "tests", repository / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for recipe in RECIPES.values():
        follow(recipe, repository)
    done = run(repository, "pytest", "-q", "-p", "no:cacheprovider", *TOUCHED)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_recipe_alone_is_in_the_projects_style(copy_repository: Callable[[], Path]) -> None:
    for recipe in RECIPES.values():
        repository = copy_repository()
        python = [str(path) for path in follow(recipe, repository) if path.suffix == ".py"]
        for check in (["check"], ["format", "--check"]) if python else ():
            done = run(repository, "ruff", *check, *python)
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def repository(copy_repository: Callable[[], Path], cohort: Path) -> Path:
    """A copy with all five recipes, and the results of its run on a small cohort at a small size."""
    repository = copy_repository()
    for recipe in RECIPES.values():
        follow(recipe, repository)
    config = read_yaml(repository / "config" / "efficientnet.yaml")
    small = {
        "data": {"source": "folder", "folder": str(cohort)},
        "image_size": 32,
        "protocols": [*config["protocols"], "small_steps"],
        "weights": dict.fromkeys(config["weights"], "random"),
        "limits": [{"experiments": ["*"], "epochs": 2, "training_images": 16}],
        "one_process": True,
    }
    (repository / "config" / "small.yaml").write_text(json.dumps(config | small))
    done = run(repository, "snakemake", "--cores", "2", "--configfile", "config/small.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    return repository


@pytest.fixture
def results(repository: Path) -> Path:
    return repository / "results" / "efficientnet"


def record(results: Path, protocol: str, experiment: str) -> dict[str, Any]:
    content: dict[str, Any] = read_json(layout.run(results, layout.place_of(protocol, experiment, 42)) / "run.json")
    return content


@pytest.mark.slow
def test_a_network_trains_its_head_alone_and_is_in_the_paper(results: Path) -> None:
    for protocol in ("published", "corrected"):
        found = record(results, protocol, "efficientnet_b0-I-100")
        assert found["status"] == "done"
        assert found["parameters"]["trainable"] == 1280 * 100 + 100 + 100 * 2 + 2
        assert found["parameters"]["total"] > 4_000_000
    # Under `corrected` the head trains on stored features, which only a network without chance before its head has.
    assert record(results, "corrected", "efficientnet_b0-I-100")["settings"]["cached_features"]
    assert "EfficientNet-B0 I, n = 100" in (results / "paper" / "paper.html").read_text()


@pytest.mark.slow
def test_a_metric_is_in_every_file_of_metrics(results: Path) -> None:
    for protocol in ("published", "corrected", "small_steps"):
        place = layout.place_of(protocol, "custom", 42)
        predictions = pd.read_csv(layout.run(results, place) / "predictions.csv")
        metrics = read_json(layout.metrics(results, place))
        for name, members in predictions.groupby("set"):
            expected = cohen_kappa_score(members["label"], members["predicted"])
            assert metrics[name]["kappa"] == pytest.approx(expected)
    assert pd.read_csv(layout.evaluation(results, "metrics.csv"))["kappa"].notna().all()
    experiments = read_json(layout.evaluation(results, "uncertainty.json"))["protocols"]["published"]["experiments"]
    assert experiments["custom"]["kappa"]["interval"] is not None


@pytest.mark.slow
def test_a_claim_has_a_verdict_under_every_protocol(results: Path) -> None:
    claims = {claim["id"]: claim for claim in read_json(layout.claims(results))["claims"]}
    protocols = claims["N50"]["protocols"]
    assert set(protocols) == {"published", "corrected", "small_steps"}
    for protocol, found in protocols.items():
        metrics = read_json(layout.metrics(results, layout.place_of(protocol, "custom", 42)))["test"]
        assert found["value"] == pytest.approx(metrics["sensitivity"] - metrics["specificity"])
        assert found["verdict"]
    assert claims["N50"]["on_print"]["value"] == pytest.approx(188 / 191 - 82 / 129)


@pytest.mark.slow
def test_a_figure_is_drawn_and_in_the_paper(results: Path) -> None:
    index = read_json(layout.figures(results) / "paper" / "index.json")
    (found,) = (entry for name, entry in index.items() if name.endswith("parameters.svg"))
    assert (layout.figures(results) / "paper" / "parameters.svg").is_file()
    assert found["finding"].startswith("The highest test accuracy")
    page = (results / "paper" / "paper.html").read_text()
    assert "Test accuracy by trained parameters" in page and "is reached with" in page


@pytest.mark.slow
def test_a_protocol_changes_what_it_says_and_nothing_else(results: Path) -> None:
    for experiment in ("custom", "efficientnet_b0-I-100"):
        own, published = (record(results, name, experiment)["settings"] for name in ("small_steps", "published"))
        differing = {key: (own[key], published[key]) for key in own if own[key] != published[key]}
        assert differing == {"protocol": ("small_steps", "published"), "learning_rate": (0.0001, 0.001)}
    # An anti-aliased resize makes smoother images.
    small, published = (
        read_json(layout.preprocessing(results, name))["normalisation"]["std"] for name in ("small_steps", "published")
    )
    assert small < published
