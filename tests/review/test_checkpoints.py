"""The author's checkpoints: read without running them, put into the right network or refused, and compared."""

import builtins
import contextlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from torch import nn

from cxr.errors import InputError
from cxr.files import read_json, sha256_of, write_json
from cxr.networks import unpickling
from cxr.networks.architectures import build_model
from cxr.networks.unpickling import read_checkpoint
from cxr.review.checkpoints import PROTOCOL, load_checkpoint, verify_checkpoint
from cxr.study import layout
from cxr.study.config import PAPER, read_experiments

SIZE = 64
EXPERIMENTS = read_experiments(PAPER / "experiments.yaml")["experiments"]
CUSTOM = EXPERIMENTS["custom"]["model"]

# The author's way: a class in __main__, and the whole network saved. Its answers are the reference for ours.
AUTHOR = """
import sys
import numpy, torch
from torch import nn
torch.set_num_threads(1)

class SimpleConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(6, 10, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(10, 10, kernel_size=3, padding=1)
        self.conv4 = nn.Conv2d(10, 5, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(5 * 4 * 4, 50)
        self.fc2 = nn.Linear(50, 30)
        self.fc3 = nn.Linear(30, 2)

    def forward(self, x):
        for conv, pool in ((self.conv1, 2), (self.conv2, 4), (self.conv3, 2), (self.conv4, 1)):
            x = nn.functional.max_pool2d(torch.relu(conv(x)), pool)
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x.flatten(1))))))

path, images, answers = sys.argv[1:]
torch.manual_seed(3)
model = SimpleConvNet()
torch.save(model, path)
with torch.no_grad():
    numpy.save(answers, model(torch.from_numpy(numpy.load(images))).numpy())
"""


def seen(array: np.ndarray) -> np.ndarray:
    """The images as the study's networks see them: 1/128 grey levels, divided by 225 and normalised as printed."""
    return ((array.astype(np.float32) / 128 / 225 - 0.5455) / 0.2587)[:, None]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the workflow leaves after preprocessing, for 4 training, 5 validation and 8 test images."""
    root = tmp_path_factory.mktemp("results") / "small"
    random = np.random.default_rng(0)
    sets = ["train"] * 4 + ["validation"] * 5 + ["test"] * 8
    paths = [f"{name}/{number}.png" for number, name in enumerate(sets)]
    manifest = pd.DataFrame({"path": paths, "patient_coarse": paths, "patient_fine": paths, "width": 90, "height": 80})
    split = pd.DataFrame({"path": paths, "set": sets, "label": [0, 1] * 8 + [1]})
    for folder in ("images", "preprocessing/arrays", f"preprocessing/{PROTOCOL}"):
        (root / folder).mkdir(parents=True)
    manifest.to_csv(root / "images" / "manifest.csv", index=False)
    # The rows of the split are in another order than those of the manifest and of the array.
    split.iloc[::-1].to_csv(root / "preprocessing" / PROTOCOL / "split.csv", index=False)
    sizes = {"min": 80, "median": 90.0, "max": 90}
    write_json(layout.cohort(root), {"title": "Noise", "synthetic": False, "width": sizes, "height": sizes})
    # Constants that are not the printed ones: the printed ones are what the author's networks were trained with.
    constants = {"mean": 0.1, "std": 0.9, "pixel_divisor": 225}
    facts = {"protocol": PROTOCOL, "image_size": SIZE, "normalisation": constants}
    write_json(root / "preprocessing" / PROTOCOL / "preprocessing.json", facts)
    np.save(
        layout.array(root, f"{SIZE}px"),
        random.integers(0, 255 * 128, (17, SIZE, SIZE)).astype(np.int16),
    )
    return root


@pytest.fixture(scope="module")
def authors(tmp_path_factory: pytest.TempPathFactory, results: Path) -> tuple[Path, np.ndarray]:
    """A checkpoint of the author's kind, and what its network makes of all images."""
    folder = tmp_path_factory.mktemp("author")
    np.save(folder / "images.npy", seen(np.load(layout.array(results, f"{SIZE}px"))))
    arguments = [str(folder / name) for name in ("custom.pth", "images.npy", "answers.npy")]
    (folder / "notebook.py").write_text(AUTHOR)
    subprocess.run([sys.executable, folder / "notebook.py", *arguments], check=True)
    return folder / "custom.pth", np.load(folder / "answers.npy")


