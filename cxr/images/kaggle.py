"""Kaggle's edition of the data set, downloaded by Kaggle's own client into its cache."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from cxr.errors import InputError
from cxr.images.download import DAMAGED_ZIP, DISK_FULL, status_of
from cxr.images.folder import image_root
from cxr.images.mendeley import DATA_SET

# The version is pinned, so that a copy in Kaggle's cache is found without a network.
VERSION = "paultimothymooney/chest-xray-pneumonia/versions/2"
# Where Kaggle's page lets a browser download the same archive; what it answers tells whether one must be known there.
ADDRESS = "https://www.kaggle.com/api/v1/datasets/download/paultimothymooney/chest-xray-pneumonia"
DESCRIPTION = {"title": "Chest X-Ray Images (Pneumonia), Kaggle edition"} | DATA_SET


def provide(settings: Mapping[str, Any], folder: Path, threads: int) -> Path:
    """Return the folder in Kaggle's cache that holds the images; see ``cxr.images.sources.Source``.

    Raises:
        InputError: Kaggle cannot be reached, refuses, or sends a damaged archive; the disk is full.
    """
    return image_root(_downloaded())


def is_cached() -> bool:
    """Return whether Kaggle's cache holds the images."""
    from kagglehub.cache import Cache
    from kagglehub.handle import parse_dataset_handle

    return Cache().load_from_cache(parse_dataset_handle(VERSION)) is not None


def cache_folder() -> Path:
    """Return the folder of Kaggle's cache."""
    from kagglehub.config import get_cache_folder

    return Path(get_cache_folder())


def has_credentials() -> bool:
    """Return whether Kaggle's client finds credentials: in the environment, or in files of ``~/.kaggle``.

    Raises:
        InputError: ``kaggle.json`` is damaged.
    """
    from kagglehub.config import get_kaggle_credentials

    try:
        return get_kaggle_credentials() is not None
    except ValueError as error:
        raise InputError(f"{error}; make a new API token at https://www.kaggle.com/settings.") from None


def _downloaded() -> Path:
    import kagglehub
    from kagglehub.exceptions import BackendError, CredentialError, DataCorruptionError, KaggleEnvironmentError

    gave_up = (BackendError, CredentialError, DataCorruptionError, KaggleEnvironmentError, ValueError, *DAMAGED_ZIP)
    instead = "or choose the source 'mendeley', which needs no account"
    try:
        return Path(kagglehub.dataset_download(VERSION))
    except requests.HTTPError as error:
        status, remedy = status_of(error), "try later"
        if status in (401, 403):
            remedy = "make an API token at https://www.kaggle.com/settings and set KAGGLE_API_TOKEN to it"
        raise InputError(f"Kaggle answered HTTP {status} for {VERSION}; {remedy}, {instead}.") from error
    except requests.RequestException as error:
        raise InputError(f"Kaggle cannot be reached; check the network and run it again, {instead}.") from error
    except OSError as error:
        if error.errno in DISK_FULL:
            raise InputError(
                "The disk is full; Kaggle's archive and its images need 5 GB: free some, or set KAGGLEHUB_CACHE to a "
                "folder on a larger disk."
            ) from error
        raise
    except gave_up as error:
        # A damaged archive stays in Kaggle's cache, and the client would use it again.
        folder = Path(cache_folder(), "datasets", VERSION).parents[1]
        reason = " ".join(str(error).split()).removesuffix(".")
        raise InputError(
            f"Kaggle's client gave up ({reason}); correct this, delete {folder} and run it again, {instead}."
        ) from error
