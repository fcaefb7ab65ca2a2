"""Read a finished run, and what lies beside it in the same results, as a trained network."""

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from cxr.errors import InputError
from cxr.files import read_json, sha256_of
from cxr.images.cohort import is_resized
from cxr.images.names import listed
from cxr.prediction.calibration import calibration_of
from cxr.prediction.likeness import Likeness, fit_likeness
from cxr.prediction.own_images import TRAINING, own_images
from cxr.prediction.trained import TrainedNetwork
from cxr.preprocessing.arrays import open_array, parse_name
from cxr.preprocessing.transforms import aspect_ratios
from cxr.study import layout
from cxr.study.arrays import array_name
from cxr.study.config import Study
from cxr.study.protocols import PAPER, flipped, protocol_of, read_experiments
from cxr.study.steps import resize_of
from cxr.training.archive import check_outputs
from cxr.training.sets import members_of_sets

CHECKPOINT = "checkpoint.pt"
RECORDED = ("best_epoch", "best_val_accuracy", "parameters", "weights", "training_images", "device", "code", "packages")


def read_run(folder: Path) -> TrainedNetwork:
    """Read a run's folder, ``results/<name>/training/runs/<protocol>/<experiment>/seed-<seed>``.

    Raises:
        InputError: the folder is no run's, the run is not finished, or a file of it is missing or was changed since;
            runs that can be used are listed.
    """
    place, results = _place_of(folder)
    record = read_json(folder / "run.json")
    settings, protocol = record["settings"], record["settings"]["protocol"]
    manifest_file, split_file = layout.manifest(results), layout.split(results, protocol)
    preprocessing_file, cohort_file = layout.preprocessing(results, protocol), layout.cohort(results)
    study = _study_of(protocol, settings["image_size"])
    scale = resize_of(settings["transforms"][settings["evaluation_transform"]])
    array = layout.array(results, array_name(study, scale, protocol))
    for file in (manifest_file, split_file, preprocessing_file, cohort_file, array):
        if not file.exists():
            raise InputError(f"{file} does not exist, which the run was made from; make it again with snakemake.")
    for name, file in (("manifest", manifest_file), ("split", split_file), ("preprocessing", preprocessing_file)):
        if record["inputs"][name] != sha256_of(file):
            raise InputError(f"{file} is not the one that {folder} was made from; restore it, or train the run again.")
    check_outputs(folder)
    manifest, cohort = pd.read_csv(manifest_file), read_json(cohort_file)
    members = members_of_sets(settings, manifest, pd.read_csv(split_file))
    training = members[TRAINING]
    metrics_file = layout.metrics(results, place)
    metrics = read_json(metrics_file) if metrics_file.exists() else None
    constants = read_json(preprocessing_file)["normalisation"]
    _, antialias, grey = parse_name(array)
    return TrainedNetwork(
        facts={
            "name": f"{results.name}/{place.removeprefix('runs/')}",
            "settings": settings,
            "antialias": antialias,
            "grey": grey,
            "mean": constants["mean"],
            "std": constants["std"],
            "calibration": calibration_of(metrics, cohort) if metrics else None,
            "metrics": metrics and {name: _numbers(values) for name, values in metrics.items()},
            "cohort": {key: cohort[key] for key in ("title", "licence", "citation", "synthetic", "counts")}
            | {"resized": is_resized(cohort)},
            "record": {key: record[key] for key in RECORDED}
            | {
                "checkpoint": record["outputs"][CHECKPOINT],
                "images": {name: len(rows) for name, rows in members.items()},
            },
        },
        state=_state(folder, record),
        likeness=_likeness(array, members, manifest, is_resized(cohort)),
        own=own_images(
            training["path"].tolist(),
            pd.read_csv(folder / "predictions.csv"),
            dict(zip(manifest["path"], manifest["sha256"], strict=True)),
        ),
    )


def _place_of(folder: Path) -> tuple[str, Path]:
    """Return the name of a run and its results, after checking that it is finished."""
    if not folder.is_dir() or not (folder / "run.json").is_file():
        raise InputError(f"{folder} is no folder of a run; {_finished_near(folder)}")
    record = read_json(folder / "run.json")
    if record["status"] != "done":
        raise InputError(f"{folder} was not run ({record.get('reason', 'no reason given')}); {_finished_near(folder)}")
    if not (folder / CHECKPOINT).is_file():
        raise InputError(
            f"{folder} has no {CHECKPOINT}, as runs of an archive have none; train it, or choose another: "
            f"{_finished_near(folder)}"
        )
    settings = record["settings"]
    place = layout.place_of(settings["protocol"], settings["experiment"], settings["seed"])
    folder = folder.absolute()
    results = folder.parents[min(4, len(folder.parents) - 1)]
    if layout.run(results, place) != folder:
        raise InputError(f"{folder} does not lie in its results as training/{place}; name it there.")
    return place, results


def _finished_near(folder: Path) -> str:
    """Name the runs with a checkpoint in the results that a path leads into, and in those of the working folder."""
    parts = folder.absolute().parts
    roots = [Path("results").absolute() / "*"]
    if "training" in parts:
        roots.insert(0, Path(*parts[: parts.index("training")]))
    found = dict.fromkeys(str(run) for root in roots for run in _finished(root))
    return f"runs that can be used: {listed(found)}." if found else "no finished run was found; train one first."


def _finished(root: Path) -> Iterator[Path]:
    for checkpoint in sorted(root.parent.glob(f"{root.name}/training/runs/*/*/seed-*/{CHECKPOINT}")):
        record = checkpoint.with_name("run.json")
        if record.is_file() and read_json(record)["status"] == "done":
            yield checkpoint.parent


def _study_of(protocol: str, image_size: int) -> Study:
    """Return a study that knows one protocol, flipped ones included, for the name of its array."""
    first, _, row = protocol.partition("~")
    catalogue = read_experiments(PAPER / "experiments.yaml")
    rules = protocol_of(PAPER, first, catalogue)
    return Study({"image_size": image_size}, catalogue, {protocol: flipped(rules, row, catalogue) if row else rules})


def _state(folder: Path, record: Mapping[str, Any]) -> dict[str, Tensor]:
    path = folder / CHECKPOINT
    again = f"restore it, or delete {folder} and train the run again"
    if sha256_of(path) != record["outputs"][CHECKPOINT]:
        raise InputError(f"{path} is not the file that the run wrote: it has another SHA-256; {again}.")
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise InputError(f"{path} cannot be read ({str(error).splitlines()[0]}); {again}.") from None
    return state


def _likeness(array: Path, members: Mapping[str, pd.DataFrame], manifest: pd.DataFrame, resized: bool) -> Likeness:
    rows = members[TRAINING]["row"].to_numpy()
    ratios = aspect_ratios(manifest)[rows]
    # In a copy of one size, the width and height of the radiographs are lost.
    aspects = None if resized else (float(ratios.min()), float(ratios.max()))
    return fit_likeness(open_array(array), rows, members["validation"]["row"].to_numpy(), aspects)


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in values.items() if isinstance(value, int | float)}
