"""The filters of a network's first convolution, as they are and as they were before training."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cxr.explanation.grad_cam import explained
from cxr.networks.architectures import build_model


def first_filters(network: nn.Module, model: Mapping[str, Any]) -> Tensor:
    """Return the weights of the first convolution, shape (filters, channels, height, width).

    Args:
        network: of ``cxr.networks.architectures.build_model``.
        model: ``model`` of its experiment.
    """
    weight: Tensor = network.get_parameter(f"{explained(model)['first_convolution']}.weight")
    return weight.detach()


def starts_pretrained(model: Mapping[str, Any]) -> bool:
    """Return whether the first convolution trained from pretrained weights: it had some, and was not replaced."""
    return model.get("weights", "none") != "none" and "first_convolution" not in model


def filters_before(settings: Mapping[str, Any], weights: Mapping[str, Tensor] | None) -> Tensor | None:
    """Return the weights that the first convolution started from, or None where it was fixed.

    The network is made again as for the run, from the run's seed. So under strategy II these are the random weights of
    the new convolution, and not those of the pretrained one whose place it took.

    Args:
        settings: of ``run_settings``.
        weights: the backbone's pretrained weights; only needed where ``starts_pretrained``.
    """
    model = settings["model"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings["seed"])
        network = build_model(model, settings["image_size"], weights)
    trained = network.get_parameter(f"{explained(model)['first_convolution']}.weight").requires_grad
    return first_filters(network, model) if trained else None
