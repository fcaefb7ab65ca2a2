"""Read what ``torch.save`` wrote without running any of it.

A pickle is a program, and the study's checkpoints are whole pickled networks. Here the program is only read: each
instruction is decoded by Python's ``pickletools`` and followed on values of this module's own. No function that it
names is called, no class gets an instance, nothing is imported. A name that is not in a list is refused, and so is
every instruction that ``torch.save`` does not write.

The format (torch/serialization.py, torch/_utils.py, since torch 1.6): an uncompressed zip file with
``<name>/data.pkl``, a pickle of protocol 2, and ``<name>/data/<key>``, the numbers of one storage each. The pickle
refers to a storage by ``("storage", type, key, device, count)``; a tensor is a view of one: offset, size, stride.
"""

import math
import pickletools
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cxr.errors import InputError

Array = npt.NDArray[Any]

# What is stored under which name, little-endian.
STORAGES = {
    f"torch.{name}Storage": np.dtype(kind)
    for name, kind in {"Float": "<f4", "Double": "<f8", "Half": "<f2", "Long": "<i8", "Int": "<i4"}.items()
}
FUNCTIONS = {
    "collections.OrderedDict",
    "__builtin__.set",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
}
# The classes that the study's networks are made of, and the activations that its heads may hold.
MODULES = {
    "__main__.SimpleConvNet",
    *(f"torch.nn.modules.activation.{name}" for name in ("ReLU", "Sigmoid", "Tanh")),
    *(f"torch.nn.modules.pooling.{name}" for name in ("AdaptiveAvgPool2d", "AvgPool2d", "MaxPool2d")),
    *(f"torch.nn.modules.{name}" for name in ("batchnorm.BatchNorm2d", "container.Sequential", "conv.Conv2d")),
    *(f"torch.nn.modules.{name}" for name in ("dropout.Dropout", "linear.Identity", "linear.Linear")),
    *(f"torchvision.models.densenet.{name}" for name in ("DenseNet", "_DenseBlock", "_DenseLayer", "_Transition")),
    *(f"torchvision.models.resnet.{name}" for name in ("BasicBlock", "ResNet")),
}
NAMES = {*STORAGES, *FUNCTIONS, *MODULES}

# The study's largest program, DenseNet-121's, has 0.2 MB and 436 modules; more than these is no network of the study.
LARGEST_PROGRAM = 4 << 20
MOST_MODULES = 2000
LONGEST_NAME = 200
MOST_DIMENSIONS = 8

ZIP = b"PK\x03\x04"
# The magic number of torch.save before 1.6, as a pickle of its own.
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# What damage in a zip file ends in, and what a program that makes no sense ends in.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)
NONSENSE = (ValueError, LookupError, TypeError, OverflowError)


@dataclass(frozen=True)
class Name:
    """A name that a program asks for, and that is allowed: ``torch.nn.modules.conv.Conv2d``."""

    text: str


@dataclass
class Module:
    """What a file says of a module of a network.

    Attributes:
        kind: the full name of its class.
        state: its attributes; ``_parameters``, ``_buffers`` and ``_modules`` are dictionaries by name.
    """

    kind: str
    state: dict[str, Any] = field(default_factory=dict)

    def members(self, attribute: str, kind: type) -> dict[str, Any]:
        """Return one of the three dictionaries without what is None, after checking what it holds."""
        found = self.state.get(attribute, {})
        if not isinstance(found, dict):
            raise _RefusedError(f"'{attribute}' of a {self.kind} is no dictionary")
        members = {name: value for name, value in found.items() if value is not None}
        if not all(_is_word(name) and isinstance(value, kind) for name, value in members.items()):
            raise _RefusedError(f"'{attribute}' of a {self.kind} holds something else")
        return members


def _is_word(name: Any) -> bool:
    # As attributes are named: without a dot, which separates modules from their parts, and fit to be shown.
    return isinstance(name, str) and re.fullmatch(rf"\w{{1,{LONGEST_NAME}}}", name, re.ASCII) is not None


def _is_entry(name: Any, value: Any) -> bool:
    """Whether this is an entry of a state_dict, such as ``layer1.0.conv1.weight`` with a tensor."""
    return isinstance(value, np.ndarray) and isinstance(name, str) and all(map(_is_word, name.split(".")))


