"""Put the parameters of a checkpoint into a network that ``cxr.networks.architectures`` builds.

The repository Koldim2001/transfer_learning_CNN at f4ff152 holds the author's networks in ``models/`` as whole pickled
networks. A saved network is compared with ours layer by layer, and never runs itself.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cxr.errors import InputError
from cxr.networks.architectures import build_model
from cxr.networks.checkpoint_files import SavedModule, read_checkpoint

# The classes of the notebooks' networks whose names differ here.
RENAMED = {"SimpleConvNet": "CustomCNN"}
# Attributes of layers, none of them learnt, that change what a network computes.
SETTINGS = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode", "eps", "ceil_mode", "output_size")
HEAD_LAYERS: dict[str, type[nn.Module]] = {
    layer.__name__: layer for layer in (nn.Dropout, nn.Identity, nn.ReLU, nn.Sigmoid, nn.Tanh)
}


def load_checkpoint(
    path: Path, experiment: str, model: Mapping[str, Any], image_size: int
) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network of an experiment with the parameters and buffers of a checkpoint.

    Where the file holds a whole network, the layers of the head are the file's: the study's text gives their sizes, but
    neither activations nor numbering. The shapes of the head's parameters, in order, must be the experiment's. A
    state_dict names no layers, so its head is the one of ``cxr.networks.architectures``, filled in order. Parts that
    the forward pass of a torchvision network does not use are left out, such as ``classifire`` of the study's DenseNet.

    Args:
        path: the file.
        experiment: the experiment's id, for messages.
        model: ``model`` of the experiment.
        image_size: side length of the images in pixels.

    Returns:
        The network in evaluation mode, and ``class`` (as the file names it, or null), ``head`` (its layers in words,
        linear ones with their sizes), ``head_here`` (the layers that ``cxr.networks.architectures`` builds) and
        ``left_out`` (names of parts).

    Raises:
        InputError: one sentence for the first thing that does not fit, or as ``read_checkpoint``.
    """
    kind, modules, state = read_checkpoint(path)
    network = build_model(model, image_size)
    misfit = f"{path} does not fit {experiment}"
    remedy = f"name the checkpoint of {experiment}"
    if kind is not None and _short(kind) != type(network).__name__:
        raise InputError(f"{misfit}: its network is a {kind} and not a {type(network).__name__}; {remedy}.")
    layer = model.get("head", {}).get("layer")
    head_here = head = None
    if layer:
        head_here = network.get_submodule(layer)
        head = _head(layer, modules, f"{misfit}: its head") if layer in modules else head_here
        found = {name: tuple(tensor.shape) for name, tensor in state.items() if name.startswith(f"{layer}.")}
        expected, shapes = _shapes(head_here), list(found.values())
        if not shapes == expected == _shapes(head):
            raise InputError(f"{misfit}: its head has the shapes {shapes} and not {expected}; {remedy}.")
        network.set_submodule(layer, head)
        renamed = {old: f"{layer}.{new}" for old, (new, _) in zip(found, head.named_parameters(), strict=True)}
        state = {renamed.get(name, name): tensor for name, tensor in state.items()}
        modules = {name: module for name, module in modules.items() if not f"{name}.".startswith(f"{layer}.")}
    known = {name: own for name, own in network.named_modules() if not layer or not f"{name}.".startswith(f"{layer}.")}
    # The forward pass of a class of the author's is in no file. Torchvision's are known: they use no other parts.
    forward_known = kind is not None and kind.startswith("torchvision.")
    left_out = [
        name
        for name in modules
        if "." not in name and name not in known and (forward_known or not _has_tensors(name, state))
    ]
    modules = {name: module for name, module in modules.items() if name.split(".")[0] not in left_out}
    state = {name: tensor for name, tensor in state.items() if name.split(".")[0] not in left_out}
    fault = _difference(modules, known) if modules else None
    fault = fault or _difference_of_tensors(state, network.state_dict())
    if fault:
        raise InputError(f"{misfit}: {fault}; {remedy}.")
    network.load_state_dict(state)
    facts = {
        "class": kind,
        "head": head and _layers(head),
        "head_here": head_here and _layers(head_here),
        "left_out": left_out,
    }
    return network.eval(), facts


def _short(kind: str) -> str:
    name = kind.rpartition(".")[2]
    return RENAMED.get(name, name)


def _has_tensors(name: str, state: Mapping[str, Tensor]) -> bool:
    return any(key.startswith(f"{name}.") for key in state)


def _head(name: str, modules: Mapping[str, SavedModule], place: str) -> nn.Module:
    """Build a head, or a layer of it, as a file describes it; its parameters are not set yet."""
    module = modules[name]
    kind = _short(module.kind)
    if kind == "Sequential":
        return nn.Sequential(
            *(_head(f"{name}.{child}", modules, place) for child in module.members("_modules", SavedModule))
        )
    parameters = module.members("_parameters", Tensor)
    # Of an empty weight, one side alone could be larger than any memory.
    if kind == "Linear" and "weight" in parameters and parameters["weight"].ndim == 2 and parameters["weight"].numel():
        outputs, inputs = parameters["weight"].shape
        return nn.Linear(inputs, outputs, bias="bias" in parameters)
    if kind not in HEAD_LAYERS:
        raise InputError(f"{place} holds a {module.kind}; only {', '.join(HEAD_LAYERS)} and Linear are understood.")
    return HEAD_LAYERS[kind]()


def _shapes(head: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in head.parameters()]


def _layers(head: nn.Module) -> list[str]:
    """Return the layers of a head in words: ``["Linear 512-10", "ReLU", "Linear 10-2"]``."""
    return [
        type(layer).__name__ + (f" {layer.in_features}-{layer.out_features}" if isinstance(layer, nn.Linear) else "")
        for layer in head.modules()
        if not isinstance(layer, nn.Sequential)
    ]


def _difference(modules: Mapping[str, SavedModule], known: Mapping[str, nn.Module]) -> str | None:
    """Return in words the first layer that is missing, surplus, of another class or with other settings, or None."""
    for name in [*known, *modules]:
        if name not in modules:
            return f"it lacks the layer '{name}'"
        module = modules[name]
        if name not in known:
            return f"it has a surplus layer '{name}', a {module.kind}"
        own = known[name]
        if _short(module.kind) != type(own).__name__:
            return f"its layer '{name}' is a {module.kind} and not a {type(own).__name__}"
        for setting in SETTINGS:
            if setting in module.state and hasattr(own, setting):
                found, expected = _setting(module.state[setting]), _setting(getattr(own, setting))
                if found != expected:
                    return f"its layer '{name}' has {setting} {found} and not {expected}"
    return None


def _setting(value: Any) -> str:
    """Return a setting as text; a file may hold anything in its place, of which only the type is told."""
    parts = value if isinstance(value, tuple) else (value,)
    if len(parts) <= 2 and all(isinstance(part, int | float | str) for part in parts):
        return ascii(value)[:50]
    return f"a {type(value).__name__}"


def _difference_of_tensors(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str | None:
    """Return in words the first tensor that is missing, surplus, of another shape or not finite, or None."""
    for name, value in expected.items():
        if name not in state:
            return f"it lacks '{name}'"
        if state[name].shape != value.shape:
            return f"'{name}' has the shape {tuple(state[name].shape)} and not {tuple(value.shape)}"
        if not torch.isfinite(state[name]).all():
            return f"'{name}' holds numbers that are not finite"
    return next((f"it has a surplus '{name}'" for name in state if name not in expected), None)
