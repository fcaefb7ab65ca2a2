"""How bright images are, by class and folder."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from result_tree import make_study, write_cohort

from cxr.files import read_json
from cxr.preprocessing.arrays import LEVEL
from cxr.preprocessing.intensity import write_intensity
from cxr.study import layout


def test_means_and_pixels_are_counted_by_folder_and_class(tmp_path: Path) -> None:
    study = make_study()
    write_cohort(tmp_path, synthetic=True)
    table = pd.DataFrame(
        [("train", "NORMAL", 0), ("train", "NORMAL", 100), ("train", "PNEUMONIA", 255), ("test", "NORMAL", 30)],
        columns=["official_split", "class", "level"],
    )
    table.to_csv(layout.manifest(tmp_path), index=False)
    images = np.repeat(table["level"].to_numpy(np.int16) * LEVEL, 64 * 64).reshape(-1, 64, 64)
    layout.array(tmp_path, "64px").parent.mkdir(parents=True)
    np.save(layout.array(tmp_path, "64px"), images)
    write_intensity(dict(study.config), tmp_path, layout.intensity(tmp_path))
    found = read_json(layout.intensity(tmp_path))
    normal = found["groups"]["train"]["NORMAL"]
    assert (normal["images"], normal["mean"]) == (2, 50) and normal["sd"] == pytest.approx(50 * 2**0.5)
    assert normal["means"][0] == normal["means"][100 // 8] == 1 and sum(normal["means"]) == 2
    assert normal["pixels"][0] == normal["pixels"][100 // 4] == 0.5 and sum(normal["pixels"]) == pytest.approx(1)
    assert found["groups"]["train"]["PNEUMONIA"]["pixels"][-1] == 1
    assert found["groups"]["test"]["NORMAL"]["sd"] is None, "one image has no spread"
    assert found["groups"]["val"]["PNEUMONIA"]["pixels"] is None
