"""Class activation maps where the truth is known, and networks that are left as they were."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cxr.errors import InputError
from cxr.explanation.grad_cam import cam, grad_cam, layers_of, read_explanations, upsampled, why_no_cam, why_no_cam_at
from cxr.networks.architectures import build_model, set_training_mode

HEAD = {"custom_cnn": "fc3", "resnet18": "fc", "densenet121": "classifier"}


def model_of(backbone: str, **changes: Any) -> dict[str, Any]:
    return {"backbone": backbone, "input_channels": 1 if backbone == "custom_cnn" else 3, **changes}


def images_for(model: dict[str, Any], count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, model["input_channels"], 64, 64, generator=generator)


def test_the_map_lies_where_the_evidence_is(planted: nn.Module, squares: Tensor) -> None:
    for layer in ("features", "relu"):
        maps = grad_cam(planted, squares, layer, 1)
        assert maps.shape == (3, 32, 32) and maps.min() >= 0
        assert (maps[:, 8:16, 20:28].sum((1, 2)) / maps.sum((1, 2))).min() > 0.99
    assert grad_cam(planted, squares, "relu", 0).sum() == 0


def test_each_image_may_have_a_class_of_its_own(planted: nn.Module, squares: Tensor) -> None:
    images = torch.cat([squares[:1], -squares[:1]])
    maps = grad_cam(planted, images, "relu", torch.tensor([1, 0]))
    torch.testing.assert_close(maps[0], maps[1])
    assert maps[0].sum() > 0


def test_a_map_is_upsampled_to_the_image_and_stays_where_it_is() -> None:
    maps = torch.zeros(1, 4, 4)
    maps[0, 1, 2] = 1
    large = upsampled(maps, 32)
    assert large.shape == (1, 32, 32)
    assert large[0, 8:16, 16:24].sum() > 0.5 * large.sum() and large[0, :4].sum() == large[0, :, :12].sum() == 0


@pytest.mark.parametrize("backbone", HEAD)
@pytest.mark.parametrize("fixed", [False, True])
def test_every_network_is_left_as_it_was(backbone: str, fixed: bool) -> None:
    model = model_of(backbone, **({"trained": [f"^{HEAD[backbone]}\\."]} if fixed else {}))
    torch.manual_seed(0)
    network = build_model(model, 64)
    set_training_mode(network, "eval")
    modes = [module.training for module in network.modules()]
    flags = [parameter.requires_grad for parameter in network.parameters()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    images = images_for(model)
    for layer in layers_of(model).values():
        maps = grad_cam(network, images, layer, 1)
        assert maps.shape[0] == 2 and maps.dim() == 3 and maps.min() >= 0
        assert torch.isfinite(maps).all() and not maps.requires_grad
    assert [module.training for module in network.modules()] == modes
    assert [parameter.requires_grad for parameter in network.parameters()] == flags
    assert all(parameter.grad is None for parameter in network.parameters()) and not images.requires_grad
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks or module._backward_hooks for module in network.modules())


@pytest.mark.parametrize("backbone", ["resnet18", "densenet121"])
@pytest.mark.parametrize("head", [None, {"dropout": 0.2}])
def test_the_mean_of_cam_and_the_bias_are_the_logit(backbone: str, head: dict[str, Any] | None) -> None:
    model = model_of(backbone, **({"head": {"layer": HEAD[backbone], **head}} if head else {}))
    torch.manual_seed(0)
    network, images = build_model(model, 64).eval(), images_for(model)
    assert why_no_cam(network, model) is None
    bias = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1].bias
    for target in (0, 1):
        torch.testing.assert_close(
            cam(network, images, target, model).mean((1, 2)) + bias[target], network(images)[:, target]
        )


def test_grad_cam_at_the_pooled_maps_is_the_positive_part_of_cam() -> None:
    model = model_of("resnet18")
    torch.manual_seed(0)
    network, images = build_model(model, 64), images_for(model)
    found = torch.stack([cam(network, images, target, model) for target in range(6)])
    assert (found < 0).any() and (found > 0).any()
    # The gradient of the mean over h x w positions is 1 / (h w) of the head's weight, at each position.
    for target, maps in enumerate(found):
        torch.testing.assert_close(grad_cam(network, images, "layer4", target), maps.relu() / maps[0].numel())


def test_grad_cam_behind_the_last_relu_of_densenet_is_the_positive_part_of_cam() -> None:
    model = model_of("densenet121")
    torch.manual_seed(0)
    network, images = build_model(model, 64).eval(), images_for(model)
    unrolled = nn.Sequential(
        network.get_submodule("features"),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        network.get_submodule("classifier"),
    )
    torch.testing.assert_close(unrolled(images), network(images))
    maps = cam(network, images, 0, model)
    torch.testing.assert_close(grad_cam(unrolled, images, "1", 0), maps.relu() / maps[0].numel())


def test_where_cam_is_not_defined_it_says_why() -> None:
    custom, dense = model_of("custom_cnn"), model_of("densenet121")
    two = model_of("resnet18", head={"layer": "fc", "hidden": 10})
    for model, words in ((custom, "no global average pooling"), (two, r"its head has 2 linear layers \(512-10-2\)")):
        with pytest.raises(InputError, match=f"CAM is not defined for this {model['backbone']}, since .*{words}.*Grad"):
            cam(build_model(model, 64), images_for(model), 1, model)
    network, images = build_model(dense, 64), images_for(dense)
    assert why_no_cam_at(network, images, "features.norm5", dense) is None
    shallow = why_no_cam_at(network, images, "features.denseblock1", dense)
    assert shallow == "features.denseblock1 has 256 maps, and the head 1,024 weights for each class"
    assert str(why_no_cam_at(network, images, "features.denseblock4", dense)).startswith(
        "features.norm5 and a ReLU stand"
    )


@pytest.mark.parametrize("layer", ["layer5", "", "layer4.0.conv9"])
def test_a_layer_that_is_not_there_is_refused_with_those_that_are(layer: str) -> None:
    model = model_of("resnet18")
    with pytest.raises(InputError, match=f"the network has no layer '{layer}'; layers with maps are conv1, layer1, "):
        grad_cam(build_model(model, 64), images_for(model), layer, 1)


def test_a_layer_without_maps_and_a_class_that_is_not_there_are_refused() -> None:
    model = model_of("custom_cnn")
    network, images = build_model(model, 64), images_for(model)
    with pytest.raises(InputError, match="the output of layer 'fc1' is no map; layers with maps are conv1, conv2"):
        grad_cam(network, images, "fc1", 1)
    for target in (2, -1, torch.tensor([0, 2])):
        with pytest.raises(InputError, match=r"no class (2|-1); its classes are 0 \(NORMAL\), 1 \(PNEUMONIA\)\.$"):
            grad_cam(network, images, "conv4", target)
    with pytest.raises(InputError, match=r"no class 1000; .* without a meaning here, 2 to 999"):
        cam(build_model(model_of("resnet18"), 64), images_for(model_of("resnet18")), 1000, model_of("resnet18"))


def test_a_network_of_which_no_layers_are_named_is_refused() -> None:
    with pytest.raises(InputError, match="names no layers of 'vgg11', only of custom_cnn, resnet18, densenet121; add"):
        layers_of(model_of("vgg11"))


@pytest.mark.parametrize("backbone", HEAD)
def test_the_named_layers_are_there_and_together_hold_all_parameters(backbone: str) -> None:
    row, network = read_explanations()[backbone], build_model(model_of(backbone), 64)
    names = [row["first_convolution"], row["shallow"], row["deep"], *row["from_the_top"]]
    modules = dict(network.named_modules())
    assert set(names) <= set(modules) and isinstance(modules[row["first_convolution"]], nn.Conv2d)
    found = [id(parameter) for name in row["from_the_top"] for parameter in modules[name].parameters()]
    assert len(found) == len(set(found)) and set(found) == {id(parameter) for parameter in network.parameters()}
    order = [list(modules).index(name) for name in row["from_the_top"]]
    assert order == sorted(order, reverse=True)
