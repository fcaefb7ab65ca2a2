"""The first filters before training are those that training started from."""

from typing import Any

import pytest
import torch

from cxr.explanation.filters import filters_before, first_filters, starts_pretrained
from cxr.networks.architectures import build_backbone, build_model

RESNET: dict[str, Any] = {"backbone": "resnet18", "input_channels": 3, "weights": "imagenet", "head": {"layer": "fc"}}
FIXED = RESNET | {"trained": ["^fc\\."]}
REPLACED = RESNET | {"input_channels": 1, "first_convolution": "conv1", "trained": ["conv1", "^fc\\."]}
CUSTOM = {"backbone": "custom_cnn", "input_channels": 1}


@pytest.mark.parametrize(("model", "pretrained"), [(RESNET, True), (REPLACED, False), (CUSTOM, False)])
def test_they_are_those_of_the_network_that_the_seed_makes(model: dict[str, Any], pretrained: bool) -> None:
    state = build_backbone("resnet18", 3, 64).state_dict()
    assert starts_pretrained(model) == pretrained
    torch.manual_seed(7)
    network = build_model(model, 64, state if "weights" in model else None)
    drawn = torch.random.get_rng_state()
    before = filters_before({"seed": 7, "model": model, "image_size": 64}, state if pretrained else None)
    assert before is not None and torch.equal(before, first_filters(network, model))
    assert torch.equal(before, state["conv1.weight"]) == pretrained
    assert torch.equal(torch.random.get_rng_state(), drawn)


def test_a_fixed_convolution_was_the_same_before() -> None:
    assert filters_before({"seed": 7, "model": FIXED, "image_size": 64}, None) is None
