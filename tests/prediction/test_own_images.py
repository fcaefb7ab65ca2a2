"""An image that a run has predicted gets its place in its batch."""

import numpy as np
import pandas as pd

from cxr.prediction.own_images import BATCH, Batch, Place, arranged, as_arrays, from_arrays, own_images

PATHS = [f"test/{number:03d}.png" for number in range(70)]
PREDICTIONS = pd.DataFrame({"path": PATHS + PATHS[:3], "set": ["test"] * 70 + ["official_test"] * 3})
SHA256 = {path: f"{number:064x}" for number, path in enumerate(PATHS)} | {"train/a.png": "f" * 64}


def test_places_are_those_of_the_runs_batches() -> None:
    own = own_images(["train/a.png"], PREDICTIONS, SHA256)
    assert own[SHA256[PATHS[0]]] == [Place("test", 0, 0, BATCH)]
    assert own[SHA256[PATHS[69]]] == [Place("test", 1, 5, 6)]
    assert own["f" * 64] == [Place("train", -1, 0, 0)]


def test_known_files_stand_in_their_places_and_others_follow() -> None:
    own = own_images(["train/a.png"], PREDICTIONS, SHA256)
    batches, sets = arranged([SHA256[PATHS[69]], "0" * 63 + "x", None, SHA256[PATHS[2]], "f" * 64], own)
    assert batches == [Batch(6, {5: 0}), Batch(BATCH, {2: 3}), Batch(3, {0: 1, 1: 2, 2: 4})]
    assert sets == ["test", "", "", "test", "train"]


def test_equal_files_have_a_place_each_and_further_copies_go_with_the_others() -> None:
    own = own_images([], PREDICTIONS, SHA256 | {PATHS[1]: SHA256[PATHS[0]]})
    batches, sets = arranged([SHA256[PATHS[0]]] * 3, own)
    assert batches == [Batch(BATCH, {0: 0, 1: 1}), Batch(1, {0: 2})]
    assert sets == ["test"] * 3


def test_every_file_is_in_one_batch() -> None:
    hashes = [f"{number:064x}" for number in np.random.default_rng(0).integers(0, 140, 500)]
    batches, _ = arranged(hashes, own_images([], PREDICTIONS, SHA256))
    assert sorted(number for batch in batches for number in batch.files.values()) == list(range(500))
    assert all(max(batch.files) < batch.size <= BATCH for batch in batches)


def test_arrays_give_everything_back() -> None:
    own = own_images(["train/a.png"], PREDICTIONS, SHA256 | {PATHS[1]: SHA256[PATHS[0]]})
    assert from_arrays(*as_arrays(own)) == own
