"""Baselines that keep the networks honest, and the shift between the official training and test images.

A network that sees the lungs should beat a classifier that knows an image's size, its brightness, or 32 x 32 pixels of
it. What a classifier learns from the lungs alone, from everything else, and from nothing but the outline of the lungs,
says where in the images the classes differ. All are logistic regressions with an L2 penalty on standardised features,
fitted and chosen on the same sets as the networks. The regressions run on the CPU within seconds and draw nothing at
random.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from cxr.evaluation.predictions import read_predictions
from cxr.evaluation.run_metrics import metrics_of, youden_threshold
from cxr.evaluation.thumbnails import THUMBNAIL, thumbnails_of, thumbnails_of_parts
from cxr.files import write_json, written_whole
from cxr.images.names import CLASSES
from cxr.preprocessing.arrays import open_array
from cxr.preprocessing.lungs import read_lungs
from cxr.study import layout
from cxr.study.arrays import array_name
from cxr.study.config import Study

# Inverse strengths of the penalty among which validation chooses, as the networks' epoch is chosen there.
STRENGTHS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)
# The shift analysis has no validation set: a strength in the middle, and folds as usual.
SHIFT_STRENGTH = 0.01
FOLDS = 5
FOLD_SEED = 0

Features = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Baseline:
    """What a baseline knows of the images.

    Attributes:
        says: what that is, in words.
        features: shape (N, F), row i for row i of the manifest; NaN in a row of which nothing is known, as features of
            a fixed network are only kept for images that some run reads. Such training images are left out.
    """

    says: str
    features: Features


def baselines_of(
    manifest: pd.DataFrame,
    thumbnails: npt.NDArray[np.float32],
    parts: Mapping[str, Features],
    frozen: Mapping[str, Features],
) -> dict[str, Baseline]:
    """Return the baselines by name.

    Args:
        manifest: ``manifest.csv``, N rows.
        thumbnails: of ``thumbnails_of``, shape (N, 1024).
        parts: of ``thumbnails_of_parts``.
        frozen: by backbone, what ``frozen_features`` returns.
    """
    width, height = manifest["width"].to_numpy(float), manifest["height"].to_numpy(float)
    # Area averages keep an image's mean.
    brightness = thumbnails.mean(axis=1, dtype=np.float64)
    return {
        "majority-class": Baseline(
            "nothing but the share of the classes among the training images", np.empty((len(manifest), 0))
        ),
        "image-size": Baseline(
            "the logarithms of width and height of the image file, and its aspect ratio",
            np.stack([np.log(width), np.log(height), width / height], axis=1),
        ),
        "mean-intensity": Baseline("the mean grey level of the image", brightness[:, None]),
        "thumbnail": Baseline(f"{THUMBNAIL} x {THUMBNAIL} pixels, averaged by area", thumbnails),
        "thumbnail-lungs": Baseline(
            "the thumbnail with all but the lungs replaced by the image's mean", parts["lungs"]
        ),
        "thumbnail-surroundings": Baseline(
            "the thumbnail with the lungs replaced by the image's mean", parts["surroundings"]
        ),
        "lungs-outline": Baseline("the mask of the lungs, without any grey level", parts["outline"]),
    } | {
        f"frozen-{backbone}": Baseline(f"the last features of a fixed, pretrained {backbone}", features)
        for backbone, features in frozen.items()
    }


def frozen_features(path: Path, transform: str, images: int) -> Features | None:
    """Return the features of a file of ``cxr.training.features``, shape (images, F), NaN where it has none.

    Args:
        path: the npz file.
        transform: the transform under which images are seen: T0.
        images: N, the number of rows of the manifest.

    Returns:
        None where the file holds nothing, since the pretrained weights were unavailable.
    """
    with np.load(path) as stored:
        if f"{transform}.rows" not in stored:
            return None
        rows, found = stored[f"{transform}.rows"], stored[f"{transform}.features"]
    features = np.full((images, found.shape[1]), np.nan, np.float32)
    features[rows] = found
    return features


def classifier(strength: float) -> Pipeline:
    """Return a logistic regression on standardised features; ``strength`` is scikit-learn's C."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))