def saved(network: Any, path: Path) -> Path:
    torch.save(network, path)
    return path


def resnet(head: nn.Module, channels: int = 3) -> nn.Module:
    torch.manual_seed(5)
    network = torchvision.models.resnet18()
    if channels == 1:
        network.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    network.fc = head
    return network


def load(path: Path, experiment: str) -> tuple[nn.Module, dict[str, Any]]:
    return load_checkpoint(path, experiment, EXPERIMENTS[experiment]["model"], SIZE)


def assert_same_answers(network: nn.Module, loaded: nn.Module, channels: int) -> None:
    images = torch.randn(2, channels, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(loaded(images), network.eval()(images))


def test_the_authors_network_gives_the_authors_answers(
    authors: tuple[Path, np.ndarray], results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, answers = authors
    verify_checkpoint(path, "custom", results, tmp_path / "out" / "record.json")
    predictions = pd.read_csv(tmp_path / "out" / "predictions.csv")
    record = read_json(tmp_path / "out" / "record.json")

    assert predictions["set"].value_counts().to_dict() == {"test": 8, "validation": 5}
    logits = answers[[int(Path(name).stem) for name in predictions["path"]]]
    expected = np.exp(logits[:, 1]) / np.exp(logits).sum(axis=1)
    np.testing.assert_allclose(predictions["probability"], expected, rtol=1e-5)
    assert (predictions["predicted"] == logits.argmax(axis=1)).all()

    test = predictions[predictions["set"] == "test"]
    counts = pd.crosstab(test["label"], test["predicted"]).reindex(index=[0, 1], columns=[0, 1], fill_value=0)
    assert record["here"]["confusion_matrix"] == counts.to_numpy().tolist()
    assert record["here"]["accuracy"] == pytest.approx((test["label"] == test["predicted"]).mean())
    assert record["printed"] == {"accuracy": 0.8438, "confusion_matrix": [[82, 47], [3, 188]]}
    assert record["equal"] is False
    assert (record["file"], record["sha256"]) == ("custom.pth", sha256_of(path))
    assert record["network"]["class"] == "__main__.SimpleConvNet" and record["network"]["left_out"] == []
    assert record["image_size"] == SIZE and record["images"]["one_size"] is False
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "0.8438" in lines[1] and "not the same" in lines[1]


def test_equal_means_both_printed_numbers_or_the_one_there_is() -> None:
    from cxr.review.checkpoints import _equal

    here = {"accuracy": 278 / 320, "confusion_matrix": [[90, 39], [3, 188]]}
    assert _equal(here, {"accuracy": 0.8688, "confusion_matrix": None})
    assert _equal(here, {"accuracy": 0.8688, "confusion_matrix": [[90, 39], [3, 188]]})
    assert not _equal(here, {"accuracy": 0.8688, "confusion_matrix": [[91, 38], [4, 187]]})
    assert not _equal(here, {"accuracy": 0.8719, "confusion_matrix": None})


def test_without_a_printed_result_there_is_no_verdict(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = nn.Sequential(nn.Linear(512, 10), nn.ReLU(), nn.Linear(10, 2))
    verify_checkpoint(saved(resnet(head), tmp_path / "r.pth"), "resnet18-I-10", results, tmp_path / "record.json")
    record = read_json(tmp_path / "record.json")
    assert record["printed"] is None and record["equal"] is None
    assert "prints no result" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("experiment", "channels", "layers", "words"),
    [
        ("resnet18-I-10", 3, [nn.Linear(512, 10), nn.ReLU(), nn.Linear(10, 2)], ["Linear 512-10", "ReLU"]),
        # No activation, and another number for the second layer: the function is the file's, not ours.
        ("resnet18-I-10", 3, [nn.Linear(512, 10), nn.Linear(10, 2)], ["Linear 512-10", "Linear 10-2"]),
        ("resnet18-II-10", 1, [nn.Dropout(0.2), nn.Linear(512, 10), nn.Tanh(), nn.Linear(10, 2)], ["Dropout"]),
        ("resnet18-III", 3, [nn.Linear(512, 2)], ["Linear 512-2"]),
    ],
)
def test_a_resnets_head_is_the_files(
    experiment: str, channels: int, layers: list[nn.Module], words: list[str], tmp_path: Path
) -> None:
    network = resnet(nn.Sequential(*layers) if len(layers) > 1 else layers[0], channels)
    loaded, facts = load(saved(network, tmp_path / "r.pth"), experiment)
    assert_same_answers(network, loaded, channels)
    assert facts["head"][: len(words)] == words and len(facts["head"]) == len(layers)
    assert facts["head_here"] == ["Dropout"] * (channels == 1) + (
        ["Linear 512-2"] if experiment == "resnet18-III" else ["Linear 512-10", "ReLU", "Linear 10-2"]
    )


def test_densenets_unused_head_is_left_out_and_reported(tmp_path: Path) -> None:
    torch.manual_seed(6)
    network = torchvision.models.densenet121()
    network.classifire = nn.Sequential(nn.Dropout(0.2), nn.Linear(1024, 2))
    loaded, facts = load(saved(network, tmp_path / "d.pth"), "densenet121-III")
    assert_same_answers(network, loaded, 3)
    assert facts == {
        "class": "torchvision.models.densenet.DenseNet",
        "head": None,
        "head_here": None,
        "left_out": ["classifire"],
    }


def test_a_state_dict_fills_our_own_network(tmp_path: Path) -> None:
    model = EXPERIMENTS["resnet18-II-10"]["model"]
    torch.manual_seed(7)
    network = build_model(model, SIZE)
    loaded, facts = load(saved(network.state_dict(), tmp_path / "own.pt"), "resnet18-II-10")
    assert_same_answers(network, loaded, 1)
    assert facts["class"] is None
    # The numbers of a head without dropout begin at 0, ours at 1.
    torch.save({name.replace("fc.1.", "fc.0."): value for name, value in network.state_dict().items()}, tmp_path / "o")
    assert_same_answers(network, load(tmp_path / "o", "resnet18-II-10")[0], 1)


# Files that run something when they are unpickled.


class Trap:
    """A pickle of this makes a file when it is loaded."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.canary}'",)


class EvalTrap(Trap):
    def __reduce__(self) -> Any:
        return builtins.eval, (f"open({str(self.canary)!r}, 'w').close()",)


def with_program(program: bytes, path: Path, **records: bytes) -> Path:
    """Write a file of torch.save whose data.pkl, and whatever else is given, is replaced."""
    torch.save({"w": torch.arange(4.0)}, path)
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    root = next(name for name in content if name.endswith("data.pkl")).removesuffix("data.pkl")
    content |= {f"{root}data.pkl": program, **{f"{root}{name}": value for name, value in records.items()}}
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in content.items():
            archive.writestr(name, value)
    return path


def unicode_of(text: str) -> bytes:
    return b"X" + len(text.encode()).to_bytes(4, "little") + text.encode()


def in_a_module(canary: Path, path: Path) -> Path:
    network = resnet(nn.Linear(512, 2))
    network.layer1[0].conv1.evil = Trap(canary)
    return saved(network, path)


def from_disk(canary: Path, path: Path) -> Path:
    (path.parent / "canary_module.py").write_text(f"open({str(canary)!r}, 'w').close()\nclass Conv2d: pass\n")
    return with_program(b"\x80\x02ccanary_module\nConv2d\n)\x81.", path)


TRAPS: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "system": (lambda canary, path: saved({"w": Trap(canary)}, path), f"{os.name}.system"),
    "eval": (lambda canary, path: saved({"w": EvalTrap(canary)}, path), "__builtin__.eval"),
    "in a module": (in_a_module, f"{os.name}.system"),
    "from disk": (from_disk, "canary_module.Conv2d"),
    # A known module is given a __setstate__ of the file's choice, which BUILD would call with a text.
    "setstate": (
        lambda canary, path: with_program(
            b"\x80\x02ctorch.nn.modules.conv\nConv2d\n)\x81q\0}" + unicode_of("__setstate__") + b"cposix\nsystem\nsb"
            b"h\0" + unicode_of(f"touch '{canary}'") + b"b.",
            path,
        ),
        "posix.system",
    ),
    "old instruction": (
        lambda canary, path: with_program(b"\x80\x02(" + unicode_of(f"touch '{canary}'") + b"iposix\nsystem\n.", path),
        "INST",
    ),
    "new instruction": (
        lambda canary, path: with_program(
            b"\x80\x04"
            + unicode_of("posix")
            + unicode_of("system")
            + b"\x93"
            + unicode_of(f"touch '{canary}'")
            # REDUCE on a tuple of one.
            + b"\x85R.",
            path,
        ),
        "STACK_GLOBAL",
    ),
}


@pytest.mark.parametrize("kind", TRAPS)
def test_a_file_that_runs_something_is_refused_by_name(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, asked = TRAPS[kind]
    canary, path = tmp_path / "canary", tmp_path / "trap.pth"
    make(canary, path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError) as caught:
        read_checkpoint(path)
    assert asked in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not canary.exists() and "canary_module" not in sys.modules
    # The trap is one: torch, told to trust the file, walks into it. It may well fail at what comes after.
    with contextlib.suppress(Exception):
        torch.load(path, weights_only=False)
    sys.modules.pop("canary_module", None)
    assert canary.exists()


def test_the_classes_that_are_allowed_are_not_torchs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = resnet(nn.Linear(512, 2))
    path = saved(network, tmp_path / "r.pth")
    touched = []
    for kind in (nn.Module, nn.Conv2d, nn.BatchNorm2d):
        monkeypatch.setattr(kind, "__setstate__", lambda self, state: touched.append(state), raising=False)
    read_checkpoint(path)
    assert touched == []


@pytest.mark.parametrize(
    ("program", "words"),
    [
        # A known class is called with an argument.
        (b"\x80\x02ctorch.nn.modules.conv\nConv2d\nK\x01\x85R.", "it calls 'torch.nn.modules.conv.Conv2d'"),
        (b"\x80\x02ctorch.nn.modules.conv\nConv2d\nK\x01\x85\x81.", "instance of 'torch.nn.modules.conv.Conv2d'"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "instance of 'collections.OrderedDict'"),
        # The state of a class, not of an instance, is set.
        (b"\x80\x02ctorch.nn.modules.conv\nConv2d\n}b.", "a value is a Name"),
        (b"\x80\x02ctorch.nn.modules.conv\nConv2d\x1b[2J\n.", r"'torch.nn.modules.conv.Conv2d\x1b[2J'"),
        (b"\x80\x02Q.", "damaged"),
        (b"\x80\x02K\x01Q.", "no storage of numbers"),
        (b"\x80\x02})h\x07s.", "damaged"),
        (b"\x80\x02})K\x01s.", "a value is a tuple"),
        (b"\x80\x02K\x01.", "neither a network nor a state_dict"),
        (b"\x80\x02}.", "neither a network nor a state_dict"),
        (b"\x80\x02}", "damaged"),
        (b"", "damaged"),
        # A module that holds itself.
        (
            b"\x80\x02ctorch.nn.modules.container\nSequential\n)\x81q\0}"
            + unicode_of("_modules")
            + b"}"
            + unicode_of("0")
            + b"h\0ssb.",
            "nested too deep",
        ),
    ],
)
def test_programs_that_make_no_network(program: bytes, words: str, tmp_path: Path) -> None:
    path = with_program(program, tmp_path / "odd.pth")
    with pytest.raises(InputError) as caught:
        read_checkpoint(path)
    assert words in str(caught.value) and "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


def tensor(size: bytes, stride: bytes, count: int = 4, offset: int = 0) -> bytes:
    """The program of {"w": tensor} over the storage of ``with_program``, which has four numbers."""
    return (
        b"\x80\x02}" + unicode_of("w") + b"ctorch._utils\n_rebuild_tensor_v2\n(("
        + unicode_of("storage") + b"ctorch\nFloatStorage\n" + unicode_of("0") + unicode_of("cpu")
        + bytes([75, count]) + b"tQ" + bytes([75, offset]) + size + stride + b"\x89ccollections\nOrderedDict\n)RtRs."
    )  # fmt: skip


TWO_BY_TWO, ROWS_FIRST, COLUMNS_FIRST = b"K\x02K\x02\x86", b"K\x02K\x01\x86", b"K\x01K\x02\x86"
NEGATIVE, HUGE = b"J\xff\xff\xff\xff\x85", b"\x8a\x08\0\0\0\0\0\0\0\x10\x85"


def test_a_view_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    path = with_program(tensor(TWO_BY_TWO, COLUMNS_FIRST), tmp_path / "t.pth")
    _, _, state = read_checkpoint(path)
    assert state["w"].tolist() == torch.load(path, weights_only=True)["w"].tolist() == [[0, 2], [1, 3]]


@pytest.mark.parametrize(
    ("program", "records", "words"),
    [
        (tensor(b"K\x05\x85", b"K\x01\x85"), {}, "shape (5,) does not fit into its storage of 4"),
        (tensor(TWO_BY_TWO, ROWS_FIRST, offset=1), {}, "does not fit"),
        (tensor(TWO_BY_TWO, b"K\x04K\x01\x86"), {}, "does not fit"),
        (tensor(HUGE, b"K\0\x85"), {}, "does not fit"),
        (tensor(b"K\x02\x85", NEGATIVE), {}, "negative"),
        (tensor(NEGATIVE, b"K\x01\x85"), {}, "negative"),
        (tensor(b"K\x01\x85", HUGE.replace(b"\x10", b"\x7f")), {}, "damaged"),
        (tensor(TWO_BY_TWO, b"K\x01\x85"), {}, "damaged"),
        (tensor(TWO_BY_TWO, ROWS_FIRST), {"data/0": b"\0" * 12}, "its storage '0' has 12 bytes and not 16"),
        (tensor(TWO_BY_TWO, ROWS_FIRST, count=200), {}, "its storage '0' has 16 bytes and not 800"),
        (tensor(TWO_BY_TWO, ROWS_FIRST).replace(unicode_of("0"), unicode_of("9")), {}, "damaged"),
        (tensor(TWO_BY_TWO, ROWS_FIRST), {"byteorder": b"big"}, "not little-endian"),
        (tensor(TWO_BY_TWO, ROWS_FIRST).replace(unicode_of("w"), unicode_of("\x1b[2J")), {}, "neither a network nor"),
    ],
)
def test_tensors_that_do_not_fit_their_storage(
    program: bytes, records: dict[str, bytes], words: str, tmp_path: Path
) -> None:
    path = with_program(program, tmp_path / "t.pth", **records)
    with pytest.raises(InputError) as caught:
        read_checkpoint(path)
    assert words in str(caught.value)


def faulty(kind: str, good: Path, path: Path) -> None:
    """Write a file with a fault of storage, transfer or archive."""
    content = good.read_bytes()
    if kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "flipped":
        place = content.index(torch.load(good, weights_only=False).weight.detach().numpy().tobytes())
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    elif kind == "page":
        path.write_text("<!DOCTYPE html>")
    elif kind == "empty":
        path.touch()
    elif kind == "legacy":
        torch.save(nn.Linear(2, 2), path, _use_new_zipfile_serialization=False)
    elif kind == "compressed":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a/data.pkl", b"\0" * 10_000_000)
    elif kind == "long program":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", b"0" * (unpickling.LARGEST_PROGRAM + 1))
    elif kind == "overlapping":
        # The second directory entry is made to say that it has what the first has, and more.
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", b"}.")
            archive.writestr("a/data/0", b"")
        raw = bytearray(path.read_bytes())
        directory = raw.rindex(b"PK\x01\x02")
        raw[directory + 20 : directory + 28] = (1 << 30).to_bytes(4, "little") * 2
        path.write_bytes(raw)
    elif kind == "other zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", b"hello")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("truncated", "damaged or incomplete"),
        ("flipped", "damaged or incomplete"),
        ("page", "no file of torch.save"),
        ("empty", "no file of torch.save"),
        ("legacy", "before 1.6"),
        ("compressed", "'a/data.pkl' is compressed"),
        ("long program", "at most 4,194,304 are read"),
        ("overlapping", "claim more than"),
        ("other zip", "not one data.pkl"),
        ("absent", "does not exist"),
    ],
)
def test_faulty_files_are_refused_in_one_sentence(kind: str, words: str, tmp_path: Path) -> None:
    good, path = saved(nn.Linear(30, 20), tmp_path / "good.pth"), tmp_path / "bad.pth"
    faulty(kind, good, path)
    with pytest.raises(InputError, match=words) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def altered(change: Callable[[nn.Module], Any]) -> nn.Module:
    network = resnet(nn.Sequential(nn.Linear(512, 10), nn.ReLU(), nn.Linear(10, 2)))
    change(network)
    return network


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda n: setattr(n.fc, "2", nn.Linear(10, 3)), r"its head has the shapes .*\(3, 10\).* and not .*\(2, 10\)"),
        (lambda n: delattr(n, "fc"), r"its head has the shapes \[\] and not"),
        (lambda n: setattr(n.fc, "1", nn.BatchNorm2d(10)), "its head holds a torch.nn.modules.batchnorm"),
        (lambda n: setattr(n.fc, "1", nn.AvgPool2d(2)), "its head holds a torch.nn.modules.pooling.AvgPool2d"),
        (lambda n: setattr(n, "maxpool", nn.AvgPool2d(3, 2, 1)), "'maxpool' is a .*AvgPool2d and not a MaxPool2d"),
        (lambda n: setattr(n, "conv1", nn.Conv2d(3, 64, 7, 1, 3, bias=False)), r"stride \(1, 1\) and not \(2, 2\)"),
        (lambda n: setattr(n, "conv1", nn.Conv2d(1, 64, 7, 2, 3, bias=False)), r"\(64, 1, 7, 7\) and not \(64, 3"),
        (lambda n: setattr(n, "conv1", nn.Conv2d(3, 64, 7, 2, 3)), "surplus 'conv1.bias'"),
        (lambda n: setattr(n.conv1, "stride", torch.zeros(2)), r"'conv1' has stride array\(.*\) and not \(2, 2\)"),
        (lambda n: n.layer1.append(nn.ReLU()), "surplus layer 'layer1.2'"),
        (lambda n: delattr(n.layer1[0], "relu"), "lacks the layer 'layer1.0.relu'"),
        (lambda n: n.conv1.weight.data.fill_(float("nan")), "'conv1.weight' holds numbers that are not finite"),
    ],
)
def test_what_does_not_fit_is_named(change: Callable[[nn.Module], Any], words: str, tmp_path: Path) -> None:
    path = saved(altered(change), tmp_path / "r.pth")
    with pytest.raises(InputError, match=words) as caught:
        load(path, "resnet18-I-10")
    assert "does not fit resnet18-I-10" in str(caught.value) and "\n" not in str(caught.value)


def test_another_architecture_is_named(authors: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, _ = authors
    with pytest.raises(InputError, match=r"its network is a __main__\.SimpleConvNet and not a ResNet"):
        load(path, "resnet18-III")
    with pytest.raises(InputError, match=r"asks for 'torchvision\.models\.squeezenet\.SqueezeNet'"):
        load(saved(torchvision.models.squeezenet1_1(), tmp_path / "s.pth"), "resnet18-III")
    with pytest.raises(InputError, match=r"'fc1\.weight' has the shape \(50, 80\) and not \(50, 20\)"):
        load_checkpoint(path, "custom", CUSTOM, 32)
    with pytest.raises(InputError, match=r"it lacks 'conv2\.weight'"):
        load(saved({"conv1.weight": torch.zeros(6, 1, 3, 3), "conv1.bias": torch.zeros(6)}, tmp_path / "p"), "custom")


def test_a_refusal_writes_nothing(results: Path, tmp_path: Path) -> None:
    path = saved({"w": Trap(tmp_path / "canary")}, tmp_path / "trap.pth")
    with pytest.raises(InputError):
        verify_checkpoint(path, "custom", results, tmp_path / "out" / "record.json")
    assert not (tmp_path / "out").exists() and not (tmp_path / "canary").exists()


def test_results_without_preprocessing_say_what_is_missing(results: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.csv does not exist; make it with snakemake"):
        verify_checkpoint(tmp_path / "c.pth", "custom", tmp_path / "nothing", tmp_path / "record.json")
    with pytest.raises(InputError, match="there is no experiment 'costum'; did you mean 'custom'"):
        verify_checkpoint(tmp_path / "c.pth", "costum", results, tmp_path / "record.json")


def test_the_allowed_names_are_what_the_networks_of_the_catalogue_are_made_of() -> None:
    study = {str(spec["model"]): spec["model"] for spec in EXPERIMENTS.values()}
    used = {
        f"{type(module).__module__}.{type(module).__name__}"
        for model in study.values()
        for module in build_model(model, SIZE).modules()
    }
    assert used - {"cxr.networks.architectures.CustomCNN"} <= unpickling.MODULES
