"""Recomputation: the same weights and running statistics, to the bit."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
import torchvision
from torch import Tensor, nn

from cxr import recomputation
from cxr.recomputation import recomputed


class Shifted(nn.Module):
    """Something changes the normalised tensor in place before ReLU does, as a residual connection would."""

    def __init__(self) -> None:
        super().__init__()
        self.normalise, self.rectify = nn.BatchNorm2d(3), nn.ReLU(inplace=True)
        self.follow = nn.Conv2d(3, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        normalised = self.normalise(images)
        normalised += 0.3
        return self.follow(self.rectify(normalised))


def plain(inplace: bool) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(inplace), nn.Conv2d(5, 2, 3))


def unrectified() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Conv2d(5, 2, 3))


def after_two_steps(
    network: nn.Module, within: Callable[[nn.Module], AbstractContextManager[None]], fixed: bool
) -> list[Tensor]:
    torch.manual_seed(1)
    images = torch.randn(4, 3, 64, 64)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    network.train()
    for module in network.modules():
        if fixed and isinstance(module, nn.BatchNorm2d):
            module.eval()
    with within(network):
        for _ in range(2):
            optimizer.zero_grad()
            network(images).square().mean().backward()
            optimizer.step()
    return list(network.state_dict().values())


@pytest.mark.parametrize("fixed", [False, True], ids=["batch statistics", "running statistics"])
@pytest.mark.parametrize(
    ("make", "again"),
    [
        (lambda: torchvision.models.resnet18(), True),
        (lambda: torchvision.models.densenet121(), True),
        (lambda: plain(inplace=True), True),
        (lambda: plain(inplace=False), False),
        (Shifted, False),
        (unrectified, False),
    ],
    ids=["resnet18", "densenet121", "plain", "not in place", "shifted", "unrectified"],
)
def test_training_is_the_same_to_the_bit(
    make: Callable[[], nn.Module], again: bool, fixed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    compute = recomputation._Output.computed_again
    monkeypatch.setattr(recomputation._Output, "computed_again", lambda output: (calls.append(1), compute(output))[1])
    states = []
    for within in (lambda _: nullcontext(), recomputed):
        torch.manual_seed(0)
        states.append(after_two_steps(make(), within, fixed))
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))
    assert bool(calls) == again
    # Each stored pair is computed once and used twice: for the convolution and for ReLU itself.
    assert len(calls) % 2 == 0


def test_hooks_are_gone_afterwards() -> None:
    network = torchvision.models.resnet18()
    with recomputed(network):
        pass
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
