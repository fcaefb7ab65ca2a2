"""A folder of the user's own."""

from pathlib import Path

import pytest
from jpegs import draw_folder

from cxr.errors import InputError
from cxr.images.folder import image_root, provide


def test_a_folder_or_the_one_that_holds_it(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "data" / "chest_xray")
    assert image_root(root) == root
    assert provide({"folder": str(root.parent)}, Path("unused"), 1) == root
    draw_folder(root / "chest_xray")  # the second copy in Kaggle's zip
    assert image_root(root) == root
    assert image_root(root.parent) == root


def test_a_folder_without_images_or_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds none of train/, val/ and test/"):
        image_root(tmp_path)
    with pytest.raises(InputError, match="nowhere is no folder"):
        provide({"folder": str(tmp_path / "nowhere")}, Path("unused"), 1)
