"""How much a config asks of a machine: the runs that are trained here, and how many images pass through networks."""

import os

from cxr.study.config import Study, expanded
from cxr.study.layout import place_of
from cxr.study.settings import pretrained_backbone, run_settings, uses_features, weights_settings

# Images of the data set, and how many of them are left for training after the classes were balanced (notebook 1).
ALL_IMAGES, TRAINING_IMAGES = 5856, 2682
# What the custom CNN takes for one image of 224 px on two cores, in seconds, and how many times that a ResNet takes:
# good to tell minutes from hours, which is all that it is used for.
SECONDS, TIMES = 0.005, 20


def image_count(study: Study) -> int:
    """Return the number of images of a config's source; of a folder, the number of all its files."""
    data = study.config["data"]
    if data["source"] == "phantom":
        return sum(sum(classes.values()) for classes in data["phantom"]["counts"].values())
    if data["source"] == "folder":
        folder = expanded(data["folder"], f"config '{study.config['name']}': data.folder")
        return sum(len(files) for _, _, files in os.walk(folder, followlinks=True))
    return ALL_IMAGES


def trained_runs(study: Study) -> list[tuple[str, str, int]]:
    """Return protocol, experiment and seed of the runs that are trained here: not archived, nor without weights."""
    return [
        (protocol, experiment, seed)
        for protocol, experiment, seed in study.runs()
        if not study.is_archived(place_of(protocol, experiment, seed))
        and not _lacks_weights(study, experiment, protocol)
    ]


def _lacks_weights(study: Study, experiment: str, protocol: str) -> bool:
    backbone = pretrained_backbone(study, experiment, protocol)
    return backbone is not None and weights_settings(study, backbone)["source"] == "none"


def images_per_epoch(study: Study, experiment: str, protocol: str, images: int) -> int:
    """Return how many images pass through the network of a run in an epoch, each once for every transform.

    Args:
        study: the config.
        experiment: id of the experiment.
        protocol: name of the protocol.
        images: of ``image_count``. The part of them that is for training is taken from the study.
    """
    settings = run_settings(study, experiment, protocol, study.config["seeds"][0])
    training = images * TRAINING_IMAGES // ALL_IMAGES
    if settings["training_rows"]:
        training = min(training, 2 * settings["training_rows"])
    return training * len(settings["training_set"])


def rough_seconds(study: Study) -> float:
    """Return roughly how long training takes on two cores; heads on stored features count nothing."""
    images, scale = image_count(study), (study.config["image_size"] / 224) ** 2
    total = 0.0
    for protocol, experiment, seed in trained_runs(study):
        if not uses_features(study, experiment, protocol):
            settings = run_settings(study, experiment, protocol, seed)
            times = TIMES if "head" in settings["model"] else 1
            passed = images_per_epoch(study, experiment, protocol, images) * settings["epochs"]
            total += passed * SECONDS * scale * times
    return total
