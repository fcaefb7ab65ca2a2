"""The networks: their parameters, and which of them train."""

from typing import Any

import pytest
import torch

from cxr.errors import InputError
from cxr.files import REPOSITORY
from cxr.networks.architectures import build_model, parameter_counts, set_training_mode, torch_device
from cxr.study.config import Study
from cxr.study.schemas import read_yaml

CONFIG = read_yaml(REPOSITORY / "config" / "config.yaml")
STUDY = Study.from_config(CONFIG | {"protocols": ["published", "described", "corrected"], "experiments": "all"})


def model_of(experiment: str, protocol: str) -> dict[str, Any]:
    model: dict[str, Any] = STUDY.spec(experiment, protocol)["model"]
    return model


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


@pytest.mark.parametrize(
    ("experiment", "protocol", "trainable"),
    [
        # 512-100-2 is 51,502; conv1 for one channel 3,136; and, by the substring, the eight blocks' first convolutions.
        ("resnet18-II-100", "published", 4_773_230),
        ("resnet18-II-100", "described", 54_638),
        ("resnet18-II-100", "corrected", 54_638),
        ("resnet18-I-10", "published", 512 * 10 + 10 + 10 * 2 + 2),
        ("resnet18-I-500", "described", 512 * 500 + 500 + 500 * 2 + 2),
        ("resnet18-III", "published", 11_176_512 + 512 * 2 + 2),
        ("densenet121-I-100", "published", 1024 * 100 + 100 + 100 * 2 + 2),
        ("densenet121-II-10", "published", 1024 * 10 + 10 + 10 * 2 + 2 + 64 * 49),
        ("densenet121-III", "published", 7_978_856),
        ("densenet121-III", "described", 6_953_856 + 1024 * 2 + 2),
    ],
)
def test_trainable_parameters(experiment: str, protocol: str, trainable: int) -> None:
    assert parameter_counts(build_model(model_of(experiment, protocol), 224))["trainable"] == trainable


@pytest.mark.parametrize(("protocol", "outputs"), [("published", 1000), ("described", 2), ("corrected", 2)])
def test_densenets_head_stays_as_published_only(protocol: str, outputs: int) -> None:
    network = build_model(model_of("densenet121-no_tl", protocol), 64).eval()
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, outputs)


@pytest.mark.parametrize(("protocol", "rate"), [("published", None), ("described", 0.2), ("corrected", 0.2)])
def test_dropout_of_resnets_head(protocol: str, rate: float | None) -> None:
    network = build_model(model_of("resnet18-I-100", protocol), 64)
    rates = [module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)]
    assert rates == ([] if rate is None else [rate])


def changed_by_a_step(experiment: str, protocol: str) -> set[str]:
    """The names of all tensors, running statistics included, that one training step changes."""
    torch.manual_seed(0)
    model = model_of(experiment, protocol)
    network = build_model(model, 64)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    set_training_mode(network, STUDY.protocols[protocol]["fixed_batch_norm"])
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=1e-3)
    images = torch.rand(4, model["input_channels"], 64, 64)
    torch.nn.functional.cross_entropy(network(images), torch.tensor([0, 1, 0, 1])).backward()
    optimizer.step()
    return {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("backbone", ["resnet18", "densenet121"])
def test_fixed_layers_keep_their_weights_and_drift_as_published_only(backbone: str) -> None:
    head = {"resnet18": "fc.", "densenet121": "classifier."}[backbone]
    published = changed_by_a_step(f"{backbone}-I-10", "published")
    drifting = {name for name in published if not name.startswith(head)}
    assert drifting and all(
        name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in drifting
    ), "as published, running statistics of fixed layers drift"
    corrected = changed_by_a_step(f"{backbone}-I-10", "corrected")
    assert corrected and all(name.startswith(head) for name in corrected)


def test_resnet_ii_trains_every_conv1_as_published() -> None:
    weights = {name for name in changed_by_a_step("resnet18-II-10", "published") if name.endswith("weight")}
    blocks = {f"layer{layer}.{block}.conv1.weight" for layer in (1, 2, 3, 4) for block in (0, 1)}
    assert weights == blocks | {"conv1.weight", "fc.1.weight", "fc.3.weight"}
    described = {name for name in changed_by_a_step("resnet18-II-10", "described") if name.endswith("weight")}
    assert described == {"conv1.weight", "fc.1.weight", "fc.3.weight"}


def test_every_experiment_builds_under_every_protocol() -> None:
    for protocol in STUDY.protocols:
        for experiment in STUDY.experiments:
            build_model(model_of(experiment, protocol), 32)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"backbone": "resnet_18"}, "did you mean 'resnet18'"),
        ({"head": {"layer": "fcc"}}, "no Linear or Sequential layer 'fcc'; did you mean 'fc'"),
        ({"head": {"layer": "layer1"}}, "'layer1' has no linear layer"),
        ({"first_convolution": "layer1"}, "no Conv2d layer 'layer1'"),
        ({"trained": ["^fc$"]}, r"matches the pattern '\^fc\$'"),
    ],
)
def test_a_model_that_finds_nothing_is_one_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        build_model({"backbone": "resnet18", "input_channels": 3} | change, 64)


def test_another_backbone_needs_data_alone() -> None:
    model = {"backbone": "mobilenet_v3_small", "input_channels": 1, "first_convolution": "features.0.0"}
    model |= {"head": {"layer": "classifier.3", "hidden": 7, "dropout": 0.1}, "trained": ["^classifier.3"]}
    network = build_model(model, 64).eval()
    assert network(torch.zeros(1, 1, 64, 64)).shape == (1, 2)
    assert parameter_counts(network)["trainable"] == 1024 * 7 + 7 + 7 * 2 + 2


EFFICIENTNET = {
    "backbone": "efficientnet_b0",
    "input_channels": 3,
    "head": {"layer": "classifier", "hidden": 7, "dropout": 0.3},
    "trained": ["^classifier\\."],
}


def test_a_head_takes_the_place_of_the_last_layers_with_their_dropout() -> None:
    network = build_model(EFFICIENTNET, 32)
    assert [module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)] == [0.3]
    assert parameter_counts(network)["trainable"] == 1280 * 7 + 7 + 7 * 2 + 2


def test_nothing_is_random_in_fixed_parts_in_evaluation_mode_but_the_heads_dropout_is() -> None:
    network = build_model(EFFICIENTNET, 32)
    images = torch.rand(8, 3, 32, 32)

    def twice() -> bool:
        features = network.get_submodule("features")
        return torch.equal(features(images), features(images))

    # EfficientNet drops whole blocks at random in training (stochastic depth).
    set_training_mode(network, "train")
    assert not twice()
    set_training_mode(network, "eval")
    assert twice() and not torch.equal(network(images), network(images))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_no_cuda_is_one_sentence() -> None:
    with pytest.raises(InputError, match="device: cpu"):
        torch_device("cuda")
