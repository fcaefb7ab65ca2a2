"""What stops a run in its first seconds: no GPU, no network, no credentials, no room."""

import http.server
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cxr.errors import InputError
from cxr.files import REPOSITORY
from cxr.images import kaggle
from cxr.study.config import Study
from cxr.study.schemas import read_yaml
from cxr.training import preflight

CONFIG = read_yaml(REPOSITORY / "config" / "config.yaml") | {"device": "cpu"}
Usage = namedtuple("Usage", "total used free")


def study_of(**changes: Any) -> Study:
    return Study.from_config(CONFIG | changes)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without GPU, network, credentials and caches, on which 100 GB are free; the folder is its HOME."""
    for name in [name for name in os.environ if name.startswith(("KAGGLE", "XDG", "TORCH"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kaggle"))
    monkeypatch.setattr("kagglehub.config.DEFAULT_KAGGLE_CREDENTIALS_FOLDER", str(tmp_path / ".kaggle"))
    monkeypatch.setenv("CXR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(preflight, "has_gpu", lambda: False)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: Usage(200e9, 100e9, 100e9))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    monkeypatch.setattr(preflight, "ADDRESSES", dict.fromkeys(preflight.ADDRESSES, address))
    monkeypatch.setattr(preflight, "WEIGHTS", address)
    return tmp_path


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, machine: Path) -> Iterator[dict[str, int]]:
    """A stand-in for all sites, which answers with ``status`` after ``wait`` seconds."""
    state = {"status": 302, "wait": 0}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(state["wait"])
            self.send_response(state["status"])
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(preflight, "ADDRESSES", dict.fromkeys(preflight.ADDRESSES, address))
    monkeypatch.setattr(preflight, "WEIGHTS", address)
    yield state
    server.shutdown()
    server.server_close()


def refused(study: Study, results: Path, here: bool = True) -> list[str]:
    with pytest.raises(InputError) as caught:
        preflight.check(study, results, here)
    assert not results.exists()
    return str(caught.value).splitlines()


def test_no_network_is_one_sentence_and_weights_alone_are_a_warning(
    machine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for source in ("kaggle", "mendeley"):
        (sentence,) = refused(study_of(data={"source": source}), machine / "results")
        assert "does not answer, and the images are not in the cache" in sentence and "`make demo`" in sentence
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        preflight.check(study_of(data={"source": "embedded"}), machine / "results")
    (warning,) = caplog.messages
    assert warning.endswith("weights of densenet121 and resnet18: the runs that need them are not run.")


def test_a_site_that_is_silent_is_not_waited_for(machine: Path, site: dict[str, int]) -> None:
    site["wait"] = 4
    begun = time.monotonic()
    assert preflight.statuses_of({"a": preflight.WEIGHTS, "b": preflight.WEIGHTS}, 0.3) == {"a": None, "b": None}
    assert time.monotonic() - begun < 2


def test_what_is_in_the_caches_needs_no_network(machine: Path, caplog: pytest.LogCaptureFixture) -> None:
    weights = machine / ".cache" / "torch" / "hub" / "checkpoints"
    weights.mkdir(parents=True)
    for name in ("resnet18-f37072fd.pth", "densenet121-a639ec97.pth"):
        (weights / name).touch()
    (machine / "cache" / "ChestXRay2017").mkdir(parents=True)
    preflight.check(study_of(data={"source": "mendeley"}), machine / "results")
    versions = machine / "kaggle" / "datasets" / Path(kaggle.VERSION).parent
    versions.mkdir(parents=True)
    (versions / "2").mkdir()
    assert refused(study_of(), machine / "results"), "a folder that Kaggle's client has not finished"
    (versions.parent / "2.complete").touch()
    preflight.check(study_of(), machine / "results")
    assert not caplog.messages


def test_kaggle_needs_credentials_only_where_it_asks_for_them(
    machine: Path, site: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    preflight.check(study_of(), machine / "results")
    site["status"] = 403
    (sentence,) = refused(study_of(), machine / "results")
    assert "KAGGLE_API_TOKEN" in sentence and "'mendeley', which needs no account" in sentence
    preflight.check(study_of(data={"source": "mendeley"}), machine / "results")
    for name, content in (("access_token", "token"), ("kaggle.json", '{"username": "a", "key": "b"}')):
        file = machine / ".kaggle" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        preflight.check(study_of(), machine / "results")
        file.unlink()
    file.write_text("{")
    assert "Invalid Kaggle credentials" in refused(study_of(), machine / "results")[0]
    monkeypatch.setenv("KAGGLE_API_TOKEN", "token")
    preflight.check(study_of(), machine / "results")


def test_cuda_without_a_gpu(machine: Path, site: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(device="cuda", experiments=["custom"], protocols=["published"], ablations=[], seeds=[1])
    (sentence,) = refused(study, machine / "results")
    assert "'device: cuda', but there is no GPU here" in sentence and "'device: auto'" in sentence
    preflight.check(study, machine / "results", here=False)
    run = machine / "results" / "training/runs/published/custom/seed-1/run.json"
    run.parent.mkdir(parents=True)
    run.touch()
    preflight.check(study, machine / "results")
    shutil.rmtree(machine / "results")
    monkeypatch.setattr(preflight, "has_gpu", lambda: True)
    preflight.check(study, machine / "results")


def test_too_little_room_counts_what_is_not_there_yet(
    machine: Path, site: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, results = study_of(), machine / "results"
    needed = {what: size for _, what, size in preflight.room_needed(study, results, "kaggle")}
    # Arrays of 224 and 280 px in three kinds; 5 seeds x 3 protocols x 22 experiments, and the ablations.
    assert needed["arrays"] == 2 * 5856 * (224**2 + 280**2) * 3
    assert 2.4e9 < needed["images"] < 2.6e9 and 10e9 < needed["checkpoints"] < 25e9
    total = sum(needed.values())
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: Usage(0, 0, total - 1e9))
    (sentence,) = refused(study, results)
    assert f"{total / 1e9:.1f} GB are still to be written" in sentence and "free some" in sentence
    made = results / "preprocessing" / "arrays" / "280px.npy"
    made.parent.mkdir(parents=True)
    made.touch()
    left = {what: size for _, what, size in preflight.room_needed(study, results, None)}
    assert left == {"arrays": needed["arrays"] - 2 * 5856 * 280**2, "checkpoints": needed["checkpoints"]}


def test_all_that_is_missing_is_said_at_once(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: Usage(0, 0, 0))
    assert len(refused(study_of(device="cuda"), machine / "results")) == 3


def test_it_imports_no_torch() -> None:
    code = "import sys, cxr.training.preflight; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
