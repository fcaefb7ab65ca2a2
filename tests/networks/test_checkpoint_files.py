"""Files of torch.save: read without running them, or refused in one sentence."""

import builtins
import contextlib
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from saved_networks import Trap, resnet, saved, with_program
from torch import nn

from cxr.errors import InputError
from cxr.networks import checkpoint_files
from cxr.networks.architectures import build_model
from cxr.networks.checkpoint_files import read_checkpoint
from cxr.study.config import PAPER, read_experiments


class EvalTrap(Trap):
    def __reduce__(self) -> Any:
        return builtins.eval, (f"open({str(self.canary)!r}, 'w').close()",)


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
    "eval": (lambda canary, path: saved({"w": EvalTrap(canary)}, path), "builtins.eval"),
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
        # torch names no instructions: this is the code of INST.
        "Unsupported operand 105",
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
        # The code of STACK_GLOBAL.
        "Unsupported operand 147",
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
        (b"\x80\x02ctorch.nn.modules.conv\nConv2d\nK\x01\x85R.", "takes 1 positional argument"),
        (b"\x80\x02ctorch.nn.modules.conv\nConv2d\nK\x01\x85\x81.", "takes 1 positional argument"),
        # Its attributes are no dictionary.
        (b"\x80\x02ctorch.nn.modules.conv\nConv2d\n)\x81K\x01b.", "torch.nn.modules.conv.Conv2d are no dictionary"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "neither a network nor a state_dict"),
        # The state of a class, not of an instance, is set.
        (b"\x80\x02ctorch.nn.modules.conv\nConv2d\n}b.", "but got <class 'type'>"),
        (b"\x80\x02ctorch.nn.modules.conv\nConv2d\x1b[2J\n.", r"'torch.nn.modules.conv.Conv2d\x1b[2J'"),
        (b"\x80\x02Q.", "damaged"),
        (b"\x80\x02K\x01Q.", "must be a tuple, got int"),
        (b"\x80\x02})h\x07s.", "damaged"),
        (b"\x80\x02})K\x01s.", "neither a network nor a state_dict"),
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


def test_a_file_of_a_big_endian_machine_has_the_same_numbers(tmp_path: Path) -> None:
    numbers = np.arange(4, dtype=">f4").tobytes()
    path = with_program(tensor(TWO_BY_TWO, ROWS_FIRST), tmp_path / "t.pth", **{"data/0": numbers, "byteorder": b"big"})
    assert read_checkpoint(path)[2]["w"].tolist() == [[0, 1], [2, 3]]


def test_what_is_attached_to_a_tensor_is_left_behind(tmp_path: Path) -> None:
    parameter = nn.Parameter(torch.arange(4.0))
    parameter.isfinite = "a text in the place of a method"
    _, _, state = read_checkpoint(saved({"w": parameter}, tmp_path / "t.pth"))
    assert type(state["w"]) is torch.Tensor and state["w"].isfinite().all() and not state["w"].requires_grad


@pytest.mark.parametrize(
    "strange",
    [torch.zeros(2, 2).to_sparse(), torch.zeros(2, device="meta"), torch.zeros(2, dtype=torch.complex64)],
    ids=["sparse", "meta", "complex"],
)
def test_only_ordinary_tensors_are_read(strange: torch.Tensor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'w' is no ordinary tensor"):
        read_checkpoint(saved({"w": strange}, tmp_path / "t.pth"))


@pytest.mark.parametrize(
    ("program", "records", "words"),
    [
        (tensor(b"K\x05\x85", b"K\x01\x85"), {}, "resize storage"),
        (tensor(TWO_BY_TWO, ROWS_FIRST, offset=1), {}, "resize storage"),
        (tensor(TWO_BY_TWO, b"K\x04K\x01\x86"), {}, "resize storage"),
        (tensor(HUGE, b"K\0\x85"), {}, "does not fit into its storage"),
        (tensor(HUGE, b"K\x01\x85"), {}, "resize storage"),
        (tensor(b"K\x02\x85", NEGATIVE), {}, "strides=[-1]"),
        (tensor(NEGATIVE, b"K\x01\x85"), {}, "overflow"),
        (tensor(TWO_BY_TWO, b"K\x01\x85"), {}, "damaged"),
        (
            tensor(TWO_BY_TWO, ROWS_FIRST),
            {"data/0": b"\0" * 12},
            "(12 bytes) does not match expected size (16",
        ),
        (tensor(TWO_BY_TWO, ROWS_FIRST, count=200), {}, "(16 bytes) does not match expected size (800"),
        (tensor(TWO_BY_TWO, ROWS_FIRST).replace(unicode_of("0"), unicode_of("9")), {}, "damaged"),
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
            archive.writestr("a/data.pkl", b"0" * (checkpoint_files.LARGEST_PICKLE + 1))
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
        ("other zip", "damaged or incomplete"),
        ("absent", "does not exist"),
    ],
)
def test_faulty_files_are_refused_in_one_sentence(kind: str, words: str, tmp_path: Path) -> None:
    good, path = saved(nn.Linear(30, 20), tmp_path / "good.pth"), tmp_path / "bad.pth"
    faulty(kind, good, path)
    with pytest.raises(InputError, match=words) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_the_allowed_names_are_what_the_networks_of_the_catalogue_are_made_of() -> None:
    experiments = read_experiments(PAPER / "experiments.yaml")["experiments"]
    study = {str(spec["model"]): spec["model"] for spec in experiments.values()}
    used = {
        f"{type(module).__module__}.{type(module).__name__}"
        for model in study.values()
        for module in build_model(model, 64).modules()
    }
    assert used - {"cxr.networks.architectures.CustomCNN"} <= set(checkpoint_files.MODULES)
