"""What the network can tell from the lungs alone, and from everything but the lungs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from cxr.networks.precision import forward

BATCH = 64

Numbers = npt.NDArray[np.float64]


@torch.no_grad()
def probabilities(network: nn.Module, images: Tensor, settings: Mapping[str, Any]) -> Numbers:
    """Return the probability of PNEUMONIA of images, shape (B,).

    Args:
        network: in evaluation mode.
        images: shape (B, channels, H, W), normalised as in training.
        settings: of ``run_settings``.
    """
    logits = torch.cat([forward(network, batch, settings).cpu() for batch in images.split(BATCH)])
    found: Numbers = logits.softmax(1)[:, 1].double().numpy()
    return found


def probabilities_by_view(
    network: nn.Module, images: Tensor, lungs: Tensor, settings: Mapping[str, Any]
) -> dict[str, Numbers]:
    """Return the probability of PNEUMONIA with the whole image, with only the lungs, and with all but them visible.

    Hidden pixels get the mean of the training images, 0 after normalisation. Such images are unlike those that the
    network was trained on, with edges along the lungs that no X-ray has; so a low AUROC need not mean that what is
    visible tells nothing. A high one with the lungs hidden does show that the network can do without them.

    Args:
        network: the trained network, which is not trained again, in evaluation mode.
        images: shape (B, channels, H, W), normalised as in training.
        lungs: boolean masks, shape (B, H, W).
        settings: of ``run_settings``.

    Returns:
        ``whole``, ``lungs`` and ``outside``, shape (B,) each.
    """
    inside = lungs[:, None]
    views = {"whole": images, "lungs": images * inside, "outside": images * ~inside}
    return {name: probabilities(network, view, settings) for name, view in views.items()}


def aurocs(labels: npt.NDArray[np.int64], views: Mapping[str, Numbers]) -> dict[str, float | None]:
    """Return the AUROC of each of ``probabilities_by_view``, None where all images are of one class.

    Args:
        labels: 0 NORMAL or 1 PNEUMONIA, shape (B,).
        views: probabilities of PNEUMONIA by what was visible.
    """
    if len(np.unique(labels)) < 2:
        return dict.fromkeys(views)
    return {name: float(roc_auc_score(labels, found)) for name, found in views.items()}
