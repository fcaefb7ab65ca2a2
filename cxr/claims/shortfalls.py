"""What keeps results from being the study's own at full length."""

from cxr.evaluation.results import Results
from cxr.images.cohort import is_resized
from cxr.images.names import listed
from cxr.study.config import Study

# The size at which the study's networks see images (preprint, section 3.1; notebook 1).
IMAGE_SIZE = 224


def shortfalls(study: Study, found: Results) -> list[str]:
    """Return what keeps results from being the study's own at full length, each in words; an empty list if they are."""
    cohort, config = found.cohort.plain(), study.config
    single = [rules["title"] for name, rules in study.protocols.items() if len(study.seeds(name)) == 1]
    where = "" if len(single) == len(study.protocols) else f" under {listed(single)}"
    faults = {
        "the images are drawn phantoms": cohort["synthetic"],
        "the images are not those of the study, by their numbers": cohort["counts"] != cohort["published_counts"],
        "all images have one size, so they are a resized copy of the originals": is_resized(cohort),
        f"images are seen at {config['image_size']} px, not at {IMAGE_SIZE}": config["image_size"] != IMAGE_SIZE,
        "limits shorten the training": bool(config.get("limits")),
        f"other weights stand in for the pretrained ones: {listed(found.stand_ins)}": bool(found.stand_ins),
        f"{len(found.not_run)} runs could not be run": bool(found.not_run),
        f"{len(found.missing)} runs are missing": bool(found.missing),
        f"there is one seed{where}": bool(single),
    }
    return [fault for fault, there in faults.items() if there]
