"""Build the network of an experiment from its ``model``. No other module knows architectures by name."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
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


def build_model(model: Mapping[str, Any], image_size: int, weights: Mapping[str, Tensor] | None = None) -> nn.Module:
    """Return the network of an experiment; parameters without weights come from torch's global generator.

    Args:
        model: ``model`` of an experiment: backbone, first convolution, head, and which parameters train.
        image_size: side length of the images in pixels.
        weights: state_dict of the whole backbone, loaded before the first convolution and the head are replaced.

    Raises:
        InputError: a layer or a pattern of ``model`` finds nothing in the network.
    """
    network = build_backbone(model["backbone"], model["input_channels"], image_size)
    if weights is not None:
        network.load_state_dict(weights)
    if "first_convolution" in model:
        old = _layer(network, model["first_convolution"], [nn.Conv2d], model["backbone"])
        new = nn.Conv2d(
            model["input_channels"],
            *(old.out_channels, old.kernel_size, old.stride, old.padding),
            bias=old.bias is not None,
        )
        network.set_submodule(model["first_convolution"], new)
    if "head" in model:
        head = model["head"]
        # A Sequential in a network of torchvision's ends in its linear layers: EfficientNet's dropout goes with them.
        old_head = _layer(network, head["layer"], [nn.Linear, nn.Sequential], model["backbone"])
        linear = next((layer for layer in old_head.modules() if isinstance(layer, nn.Linear)), None)
        if linear is None:
            raise InputError(f"paper/experiments.yaml: {model['backbone']}'s '{head['layer']}' has no linear layer.")
        network.set_submodule(head["layer"], _head(linear.in_features, head.get("hidden"), head.get("dropout", 0)))
    if "trained" in model:
        _fix_all_but(network, model["trained"], model["backbone"])
    return network


def build_backbone(backbone: str, input_channels: int, image_size: int) -> nn.Module:
    """Return a backbone with random weights and its original first convolution and head.

    Raises:
        InputError: the name is neither that of the study's own network nor one of torchvision's.
    """
    if backbone == CUSTOM_CNN:
        return CustomCNN(input_channels, image_size)
    # Imported here: it takes as long as torch's import, and the study's own network does not need it.
    import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    if backbone not in known:
        hint = did_you_mean(backbone, [*known, CUSTOM_CNN]) or "; torchvision.models lists them."
        raise InputError(f"paper/experiments.yaml: there is no network '{backbone}'{hint}")
    network: nn.Module = torchvision.models.get_model(backbone, weights=None)
    return network


def _head(features: int, hidden: int | None, dropout: float) -> nn.Sequential:
    """Return a head with two outputs, with dropout and one hidden layer if they are given.

    The hidden layer is followed by ReLU (notebook 2, cells 34, 56 and 76; notebook 3, cells 19, 29 and 65).
    """
    layers: list[nn.Module] = [nn.Dropout(dropout)] if dropout else []
    if hidden:
        layers += [nn.Linear(features, hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden or features, 2))


def _layer(network: nn.Module, name: str, kinds: Sequence[type[nn.Module]], backbone: str) -> Any:
    modules = dict(network.named_modules())
    if not isinstance(modules.get(name), tuple(kinds)):
        candidates = [found for found, module in modules.items() if isinstance(module, tuple(kinds))]
        words = " or ".join(kind.__name__ for kind in kinds)
        hint = did_you_mean(name, candidates) or "."
        raise InputError(f"paper/experiments.yaml: {backbone} has no {words} layer '{name}'{hint}")
    return modules[name]


def _fix_all_but(network: nn.Module, patterns: list[str], backbone: str) -> None:
    for pattern in patterns:
        if not any(re.search(pattern, name) for name, _ in network.named_parameters()):
            raise InputError(f"paper/experiments.yaml: no parameter of {backbone} matches the pattern '{pattern}'.")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(any(re.search(pattern, name) for pattern in patterns))


def set_training_mode(network: nn.Module, fixed_batch_norm: str) -> None:
    """Put the network in training mode, and its fixed parts in the mode that the protocol wants.

    A part is fixed if it has parameters and none of them trains.

    Args:
        network: of ``build_model``.
        fixed_batch_norm: ``train`` lets fixed parts use batch statistics, as the study's code does. With ``eval`` they
            use the running ones, and their dropout and stochastic depth are off.
    """
    network.train()
    if fixed_batch_norm == "eval":
        for module in network.modules():
            training = [parameter.requires_grad for parameter in module.parameters()]
            if training and not any(training):
                module.eval()


def parameter_counts(network: nn.Module) -> dict[str, int]:
    """Return the number of all parameters and of the trainable ones."""
    return {
        "total": sum(parameter.numel() for parameter in network.parameters()),
        "trainable": sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad),
    }


def torch_device(device: str) -> torch.device:
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