class _RefusedError(Exception):
    """Why a file is refused, in words that follow its name."""


def read_checkpoint(path: Path) -> tuple[str | None, dict[str, Module], dict[str, Array]]:
    """Read a network or a state_dict from a file of ``torch.save``, and run nothing.

    Args:
        path: the file, in the zip format of torch 1.6 and later.

    Returns:
        The full name of the network's class (None for a state_dict); its modules by name, ``""`` being the network
        itself (none for a state_dict); and its parameters and buffers by name, as a state_dict has them:
        ``layer1.0.conv1.weight``.

    Raises:
        InputError: one sentence for what is wrong: the file asks for a name that is not allowed, which the sentence
            gives; it is damaged, compressed, too large, or holds something else.
    """
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
    try:
        with zipfile.ZipFile(path) as archive:
            content = _read(archive, path.stat().st_size)
        if isinstance(content, Module):
            modules = dict(named_modules(content))
            return content.kind, modules, _tensors(modules)
        if isinstance(content, dict) and content and all(_is_entry(*item) for item in content.items()):
            return None, {}, content
        raise _RefusedError("it holds neither a network nor a state_dict")
    except _RefusedError as reason:
        raise InputError(
            f"{path} was refused and nothing in it was run: {reason}; name a checkpoint of the study, or save a "
            "state_dict where you trust the file."
        ) from None
    except (*DAMAGE, *NONSENSE) as error:
        words = " ".join(str(error).split())[:200].removesuffix(".") or type(error).__name__
        raise InputError(f"{path} is damaged or incomplete ({words}); download it again.") from None


def _read(archive: zipfile.ZipFile, size: int) -> Any:
    entries = archive.infolist()
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise _RefusedError(f"{_shown(packed[0])} is compressed, which torch.save never does")
    # Entries that overlap can claim more than the file has.
    if sum(entry.file_size for entry in entries) > size:
        raise _RefusedError(f"its entries claim more than the {size:,} bytes that it has")
    programs = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
    if len(programs) != 1:
        raise _RefusedError("it has not one data.pkl, as a file of torch.save has")
    root = programs[0].filename.removesuffix("data.pkl")
    if programs[0].file_size > LARGEST_PROGRAM:
        raise _RefusedError(
            f"its data.pkl has {programs[0].file_size:,} bytes, and at most {LARGEST_PROGRAM:,} are read"
        )
    # Written by later versions of torch; before, all was little-endian.
    if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
        raise _RefusedError("its numbers are not little-endian")
    storages: dict[tuple[str, str], Array] = {}

    def storage(identity: Any) -> Array:
        match identity:
            case ("storage", Name(kind), str(key), str(), int(count)) if kind in STORAGES:
                if (kind, key) not in storages:
                    entry, wanted = archive.getinfo(f"{root}data/{key}"), count * STORAGES[kind].itemsize
                    if entry.file_size != wanted:
                        raise _RefusedError(
                            f"its storage {_shown(key)} has {entry.file_size:,} bytes and not {wanted:,}"
                        )
                    storages[kind, key] = np.frombuffer(archive.read(entry), STORAGES[kind])
                return storages[kind, key]
        raise _RefusedError("it refers to something that is no storage of numbers")

    return _follow(archive.read(programs[0]), storage)


