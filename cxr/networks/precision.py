"""Set the precision and the memory format in which a network computes, from ``precision`` and others in a config."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def set_precision(settings: Mapping[str, Any]) -> None:
    """Set torch's global switches from ``precision`` and ``deterministic`` of a run's settings."""
    torch.use_deterministic_algorithms(settings["deterministic"])
    torch.backends.cudnn.benchmark = not settings["deterministic"]
    tf32 = settings["precision"] in ("tf32", "bfloat16")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32


def in_format(network: nn.Module, settings: Mapping[str, Any]) -> nn.Module:
    """Return the network in the run's memory format."""
    return network.to(memory_format=torch.channels_last) if settings["channels_last"] else network


def forward(network: nn.Module, inputs: Tensor, settings: Mapping[str, Any]) -> Tensor:
    """Return the network's output for images or features as float32, computed in the run's precision and format."""
    if settings["channels_last"] and inputs.dim() == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=settings["precision"] == "bfloat16"):
        outputs: Tensor = network(inputs)
    return outputs.float()
