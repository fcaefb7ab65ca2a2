"""The crate of a finished paper: complete, valid, equal for equal results, and without images and weights."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession
from result_tree import write_pictures
from urllib3 import HTTPResponse

from cxr.errors import InputError
from cxr.files import read_json, write_json
from cxr.review.crate import write_crate
from cxr.review.packed_files import OUTPUTS
from cxr.study import layout
from cxr.study.config import Study

RUN = "runs/published/custom/seed-42"
# The vocabulary that every crate names; the file beside this test is its copy (CC0), for want of a network.
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
COPY = Path(__file__).with_name("ro-crate-1.1-context.jsonld")


@pytest.fixture
def finished(own_results: Path) -> Path:
    """Results with a paper."""
    write_pictures(own_results, ["roc.svg"])
    manifest = layout.manifest(own_results)
    manifest.write_text("path,sha256\ntest/NORMAL/a.png,00\n")
    for name in ("paper.html", "paper.pdf"):
        (own_results / "paper").mkdir(exist_ok=True)
        (own_results / "paper" / name).write_text(name)
    layout.array(own_results, "64px").parent.mkdir(parents=True, exist_ok=True)
    for path in (layout.array(own_results, "64px"), layout.run(own_results, RUN) / "checkpoint.pt"):
        path.write_bytes(b"large")
    return own_results


@pytest.fixture
def crate(finished: Path, study: Study, tmp_path: Path) -> Path:
    write_crate(dict(study.config), finished, tmp_path / "crate")
    return tmp_path / "crate"


def graph(crate: Path) -> dict[str, dict[str, Any]]:
    """The entities of a crate by their id."""
    return {entity["@id"]: entity for entity in read_json(crate / "ro-crate-metadata.json")["@graph"]}


class FromCopy(HTTPAdapter):
    """Answers every request with the copy of the vocabulary."""

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        content, headers = io.BytesIO(COPY.read_bytes()), {"Content-Type": "application/ld+json"}
        return self.build_response(request, HTTPResponse(content, headers, 200, preload_content=False))


@pytest.mark.slow
def test_the_crate_is_a_valid_workflow_run_crate(crate: Path, tmp_path: Path) -> None:
    with CachedSession(str(tmp_path / "cache"), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", FromCopy())
        session.get(CONTEXT)
    validator = Path(sys.executable).with_name("rocrate-validator")
    command = [str(validator), "--no-interactive", "validate", "--offline", "--cache-path", str(tmp_path / "cache")]
    command += ["--profile-identifier", "workflow-run-crate-0.5", "--output-format", "json"]
    done = subprocess.run([*command, str(crate)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    # The validator notices what is wrong.
    metadata = read_json(crate / "ro-crate-metadata.json")
    metadata["@graph"] = [entity for entity in metadata["@graph"] if entity["@id"] != "#workflow-run"]
    write_json(crate / "ro-crate-metadata.json", metadata)
    done = subprocess.run([*command, str(crate)], capture_output=True, text=True)
    assert done.returncode == 1 and "mainEntity" in done.stdout


def test_the_crate_holds_the_results_without_images_and_weights(crate: Path, finished: Path) -> None:
    files = {path.relative_to(crate).as_posix(): path for path in crate.rglob("*") if path.is_file()}
    expected = [*OUTPUTS, "claims/claims.csv", "config.json", "provenance.json", "Snakefile", "figures/paper/roc.svg"]
    assert {*expected, f"{RUN}/run.json", f"{RUN}/history.csv", f"{RUN}/predictions.csv"} <= set(files)
    assert not [name for name in files if name.endswith((".pt", ".npy", ".npz", ".png", ".jpeg"))]
    for name in (*OUTPUTS, "evaluation/uncertainty.json"):
        assert files[name].read_bytes() == (finished / name).read_bytes()
    # A folder of the machine that made it is nobody else's concern.
    assert not [name for name in files if str(finished).encode() in files[name].read_bytes()]
    described = graph(crate)
    assert set(files) - {"ro-crate-metadata.json"} <= set(described)


def test_the_crate_tells_what_made_the_paper(crate: Path) -> None:
    described = graph(crate)
    root, training = described["./"], described[f"#{RUN}"]
    # When the last run started, not when the crate was written.
    assert root["datePublished"] == "2026-02-03T04:05:06+00:00"
    assert root["license"] == {"@id": "https://spdx.org/licenses/MIT"}
    assert {entry["@id"] for entry in root["mentions"]} == {"#workflow-run", f"#{RUN}"}
    assert described["#learning_rate=0.001"]["value"] == "0.001"
    assert {"@id": "#learning_rate=0.001"} in training["object"] and {"@id": "#seed=42"} in training["object"]
    assert {"@id": f"{RUN}/predictions.csv"} in training["result"]
    assert described["https://arxiv.org/abs/2303.10601"]["author"] == {"@id": "#Dmitry-Kolesnikov"}
    made_with = read_json(crate / "provenance.json")
    assert made_with["packages"]["numpy"] and set(made_with["code"]) == {"version", "commit", "dirty"}


def test_equal_results_give_equal_bytes(
    crate: Path, finished: Path, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_crate(dict(study.config), finished, tmp_path / "again")
    for path in (path for path in crate.rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(crate)).read_bytes(), path
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    write_crate(dict(study.config), finished, tmp_path / "again")
    assert graph(tmp_path / "again")["./"]["datePublished"] == "1970-01-02T00:00:00+00:00"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH is 'yesterday'; set it to seconds"):
        write_crate(dict(study.config), finished, tmp_path / "again")


def test_a_run_that_was_not_run_has_no_action_and_nothing_dates_a_crate_of_such(
    finished: Path, study: Study, tmp_path: Path
) -> None:
    record = layout.run(finished, RUN) / "run.json"
    content = read_json(record)
    record.write_text(json.dumps({"status": "not run", "reason": "no weights", "settings": content["settings"]}))
    with pytest.raises(InputError, match="no run is finished, so nothing dates the crate"):
        write_crate(dict(study.config), finished, tmp_path / "crate")
    assert not (tmp_path / "crate").exists()


@pytest.mark.parametrize("name", ["paper/paper.pdf", f"training/{RUN}/run.json"])
def test_what_is_missing_is_named(name: str, finished: Path, study: Study, tmp_path: Path) -> None:
    (finished / name).unlink()
    with pytest.raises(InputError, match=f"{name} does not exist; run the workflow first"):
        write_crate(dict(study.config), finished, tmp_path / "crate")
