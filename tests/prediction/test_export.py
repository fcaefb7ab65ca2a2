"""``cxr export``: the same bytes for the same run, the same predictions from the file, and damage is noticed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from cxr.errors import InputError
from cxr.prediction.export import export
from cxr.prediction.exported import read_export
from cxr.prediction.predict import predict
from cxr.prediction.run_folder import read_run


@pytest.fixture
def file(run: Path, tmp_path: Path) -> Path:
    export(run, tmp_path / "network.safetensors")
    return tmp_path / "network.safetensors"


def test_equal_runs_give_equal_bytes(run: Path, file: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()


def test_predictions_from_the_file_are_those_from_the_folder(
    run: Path, file: Path, embedded: Path, tmp_path: Path
) -> None:
    for name, source in (("a", run), ("b", file)):
        predict([embedded / "test", embedded / "train"], run=source, csv=tmp_path / f"{name}.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_everything_comes_back(run: Path, file: Path) -> None:
    ours, theirs = read_run(run), read_export(file)
    assert json.loads(json.dumps(ours.facts)) == theirs.facts
    assert ours.own == theirs.own and len(ours.own) > 200
    assert ours.state.keys() == theirs.state.keys()
    assert all(torch.equal(ours.state[name], theirs.state[name]) for name in ours.state)
    np.testing.assert_array_equal(ours.likeness.precision, theirs.likeness.precision)
    assert (ours.likeness.limit, ours.likeness.aspects) == (theirs.likeness.limit, theirs.likeness.aspects)


def test_the_model_card_says_what_the_network_is(file: Path) -> None:
    card = file.with_suffix(".md").read_text()
    for words in ("Research use only", "small/published/custom/seed-42", "CC BY 4.0", "no medical device", "AUROC"):
        assert words in card
    assert "from random ones (seed 42)" in card and "{{" not in card
    assert "65" in card or "prevalence" not in card


def test_a_card_says_that_weights_are_not_the_studys(run: Path) -> None:
    from dataclasses import replace

    from cxr.prediction.export import model_card

    trained = read_run(run)
    weights = {"available": True, "original": False, "origin": "file small.pth"}
    facts = {**trained.facts, "record": {**trained.facts["record"], "weights": weights}}
    card = model_card(replace(trained, facts=facts), "x.safetensors")
    assert "file small.pth" in card and "not the study's pretrained weights" in card


@pytest.mark.parametrize("place", [0.02, 0.5, 0.99])
def test_a_flipped_bit_is_noticed(file: Path, place: float) -> None:
    content = bytearray(file.read_bytes())
    content[int(len(content) * place)] ^= 4
    file.write_bytes(content)
    with pytest.raises(InputError, match="damaged") as caught:
        read_export(file)
    assert str(file) in str(caught.value)


def test_other_files_are_refused_by_name(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    with pytest.raises(InputError, match="does not exist"):
        read_export(other)
    other.write_text("no such file")
    with pytest.raises(InputError, match="no safetensors file"):
        read_export(other)
    other.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(InputError, match="damaged"):
        read_export(other)
    save_file({"weight": torch.zeros(3)}, other)
    with pytest.raises(InputError, match="not written by `cxr export`"):
        read_export(other)
    with safe_open(file, "pt") as opened:
        content = json.loads(opened.metadata()["cxr"])
    save_file(load_file(file), other, {"cxr": json.dumps({**content, "version": 2})})
    with pytest.raises(InputError, match="version 2"):
        read_export(other)


def test_the_file_must_be_called_safetensors(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in .safetensors"):
        export(run, tmp_path / "network.pt")
    assert list(tmp_path.iterdir()) == []
