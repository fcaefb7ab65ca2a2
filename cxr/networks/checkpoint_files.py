"""Read files of ``torch.save`` from people one need not trust: whole networks, such as the author's, or state_dicts.

A pickle is a program, which may run anything when it is loaded. ``torch.load(weights_only=True)`` follows it with a
list of names: the functions that rebuild tensors, and the classes that ``torch.serialization.safe_globals`` adds. The
classes added here are those that the study's networks are made of, by name; each name stands for a ``SavedModule``,
which records the attributes of a module. So neither a constructor nor a ``forward`` of a saved network ever runs.
"""

import pickle
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cxr.errors import InputError

# The classes that the study's networks are made of, and the activations that their heads may hold.
MODULES = (
    "__main__.SimpleConvNet",
    *(f"torch.nn.modules.activation.{name}" for name in ("ReLU", "Sigmoid", "Tanh")),
    *(f"torch.nn.modules.pooling.{name}" for name in ("AdaptiveAvgPool2d", "AvgPool2d", "MaxPool2d")),
    *(f"torch.nn.modules.{name}" for name in ("batchnorm.BatchNorm2d", "container.Sequential", "conv.Conv2d")),
    *(f"torch.nn.modules.{name}" for name in ("dropout.Dropout", "linear.Identity", "linear.Linear")),
    *(f"torchvision.models.densenet.{name}" for name in ("DenseNet", "_DenseBlock", "_DenseLayer", "_Transition")),
    *(f"torchvision.models.resnet.{name}" for name in ("BasicBlock", "ResNet")),
)
DTYPES = (torch.float16, torch.float32, torch.float64, torch.int32, torch.int64)

# The study's largest pickle, DenseNet-121's, has 0.2 MB and 436 modules; anything larger is no network of the study.
LARGEST_PICKLE = 4 << 20
MOST_MODULES = 2000
LONGEST_NAME = 200

ZIP = b"PK\x03\x04"
# The magic number of torch.save before 1.6, as a pickle of its own.
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


class _RefusedError(Exception):
    """Why a file is refused, in words that follow its name."""


class SavedModule:
    """What a file says about a module of a network.

    Attributes:
        kind: the full name of its class, such as ``torch.nn.modules.conv.Conv2d``.
        state: its attributes; ``_parameters``, ``_buffers`` and ``_modules`` are dictionaries by name.
    """

    # No other attribute can be set, so a file cannot put a function in the place of a method.
    __slots__ = ("state",)
    kind: ClassVar[str]
    state: dict[str, Any]

    def __new__(cls) -> "SavedModule":
        """Return a module without attributes: a constructor with arguments is called by no file of ``torch.save``."""
        module = super().__new__(cls)
        module.state = {}
        return module

    def __setstate__(self, state: Any) -> None:
        """Keep the attributes; the loader calls this in the place of the module's own ``__setstate__``."""
        if not isinstance(state, dict):
            raise _RefusedError(f"the attributes of a {self.kind} are no dictionary")
        self.state = state

    def members(self, attribute: str, kind: type) -> dict[str, Any]:
        """Return one of the three dictionaries without its entries that are None, after checking names and values."""
        found = self.state.get(attribute, {})
        if not isinstance(found, dict):
            raise _RefusedError(f"'{attribute}' of a {self.kind} is no dictionary")
        members = {name: value for name, value in found.items() if value is not None}
        if not all(_is_word(name) and isinstance(value, kind) for name, value in members.items()):
            raise _RefusedError(f"'{attribute}' of a {self.kind} holds something else")
        return members


# A class of its own for each name, as the loader knows a module's name by its class.
LISTED: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (type(name.rpartition(".")[2], (SavedModule,), {"__slots__": (), "kind": name}), name) for name in MODULES
]


def read_checkpoint(path: Path) -> tuple[str | None, dict[str, SavedModule], dict[str, Tensor]]:
    """Read a network or a state_dict from a file of ``torch.save`` without running code of the file's choice.

    Args:
        path: the file, in the zip format of torch 1.6 and later.

    Returns:
        The full name of the network's class (None for a state_dict); its modules by name, ``""`` being the network
        itself (none for a state_dict); and its parameters and buffers by name, as a state_dict has them:
        ``layer1.0.conv1.weight``.

    Raises:
        InputError: one sentence for what is wrong: the file asks for a class or function that is not listed, which the
            sentence names; it is damaged, compressed, too large, or holds something else.
    """
    _check_beginning(path)
    try:
        _check_entries(path)
        content = _loaded(path)
        if isinstance(content, SavedModule):
            modules = dict(_named_modules(content))
            return content.kind, modules, _plain_tensors(_tensors(modules))
        if isinstance(content, dict) and content and all(_is_entry(*item) for item in content.items()):
            return None, {}, _plain_tensors(content)
        raise _RefusedError("it holds neither a network nor a state_dict")
    except (_RefusedError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path} was refused and none of its code was run: {_reason(error)}; name a checkpoint of the study, or "
            "save a state_dict where you trust the file."
        ) from None
    # A damaged or hostile file can make torch raise anything.
    except Exception as error:
        raise InputError(f"{path} is damaged or incomplete ({_reason(error)}); download it again.") from None


