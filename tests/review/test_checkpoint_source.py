"""Checkpoints from an address or a file: real downloads from a local server, and hashes that must not change."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cxr.errors import InputError
from cxr.files import read_json, sha256_of
from cxr.review.checkpoint_source import provide_checkpoint


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CXR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "checkpoints"


@pytest.fixture
def served(tmp_path: Path) -> Path:
    path = tmp_path / "author.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    return path


@pytest.fixture
def url(served: Path) -> Iterator[str]:
    """The address of ``served``; /short breaks off half way, every other path is not found."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path not in ("/model.pth", "/short"):
                self.send_error(404)
                return
            body = served.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if self.path == "/short" else body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/model.pth"
    server.shutdown()
    server.server_close()


def provide(tmp_path: Path, **settings: str) -> Path:
    provide_checkpoint(dict(settings), tmp_path / "out" / "checkpoint.pth", tmp_path / "out" / "source.json")
    return tmp_path / "out"


def test_a_download_is_kept_and_its_hash_recorded(url: str, served: Path, cache: Path, tmp_path: Path) -> None:
    content = served.read_bytes()
    out = provide(tmp_path, url=url)
    assert (out / "checkpoint.pth").read_bytes() == content
    assert read_json(out / "source.json") == {"origin": url, "sha256": sha256_of(served), "bytes": len(content)}
    # A second time nothing is fetched.
    served.write_bytes(b"gone")
    assert (provide(tmp_path, url=url) / "checkpoint.pth").read_bytes() == content
    (record,) = cache.glob("*.json")
    assert read_json(record)["sha256"] == read_json(out / "source.json")["sha256"]


def test_another_file_at_the_same_address_is_refused(url: str, served: Path, cache: Path, tmp_path: Path) -> None:
    out = provide(tmp_path, url=url)
    first = sha256_of(out / "checkpoint.pth")
    (stored,) = cache.glob("*.pth")
    stored.unlink()
    right = served.read_bytes()
    torch.save(torch.nn.Linear(3, 3), served)
    with pytest.raises(InputError, match=f"has the SHA-256 {sha256_of(served)}, it was at first use {first}"):
        provide(tmp_path, url=url)
    assert sha256_of(out / "checkpoint.pth") == first
    # What was refused is not kept: the right file is fetched again.
    served.write_bytes(right)
    provide(tmp_path, url=url)


def test_a_file_that_changes_is_refused_until_its_record_is_deleted(served: Path, cache: Path, tmp_path: Path) -> None:
    provide(tmp_path, file=str(served))
    torch.save(torch.nn.Linear(3, 3), served)
    with pytest.raises(InputError, match="at first use") as caught:
        provide(tmp_path, file=str(served))
    (record,) = cache.glob("*.json")
    assert str(record) in str(caught.value) and served.exists()
    record.unlink()
    out = provide(tmp_path, file=str(served))
    assert sha256_of(out / "checkpoint.pth") == sha256_of(served)


def test_the_configs_hash_counts_from_the_first_time(served: Path, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"the config says {'0' * 64}"):
        provide(tmp_path, file=str(served), sha256="0" * 64)
    assert not cache.exists() and not (tmp_path / "out").exists()
    provide(tmp_path, file=str(served), sha256=sha256_of(served))


@pytest.mark.parametrize(
    ("path", "words"), [("missing.pth", "answered HTTP 404"), ("short", "cannot be reached or breaks off")]
)
def test_a_download_that_fails_leaves_nothing(path: str, words: str, url: str, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        provide(tmp_path, url=url.replace("model.pth", path))
    assert list(cache.iterdir()) == [] and not (tmp_path / "out").exists()


def test_a_page_instead_of_the_file_is_refused_and_not_recorded(
    url: str, served: Path, cache: Path, tmp_path: Path
) -> None:
    served.write_text("<!DOCTYPE html><title>model.pth</title>")
    with pytest.raises(InputError, match="not of its page"):
        provide(tmp_path, url=url)
    assert list(cache.iterdir()) == []


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pth does not exist"):
        provide(tmp_path, file=str(tmp_path / "none.pth"))
