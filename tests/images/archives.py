"""Zip files as Kaggle and Mendeley Data publish them."""

import functools
import io
import zipfile

from jpegs import PATHS, jpeg

from cxr.images.mendeley import VALIDATION_IMAGES

TRAIN = [path for path in PATHS if path.startswith("train/")]
TEST = [path for path in PATHS if path.startswith("test/")]


def zip_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    return stream.getvalue()


@functools.cache
def published() -> bytes:
    """An archive as Mendeley Data's, of 3 MB, so that it travels in several pieces."""
    images = [*TRAIN, *TEST, *(f"train/{image}" for image in VALIDATION_IMAGES)]
    files = {f"chest_xray/{path}": jpeg(seed) for seed, path in enumerate(images)}
    files["chest_xray/train/NORMAL/IM-0115-0001.jpeg"] = jpeg(0, (2400, 1800))
    litter = [
        "chest_xray/.DS_Store",
        "chest_xray/train/.DS_Store",
        "__MACOSX/chest_xray/Icon",
    ]
    return zip_of(files | dict.fromkeys(litter, b"\0\5\26\7"))
