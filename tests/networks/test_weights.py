"""Weights: what is refused and how, and what becomes of runs without."""

import functools
import http.server
import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cxr.errors import InputError
from cxr.files import read_json, sha256_of
from cxr.networks.architectures import build_backbone, build_model
from cxr.networks.weights import load_weights, read_weights, write_weights


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    state = build_backbone("resnet18", 3, 224).state_dict()
    torch.save({name: value.half() if "conv" in name else value for name, value in state.items()}, path)
    return path


def written(tmp_path: Path, path: Path, **changes: Any) -> tuple[Any, Any]:
    settings = {"backbone": "resnet18", "source": "file", "path": str(path), "sha256": sha256_of(path)} | changes
    write_weights(settings, tmp_path / "resnet18.pt", tmp_path / "resnet18.json")
    return load_weights(tmp_path / "resnet18.pt", tmp_path / "resnet18.json")


def test_a_file_becomes_the_networks_weights_in_float32(good: Path, tmp_path: Path) -> None:
    state, facts = written(tmp_path, good)
    assert facts["origin"] == "file resnet18.pth" and facts["sha256"] == sha256_of(good) and not facts["original"]
    model = {"backbone": "resnet18", "input_channels": 3, "weights": "imagenet", "head": {"layer": "fc", "hidden": 10}}
    network = build_model(model, 64, state)
    original = torch.load(good, weights_only=True)
    for name, value in network.state_dict().items():
        if not name.startswith("fc."):
            assert torch.equal(value, original[name].to(value.dtype)), name


class Canary:
    """A pickle of this would make a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def faulty(kind: str, good: Path, tmp_path: Path) -> Path:
    path = tmp_path / f"{kind}.pth"
    state = torch.load(good, weights_only=True)
    if kind == "truncated":
        path.write_bytes(good.read_bytes()[:-5000])
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("<html>not found</html>")
    elif kind == "code":
        torch.save({"fc.weight": Canary(tmp_path / "canary")}, path)
    elif kind == "plain pickle":
        path.write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    elif kind == "module":
        torch.save(build_backbone("resnet18", 3, 224), path)
    elif kind == "list":
        torch.save([torch.zeros(1)], path)
    elif kind == "other shapes":
        torch.save(state | {"fc.weight": torch.zeros(7, 512)}, path)
    elif kind == "other network":
        torch.save(build_backbone("resnet34", 3, 224).state_dict(), path)
    elif kind == "incomplete":
        torch.save({name: value for name, value in state.items() if name != "conv1.weight"}, path)
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("truncated", "damaged"),
        ("empty", "damaged"),
        ("text", "damaged"),
        ("code", "more than tensors"),
        ("plain pickle", "more than tensors"),
        ("module", "more than tensors"),
        ("list", "holds no state_dict"),
        ("other shapes", r"'fc.weight' has the shape \(7, 512\) and not \(1000, 512\)"),
        ("other network", "has a surplus 'layer1.2"),
        ("incomplete", "lacks 'conv1.weight'"),
    ],
)
def test_a_faulty_file_is_one_sentence_and_runs_nothing(kind: str, words: str, good: Path, tmp_path: Path) -> None:
    path = faulty(kind, good, tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        written(tmp_path, path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "canary").exists()
    assert not (tmp_path / "resnet18.pt").exists() and not (tmp_path / "resnet18.json").exists()


def test_wrong_hash_and_missing_file(good: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"has the SHA-256 {sha256_of(good)}, the config says {'0' * 64}"):
        written(tmp_path, good, sha256="0" * 64)
    with pytest.raises(InputError, match="does not exist"):
        read_weights(tmp_path / "none.pth", "0" * 64, "resnet18")


@pytest.mark.parametrize("backbone", ["resnet18", "densenet121"])
def test_no_network_is_a_reason_and_not_a_failure(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    # A port of this machine at which nobody listens.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    settings = {"backbone": backbone, "source": "torchvision"}
    write_weights(settings, tmp_path / "w.pt", tmp_path / "w.json")
    state, facts = load_weights(tmp_path / "w.pt", tmp_path / "w.json")
    assert state is None and facts["available"] is False and facts["reason"].startswith("no weights: torchvision's")
    assert len(caplog.messages) == 1 and f"weights.{backbone}.file" in caplog.messages[0]


def test_none_is_a_reason(tmp_path: Path) -> None:
    write_weights({"backbone": "densenet121", "source": "none"}, tmp_path / "w.pt", tmp_path / "w.json")
    assert read_json(tmp_path / "w.json")["reason"].startswith("no weights")


def test_the_development_weights_load(tmp_path: Path) -> None:
    folder = os.environ.get("CXR_WEIGHTS")
    if not folder:
        pytest.skip("CXR_WEIGHTS names no folder with ImageNet weights")
    (path,) = Path(folder).glob("resnet18*.pth")
    state, _ = written(tmp_path, path)
    assert (
        sum(value.numel() for name, value in state.items() if "running" not in name and "num_" not in name)
        == 11_689_512
    )


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose files torchvision finds, by their names, where it looks for weights."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    local = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=local.serve_forever, daemon=True).start()

    def from_here(url: str, **options: Any) -> Any:
        (name,) = (file.name for file in folder.iterdir())
        return torch.hub.load_state_dict_from_url(f"http://127.0.0.1:{local.server_port}/{name}", **options)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", from_here)
    yield folder
    local.shutdown()


def test_torchvisions_weights_are_downloaded_checked_and_cached(server: Path, good: Path, tmp_path: Path) -> None:
    # torchvision's names end in the first eight digits of the hash, and are checked against it.
    served = server / f"resnet18-{sha256_of(good)[:8]}.pth"
    served.write_bytes(good.read_bytes())
    settings = {"backbone": "resnet18", "source": "torchvision"}
    write_weights(settings, tmp_path / "w.pt", tmp_path / "w.json")
    state, facts = load_weights(tmp_path / "w.pt", tmp_path / "w.json")
    assert facts["available"] and facts["original"] and "IMAGENET1K_V1" in facts["origin"]
    assert state is not None and set(state) == set(torch.load(good, weights_only=True))
    # A second time, nothing is fetched: the cache has it.
    served.write_bytes(b"gone")
    write_weights(settings, tmp_path / "again.pt", tmp_path / "again.json")
    assert (tmp_path / "again.pt").read_bytes() == (tmp_path / "w.pt").read_bytes()


def test_a_download_with_another_hash_is_one_sentence(server: Path, tmp_path: Path) -> None:
    (server / "resnet18-f37072fd.pth").write_bytes(b"not what was asked for")
    with pytest.raises(InputError, match="has another hash than its name says") as caught:
        write_weights({"backbone": "resnet18", "source": "torchvision"}, tmp_path / "w.pt", tmp_path / "w.json")
    assert "\n" not in str(caught.value) and not (tmp_path / "w.json").exists()
