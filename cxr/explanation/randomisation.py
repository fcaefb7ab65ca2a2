"""Do the maps depend on what the network has learnt? The sanity check of Adebayo et al. (2018, arXiv:1810.03292).

The layers lose their weights one after another, from the output to the image, until nothing learnt is left. Maps that
explain the network must then change.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from cxr.explanation.grad_cam import grad_cam


def cascade(
    network: nn.Module, images: Tensor, targets: Tensor, layer: str, from_the_top: Sequence[str], seed: int = 0
) -> list[dict[str, Any]]:
    """Return how similar Grad-CAM stays to that of the trained network while its layers are randomised.

    Parameters are drawn anew as torch draws them when it makes a layer, and the running statistics of batch
    normalisation go with them. The network itself stays as it is.

    Args:
        network: the trained network.
        images: shape (B, channels, H, W), normalised as in training.
        targets: the class of each map, int64 of shape (B,).
        layer: where Grad-CAM is computed.
        from_the_top: the layers in the order in which they are randomised; each stays so.
        seed: of the new weights.

    Returns:
        For each of ``from_the_top``: ``randomised`` (its name), ``spearman`` (mean over images of the rank correlation
        between the maps before and after, None without images) and ``n`` (images that count: those whose maps are not
        the same everywhere, before and after).
    """
    broken = copy.deepcopy(network)
    before = grad_cam(network, images, layer, targets)
    steps = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name in from_the_top:
            for module in broken.get_submodule(name).modules():
                if isinstance(module, (nn.Conv2d, nn.Linear, nn.BatchNorm2d)):
                    module.reset_parameters()
            found = rank_correlations(before, grad_cam(broken, images, layer, targets))
            found = found[~np.isnan(found)]
            mean = float(found.mean()) if len(found) else None
            steps.append({"randomised": name, "spearman": mean, "n": len(found)})
    return steps


def rank_correlations(first: Tensor, second: Tensor) -> npt.NDArray[np.float64]:
    """Return Spearman's rank correlation of each pair of maps, (B, h, w) each; NaN where one is the same everywhere."""
    ranks = [rankdata(maps.flatten(1).cpu().numpy(), axis=1) for maps in (first, second)]
    one, other = (part - part.mean(axis=1, keepdims=True) for part in ranks)
    with np.errstate(invalid="ignore"):
        found: npt.NDArray[np.float64] = (one * other).sum(1) / np.sqrt((one**2).sum(1) * (other**2).sum(1))
    return found
