"""Every source writes where its images are, and can be chosen in the config."""

from pathlib import Path

from jpegs import draw_folder

from cxr.files import REPOSITORY, read_json
from cxr.images.inspection import list_images
from cxr.images.sources import SOURCES, provide_images
from cxr.study.schemas import read_yaml


def test_source_json(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "images")
    provide_images({"source": "folder", "folder": str(root)}, tmp_path / "unused", tmp_path / "source.json")
    written = read_json(tmp_path / "source.json")
    assert written["source"] == "folder"
    assert written["root"] == str(root)
    assert written["synthetic"] is False
    assert written["if_counts_differ"] == "warn"
    before = (tmp_path / "source.json").read_bytes()
    settings = {"source": "folder", "folder": str(root), "listing": "another digest of names and sizes"}
    provide_images(settings, tmp_path / "unused", tmp_path / "source.json")
    assert (tmp_path / "source.json").read_bytes() != before
    assert not (tmp_path / "unused").exists()


def test_phantoms_are_drawn(tmp_path: Path) -> None:
    counts = {split: {"NORMAL": 1, "PNEUMONIA": 1} for split in ("train", "val", "test")}
    settings = {"source": "phantom", "phantom": {"seed": 1, "counts": counts}}
    provide_images(settings, tmp_path / "images", tmp_path / "source.json")
    written = read_json(tmp_path / "source.json")
    assert written["synthetic"] is True
    assert len(list_images(Path(written["root"]))) == 6


def test_the_config_can_name_every_source_and_no_other() -> None:
    schema = read_yaml(REPOSITORY / "workflow/schemas/config.schema.yaml")
    assert set(schema["properties"]["data"]["properties"]["source"]["enum"]) == set(SOURCES)


def test_every_description_has_the_same_keys() -> None:
    keys = {"title", "synthetic", "licence", "citation", "if_counts_differ"}
    assert {name: set(source.DESCRIPTION) for name, source in SOURCES.items()} == dict.fromkeys(SOURCES, keys)
