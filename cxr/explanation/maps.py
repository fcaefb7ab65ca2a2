"""Class activation maps of some images at the layers of a network, as ``maps.npz`` holds them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cxr.explanation.grad_cam import cam, explained, grad_cam, layers_of, why_no_cam, why_no_cam_at
from cxr.images.names import CLASSES

Arrays = dict[str, npt.NDArray[Any]]


def grad_cam_arrays(network: nn.Module, images: Tensor, model: Mapping[str, Any]) -> Arrays:
    """Return Grad-CAM of images at the shallow and the deep layer, for both classes.

    Args:
        network: in evaluation mode.
        images: shape (k, channels, H, W), normalised as in training.
        model: ``model`` of the network's experiment.

    Returns:
        ``map/<layer>/<class>``, float16 of shape (k, h, w), 0 to 1, in units of ``peak/<layer>``, float32 of shape
        (k,): an image's largest value over both classes, in logits. Many maps in logits are too small for float16.
    """
    arrays: Arrays = {}
    for layer in layers_of(model).values():
        maps = torch.stack([grad_cam(network, images, layer, target) for target in range(len(CLASSES))])
        peak = maps.amax((0, 2, 3))
        # Where there is no relevance at all, 0 stays 0.
        scaled = maps / peak.clamp(min=torch.finfo(torch.float32).tiny)[:, None, None]
        arrays |= {f"map/{layer}/{target}": half(scaled[target]) for target in range(len(CLASSES))}
        arrays[f"peak/{layer}"] = peak.cpu().numpy()
    return arrays


def cam_arrays(network: nn.Module, images: Tensor, model: Mapping[str, Any]) -> Arrays:
    """Return CAM of images for both classes, ``cam/<class>``, float16 of shape (k, h, w), where it is defined."""
    if why_no_cam(network, model):
        return {}
    return {f"cam/{target}": half(cam(network, images, target, model)) for target in range(len(CLASSES))}


def cam_facts(network: nn.Module, image: Tensor, model: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether CAM is defined for a network, and where and why it is not.

    Args:
        network: in evaluation mode.
        image: shape (1, channels, H, W).
        model: ``model`` of the network's experiment.

    Returns:
        ``defined``; where it is not, ``reason``; where it is, ``layer``, ``relu`` (whether a ReLU stands between it and
        the pooling), and ``elsewhere``: for each other layer of Grad-CAM, why CAM is not defined there.
    """
    reason = why_no_cam(network, model)
    if reason:
        return {"defined": False, "reason": reason}
    place = explained(model)["cam"]
    reasons = {layer: why_no_cam_at(network, image, layer, model) for layer in layers_of(model).values()}
    elsewhere = {layer: why for layer, why in reasons.items() if why}
    return {"defined": True, "layer": place["layer"], "relu": place["relu"], "elsewhere": elsewhere}


def half(values: Tensor) -> npt.NDArray[np.float16]:
    """Return values as an array of float16."""
    array: npt.NDArray[np.float16] = values.cpu().numpy().astype(np.float16)
    return array
