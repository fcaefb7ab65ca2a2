"""``cxr explain``: maps at the image's own resolution, under names that are safe."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr.cli import main
from cxr.errors import InputError
from cxr.files import read_json
from cxr.prediction.explain import explain
from cxr.prediction.maps import SMALLEST, draw_maps
from cxr.prediction.trained import NOTICE


def test_each_image_has_a_map_of_both_classes_and_equal_names_do_not_collide(
    run: Path, xray: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "in" / "..b"
    odd.mkdir(parents=True)
    for name in ("ä ö; rm -rf.png", xray.name):
        Image.open(xray).resize((500, 410)).save(odd / name)
    explain([odd, xray], run=run, maps=tmp_path / "maps")
    index = read_json(tmp_path / "maps" / "maps.json")
    assert index["notice"] == NOTICE and len(index["maps"]) == 3
    names = [each["map"] for each in index["maps"]]
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == sorted([*names, "maps.json"])
    assert len(set(names)) == 3 and all(name.replace("-", "").replace("_", "")[:-4].isalnum() for name in names)
    with Image.open(tmp_path / "maps" / names[0]) as picture:
        assert picture.text["Comment"] == NOTICE
        assert picture.width > 2 * 500 and picture.height > 410
    with Image.open(tmp_path / "maps" / names[2]) as picture:
        assert picture.height > SMALLEST


def test_one_class_is_drawn_alone(run: Path, xray: Path, tmp_path: Path) -> None:
    explain([xray], run=run, maps=tmp_path / "both")
    explain([xray], run=run, maps=tmp_path / "one", target="PNEUMONIA")
    widths = [Image.open(next((tmp_path / name).glob("*.png"))).width for name in ("both", "one")]
    assert widths[1] < 0.7 * widths[0]


def test_the_xray_shows_where_a_map_is_zero_and_the_colour_where_it_is_not() -> None:
    grey = np.full((400, 400), 100, np.float32)
    values = np.zeros((400, 400), np.float32)
    values[100:150, 200:300] = 2.0
    picture = np.asarray(draw_maps(grey, {"a": values, "b": np.zeros_like(values)}, ["text"], NOTICE)).astype(int)
    top, left = next((y, x) for y in range(99) for x in range(99) if tuple(picture[y, x]) == (100, 100, 100))
    first = picture[top : top + 400, left : left + 400]
    coloured = np.ptp(first, axis=2) > 10
    np.testing.assert_array_equal(coloured, values > 0)
    assert (first[~coloured] == 100).all()


def test_layers_classes_and_runs_that_do_not_exist_are_refused_with_those_that_do(
    run: Path, xray: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no class 'pneumonia', only NORMAL and PNEUMONIA; did you mean 'PNEUMONIA'"):
        explain([xray], run=run, maps=tmp_path / "m", target="pneumonia")
    with pytest.raises(InputError, match=r"no layer 'conv9'.*conv1, conv2, conv3, conv4"):
        explain([xray], run=run, maps=tmp_path / "m", layer="conv9")
    with pytest.raises(InputError, match=f"{run}"):
        explain([xray], run=run / "x", maps=tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_files_that_cannot_be_used_are_listed_and_the_rest_is_drawn(run: Path, xray: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    arguments = [str(tmp_path / "a.png"), str(xray), "--run", str(run), "--maps", str(tmp_path / "m")]
    assert main(["explain", *arguments]) == 1
    index = read_json(tmp_path / "m" / "maps.json")
    assert len(index["maps"]) == 1 and "a.png is no JPEG" in index["failed"][0]["error"]
