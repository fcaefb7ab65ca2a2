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
# What the process of a small network takes of the main memory once CUDA is loaded, in MB: an upper estimate.
CUDA_MB = 5000


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


def rough_seconds_of_run(study: Study, protocol: str, experiment: str, images: int) -> float:
    """Return roughly how long a run trains on two cores; a head on stored features counts nothing.

    Args:
        study: the config.
        protocol: name of the protocol.
        experiment: id of the experiment.
        images: of ``image_count``.
    """
    if uses_features(study, experiment, protocol):
        return 0.0
    settings = run_settings(study, experiment, protocol, study.config["seeds"][0])
    passed = images_per_epoch(study, experiment, protocol, images) * settings["epochs"]
    times = TIMES if "head" in settings["model"] else 1
    return float(passed * SECONDS * (study.config["image_size"] / 224) ** 2 * times)


def rough_seconds(study: Study) -> float:
    """Return roughly how long training takes on two cores; heads on stored features count nothing."""
    images = image_count(study)
    return sum(
        rough_seconds_of_run(study, protocol, experiment, images) for protocol, experiment, _ in trained_runs(study)
    )


def minutes_to_ask(study: Study, protocol: str, experiment: str, images: int) -> float:
    """Return the minutes that a run asks of a cluster: three times the rough time, and on a GPU a tenth of that.

    A run that is stopped by its limit continues when it is submitted again, with more time.
    """
    return rough_seconds_of_run(study, protocol, experiment, images) / 60 * (0.3 if on_gpu(study) else 3.0)


def memory_mb(study: Study) -> int:
    """Return the memory in MB that a job that trains asks for.

    On a CPU it grows with the area of an image, as measured of DenseNet-121 with batches of 30, the largest network:
    1,404 MiB at 64 px and 5,447 MiB at 224 px; a sixth is added. On a GPU the images' share lies on the GPU, but CUDA's
    libraries take memory at any size.
    """
    needed: int = 1200 + round(5100 * (study.config["image_size"] / 224) ** 2)
    return max(needed, CUDA_MB) if on_gpu(study) else needed


def on_gpu(study: Study) -> bool:
    """Return whether the config trains on a GPU."""
    return bool(study.config["device"] == "cuda")