def _check_beginning(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path} does not exist; name a checkpoint.")
    with path.open("rb") as stream:
        beginning = stream.read(len(LEGACY))
    if beginning == LEGACY:
        raise InputError(
            f"{path} has the format of torch before 1.6, which is not read; load it with torch where you trust it, and "
            "save its state_dict anew."
        )
    if not beginning.startswith(ZIP):
        raise InputError(f"{path} is no file of torch.save (it begins with {beginning!r}); download the file itself.")


def _check_entries(path: Path) -> None:
    """Refuse an archive that would fill the memory or has changed: torch unpacks anything and tests no checksums."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED:
                raise _RefusedError(f"{_shown(entry.filename)} is compressed, which torch.save never does")
            if entry.filename.endswith("data.pkl") and entry.file_size > LARGEST_PICKLE:
                raise _RefusedError(
                    f"its data.pkl has {entry.file_size:,} bytes, and at most {LARGEST_PICKLE:,} are read"
                )
        # Entries that overlap can claim more than the file has.
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise _RefusedError(f"its entries claim more than the {path.stat().st_size:,} bytes that it has")
        changed = archive.testzip()
        if changed is not None:
            raise zipfile.BadZipFile(f"{_shown(changed)} has another checksum")


def _loaded(path: Path) -> Any:
    with torch.serialization.safe_globals(LISTED):
        for name in sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path)):
            raise _RefusedError(f"it asks for {_shown(name)}, which no network of the study is made of")
        return torch.load(path, map_location="cpu", weights_only=True)


def _named_modules(network: SavedModule) -> Iterator[tuple[str, SavedModule]]:
    """Yield all modules by name, each before its children and these in order, ``""`` being the network itself."""
    waiting = [("", network)]
    # A module may hold itself, or two modules may hold one another many times over.
    for _ in range(MOST_MODULES):
        if not waiting:
            return
        name, module = waiting.pop()
        if len(name) > LONGEST_NAME:
            break
        yield name, module
        children = module.members("_modules", SavedModule)
        waiting += [(f"{name}.{child}".removeprefix("."), found) for child, found in reversed(children.items())]
    raise _RefusedError(f"its modules are nested too deep, or more than {MOST_MODULES:,}")


def _tensors(modules: dict[str, SavedModule]) -> dict[str, Tensor]:
    return {
        f"{name}.{own}".removeprefix("."): tensor
        for name, module in modules.items()
        for attribute in ("_parameters", "_buffers")
        for own, tensor in module.members(attribute, Tensor).items()
    }


def _plain_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors without what else a file may have attached to them, such as hooks."""
    return {name: _plain(name, tensor) for name, tensor in tensors.items()}


def _plain(name: str, tensor: Tensor) -> Tensor:
    usual = type(tensor) in (Tensor, nn.Parameter) and tensor.layout == torch.strided and tensor.dtype in DTYPES
    if not usual or tensor.device.type != "cpu":
        raise _RefusedError(f"{_shown(name)} is no ordinary tensor of numbers")
    plain = Tensor.detach(tensor)
    # A view that repeats numbers could be larger than any memory; a parameter has each number once.
    if plain.numel() * plain.element_size() > plain.untyped_storage().nbytes():
        raise _RefusedError(f"{_shown(name)}, of shape {tuple(plain.shape)}, does not fit into its storage")
    return plain


def _is_word(name: Any) -> bool:
    # As attributes are named: without a dot, which separates modules from their parts, and fit to be shown.
    return isinstance(name, str) and re.fullmatch(rf"\w{{1,{LONGEST_NAME}}}", name, re.ASCII) is not None


def _is_entry(name: Any, value: Any) -> bool:
    """Whether this is an entry of a state_dict, such as ``layer1.0.conv1.weight`` with a tensor."""
    return isinstance(value, Tensor) and isinstance(name, str) and all(map(_is_word, name.split(".")))


def _shown(name: str) -> str:
    """Return a name that a file gives as printable text of bounded length."""
    return ascii(name[:LONGEST_NAME])


def _reason(error: Exception) -> str:
    """Return the sentence of an exception that says what is wrong, on one line."""
    # torch puts advice for the programmer before its reason, and a link after it.
    text = str(error).rpartition("WeightsUnpickler error: ")[2].partition("\n\nCheck the documentation")[0]
    words = " ".join(text.split())[:LONGEST_NAME].removesuffix(".")
    return words if words.isprintable() and words else type(error).__name__