def fit_baseline(features: Features, members: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Fit a baseline to the training set; validation chooses the penalty by its cross entropy.

    Features that are the same for all training images tell nothing and are left out. Without any, the probability is
    the share of PNEUMONIA in the training set.

    Args:
        features: shape (N, F).
        members: rows of ``split.csv`` with the manifest's ``row``.

    Returns:
        The members of the other sets with the ``probability`` of PNEUMONIA, and facts: ``training_images``,
        ``features`` (how many differ between training images) and ``C`` (null if the baseline is constant).
    """
    known = ~np.isnan(features.sum(axis=1))
    held_out = members[members["set"] != "train"]
    train = members[(members["set"] == "train") & known[members["row"]]]
    validation = members[members["set"] == "validation"]
    told = features[:, np.ptp(features[train["row"]], axis=0) > 0]
    facts = {"training_images": len(train), "features": told.shape[1]}
    if told.shape[1] == 0:
        return held_out.assign(probability=train["label"].mean()), {**facts, "C": None}
    models = {strength: classifier(strength).fit(told[train["row"]], train["label"]) for strength in STRENGTHS}
    losses = {
        strength: log_loss(validation["label"], model.predict_proba(told[validation["row"]])[:, 1], labels=[0, 1])
        for strength, model in models.items()
    }
    best = min(losses, key=lambda strength: losses[strength])
    probability = models[best].predict_proba(told[held_out["row"]])[:, 1]
    return held_out.assign(probability=probability), {**facts, "C": best}


def write_baseline(
    baseline: Baseline, members: pd.DataFrame, manifest: pd.DataFrame, predictions: Path
) -> dict[str, Any]:
    """Fit a baseline, write its ``predictions.csv`` and return its facts and metrics.

    A probability of half counts as PNEUMONIA, the larger class before the training set is balanced.
    """
    table, facts = fit_baseline(baseline.features, members)
    table["predicted"] = (table["probability"] >= 0.5).astype(int)
    table = table.merge(manifest[["path", "patient_coarse", "patient_fine"]], on="path")
    columns = ["path", "set", "label", "patient_coarse", "patient_fine", "probability", "predicted"]
    with written_whole(predictions) as part:
        table[columns].to_csv(part, index=False, float_format="%.9g")
    rows = read_predictions(predictions)
    threshold = youden_threshold(rows[rows["set"] == "validation"])
    metrics = {str(name): metrics_of(group, threshold) for name, group in rows.groupby("set", sort=False)}
    return {"says": baseline.says, **facts, "metrics": metrics}


def out_of_fold(features: Features, label: npt.NDArray[np.int64], patients: pd.Series) -> Features | None:
    """Return the probability of label 1 of each image by a classifier that saw no image of its patient.

    Returns:
        Shape (N,); None where one of the labels has fewer patients than there are folds.
    """
    if min(patients[label == value].nunique() for value in (0, 1)) < FOLDS:
        return None
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=FOLD_SEED)
    probability: Features = cross_val_predict(
        classifier(SHIFT_STRENGTH), features, label, groups=patients, cv=folds, method="predict_proba"
    )[:, 1]
    return probability


def shift_of(manifest: pd.DataFrame, thumbnails: npt.NDArray[np.float32]) -> dict[str, Any]:
    """Return how far the official training and test images differ, as a linear classifier of thumbnails sees it.

    Folds are grouped by the coarse patient key, so that a child in both folders is never learnt and tested. The
    out-of-fold probabilities of all folds are judged together.

    Args:
        manifest: ``manifest.csv``, N rows.
        thumbnails: shape (N, 1024).

    Returns:
        ``train_against_test``: by class, the images of both (``train``, ``test``) and the ``auroc`` with which test
        images are told from training images of the class; 0.5 is no shift. ``cross_validated`` and ``official_test``:
        what ``metrics_of`` returns for NORMAL against PNEUMONIA in cross-validation inside the official training
        images, and on the official test images after a fit to all of those. Null where patients or images are too few.
    """
    label = manifest["class"].map(CLASSES.index).to_numpy()
    part, patients = manifest["official_split"], manifest["patient_coarse"]
    separability = {}
    for value, name in enumerate(CLASSES):
        rows = np.flatnonzero((label == value) & part.isin(["train", "test"]))
        is_test = (part.iloc[rows] == "test").to_numpy().astype(int)
        probability = out_of_fold(thumbnails[rows], is_test, patients.iloc[rows])
        separability[name] = {
            "train": int((is_test == 0).sum()),
            "test": int(is_test.sum()),
            "auroc": None if probability is None else float(roc_auc_score(is_test, probability)),
        }
    train, test = (np.flatnonzero(part == name) for name in ("train", "test"))
    inside = out_of_fold(thumbnails[train], label[train], patients.iloc[train])
    outside = None
    if inside is not None and len(test):
        model = classifier(SHIFT_STRENGTH).fit(thumbnails[train], label[train])
        outside = model.predict_proba(thumbnails[test])[:, 1]
    return {
        "train_against_test": separability,
        "cross_validated": _scored(label[train], inside),
        "official_test": _scored(label[test], outside),
    }


def _scored(label: npt.NDArray[np.int64], probability: Features | None) -> dict[str, Any] | None:
    if probability is None:
        return None
    predicted = (probability >= 0.5).astype(int)
    return metrics_of(pd.DataFrame({"label": label, "probability": probability, "predicted": predicted}))


def write_baselines(config: dict[str, Any], results: Path, baselines: Path, features: list[Path] | None = None) -> None:
    """Write ``baselines.json``, and for each protocol and baseline ``baselines/<protocol>/<baseline>.csv``.

    The tables have the columns of a run's ``predictions.csv`` and, in the same order, its images.

    Args:
        config: the config.
        results: ``results/<config name>``, with the manifest, the splits, the arrays and the lungs.
        baselines: the file to write. ``protocols``: by protocol and baseline ``says``, ``training_images``,
            ``features``, ``C`` and, by set, ``metrics`` (of ``metrics_of``). ``shift``: what ``shift_of`` returns, and
            the ``array``, the ``thumbnail`` side in pixels, ``C`` and ``folds`` it was found with.
        features: files of ``cxr.training.features``, ``<protocol>/<backbone>.npz``.
    """
    study = Study.from_config(config)
    manifest = pd.read_csv(layout.manifest(results))
    row_of = pd.Series(np.arange(len(manifest)), index=manifest["path"])
    arrays = {protocol: array_name(study, 1.0, protocol) for protocol in study.protocols}
    images = {name: open_array(layout.array(results, name)) for name in dict.fromkeys(arrays.values())}
    thumbnails = {name: thumbnails_of(of) for name, of in images.items()}
    masks = read_lungs(layout.lungs(results))
    parts = {name: thumbnails_of_parts(of, masks) for name, of in images.items()}
    found: dict[str, Any] = {}
    for protocol, array in arrays.items():
        split = pd.read_csv(layout.split(results, protocol))
        members = split.assign(row=row_of[split["path"]].to_numpy())
        frozen = _frozen_of(protocol, features or [], study.catalogue["evaluation_transform"], len(manifest))
        folder = layout.evaluation(results, "baselines") / protocol
        found[protocol] = {
            name: write_baseline(baseline, members, manifest, folder / f"{name}.csv")
            for name, baseline in baselines_of(manifest, thumbnails[array], parts[array], frozen).items()
        }
    array = next(iter(arrays.values()))
    shift = {"array": array, "thumbnail": THUMBNAIL, "C": SHIFT_STRENGTH, "folds": FOLDS}
    write_json(baselines, {"protocols": found, "shift": shift | shift_of(manifest, thumbnails[array])})


def _frozen_of(protocol: str, features: Sequence[Path], transform: str, images: int) -> dict[str, Features]:
    chosen = {path.stem: frozen_features(path, transform, images) for path in features if path.parent.name == protocol}
    return {backbone: found for backbone, found in chosen.items() if found is not None}
