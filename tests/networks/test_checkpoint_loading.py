"""Checkpoints in the right network, or refused by the name of what does not fit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from saved_networks import resnet, saved, saved_by_the_author
from torch import nn

from cxr.errors import InputError
from cxr.networks.architectures import build_model
from cxr.networks.checkpoint_loading import load_checkpoint
from cxr.study.config import PAPER, read_experiments

SIZE = 64
EXPERIMENTS = read_experiments(PAPER / "experiments.yaml")["experiments"]


def load(path: Path, experiment: str) -> tuple[nn.Module, dict[str, Any]]:
    return load_checkpoint(path, experiment, EXPERIMENTS[experiment]["model"], SIZE)


def assert_same_answers(network: nn.Module, loaded: nn.Module, channels: int) -> None:
    images = torch.randn(2, channels, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(loaded(images), network.eval()(images))


@pytest.mark.parametrize(
    ("experiment", "channels", "layers", "words"),
    [
        ("resnet18-I-10", 3, [nn.Linear(512, 10), nn.ReLU(), nn.Linear(10, 2)], ["Linear 512-10", "ReLU"]),
        # No activation, and another number for the second layer: the function is the file's, not ours.
        ("resnet18-I-10", 3, [nn.Linear(512, 10), nn.Linear(10, 2)], ["Linear 512-10", "Linear 10-2"]),
        ("resnet18-II-10", 1, [nn.Dropout(0.2), nn.Linear(512, 10), nn.Tanh(), nn.Linear(10, 2)], ["Dropout"]),
        ("resnet18-III", 3, [nn.Linear(512, 2)], ["Linear 512-2"]),
    ],
)
def test_a_resnets_head_is_the_files(
    experiment: str, channels: int, layers: list[nn.Module], words: list[str], tmp_path: Path
) -> None:
    network = resnet(nn.Sequential(*layers) if len(layers) > 1 else layers[0], channels)
    loaded, facts = load(saved(network, tmp_path / "r.pth"), experiment)
    assert_same_answers(network, loaded, channels)
    assert facts["head"][: len(words)] == words and len(facts["head"]) == len(layers)
    assert facts["head_here"] == ["Dropout"] * (channels == 1) + (
        ["Linear 512-2"] if experiment == "resnet18-III" else ["Linear 512-10", "ReLU", "Linear 10-2"]
    )


def test_densenets_unused_head_is_left_out_and_reported(tmp_path: Path) -> None:
    torch.manual_seed(6)
    network = torchvision.models.densenet121()
    network.classifire = nn.Sequential(nn.Dropout(0.2), nn.Linear(1024, 2))
    loaded, facts = load(saved(network, tmp_path / "d.pth"), "densenet121-III")
    assert_same_answers(network, loaded, 3)
    assert facts == {
        "class": "torchvision.models.densenet.DenseNet",
        "head": None,
        "head_here": None,
        "left_out": ["classifire"],
    }


def test_a_state_dict_fills_our_own_network(tmp_path: Path) -> None:
    model = EXPERIMENTS["resnet18-II-10"]["model"]
    torch.manual_seed(7)
    network = build_model(model, SIZE)
    loaded, facts = load(saved(network.state_dict(), tmp_path / "own.pt"), "resnet18-II-10")
    assert_same_answers(network, loaded, 1)
    assert facts["class"] is None
    # The numbers of a head without dropout begin at 0, ours at 1.
    torch.save({name.replace("fc.1.", "fc.0."): value for name, value in network.state_dict().items()}, tmp_path / "o")
    assert_same_answers(network, load(tmp_path / "o", "resnet18-II-10")[0], 1)


def altered(change: Callable[[nn.Module], Any]) -> nn.Module:
    network = resnet(nn.Sequential(nn.Linear(512, 10), nn.ReLU(), nn.Linear(10, 2)))
    change(network)
    return network


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda n: setattr(n.fc, "2", nn.Linear(10, 3)), r"its head has the shapes .*\(3, 10\).* and not .*\(2, 10\)"),
        # A bias for so many outputs would not fit into any memory.
        (lambda n: setattr(n.fc[0], "weight", nn.Parameter(torch.empty(2**60, 0))), "its head holds a .*Linear"),
        (lambda n: delattr(n, "fc"), r"its head has the shapes \[\] and not"),
        (lambda n: setattr(n.fc, "1", nn.BatchNorm2d(10)), "its head holds a torch.nn.modules.batchnorm"),
        (lambda n: setattr(n.fc, "1", nn.AvgPool2d(2)), "its head holds a torch.nn.modules.pooling.AvgPool2d"),
        (lambda n: setattr(n, "maxpool", nn.AvgPool2d(3, 2, 1)), "'maxpool' is a .*AvgPool2d and not a MaxPool2d"),
        (lambda n: setattr(n, "conv1", nn.Conv2d(3, 64, 7, 1, 3, bias=False)), r"stride \(1, 1\) and not \(2, 2\)"),
        (lambda n: setattr(n, "conv1", nn.Conv2d(1, 64, 7, 2, 3, bias=False)), r"\(64, 1, 7, 7\) and not \(64, 3"),
        (lambda n: setattr(n, "conv1", nn.Conv2d(3, 64, 7, 2, 3)), "surplus 'conv1.bias'"),
        (lambda n: setattr(n.conv1, "stride", torch.zeros(2)), r"'conv1' has stride a Tensor and not \(2, 2\)"),
        (lambda n: setattr(n.conv1, "stride", ((2, 2),) * 2), r"'conv1' has stride a tuple and not \(2, 2\)"),
        (lambda n: n.layer1.append(nn.ReLU()), "surplus layer 'layer1.2'"),
        (lambda n: delattr(n.layer1[0], "relu"), "lacks the layer 'layer1.0.relu'"),
        (lambda n: n.conv1.weight.data.fill_(float("nan")), "'conv1.weight' holds numbers that are not finite"),
    ],
)
def test_what_does_not_fit_is_named(change: Callable[[nn.Module], Any], words: str, tmp_path: Path) -> None:
    path = saved(altered(change), tmp_path / "r.pth")
    with pytest.raises(InputError, match=words) as caught:
        load(path, "resnet18-I-10")
    assert "does not fit resnet18-I-10" in str(caught.value) and "\n" not in str(caught.value)


def test_another_architecture_is_named(tmp_path: Path) -> None:
    path = saved_by_the_author(tmp_path)
    with pytest.raises(InputError, match=r"its network is a __main__\.SimpleConvNet and not a ResNet"):
        load(path, "resnet18-III")
    with pytest.raises(InputError, match=r"asks for 'torchvision\.models\.squeezenet\.Fire'"):
        load(saved(torchvision.models.squeezenet1_1(), tmp_path / "s.pth"), "resnet18-III")
    with pytest.raises(InputError, match=r"'fc1\.weight' has the shape \(50, 80\) and not \(50, 20\)"):
        load_checkpoint(path, "custom", EXPERIMENTS["custom"]["model"], 32)
    with pytest.raises(InputError, match=r"it lacks 'conv2\.weight'"):
        load(saved({"conv1.weight": torch.zeros(6, 1, 3, 3), "conv1.bias": torch.zeros(6)}, tmp_path / "p"), "custom")
