"""Training images under each transform, with the parameters that were drawn for each, for the figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cxr.files import written_whole
from cxr.preprocessing.arrays import open_array
from cxr.preprocessing.transforms import apply_steps, aspect_ratios, load_images, parameters_of_steps
from cxr.study import layout
from cxr.study.steps import draws_of, resize_of

# How many images are shown under each transform, from the first of the training set to the last.
EXAMPLES = 10


def write_examples(manifest: Path, results: Path, settings: dict[str, Any]) -> None:
    """Write ``preprocessing/<protocol>/transforms.npz``, in which the same training images are under each transform.

    It holds for each transform an array ``T1`` of shape (N, H, W), 0 (black) to 1, and what was drawn for the images by
    step and parameter, as ``T1.1.angle`` of shape (N,): see ``cxr.preprocessing.transforms.parameters_of_steps``.

    Args:
        manifest: ``manifest.csv``.
        results: ``results/<config name>``, with ``preprocessing/<protocol>/split.csv`` and the ``arrays``.
        settings: by protocol: ``transforms`` (steps by name), ``arrays`` (names of those of the sizes that the
            transforms start from), ``image_size`` and ``seed``.
    """
    cohort = pd.read_csv(manifest)
    row_of = pd.Series(range(len(cohort)), index=cohort["path"])
    for protocol, chosen in settings.items():
        train = pd.read_csv(layout.split(results, protocol)).query("set == 'train'")["path"]
        places = np.unique(np.linspace(0, len(train) - 1, EXAMPLES).round().astype(int))
        rows = row_of[train.iloc[places]].to_numpy()
        arrays = (open_array(layout.array(results, name)) for name in chosen["arrays"])
        by_size = {array.shape[-1]: array for array in arrays}
        aspects = torch.from_numpy(aspect_ratios(cohort)[rows])
        generator = torch.Generator().manual_seed(chosen["seed"])
        shown: dict[str, Any] = {}
        for name, steps in chosen["transforms"].items():
            array = by_size[round(resize_of(steps) * chosen["image_size"])]
            images = load_images(array, rows, 255, torch.device("cpu"))
            uniforms = torch.rand(len(rows), draws_of(steps), generator=generator)
            shown[name] = apply_steps(images, uniforms, steps, chosen["image_size"], aspects)[:, 0].numpy()
            for step, parameters in enumerate(parameters_of_steps(uniforms, steps, chosen["image_size"])):
                shown |= {f"{name}.{step}.{key}": values.numpy() for key, values in parameters.items()}
        with written_whole(layout.transforms(results, protocol)) as part:
            np.savez_compressed(part, **shown)
