"""A small result tree as the stages before the paper leave it: random predictions, honestly scored."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxr.claims.write import write_claims
from cxr.evaluation.agreement import write_agreement
from cxr.evaluation.facts import write_facts
from cxr.evaluation.run_metrics import write_metrics
from cxr.evaluation.uncertainty import write_uncertainty
from cxr.figures.data import read_figure_data
from cxr.figures.page_images import write_page_images
from cxr.figures.transforms import draw_transforms
from cxr.files import write_json
from cxr.preprocessing.duplicates import write_duplicates
from cxr.preprocessing.intensity import write_intensity
from cxr.study import layout
from cxr.study.arrays import array_of_side
from cxr.study.config import Study
from cxr.study.schemas import read_yaml
from cxr.study.settings import run_settings

PAPER = Path(__file__).parents[1] / "paper"

CONFIG = {
    "name": "toy",
    "device": "cpu",
    "threads": 1,
    "image_size": 64,
    "protocols": ["published"],
    "experiments": ["custom"],
    "seeds": [42],
    "limits": [{"experiments": ["*"], "epochs": 10}],
}
COUNTS = {
    "train": {"NORMAL": 250, "PNEUMONIA": 600},
    "val": {"NORMAL": 8, "PNEUMONIA": 8},
    "test": {"NORMAL": 114, "PNEUMONIA": 190},
}
TEST, VALIDATION = {"NORMAL": 60, "PNEUMONIA": 100}, {"NORMAL": 62, "PNEUMONIA": 98}
PUBLISHED = {
    "train": {"NORMAL": 1341, "PNEUMONIA": 3875},
    "val": {"NORMAL": 8, "PNEUMONIA": 8},
    "test": {"NORMAL": 234, "PNEUMONIA": 390},
}


def make_study(**changes: Any) -> Study:
    """The study's own experiments and protocols under a small config."""
    data = {"source": "phantom", "phantom": {"seed": 1, "counts": COUNTS}}
    return Study.from_config({**CONFIG, "data": data, **changes})


def write_tree(root: Path, study: Study, synthetic: bool = True) -> None:
    """Write all that a config makes before the paper, but for its figures."""
    write_cohort(root, synthetic)
    write_images(root, study)
    for protocol in study.protocols:
        write_preprocessing(root, study, protocol)
        for experiment in study.experiments:
            for seed in study.config["seeds"]:
                write_run(root, study, experiment, protocol, seed)
    weigh(root, study)
    data = read_figure_data(study.config, root, PAPER / "published")
    write_page_images(data, layout.figures(root) / "test_images.json")


def write_cohort(root: Path, synthetic: bool) -> None:
    """Write ``cohort.json`` of the size of the demo."""
    write_json(
        layout.cohort(root),
        {
            "source": "phantom" if synthetic else "folder",
            "root": "data/phantom",
            "title": "Drawn chest phantoms" if synthetic else "Chest X-ray images",
            "synthetic": synthetic,
            "licence": "CC0" if synthetic else "CC BY 4.0",
            "citation": "drawn by cxr" if synthetic else "Kermany et al., 2018",
            "counts": COUNTS,
            "published_counts": PUBLISHED,
            "etiology": {"none": 372, "bacteria": 500, "virus": 298, "unknown": 0},
            "modes": {"L": 1120, "RGB": 50},
            "rgb_by_folder": {"train/PNEUMONIA": 50, "test/PNEUMONIA": 0},
            "width": {"min": 80, "median": 131.5, "max": 190},
            "height": {"min": 60, "median": 98, "max": 160},
            "aspect_ratio_by_class": {"NORMAL": 1.21, "PNEUMONIA": 1.43},
            "width_by_class": {"NORMAL": 140, "PNEUMONIA": 121},
            "duplicates": {"groups": 3, "files": 6},
            "patients": {"coarse": 700, "fine": 731},
            "warnings": ["test/NORMAL holds 114 images; the study had 234."],
        },
    )


def predicted_images() -> list[tuple[str, str, int]]:
    """The path, set and label of each image that has predictions."""
    return [
        (f"test/{kind}/{name}-{index:03d}.jpeg", name, label)
        for name, sizes in (("validation", VALIDATION), ("test", TEST))
        for label, (kind, size) in enumerate(sizes.items())
        for index in range(size)
    ]


