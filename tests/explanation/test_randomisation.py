"""Maps of a network without its weights are other maps."""

import pytest
import torch
from torch import Tensor, nn

from cxr.explanation.randomisation import cascade, rank_correlations
from cxr.networks.architectures import CustomCNN


def test_randomisation_destroys_the_map_and_leaves_the_network_and_the_generator() -> None:
    torch.manual_seed(1)
    network, images = CustomCNN(1, 32), torch.randn(16, 1, 32, 32)
    network.add_module("nothing", nn.Identity())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    drawn = torch.random.get_rng_state()
    targets = torch.ones(len(images), dtype=torch.int64)
    kept, *_, last = cascade(
        network, images, targets, "conv2", ["nothing", "fc3", "fc2", "fc1", "conv4", "conv3", "conv2", "conv1"]
    )
    assert kept == {"randomised": "nothing", "spearman": pytest.approx(1), "n": 16}
    assert last["randomised"] == "conv1" and last["n"] > 8 and abs(last["spearman"]) < 0.3
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), drawn)


def test_layers_stay_randomised_and_one_seed_gives_one_result(planted: nn.Module, squares: Tensor) -> None:
    images, targets = torch.randn(8, 1, 32, 32, generator=torch.Generator().manual_seed(3)), torch.ones(8).long()
    both = cascade(planted, images, targets, "features", ["features", "classifier"])
    assert both == cascade(planted, images, targets, "features", ["features", "classifier"])
    assert both[0] == cascade(planted, images, targets, "features", ["features"])[0]
    assert both != cascade(planted, images, targets, "features", ["features", "classifier"], seed=1)


def test_rank_correlations_are_spearmans_and_not_defined_for_flat_maps() -> None:
    from scipy.stats import spearmanr

    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand(3, 4, 5, generator=generator), torch.rand(3, 4, 5, generator=generator)
    second[1], second[2] = first[1].exp(), 1
    found = rank_correlations(first, second)
    assert found[0] == pytest.approx(spearmanr(first[0].flatten(), second[0].flatten()).statistic)
    assert found[1] == pytest.approx(1) and found[2] != found[2]
