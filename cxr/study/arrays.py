"""The names of the arrays in which all images are stored: which sizes and kinds the runs of a config read."""

from cxr.study.config import Study
from cxr.study.steps import resize_of


def array_name(study: Study, scale: float, protocol: str) -> str:
    """The name of the array of all images at ``scale`` x image_size: ``280px``, ``224px-antialias-average``."""
    return f"{round(scale * study.config['image_size'])}px{array_kind(study, protocol)}"


def array_kind(study: Study, protocol: str) -> str:
    """How the names of a protocol's arrays end, which tells how images were made grey and resized; maybe empty."""
    rules = study.rules(protocol)
    return ("-antialias" if rules["resize_antialias"] else "") + ("-average" if rules["grey"] == "average" else "")


def array_of_side(study: Study, side: int | None) -> str:
    """The name of the first protocol's array of ``side`` px, or of that at image_size where there is none.

    Given the side that all image files have, it is the array in which they are as they were.
    """
    size = side if side in array_sizes(study) else study.config["image_size"]
    return f"{size}px{array_kind(study, next(iter(study.protocols)))}"


def arrays_of(study: Study, experiment: str, protocol: str) -> list[str]:
    """The names of the arrays that a run reads: one for each size that its transforms start from."""
    used = [*study.spec(experiment, protocol)["training_set"], study.catalogue["evaluation_transform"]]
    transforms = study.transforms(protocol)
    scales = {resize_of(transforms[name]["steps"]) for name in used}
    return [array_name(study, scale, protocol) for scale in sorted(scales)]


def arrays_of_protocol(study: Study, protocol: str) -> list[str]:
    """The names of the arrays that a protocol's runs read."""
    experiments = study.experiments_under(protocol)
    return sorted({name for experiment in experiments for name in arrays_of(study, experiment, protocol)})


def array_kinds(study: Study) -> list[str]:
    """The kinds of arrays that the config's runs read."""
    return sorted({array_kind(study, protocol) for protocol in (*study.protocols, *study.flips)})


def array_sizes(study: Study) -> list[int]:
    """The sides in pixels that transforms start from, those of experiments that the config leaves out too.

    To add an experiment later then makes no array again, and no run.
    """
    transforms = [steps for protocol in study.protocols for steps in study.transforms(protocol).values()]
    return sorted({round(resize_of(transform["steps"]) * study.config["image_size"]) for transform in transforms})


def all_arrays(study: Study) -> list[str]:
    """The names of all arrays."""
    return sorted(f"{size}px{kind}" for size in array_sizes(study) for kind in array_kinds(study))