def write_preprocessing(root: Path, study: Study, protocol: str) -> None:
    """Write ``preprocessing.json``, ``transforms.npz`` and the figure of the transforms."""
    write_json(
        layout.preprocessing(root, protocol),
        {
            "protocol": protocol,
            "image_size": study.config["image_size"],
            "sets": {"train": {"NORMAL": 250, "PNEUMONIA": 250}, "validation": VALIDATION, "test": TEST},
            "test_rows_sha256": "ab" * 32,
            "normalisation": {
                "mean": 0.50123,
                "std": 0.24017,
                "mean_printed": 0.5455,
                "std_printed": 0.2587,
                "pixel_divisor": 225,
            },
            "training_images": {name: 2000 for name in study.experiments},
            "patient_overlap": {"fine": 51, "coarse": 58},
        },
    )
    rng = np.random.default_rng(0)
    images = smooth_images(10, rng) / (255 * 128)
    examples = layout.transforms(root, protocol)
    shifted: dict[str, Any] = {f"T{index}": np.roll(images, 5 * index, 2) for index in range(5)}
    drawn: dict[str, Any] = {
        "T1.1.angle": rng.uniform(-20, 20, 10),
        "T2.1.mirrored": np.ones(10, bool),
        "T3.1.brightness": rng.uniform(0.7, 1.3, 10),
        "T3.1.contrast": rng.uniform(0.9, 1.1, 10),
        "T3.1.brightness_first": rng.random(10) < 0.5,
        "T4.1.top": rng.integers(0, 17, 10),
        "T4.1.left": rng.integers(0, 17, 10),
        "T4.2.mirrored": rng.random(10) < 0.5,
        "T4.3.angle": rng.uniform(-5, 5, 10),
    }
    np.savez(examples, **shifted, **drawn)
    figures = layout.figures(root) / protocol
    figures.mkdir(parents=True, exist_ok=True)
    draw_transforms(examples, figures / "transforms.svg")


