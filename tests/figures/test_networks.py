"""paper/networks.yaml tells the layers of the networks as torch builds them, and which of them train."""

import pytest
from result_tree import make_study
from torch import nn

from cxr.figures.strategies import layers_of, trained_layers
from cxr.networks.architectures import build_backbone, build_model
from cxr.study.config import PAPER
from cxr.study.schemas import read_yaml

NETWORKS = read_yaml(PAPER / "networks.yaml")


@pytest.mark.parametrize("backbone", NETWORKS)
def test_the_blocks_hold_every_layer_with_weights_once(backbone):
    network = build_backbone(backbone, 3, 64)
    layers = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    found = [name for block in NETWORKS[backbone]["blocks"] for name in layers_of(block)]
    assert sorted(found) == sorted(layers)
    assert network.get_submodule(layers[-1]).out_features == NETWORKS[backbone]["outputs"]
    assert sum(parameter.numel() for parameter in network.parameters()) == NETWORKS[backbone]["parameters"]


@pytest.mark.parametrize("experiment", ["resnet18-I-10", "resnet18-II-10", "resnet18-III", "densenet121-II-10"])
def test_what_trains_by_the_diagram_trains_by_torch(experiment):
    model = make_study(experiments="all").spec(experiment, "published")["model"]
    network = build_model(model, 64)
    for block in NETWORKS[model["backbone"]]["blocks"][:-1]:
        names = layers_of(block)
        training = sum(network.get_submodule(name).weight.requires_grad for name in names)
        assert trained_layers(names, model) == training, block["title"]
