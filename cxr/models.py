"""The networks, built from the ``model`` of an experiment. This is the only place that knows architectures by name."""

from collections.abc import Mapping
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from cxr.errors import InputError, did_you_mean

CUSTOM_CNN = "custom_cnn"


class CustomCNN(nn.Module):
    """The study's own network: four 3x3 convolutions with ReLU, three max poolings (2, 4, 2), three linear layers.

    Source: notebook 1, the cell that defines it; 980 features enter the first linear layer at 224 px.

    Args:
        input_channels: 1 for grey images.
        image_size: side length in pixels, a multiple of 16.
    """

    def __init__(self, input_channels: int, image_size: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(input_channels, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 10, 3, padding=1)
        self.conv3 = nn.Conv2d(10, 10, 3, padding=1)
        self.conv4 = nn.Conv2d(10, 5, 3, padding=1)
        self.fc1 = nn.Linear(5 * (image_size // 16) ** 2, 50)
        self.fc2 = nn.Linear(50, 30)
        self.fc3 = nn.Linear(30, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of shape (B, 2) for images of shape (B, channels, image_size, image_size)."""
        pool, relu = nn.functional.max_pool2d, nn.functional.relu
        x = pool(relu(self.conv1(images)), 2)
        x = pool(relu(self.conv2(x)), 4)
        x = pool(relu(self.conv3(x)), 2)
        x = relu(self.conv4(x)).flatten(1)
        x = relu(self.fc1(x))
        x = relu(self.fc2(x))
        logits: Tensor = self.fc3(x)
        return logits


def build_model(model: Mapping[str, Any], image_size: int) -> nn.Module:
    """Return the network of an experiment, its weights drawn from torch's global generator.

    Args:
        model: ``model`` of an experiment.
        image_size: side length of the images in pixels.

    Raises:
        InputError: the backbone is neither the study's own network nor one of torchvision's.
    """
    backbone = model["backbone"]
    if backbone == CUSTOM_CNN:
        return CustomCNN(model["input_channels"], image_size)
    known = torchvision.models.list_models(module=torchvision.models)
    if backbone not in known:
        hint = did_you_mean(backbone, [*known, CUSTOM_CNN]) or "; torchvision.models lists them."
        raise InputError(f"paper/experiments.yaml: there is no network '{backbone}'{hint}")
    network: nn.Module = torchvision.models.get_model(backbone, weights=None)
    return network


def parameter_counts(network: nn.Module) -> dict[str, int]:
    """Return the number of all parameters and of those that train."""
    return {
        "total": sum(parameter.numel() for parameter in network.parameters()),
        "trainable": sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad),
    }


def accelerator(device: str) -> torch.device:
    """Return the torch device for a config's ``device``.

    Raises:
        InputError: CUDA is asked for and not there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "the config says 'device: cuda', but torch finds no CUDA device here; set 'device: cpu' or run where "
            "nvidia-smi lists a GPU."
        )
    return torch.device(device)
