"""Kaggle's edition: Kaggle's real client against a stand-in for its server."""

import http.server
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from archives import published, zip_of
from jpegs import PATHS, jpeg

from cxr.errors import InputError
from cxr.images.inspection import list_images
from cxr.images.kaggle import provide


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """A stand-in for Kaggle's API, to which kagglehub is led; ``answer`` is (status, content type, body)."""
    state: dict[str, object] = {"requests": 0}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            state["requests"] = int(str(state["requests"])) + 1
            status, kind, body = state["answer"]  # type: ignore[misc]
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    for name in [name for name in os.environ if name.startswith("KAGGLE")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kaggle"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    state["url"] = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("kagglesdk.kaggle_http_client.get_endpoint", lambda _: state["url"])
    yield state
    server.shutdown()
    server.server_close()


def kaggle_refused() -> str:
    with pytest.raises(InputError) as caught:
        provide({}, Path("unused"), 1)
    message = str(caught.value)
    assert "\n" not in message
    assert "mendeley" in message
    return message


def test_kaggles_zip_and_later_its_cache(kaggle: dict[str, object]) -> None:
    copies = ("chest_xray/", "chest_xray/chest_xray/", "chest_xray/__MACOSX/chest_xray/._")
    body = zip_of({f"{copy}{path}": jpeg(seed) for copy in copies for seed, path in enumerate(PATHS)})
    kaggle["answer"] = (200, "application/zip", body)
    root = provide({}, Path("unused"), 1)
    assert root.parts[-2:] == ("2", "chest_xray")
    assert list_images(root) == PATHS
    assert kaggle["requests"] == 1
    kaggle["url"] = "http://127.0.0.1:9"
    assert provide({}, Path("unused"), 1) == root


def test_kaggle_refuses(kaggle: dict[str, object]) -> None:
    for status in (401, 403):
        body = json.dumps({"code": status, "message": "Permission 'datasets.get' was denied"}).encode()
        kaggle["answer"] = (status, "application/json", body)
        assert "KAGGLE_API_TOKEN" in kaggle_refused()
    kaggle["answer"] = (500, "text/html", b"oops")
    assert "HTTP 500" in kaggle_refused()


def test_kaggle_cannot_be_reached(kaggle: dict[str, object]) -> None:
    kaggle["url"] = "http://127.0.0.1:9"
    assert "cannot be reached" in kaggle_refused()


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", published()[:-5000]])
def test_kaggle_sends_no_archive_and_deleting_it_helps(kaggle: dict[str, object], tmp_path: Path, body: bytes) -> None:
    kaggle["answer"] = (200, "application/zip", body)
    folder = tmp_path / "kaggle/datasets/paultimothymooney/chest-xray-pneumonia"
    assert f"delete {folder} and run it again" in kaggle_refused()
    shutil.rmtree(folder)
    kaggle["answer"] = (200, "application/zip", zip_of({f"chest_xray/{path}": jpeg(1) for path in PATHS}))
    assert list_images(provide({}, Path("unused"), 1)) == PATHS


def test_kaggles_client_on_a_full_disk(kaggle: dict[str, object], small_files: None) -> None:
    kaggle["answer"] = (200, "application/zip", published())
    with pytest.raises(InputError, match=r"The disk is full.*KAGGLEHUB_CACHE"):
        provide({}, Path("unused"), 1)
