"""Configs and the data of paper/: what is accepted, what is refused, and with which words."""

import copy
import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest

from cxr.errors import InputError
from cxr.files import REPOSITORY
from cxr.study.arrays import all_arrays, array_name, arrays_of
from cxr.study.config import PAPER, Study, read_experiments, read_protocol
from cxr.study.image_source import image_source, listing_digest
from cxr.study.schemas import coerced, read_yaml
from cxr.study.settings import run_settings

DEMO = read_yaml(REPOSITORY / "config" / "phantom.yaml")


@pytest.mark.parametrize("name", ["config", "demo", "dev", "phantom", "reference"])
def test_shipped_configs_are_valid(name: str) -> None:
    study = Study.from_config(read_yaml(REPOSITORY / "config" / f"{name}.yaml"))
    assert study.results == f"results/{study.config['name']}"
    for protocol in study.protocols:
        for experiment in study.experiments:
            assert set(arrays_of(study, experiment, protocol)) <= set(all_arrays(study))


def test_a_protocol_may_have_fewer_seeds() -> None:
    config = {**DEMO, "seeds": [42, 43, 44], "fewer_seeds": {"corrected": 1}, "ablations": []}
    study = Study.from_config(config)
    assert (study.seeds("published"), study.seeds("corrected")) == ([42, 43, 44], [42])
    seeds = {protocol: {seed for of, _, seed in study.runs() if of == protocol} for protocol in study.protocols}
    assert seeds == {name: set(study.seeds(name)) for name in study.protocols}


def test_fewer_seeds_of_a_protocol_that_is_not_run_are_refused() -> None:
    with pytest.raises(InputError, match=r"fewer_seeds names the protocol 'corected'.*corrected"):
        Study.from_config({**DEMO, "fewer_seeds": {"corected": 1}})


