"""Class activation maps: Grad-CAM at any layer of a network, and CAM where it is defined.

Grad-CAM (Selvaraju et al., 2017, doi:10.1109/ICCV.2017.74) sums the maps of a layer, each weighted by the mean gradient
of a class's logit with respect to it, and keeps what is positive. CAM (Zhou et al., 2016, doi:10.1109/CVPR.2016.319)
sums the maps that enter a global average pooling, weighted by the one linear layer that follows it.
"""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from captum.attr import LayerActivation, LayerGradCam
from torch import Tensor, nn

from cxr.errors import InputError
from cxr.images.names import CLASSES
from cxr.study.protocols import PAPER
from cxr.study.schemas import read_yaml, validate

EXPLANATIONS = PAPER / "explanations.yaml"


@functools.cache
def read_explanations() -> dict[str, Any]:
    """Return the content of ``paper/explanations.yaml``.

    Raises:
        InputError: the file is missing, or does not follow its schema.
    """
    content: dict[str, Any] = read_yaml(EXPLANATIONS)
    validate(content, "explanations", "paper/explanations.yaml")
    return content


def explained(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of ``paper/explanations.yaml`` of a network.

    Args:
        model: ``model`` of an experiment.

    Raises:
        InputError: the file has no row for the backbone.
    """
    rows, backbone = read_explanations(), model["backbone"]
    if backbone not in rows:
        raise InputError(
            f"paper/explanations.yaml names no layers of '{backbone}', only of {', '.join(rows)}; add a row for it."
        )
    row: dict[str, Any] = rows[backbone]
    return row


def layers_of(model: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the layers at which a network is explained, ``shallow`` and ``deep``.

    Args:
        model: ``model`` of an experiment.

    Raises:
        InputError: as ``explained``.
    """
    row = explained(model)
    return {"shallow": row["shallow"], "deep": row["deep"]}


def grad_cam(network: nn.Module, images: Tensor, layer: str, target: int | Tensor) -> Tensor:
    """Return Grad-CAM of images at a layer, at the layer's own resolution.

    The network is left as it was: no hooks, no gradients, and each module in its mode of training or evaluation.

    Args:
        network: returns logits of shape (B, classes); it runs in evaluation mode. Its parameters may be fixed.
        images: shape (B, channels, H, W), normalised as in training.
        layer: a name of ``network.named_modules()``.
        target: the class, 0 NORMAL or 1 PNEUMONIA; or one for each image, int64 of shape (B,).

    Returns:
        Shape (B, h, w), 0 where the layer does not speak for the class, in units of the logit.

    Raises:
        InputError: the network has no such layer or class, or the layer's output is no map.
    """
    module = _module(network, layer)

    def logits(batch: Tensor) -> Tensor:
        outputs: Tensor = network(batch)
        _check_class(target, outputs.shape[1])
        return outputs

    with _evaluation_mode(network):
        # Captum clones what the layer gives: the ReLUs of torchvision's networks write over it.
        maps: Tensor = LayerGradCam(logits, module).attribute(images, target, relu_attributions=True).detach()
    if maps.dim() != 4:
        raise InputError(f"the output of layer '{layer}' is no map; {_listed(network)}")
    return maps[:, 0].float()


def cam(network: nn.Module, images: Tensor, target: int, model: Mapping[str, Any]) -> Tensor:
    """Return CAM of images, at the resolution of the last feature map.

    The mean of a map over its positions, plus the bias of the head, is the logit of the class.

    Args:
        network: as for ``grad_cam``.
        images: as for ``grad_cam``.
        target: the class.
        model: ``model`` of the network's experiment.

    Returns:
        Shape (B, h, w), of any sign.

    Raises:
        InputError: CAM is not defined for this network (``why_no_cam``), or there is no such class.
    """
    reason = why_no_cam(network, model)
    if reason:
        raise InputError(f"CAM is not defined for this {model['backbone']}, since {reason}; use Grad-CAM.")
    place = explained(model)["cam"]
    head = _linear_layers(network, place["head"])[0]
    _check_class(target, head.out_features)
    maps = _activation(network, images, place["layer"])
    if place["relu"]:
        maps = maps.relu()
    return torch.einsum("bchw,c->bhw", maps, head.weight[target].detach()).float()


def why_no_cam(network: nn.Module, model: Mapping[str, Any]) -> str | None:
    """Return why CAM is not defined for a network, to be read after "since"; None where it is.

    Args:
        network: of ``cxr.networks.architectures.build_model``.
        model: ``model`` of its experiment.

    Raises:
        InputError: as ``explained``.
    """
    place = explained(model)["cam"]
    if "reason" in place:
        return str(place["reason"])
    linear = _linear_layers(network, place["head"])
    if len(linear) == 1:
        return None
    sizes = "-".join(str(size) for size in [linear[0].in_features, *(each.out_features for each in linear)])
    return f"its head has {len(linear)} linear layers ({sizes}), so no map has one weight for each class"


def why_no_cam_at(network: nn.Module, images: Tensor, layer: str, model: Mapping[str, Any]) -> str | None:
    """Return why CAM is not defined at a layer of a network that has a CAM; None where it is.

    Args:
        network: of ``cxr.networks.architectures.build_model``, one for which ``why_no_cam`` returns None.
        images: as for ``grad_cam``; one is enough.
        layer: a name of ``network.named_modules()``.
        model: ``model`` of the network's experiment.

    Raises:
        InputError: there is no such layer.
    """
    place = explained(model)["cam"]
    if layer == place["layer"]:
        return None
    channels = _activation(network, images, layer).shape[1]
    weights = _linear_layers(network, place["head"])[0].in_features
    if channels != weights:
        return f"{layer} has {channels} maps, and the head {weights:,} weights for each class"
    between = f"{place['layer']} and a ReLU stand" if place["relu"] else f"{place['layer']} stands"
    return f"{between} between {layer} and the global average pooling"


def upsampled(maps: Tensor, size: int | tuple[int, int]) -> Tensor:
    """Return maps of shape (B, h, w) at the size of the images, a side or (H, W); bilinear."""
    return nn.functional.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]


@contextmanager
def _evaluation_mode(network: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _module(network: nn.Module, layer: str) -> nn.Module:
    if not layer or layer not in dict(network.named_modules()):
        raise InputError(f"the network has no layer '{layer}'; {_listed(network)}")
    return network.get_submodule(layer)


def _activation(network: nn.Module, images: Tensor, layer: str) -> Tensor:
    with torch.no_grad(), _evaluation_mode(network):
        output: Tensor = LayerActivation(network, _module(network, layer)).attribute(images)
    return output


def _listed(network: nn.Module) -> str:
    """The layers with convolutions down to the second level, since deeper ones are hundreds in DenseNet."""
    names = [
        name
        for name, module in network.named_modules()
        if name and name.count(".") <= 1 and any(isinstance(part, nn.Conv2d) for part in module.modules())
    ]
    return f"layers with maps are {', '.join(names)}, and those inside them."


def _check_class(target: int | Tensor, classes: int) -> None:
    for number in target.unique().tolist() if isinstance(target, Tensor) else [target]:
        if not 0 <= number < classes:
            listed = ", ".join(f"{number} ({name})" for number, name in enumerate(CLASSES))
            rest = f" and, without a meaning here, {len(CLASSES)} to {classes - 1}" if classes > len(CLASSES) else ""
            raise InputError(f"the network has no class {number}; its classes are {listed}{rest}.")


def _linear_layers(network: nn.Module, head: str) -> list[nn.Linear]:
    return [layer for layer in _module(network, head).modules() if isinstance(layer, nn.Linear)]
