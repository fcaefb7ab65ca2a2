"""Small JPEG files of grey noise, in Kaggle's folders and with its names."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = {
    "train/NORMAL": ["IM-0115-0001.jpeg", "IM-0117-0001.jpeg", "NORMAL2-IM-0117-0001.jpeg"],
    "train/PNEUMONIA": ["person1_bacteria_1.jpeg", "person1_virus_6.jpeg", "person447_virus_921_1.jpeg"],
    "val/NORMAL": ["NORMAL2-IM-1427-0001.jpeg"],
    "val/PNEUMONIA": ["person1946_bacteria_4874.jpeg"],
    "test/NORMAL": ["IM-0001-0001.jpeg", "IM-0003-0001-0002.jpeg"],
    "test/PNEUMONIA": ["person100_bacteria_475.jpeg", "person100_bacteria_477.jpeg"],
}
PATHS = [f"{folder}/{name}" for folder, names in NAMES.items() for name in names]


def jpeg(seed: int, size: tuple[int, int] = (48, 40), mode: str = "L") -> bytes:
    """The bytes of a JPEG of noise, ``size`` being (width, height); another seed gives another image."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def draw_folder(root: Path, paths: list[str] = PATHS) -> Path:
    """Write one JPEG, different from all others, to each path below ``root``."""
    for seed, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        # Real originals differ in size; the last is a pixel wider than the others.
        (root / path).write_bytes(jpeg(seed, (49 if path == paths[-1] else 48, 40)))
    return root
