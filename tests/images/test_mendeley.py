"""The archive of Mendeley Data: real downloads from a local server, with the faults of networks, disks and archives."""

import errno
import hashlib
import http.server
import io
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from archives import TEST, TRAIN, published, zip_of
from jpegs import jpeg

from cxr.errors import InputError
from cxr.images.download import Archive, ResumingDownload
from cxr.images.inspection import list_images
from cxr.images.mendeley import CHEST_XRAY_2017, VALIDATION_IMAGES, fetch, unpack


@dataclass
class Site:
    """A web server in a thread, which serves ``body`` and misbehaves on demand.

    Attributes:
        body: the file.
        breaks: close the connection after so many bytes, once for each number.
        statuses: answer with these first.
        ranges: whether Range is honoured.
        stall: stop in the middle until this is set.
        seen: the Range header of each request, or an empty string.
    """

    body: bytes
    breaks: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    stall: threading.Event | None = None
    seen: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    servers = []

    def start(body: bytes) -> Site:
        site = Site(body)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range", "")
                site.seen.append(asked)
                first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and site.ranges else 0
                if site.statuses:
                    self.send_error(site.statuses.pop(0))
                    return
                if first >= len(site.body):
                    self.send_error(416)
                    return
                self.send_response(206 if asked and site.ranges else 200)
                if asked and site.ranges:
                    self.send_header("Content-Range", f"bytes {first}-{len(site.body) - 1}/{len(site.body)}")
                self.send_header("Content-Length", str(len(site.body) - first))
                self.end_headers()
                rest = site.body[first:]
                if site.stall and not site.stall.is_set():
                    self.wfile.write(rest[: len(rest) * 2 // 3])
                    self.wfile.flush()
                    site.stall.wait()
                    return
                self.wfile.write(rest[: site.breaks.pop(0)] if site.breaks else rest)

            def log_message(self, *arguments: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        servers.append(server)
        site.url = f"http://127.0.0.1:{server.server_port}/file_downloaded"
        return site

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def archive_at(url: str, body: bytes | None = None) -> Archive:
    body = published() if body is None else body
    return Archive(url, "https://example.org/dataset", "ChestXRay2017.zip", len(body), hashlib.sha256(body).hexdigest())


def refused(archive: Archive) -> str:
    with pytest.raises(InputError) as caught:
        fetch(archive)
    return str(caught.value)


def test_download_and_kaggles_layout(serve: Callable[..., Site], cache: Path) -> None:
    site = serve(published())
    root = fetch(archive_at(site.url))
    assert sorted(list_images(root)) == sorted([*TRAIN, *TEST, *(f"val/{image}" for image in VALIDATION_IMAGES)])
    assert (root / "val" / VALIDATION_IMAGES[0]).read_bytes() == jpeg(len(TRAIN) + len(TEST))
    assert not [path for path in cache.rglob("*") if path.name.startswith(".") or path.name == "__MACOSX"]
    assert sorted(path.name for path in cache.iterdir()) == ["ChestXRay2017", "ChestXRay2017.zip"]
    # Next time nothing is downloaded; nor is it when only the unpacked folder is gone.
    assert fetch(archive_at(site.url)) == root
    shutil.rmtree(cache / "ChestXRay2017")
    assert fetch(archive_at(site.url)) == root
    assert site.seen == [""]


def test_the_16_images_are_those_of_the_real_val(real_images: Path) -> None:
    val = {path.relative_to(real_images / "val").as_posix() for path in (real_images / "val").glob("*/*.jpeg")}
    assert set(VALIDATION_IMAGES) == val


def test_a_file_downloaded_by_hand_is_taken(serve: Callable[..., Site], cache: Path) -> None:
    site = serve(published())
    cache.mkdir()
    (cache / "ChestXRay2017.zip").write_bytes(published())
    fetch(archive_at(site.url))
    assert site.seen == []


def test_a_broken_connection_is_resumed(serve: Callable[..., Site], cache: Path, pauses: list[float]) -> None:
    site = serve(published())
    site.breaks = [1_500_000, 1_200_000]
    fetch(archive_at(site.url))
    assert len(site.seen) == 3
    offsets = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in site.seen[1:]]
    assert 0 < offsets[0] <= 1_500_000
    assert offsets[0] < offsets[1] <= 2_700_000
    assert (cache / "ChestXRay2017.zip").read_bytes() == published()
    assert pauses == [1.0, 2.0]


def test_a_killed_download_is_resumed(serve: Callable[..., Site], cache: Path, tmp_path: Path) -> None:
    site = serve(published())
    site.stall = threading.Event()
    archive = archive_at(site.url)
    program = (
        "from cxr.images.mendeley import *; fetch("
        f"Archive({archive.url!r}, {archive.page!r}, {archive.name!r}, {archive.size}, {archive.sha256!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    part = cache / "ChestXRay2017.zip.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    site.stall.set()
    arrived = part.stat().st_size
    assert 0 < arrived < len(published())
    fetch(archive)
    assert site.seen == ["", f"bytes={arrived}-"]
    assert (cache / "ChestXRay2017.zip").read_bytes() == published()


def test_a_connection_that_keeps_breaking_is_given_up_and_resumed_later(
    serve: Callable[..., Site], cache: Path, pauses: list[float]
) -> None:
    site = serve(published())
    site.breaks = [1_200_000, 10, 10, 10, 10]
    assert "run it again, which continues where it stopped" in refused(archive_at(site.url))
    assert len(site.seen) == 5
    assert (cache / "ChestXRay2017.zip.part").stat().st_size > 0
    fetch(archive_at(site.url))
    assert site.seen[-1].startswith("bytes=1")


def test_a_server_that_ignores_ranges_sends_all_again(
    serve: Callable[..., Site], cache: Path, pauses: list[float]
) -> None:
    site = serve(published())
    site.breaks, site.ranges = [1_500_000], False
    fetch(archive_at(site.url))
    assert site.seen[1].startswith("bytes=")
    assert (cache / "ChestXRay2017.zip").read_bytes() == published()


def test_parts_of_another_length(serve: Callable[..., Site], cache: Path, pauses: list[float]) -> None:
    site = serve(published())
    cache.mkdir()
    part = cache / "ChestXRay2017.zip.part"
    part.write_bytes(published() + b"more")
    fetch(archive_at(site.url))
    assert site.seen == [""]
    # All has arrived, but the program was killed before it was checked.
    shutil.rmtree(cache)
    cache.mkdir()
    part.write_bytes(published())
    fetch(archive_at(site.url))
    assert site.seen == [""]


def test_a_server_with_a_shorter_file_refuses_the_range(
    serve: Callable[..., Site], cache: Path, pauses: list[float]
) -> None:
    site = serve(published()[:1000])
    cache.mkdir()
    (cache / "ChestXRay2017.zip.part").write_bytes(published()[:2000])
    assert "sent 1,000 bytes" in refused(archive_at(site.url))
    assert site.seen == ["bytes=2000-", ""]


def test_wrong_bytes_are_deleted(serve: Callable[..., Site], cache: Path) -> None:
    wrong = bytes(1000) + published()[1000:]
    site = serve(wrong)
    message = refused(archive_at(site.url))
    assert hashlib.sha256(wrong).hexdigest() in message
    assert hashlib.sha256(published()).hexdigest() in message
    assert "run it again" in message
    assert list(cache.iterdir()) == []


def test_refusals_are_final_and_trouble_is_not(serve: Callable[..., Site], cache: Path, pauses: list[float]) -> None:
    site = serve(published())
    site.statuses = [403]
    assert "HTTP 403" in refused(archive_at(site.url))
    assert len(site.seen) == 1
    site.statuses = [503, 500]
    fetch(archive_at(site.url))
    assert len(site.seen) == 4


def test_no_network(cache: Path, pauses: list[float]) -> None:
    # Nothing listens on port 9 of this machine; a name under .invalid is never resolved (RFC 6761).
    for url in ("http://127.0.0.1:9/x", "http://nowhere.invalid/x"):
        message = refused(archive_at(url))
        assert f"{url} cannot be reached" in message
        assert "by hand" in message
    assert list(cache.iterdir()) == []


# Archives


def unpacked(tmp_path: Path, files: dict[str, bytes] | bytes) -> tuple[str, Path]:
    """Try to unpack; return the sentence of the refusal, having checked that nothing was left."""
    folder = tmp_path / "cache" / "images"
    folder.parent.mkdir()
    archive = tmp_path / "a.zip"
    archive.write_bytes(files if isinstance(files, bytes) else zip_of(files))
    with pytest.raises(InputError) as caught:
        unpack(archive, folder)
    assert list(folder.parent.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "cache"]
    return str(caught.value), archive


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/tmp/evil", "C:\\evil", "C:evil", "..\\evil", "\\\\host\\x\\evil"]
)
def test_entries_that_land_elsewhere(tmp_path: Path, name: str) -> None:
    message, archive = unpacked(tmp_path, {"chest_xray/train/NORMAL/a.jpeg": jpeg(1), name: b"x"})
    assert f"{archive} was not unpacked: '{name}'" in message


def test_links_in_an_archive(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("chest_xray/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as zipped:
        zipped.writestr(link, "/etc")
        zipped.writestr("chest_xray/link/evil", "x")
    message, _ = unpacked(tmp_path, stream.getvalue())
    assert "'chest_xray/link' is a link" in message


def test_damaged_archives(tmp_path: Path) -> None:
    whole = bytearray(published())
    whole[200_000] ^= 0xFF
    for number, content in enumerate((bytes(whole), published()[:-5000], b"<html>Sign in</html>", b"")):
        (tmp_path / str(number)).mkdir()
        message, archive = unpacked(tmp_path / str(number), content)
        assert f"{archive} is a damaged zip file" in message


def test_an_archive_without_the_16_images(tmp_path: Path) -> None:
    message, _ = unpacked(tmp_path, {f"chest_xray/train/{VALIDATION_IMAGES[0]}": jpeg(1)})
    assert f"holds no train/{VALIDATION_IMAGES[1]}" in message


# Disks


def test_a_disk_too_small_is_noticed_before_the_download(
    serve: Callable[..., Site], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = serve(published())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**10, 8 * 10**9, 2 * 10**9))
    assert "needs 2.47 GB, but the disk of " in refused(replace(CHEST_XRAY_2017, url=site.url))
    assert site.seen == []


def test_a_limit_reached_while_unpacking(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "a.zip").write_bytes(published())
    (tmp_path / "cache").mkdir()
    request.getfixturevalue("small_files")
    with pytest.raises(InputError, match=r"needs .* GB"):
        unpack(tmp_path / "a.zip", tmp_path / "cache" / "images")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=False).returncode:
        pytest.skip("mounting a small disk needs the rights of root")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_disk_that_fills(
    serve: Callable[..., Site], tiny_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = serve(published())
    archive = archive_at(site.url)
    monkeypatch.setenv("CXR_CACHE", str(tiny_disk))
    assert "free some, or set CXR_CACHE" in refused(archive)
    assert site.seen == []
    # Somebody else fills the disk after it was looked at.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 0, 10**9))
    message = refused(archive)
    assert "free some, or set CXR_CACHE" in message
    assert site.seen == [""]
    assert [path.name for path in tiny_disk.iterdir()] == ["ChestXRay2017.zip.part"]
    # What arrived is not lost: on a larger disk it goes on from there.
    arrived = (tiny_disk / "ChestXRay2017.zip.part").stat().st_size
    shutil.copytree(tiny_disk, tmp_path / "large")
    monkeypatch.setenv("CXR_CACHE", str(tmp_path / "large"))
    fetch(archive)
    assert site.seen[1:] == [f"bytes={arrived}-"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_or_quota_while_downloading(
    serve: Callable[..., Site], cache: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(ResumingDownload, "_continue", full)
    assert "free some, or set CXR_CACHE" in refused(archive_at(serve(published()).url))
