"""Compare what the study's author printed with what his own networks predict here, without training anything.

The repository Koldim2001/transfer_learning_CNN at f4ff152 holds these networks in ``models/``.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cxr.errors import InputError
from cxr.evaluation.run_metrics import decision_metrics
from cxr.files import read_json, sha256_of, write_json
from cxr.provenance import provenance
from cxr.study import layout
from cxr.study.arrays import array_name
from cxr.study.config import PAPER, Study
from cxr.study.published import printed_row
from cxr.study.settings import run_settings
from cxr.study.steps import resize_of
from cxr.training.checkpoint_predictions import predict_with_checkpoint
from cxr.training.tables import write_table

# A checkpoint is judged as its author judged it, which is what this protocol is.
PROTOCOL = "published"


def verify_checkpoint(checkpoint: Path, experiment: str, results: Path, record: Path, threads: int = 1) -> None:
    """Test a checkpoint of the author's on the published split, and compare the result with the printed one.

    It runs on the CPU, as the study did. Images are normalised with the printed constants, with which the network was
    trained; the constants of another copy of the images may differ.

    Args:
        checkpoint: a file of ``torch.save``: the whole network, or its state_dict.
        experiment: whose network it is, an id of ``paper/experiments.yaml``.
        results: ``results/<config name>``, with manifest, arrays and preprocessing of the protocol ``published``.
        record: JSON to write. ``file``, ``sha256``, ``experiment``, ``protocol``, ``image_size``, ``normalisation``;
            ``network``: the facts of ``load_checkpoint``;
            ``here`` and ``printed``: ``accuracy`` and ``confusion_matrix`` ([[TN, FP], [FN, TP]]) on the test set;
            ``printed``, or one of its two values, is null where the study prints none;
            ``equal``: whether the printed values are the same here (accuracy to four decimals), null without any;
            ``images``: ``title``, ``synthetic``, ``width`` and ``height`` (min, median and max in pixels) and
            ``one_size``, true where all images have the same size and so are not the originals;
            and ``cxr.provenance``. ``predictions.csv`` is written beside it, with the columns of
            ``cxr.training.train`` and with the validation set.
        threads: CPU threads.

    Raises:
        InputError: the file is refused, damaged, or does not fit the experiment; or the results lack something.
    """
    files = {
        "manifest": layout.manifest(results),
        "cohort": layout.cohort(results),
        "split": layout.split(results, PROTOCOL),
        "preprocessing": layout.preprocessing(results, PROTOCOL),
    }
    _check_there(files.values())
    preprocessing = read_json(files["preprocessing"])
    study = _study_of(experiment, preprocessing["image_size"])
    settings = run_settings(study, experiment, PROTOCOL, 0)
    scale = resize_of(settings["transforms"][settings["evaluation_transform"]])
    array = layout.array(results, array_name(study, scale, PROTOCOL))
    _check_there([array])

    published = read_json(PAPER / "published" / "results.json")
    constants = {key: published["normalisation"][key] for key in ("mean", "std", "pixel_divisor")}
    predictions, network = predict_with_checkpoint(
        checkpoint, settings, files["manifest"], files["split"], array, constants, threads
    )

    test = predictions[predictions["set"] == "test"]
    metrics = decision_metrics(test["label"].to_numpy(), test["predicted"].to_numpy())
    here = {key: metrics[key] for key in ("accuracy", "confusion_matrix")}
    row = printed_row(study.catalogue["experiments"][experiment].get("published"), published["metrics"])
    printed = row and {"accuracy": row["test_accuracy_printed"], "confusion_matrix": row["confusion_matrix"]}
    images = read_json(files["cohort"])
    content = {
        "file": checkpoint.name,
        "sha256": sha256_of(checkpoint),
        "experiment": experiment,
        "protocol": PROTOCOL,
        "network": network,
        "image_size": settings["image_size"],
        "normalisation": constants,
        "here": here,
        "printed": printed,
        "equal": printed and _equal(here, printed),
        "images": {key: images[key] for key in ("title", "synthetic", "width", "height")}
        | {"one_size": all(images[side]["min"] == images[side]["max"] for side in ("width", "height"))},
        **provenance(files),
    }
    write_table(record.with_name("predictions.csv"), predictions)
    write_json(record, content)
    print(summary_of(content))


def _check_there(files: Iterable[Path]) -> None:
    for file in files:
        if not file.exists():
            raise InputError(f"{file} does not exist; make it with snakemake, from a config with protocol {PROTOCOL}.")


def _study_of(experiment: str, image_size: int) -> Study:
    """Return a study of one experiment under the protocol, for its settings; its data source is never used."""
    return Study.from_config(
        {
            "name": "checkpoint",
            "data": {"source": "mendeley"},
            "device": "cpu",
            "image_size": image_size,
            "protocols": [PROTOCOL],
            "experiments": [experiment],
            "seeds": [0],
        }
    )


def _equal(here: Mapping[str, Any], printed: Mapping[str, Any]) -> bool:
    # Half a unit of the fourth decimal, and what a float may be off by.
    same_accuracy = abs(here["accuracy"] - printed["accuracy"]) <= 0.5e-4 + 1e-9
    return same_accuracy and printed["confusion_matrix"] in (None, here["confusion_matrix"])


def summary_of(record: Mapping[str, Any]) -> str:
    """Return two lines for the terminal: what the checkpoint does here, and how that compares with what is printed."""
    here, printed, images = record["here"], record["printed"], record["images"]
    subject = f"{record['experiment']}, {record['file']}, at {record['image_size']} px"
    first = f"{subject}: test accuracy {here['accuracy']:.4f}, {_words(here)}"
    if printed is None:
        second = "the study prints no result of it"
    else:
        verdict = "the same" if record["equal"] else "not the same"
        second = f"printed: test accuracy {printed['accuracy']:.4f}, {_words(printed)}: {verdict}"
    if images["synthetic"]:
        second += "; the images here are drawn phantoms"
    elif images["one_size"]:
        second += "; the images here are a resized copy, not the originals"
    return f"{first}\n{second}"


def _words(result: Mapping[str, Any]) -> str:
    matrix = result["confusion_matrix"]
    return f"[[TN, FP], [FN, TP]] = {matrix}" if matrix else "no confusion matrix"