def _follow(program: bytes, storage: Callable[[Any], Array]) -> Any:
    """Return what a pickle describes, without calling anything that it names."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    argument: Any

    def since_mark() -> list[Any]:
        start = marks.pop()
        values = stack[start:]
        del stack[start:]
        return values

    for instruction, argument, _ in pickletools.genops(program):
        match instruction.name:
            case "PROTO":
                pass
            case "STOP":
                break
            case "MARK":
                marks.append(len(stack))
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(instruction.name == "NEWTRUE")
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE":
                stack.append(argument)
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                length = int(instruction.name[-1])
                stack[-length:] = [tuple(stack[-length:])]
            case "APPEND" | "APPENDS":
                values = since_mark() if instruction.name == "APPENDS" else [stack.pop()]
                _of_type(stack[-1], list).extend(values)
            case "SETITEM" | "SETITEMS":
                values = since_mark() if instruction.name == "SETITEMS" else [stack.pop(-2), stack.pop()]
                # A key of another type could take for ever to hash.
                keys = [_of_type(key, (str, int)) for key in values[::2]]
                _of_type(stack[-1], dict).update(zip(keys, values[1::2], strict=True))
            case "GLOBAL":
                stack.append(_allowed(argument.replace(" ", ".", 1)))
            case "NEWOBJ":
                arguments = _of_type(stack.pop(), tuple)
                stack.append(_new(stack.pop(), arguments))
            case "REDUCE":
                arguments = _of_type(stack.pop(), tuple)
                stack.append(_result(stack.pop(), arguments))
            case "BUILD":
                state = _of_type(stack.pop(), dict)
                if isinstance(stack[-1], Module):
                    stack[-1].state = state
                else:
                    # A state_dict's own attributes, the versions of its modules: they change no number.
                    _of_type(stack[-1], dict)
            case "BINPERSID":
                stack.append(storage(stack.pop()))
            case other:
                raise _RefusedError(f"it holds the pickle instruction {other}, which torch.save does not write")
    return stack.pop()


def _allowed(name: str) -> Name:
    if name not in NAMES:
        raise _RefusedError(f"it asks for {_shown(name)}, which no network of the study is made of")
    return Name(name)


def _new(name: Any, arguments: tuple[Any, ...]) -> Module:
    if not (isinstance(name, Name) and name.text in MODULES) or len(arguments) > 0:
        raise _RefusedError(f"it makes an instance of {_shown(name)}, as torch.save never does")
    return Module(name.text)


def _result(function: Any, arguments: tuple[Any, ...]) -> Any:
    """Return what the call of one of the four functions that ``torch.save`` writes would give."""
    match (function.text if isinstance(function, Name) else None), arguments:
        case "collections.OrderedDict", ():
            return {}
        case "__builtin__.set", (list(values),):
            return values
        case "torch._utils._rebuild_tensor_v2", (np.ndarray() as storage, offset, size, stride, *_):
            return _view(storage, offset, size, stride)
        case "torch._utils._rebuild_parameter", (np.ndarray() as tensor, *_):
            return tensor
    raise _RefusedError(f"it calls {_shown(function)} as torch.save never does")


def _view(storage: Array, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Array:
    """Return a tensor as a view of a storage, shape ``size``, after checking that it stays inside."""
    if max(len(size), len(stride)) > MOST_DIMENSIONS or min(0, offset, *size, *stride) < 0:
        raise _RefusedError("a tensor has too many dimensions or a negative size")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    # A view that repeats numbers could be larger than any memory; parameters have each number once.
    count = math.prod(size)
    if count > 0 and (last >= len(storage) or count > len(storage)):
        raise _RefusedError(f"a tensor of shape {size} does not fit into its storage of {len(storage):,} numbers")
    steps = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps, writeable=False)


def _of_type(value: Any, kind: type | tuple[type, ...]) -> Any:
    if not isinstance(value, kind):
        raise _RefusedError(f"it is no sensible program: a value is a {type(value).__name__}")
    return value


def _shown(name: Any) -> str:
    """A name of the file's as printable text, of bounded length."""
    text = name.text if isinstance(name, Name) else name if isinstance(name, str) else type(name).__name__
    return ascii(text[:LONGEST_NAME])


def named_modules(network: Module) -> Iterator[tuple[str, Module]]:
    """Yield all modules by name, each before its children and these in order, ``""`` being the network itself."""
    waiting = [("", network)]
    # A module may hold itself, or two modules one another many times over.
    for _ in range(MOST_MODULES):
        if not waiting:
            return
        name, module = waiting.pop()
        if len(name) > LONGEST_NAME:
            break
        yield name, module
        children = module.members("_modules", Module)
        waiting += [(f"{name}.{child}".removeprefix("."), found) for child, found in reversed(children.items())]
    raise _RefusedError(f"its modules are nested too deep, or more than {MOST_MODULES:,}")


def _tensors(modules: dict[str, Module]) -> dict[str, Array]:
    return {
        f"{name}.{own}".removeprefix("."): tensor
        for name, module in modules.items()
        for attribute in ("_parameters", "_buffers")
        for own, tensor in module.members(attribute, np.ndarray).items()
    }
