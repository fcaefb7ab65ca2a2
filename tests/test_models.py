"""The networks, by their parameters."""

import pytest
import torch

from cxr.errors import InputError
from cxr.models import accelerator, build_model, parameter_counts


def test_custom_cnn_is_the_studys() -> None:
    network = build_model({"backbone": "custom_cnn", "input_channels": 1}, 224)
    # 3x3 convolutions 1-6-10-10-5 with biases, then 980-50-30-2.
    convolutions = (9 * 1 * 6 + 6) + (9 * 6 * 10 + 10) + (9 * 10 * 10 + 10) + (9 * 10 * 5 + 5)
    linear = (980 * 50 + 50) + (50 * 30 + 30) + (30 * 2 + 2)
    assert parameter_counts(network) == {"total": convolutions + linear, "trainable": convolutions + linear}
    assert network(torch.zeros(3, 1, 224, 224)).shape == (3, 2)


def test_custom_cnn_follows_the_image_size() -> None:
    network = build_model({"backbone": "custom_cnn", "input_channels": 1}, 96)
    assert network(torch.zeros(2, 1, 96, 96)).shape == (2, 2)


def test_misspelt_network_is_one_sentence() -> None:
    with pytest.raises(InputError, match="did you mean 'resnet18'"):
        build_model({"backbone": "resnet_18", "input_channels": 3}, 224)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_no_cuda_is_one_sentence() -> None:
    with pytest.raises(InputError, match="device: cpu"):
        accelerator("cuda")
