"""What ``cohort.json`` tells of the images as a whole."""

from collections.abc import Mapping
from typing import Any

# Sources that deliver nothing but the study's images; a folder may hold others.
STUDY_SOURCES = ("kaggle", "mendeley", "embedded")


def is_of_study(cohort: Mapping[str, Any], published_counts: Mapping[str, Any]) -> bool:
    """Return whether the images are the study's, by their source or by their numbers.

    Args:
        cohort: ``cohort.json``.
        published_counts: the study's images by folder and class, ``dataset`` of ``paper/published/results.json``.
    """
    return cohort["source"] in STUDY_SOURCES or (not cohort["synthetic"] and cohort["counts"] == published_counts)


def is_resized(cohort: Mapping[str, Any]) -> bool:
    """Return whether all images have one size, which those of X-ray machines do not have: a resized copy."""
    return all(cohort[side]["min"] == cohort[side]["max"] for side in ("width", "height"))


def common_side(cohort: Mapping[str, Any]) -> int | None:
    """Return the width and height in px that all images have, or None if they have not one or are no squares."""
    return int(cohort["width"]["min"]) if is_resized(cohort) and cohort["width"] == cohort["height"] else None


def may_show_images(config: Mapping[str, Any], cohort: Mapping[str, Any], published_counts: Mapping[str, Any]) -> bool:
    """Return whether figures and paper may show the images: those of patients of one's own stay private.

    The config's ``show_images`` decides. Without it, the study's images, which are CC BY 4.0, and drawn ones are shown,
    also from a folder; others are not.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it.
        cohort: ``cohort.json``.
        published_counts: as for ``is_of_study``.
    """
    return bool(config.get("show_images", cohort["synthetic"] or is_of_study(cohort, published_counts)))
