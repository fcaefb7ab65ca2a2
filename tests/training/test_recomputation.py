"""Recomputation: the same weights and running statistics, to the bit."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from cxr.training import recomputation
from cxr.training.recomputation import recomputed


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


def test_memory_that_is_in_use_is_not_lent_twice() -> None:
    room, tensor = recomputation._Room(), torch.randn(2, 3, 4, 4)
    first = room.like(tensor)
    place = first.data_ptr()
    assert room.like(tensor).data_ptr() != place
    del first
    channels_last = tensor.contiguous(memory_format=torch.channels_last)
    again = room.like(channels_last)
    assert again.data_ptr() == place and again.stride() == channels_last.stride()
    del again
    assert room.like(torch.randn(9, 3, 4, 4)).shape == (9, 3, 4, 4)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read where Linux tells it")
def test_freed_memory_goes_back_although_the_allocator_keeps_it() -> None:
    code = """
import torch
from pathlib import Path
from cxr.training.recomputation import return_freed_memory
def resident(): return int(Path("/proc/self/statm").read_text().split()[1]) * 4 // 1024
tensors = [torch.ones(2**21) for _ in range(40)]
last = torch.ones(2**21)
del tensors
kept = resident()
return_freed_memory()
print(kept - resident())
"""
    settings = {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=68719476736"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | settings, capture_output=True, text=True, check=True
    )
    # Of 40 tensors of 8 MiB.
    assert int(done.stdout) > 250