def changed(path: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(DEMO)
    *parents, last = path.split(".")
    place = config
    for key in parents:
        place = place[key]
    place[last] = value
    return config


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("imagesize", 64, ["'imagesize'", "did you mean 'image_size'?"]),
        ("data.phantom.sed", 1, ["'data.phantom'", "'sed'", "did you mean 'seed'?"]),
        ("zzz", 1, ["'zzz'", "known keys are name,"]),
        ("device", "cudaa", ["'device'", "did you mean 'cuda'?"]),
        ("seeds", "42", ["'seeds'"]),
        ("seeds", [1, 1], ["'seeds'"]),
        ("image_size", 50, ["'image_size'", "16"]),
        ("experiments", ["custm"], ["'custm'", "did you mean 'custom'?"]),
        ("protocols", ["publishd"], ["'publishd'", "did you mean 'published'?"]),
        ("name", "../x", ["'name'"]),
        ("data.phantom.counts.val.NORMAL", 0, ["NORMAL", "minimum"]),
    ],
)
def test_bad_configs_are_one_sentence(path: str, value: Any, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        Study.from_config(changed(path, value))
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_strings_of_the_command_line_become_what_the_schema_wants() -> None:
    given = {
        "seeds": ["42", "43"],
        "threads": "2",
        "one_process": "true",
        "gpu_mb": {"resnet18": "4000"},
        "data": {"source": "phantom", "phantom": {"seed": "1", "counts": "{train: {NORMAL: 2, PNEUMONIA: 3}}"}},
        "limits": "[{experiments: [custom], epochs: 3}]",
        "experiments": ["custom"],
        "weights": {"resnet18": "none"},
        "name": "2024",
    }
    assert coerced(given, "config") == {
        "seeds": [42, 43],
        "threads": 2,
        "one_process": True,
        "gpu_mb": {"resnet18": 4000},
        "data": {"source": "phantom", "phantom": {"seed": 1, "counts": {"train": {"NORMAL": 2, "PNEUMONIA": 3}}}},
        "limits": [{"experiments": ["custom"], "epochs": 3}],
        "experiments": ["custom"],
        "weights": {"resnet18": "none"},
        "name": "2024",
    }
    assert coerced({"seeds": "[1", "image_size": "large"}, "config") == {"seeds": "[1", "image_size": "large"}


def test_missing_key_is_named() -> None:
    config = {key: value for key, value in DEMO.items() if key != "device"}
    with pytest.raises(InputError, match="'device' is missing"):
        Study.from_config(config)


def test_folder_names_an_environment_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    study = Study.from_config(read_yaml(REPOSITORY / "config" / "dev.yaml"))
    monkeypatch.delenv("CXR_DATA", raising=False)
    with pytest.raises(InputError, match=r"'\$CXR_DATA', an environment variable"):
        image_source(study)
    monkeypatch.setenv("CXR_DATA", str(tmp_path / "missing"))
    with pytest.raises(InputError, match="missing' does not exist"):
        image_source(study)
    monkeypatch.setenv("CXR_DATA", str(tmp_path))
    assert image_source(study)["folder"] == str(tmp_path)


def test_listing_digest_sees_files_and_sizes_and_no_touch(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    image = tmp_path / "train" / "a.jpeg"
    image.write_bytes(b"12")
    first = listing_digest(tmp_path)
    image.touch()
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert listing_digest(tmp_path) == first
    image.write_bytes(b"123")
    second = listing_digest(tmp_path)
    image.rename(image.with_name("b.jpeg"))
    assert len({first, second, listing_digest(tmp_path)}) == 3


def test_links_to_folders_are_followed_unless_they_lead_back(tmp_path: Path) -> None:
    images, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    for folder in (images / "train", elsewhere):
        folder.mkdir(parents=True)
    before = listing_digest(images)
    (images / "test").symlink_to(elsewhere)
    (elsewhere / "a.jpeg").write_bytes(b"1")
    assert listing_digest(images) != before
    (images / "train" / "broken.jpeg").symlink_to("nowhere.jpeg")
    (images / "train" / "itself.jpeg").symlink_to("itself.jpeg")
    listing_digest(images)
    for place, target in ((images / "train" / "up", ".."), (images / "here", tmp_path), (elsewhere / "back", images)):
        place.symlink_to(target)
        with pytest.raises(InputError, match=f"{place.name} is a symbolic link to a folder that holds it; remove"):
            listing_digest(images)
        place.unlink()


def test_run_settings_hold_everything_that_decides_a_run() -> None:
    study = Study.from_config(read_yaml(REPOSITORY / "config" / "config.yaml"))
    settings = run_settings(study, "custom", "published", 42)
    assert settings["epochs"] == 25 and settings["batch_size"] == 10 and settings["pixel_divisor"] == 225
    assert settings["transforms"]["T4"] == [{"resize": 1.25}, {"crop": 1.0}, {"mirror": 0.5}, {"rotate": [-5, 5]}]
    limits = [{"experiments": ["cust*"], "epochs": 3}, {"experiments": ["resnet18-*"], "epochs": 1}]
    limited = run_settings(Study.from_config(changed("limits", limits)), "custom", "published", 42)
    assert limited["epochs"] == 3


def test_published_arrays_are_224_and_280() -> None:
    study = Study.from_config(read_yaml(REPOSITORY / "config" / "config.yaml"))
    assert arrays_of(study, "custom", "published") == ["224px", "280px"]
    corrected = Study.from_config(changed("protocols", ["corrected", "described"]))
    assert array_name(corrected, 1.0, "corrected") == f"{DEMO['image_size']}px-antialias"
    assert array_name(corrected, 1.0, "described") == f"{DEMO['image_size']}px-average"


@pytest.mark.parametrize(
    ("text", "change", "words"),
    [
        ("- pixel-scale", "- pixel-scales", "unknown row 'pixel-scales'; did you mean 'pixel-scale'"),
        ("resnet18-III", "resnet18-IIII", "no experiment is called 'resnet18-IIII'"),
        ("batch_size: 30", "batchsize: 30", "unknown key 'batchsize'; did you mean 'batch_size'"),
        ("{resize: 1.0}]", "{mirror: 1.0}]", "exactly one step 'resize'"),
        ("grey: average", "gray: average", "did you mean 'grey'"),
    ],
)
def test_a_protocol_that_names_what_is_not_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, change: str, words: str
) -> None:
    shutil.copytree(PAPER, tmp_path / "paper")
    described = tmp_path / "paper" / "protocols" / "described.yaml"
    described.write_text(described.read_text().replace(text, change))
    monkeypatch.setattr("cxr.study.config.PAPER", tmp_path / "paper")
    with pytest.raises(InputError, match=words):
        read_protocol("described")


def test_a_protocol_takes_a_row_once_and_the_studys_own_take_the_same_rows() -> None:
    rows = set(read_yaml(PAPER / "discrepancies.yaml"))
    assert len(rows) == 28
    taken = {
        file.stem: [row for rows in read_protocol(file.stem)["takes"].values() for row in rows]
        for file in (PAPER / "protocols").glob("*.yaml")
    }
    for mine in taken.values():
        assert len(mine) == len(set(mine)) and set(mine) <= rows
    assert set(taken["published"]) == set(taken["described"]) == set(taken["corrected"])


def test_the_study_has_22_experiments_and_the_default_config_runs_all_under_three_protocols_with_five_seeds() -> None:
    experiments = read_experiments(PAPER / "experiments.yaml")["experiments"]
    assert sum(row["source"].startswith(("preprint", "notebook")) for row in experiments.values()) == 22
    study = Study.from_config(read_yaml(REPOSITORY / "config" / "config.yaml") | {"ablations": []})
    assert list(study.protocols) == ["published", "described", "corrected"] and len(study.config["seeds"]) == 5
    assert set(study.runs()) == set(itertools.product(study.protocols, experiments, study.config["seeds"]))


def test_unknown_transform_is_refused(tmp_path: Path) -> None:
    text = (PAPER / "experiments.yaml").read_text().replace("training_set: [T1, T2, T3, T4]", "training_set: [T1, T22]")
    (tmp_path / "experiments.yaml").write_text(text)
    with pytest.raises(InputError, match=r"unknown transform 'T22'; did you mean 'T2'\?"):
        read_experiments(tmp_path / "experiments.yaml")


def test_broken_yaml_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("name: demo\n  data: [")
    with pytest.raises(InputError, match=r"broken\.yaml line 2"):
        read_yaml(tmp_path / "broken.yaml")


def test_protocols_validate() -> None:
    for file in (PAPER / "protocols").glob("*.yaml"):
        assert read_protocol(file.stem)["title"]
