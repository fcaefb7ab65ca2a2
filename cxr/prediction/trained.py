"""A trained network with all that is needed to use it on other images."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cxr.errors import InputError
from cxr.networks.architectures import build_model, torch_device
from cxr.networks.precision import in_format, set_precision
from cxr.prediction.likeness import Likeness
from cxr.prediction.own_images import OwnImages
from cxr.study.steps import draws_of, resize_of
from cxr.training.batches import ImageSet

NOTICE = "Research use only; not for clinical use."
DEVICES = ("cpu", "cuda")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network and what goes with it.

    Attributes:
        facts: JSON. ``name`` of the run; ``settings`` of ``cxr.study.settings.run_settings``; ``antialias`` and
            ``grey``, how images are resized and made grey; ``mean`` and ``std`` of the normalisation; ``calibration``
            of ``cxr.prediction.calibration`` or None; ``metrics`` by set, numbers alone, or None; ``cohort`` (title,
            licence, citation, synthetic, counts, resized); and ``record``, of ``run.json``.
        state: the network's state_dict.
        likeness: what the training images are like.
        own: the images that the run was trained and judged on.
    """

    facts: Mapping[str, Any]
    state: Mapping[str, Tensor]
    likeness: Likeness
    own: OwnImages

    @property
    def size(self) -> int:
        """Side length in pixels to which images are resized first."""
        settings = self.facts["settings"]
        steps = settings["transforms"][settings["evaluation_transform"]]
        image_size: int = settings["image_size"]
        return round(resize_of(steps) * image_size)

    def settings_on(self, device: str | None) -> dict[str, Any]:
        """Return the run's settings for a device; None is the run's own, or the CPU where torch finds no CUDA device.

        Raises:
            InputError: CUDA is asked for and not there, or there is no such device.
        """
        settings = dict(self.facts["settings"])
        if device is None:
            device = settings["device"]
            if device == "cuda" and not torch.cuda.is_available():
                log.warning("The run was trained with CUDA; on the CPU, its last digits may differ.")
                device = "cpu"
        if device not in DEVICES:
            raise InputError(f"there is no device '{device}'; name {' or '.join(DEVICES)}.")
        torch_device(device)
        return settings | {"device": device}

    def network(self, settings: Mapping[str, Any]) -> nn.Module:
        """Return the network in evaluation mode on the device of ``settings``, with torch set to its precision."""
        set_precision(settings)
        network = build_model(settings["model"], settings["image_size"])
        network.load_state_dict(self.state)
        return in_format(network.to(torch_device(settings["device"])), settings).eval()

    def inputs(self, images: npt.NDArray[np.int16], settings: Mapping[str, Any]) -> Tensor:
        """Return stored images, shape (N, size, size), as a run sees its validation and test images."""
        steps = settings["transforms"][settings["evaluation_transform"]]
        count = len(images)
        batch = ImageSet(
            paths=[""] * count,
            rows=np.arange(count),
            labels=np.zeros(count, np.int64),
            transforms=[steps],
            arrays={self.size: images},
            aspects=np.ones(count, np.float32),
            channels=settings["model"]["input_channels"],
            image_size=settings["image_size"],
            pixel_divisor=settings["pixel_divisor"],
            mean=self.facts["mean"],
            std=self.facts["std"],
            device=torch_device(settings["device"]),
        )
        return batch.inputs(np.arange(count), torch.zeros(count, draws_of(steps)))