def smooth_images(count: int, rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """Return images of a few waves each, shape (count, 64, 64), in 1/128 grey levels; no two are alike."""
    steps = np.linspace(0, 2 * np.pi, 64)
    waves = np.cos(np.arange(1, 7)[:, None] * steps + rng.uniform(0, 6, (count, 6, 1)))
    pictures = np.einsum("nij,niw,nwk->njk", waves, rng.normal(0, 1, (count, 6, 6)), waves)
    low, high = pictures.min((1, 2), keepdims=True), pictures.max((1, 2), keepdims=True)
    stored: npt.NDArray[np.int16] = ((pictures - low) / (high - low) * 255 * 128).astype(np.int16)
    return stored


def write_images(root: Path, study: Study) -> None:
    """Write the manifest of some training images and of all with predictions, their array, and what is made of them."""
    rows = [
        (f"{split}/{kind}/{split}-{number:03d}.jpeg", kind, split, number, set_name)
        for split, count, set_name in (("train", 40, "train"), ("val", 4, ""))
        for kind in ("NORMAL", "PNEUMONIA")
        for number in range(count)
    ]
    rows += [
        (path, ("NORMAL", "PNEUMONIA")[label], "test", number, set_name)
        for number, (path, set_name, label) in enumerate(predicted_images())
    ]
    table = pd.DataFrame(rows, columns=["path", "class", "official_split", "number", "set"])
    viral = np.where(table["number"] % 2, "virus", "bacteria")
    patient = table["official_split"] + table["class"] + (table["number"] // 2).astype(str)
    rng = np.random.default_rng(1)
    images = smooth_images(len(table), rng)
    digests = table["path"].to_list()
    # Two identical files, and two that are nearly the same.
    digests[1], images[1], images[3] = digests[0], images[0], images[2] * 0.9
    manifest = table.assign(
        etiology=np.where(table["class"] == "NORMAL", "none", viral),
        patient_coarse=patient,
        patient_fine=patient,
        width=rng.integers(80, 190, len(table)),
        height=rng.integers(60, 160, len(table)),
        mode="L",
        sha256=digests,
    ).drop(columns=["number", "set"])
    layout.manifest(root).parent.mkdir(parents=True, exist_ok=True)
    manifest.to_csv(layout.manifest(root), index=False)
    used = table[table["set"] != ""].assign(label=(table["class"] == "PNEUMONIA").astype(int))
    for protocol in study.protocols:
        split = layout.split(root, protocol)
        split.parent.mkdir(parents=True, exist_ok=True)
        used[["path", "set", "label"]].to_csv(split, index=False)
    array = layout.array(root, array_of_side(study, None))
    array.parent.mkdir(parents=True, exist_ok=True)
    np.save(array, images)
    write_duplicates(dict(study.config), root, layout.duplicates(root))
    write_intensity(dict(study.config), root, layout.intensity(root))
    layout.first_batch(root).parent.mkdir(parents=True, exist_ok=True)
    inputs = images[:10, None] / (255 * 128) * 4 - 2
    np.savez(layout.first_batch(root), inputs=inputs, labels=np.arange(10) % 2, black=-2.0, white=2.0)


def write_run(root: Path, study: Study, experiment: str, protocol: str, seed: int) -> None:
    """Write the files of one run: predictions that are right about nine times in ten, and what follows from them."""
    rng = np.random.default_rng([seed, study.experiments.index(experiment)])
    place = layout.place_of(protocol, experiment, seed)
    folder = layout.run(root, place)
    folder.mkdir(parents=True)
    settings = run_settings(study, experiment, protocol, seed)
    rows = []
    for name, sizes in (("validation", VALIDATION), ("test", TEST)):
        for label, (kind, size) in enumerate(sizes.items()):
            logits = rng.normal(2.6 * label - 0.9, 1.5, size)
            for index, probability in enumerate(1 / (1 + np.exp(-logits))):
                path = f"test/{kind}/{name}-{index:03d}.jpeg"
                rows.append([path, name, label, index, index, f"{probability:.9g}", int(probability > 0.5)])
    _write_csv(
        folder / "predictions.csv",
        ["path", "set", "label", "patient_coarse", "patient_fine", "probability", "predicted"],
        rows,
    )
    epochs = np.arange(1, settings["epochs"] + 1)
    validation = 0.84 + rng.normal(0, 0.02, len(epochs))
    loss = 0.08 + 0.5 * np.exp(-epochs / 3)
    last = loss * rng.uniform(0.4, 1.8, len(epochs))
    columns = [epochs, np.full(len(epochs), 0.001), loss, 0.97 - 0.2 * np.exp(-epochs / 4), last, validation]
    _write_csv(
        folder / "history.csv",
        ["epoch", "learning_rate", "train_loss", "train_accuracy", "val_loss", "val_accuracy"],
        [[int(epoch), *(f"{value:.9g}" for value in values)] for epoch, *values in zip(*columns, strict=True)],
    )
    best = int(validation.argmax())
    write_json(
        folder / "run.json",
        {
            "status": "done",
            "settings": settings,
            "seed": seed,
            "best_epoch": best + 1,
            "best_val_accuracy": float(validation[best]),
            "parameters": {"total": 8747, "trainable": 8747},
            "weights": {"available": True, "original": True, "origin": "random", "seed": seed},
            "training_images": 2000,
            "steps_per_epoch": 200,
            "started": "2026-02-03T04:05:06+00:00",
            "epoch_seconds": [9.1] * len(epochs),
            "wall_seconds": 91.234,
            "peak_memory_mib": 812.4,
            "device": {"device": "cpu", "threads": 2},
            "code": {"version": "0.1.0", "commit": None, "dirty": None},
            "packages": {"python": "3.11.9", "torch": "2.9.0", "numpy": "2.1.0"},
            "hardware": {"processor": "A processor", "cores": 2, "system": "Linux"},
            "inputs": {"manifest": "cd" * 32, "split": "ef" * 32},
        },
    )
    rescore(root, place)


def write_explanation(root: Path, study: Study, experiment: str, protocol: str, seed: int) -> None:
    """Write what explains a run, with made-up numbers and maps of one warm corner; after ``write_run``.

    A network whose layers ``paper/explanations.yaml`` does not name has no explanation.
    """
    place = layout.place_of(protocol, experiment, seed)
    folder, model = layout.explanation(root, place), study.spec(experiment, protocol)["model"]
    every = read_yaml(PAPER / "explanations.yaml")
    if model["backbone"] not in every:
        return
    folder.mkdir(parents=True)
    rows = every[model["backbone"]]
    layers = {rows["shallow"]: 16, rows["deep"]: 2}
    with (layout.run(root, place) / "predictions.csv").open() as stream:
        tested = [row for row in csv.DictReader(stream) if row["set"] == "test"]
    names = {("1", "1"): "true positive", ("0", "0"): "true negative"}
    names |= {("0", "1"): "false positive", ("1", "0"): "false negative"}
    cases = {names[row["label"], row["predicted"]]: row["path"] for row in tested}
    maps: dict[str, Any] = {"paths": np.array(list(cases.values())), "case": np.array(list(cases))}
    for layer, size in layers.items():
        for target in (0, 1):
            maps[f"map/{layer}/{target}"] = np.zeros((len(cases), size, size), np.float16)
            maps[f"map/{layer}/{target}"][:, target, 0] = 1
    maps["filters"] = np.linspace(-1, 1, 64 * 49 * model["input_channels"]).reshape(64, -1, 7, 7).astype(np.float16)
    has_cam = "reason" not in rows["cam"] and "hidden" not in model.get("head", {})
    if has_cam:
        maps |= {f"cam/{target}": maps[f"map/{rows['deep']}/{target}"] - np.float16(0.5) for target in (0, 1)}
    if "trained" not in model:
        maps["filters_before"] = maps["filters"] / 2
    np.savez_compressed(folder / "maps.npz", **maps)
    summary = {"n": 160, "mean": 0.3, "quartiles": [0.2, 0.3, 0.4], "lung_area": 0.25, "without_relevance": 0}
    write_json(
        folder / "explanation.json",
        {
            "status": "done",
            "layers": {
                depth: {"name": name, "size": [size, size]}
                for depth, (name, size) in zip(("shallow", "deep"), layers.items(), strict=True)
            },
            "cam": {"defined": True, "layer": rows["cam"]["layer"], "relu": False, "elsewhere": {}}
            if has_cam
            else {"defined": False, "reason": "its head has 2 linear layers"},
            "relevance": {layer: {target: {"all": summary} for target in "01"} for layer in layers},
            "randomisation": {"steps": [{"spearman": 0.4, "n": 32}, {"spearman": None, "n": 0}]},
            "visible": {"whole": 0.9, "lungs": 0.6, "outside": 0.8},
        },
    )


def weigh(root: Path, study: Study) -> None:
    """Make agreement, uncertainty and verdicts again from all runs, and a baseline that is always the same."""
    if not layout.manifest(root).exists():
        write_images(root, study)
    config = dict(study.config)
    write_agreement(config, root, layout.evaluation(root, "agreement.json"))
    write_uncertainty(config, root, layout.evaluation(root, "uncertainty.json"), resamples=200)
    write_claims(config, root, layout.claims(root))
    score = {"n": 160, "accuracy": 0.625, "auroc": 0.5}
    majority = {"says": "nothing", "training_images": 500, "features": 0, "C": None, "metrics": {"test": score}}
    separable = {"train": 250, "test": 114, "auroc": 0.61}
    write_json(
        layout.evaluation(root, "baselines.json"),
        {
            "protocols": {protocol: {"majority-class": majority} for protocol in study.protocols},
            "shift": {
                "thumbnail": 32,
                "train_against_test": {"NORMAL": separable, "PNEUMONIA": separable},
                "cross_validated": {"auroc": 0.93},
                "official_test": {"auroc": 0.88},
            },
        },
    )

    write_facts(root, PAPER / "published" / "results.json", layout.evaluation(root, "facts.json"))


def write_pictures(root: Path, names: list[str]) -> None:
    """Write figures of the paper, empty ones, and their index."""
    folder = layout.figures(root) / "paper"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text('<svg width="9pt" height="9pt" viewBox="0 0 9 9"><g id="axes"/></svg>')
    index = {name: {"title": f"Title of {name}", "finding": f"What {name} shows."} for name in names}
    write_json(folder / "index.json", index)


def rescore(root: Path, place: str) -> None:
    """Make a run's metrics again from its predictions."""
    write_metrics([layout.run(root, place) / "predictions.csv"], [layout.metrics(root, place)])


def _write_csv(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
