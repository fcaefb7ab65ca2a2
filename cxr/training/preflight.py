"""What would stop the workflow later, found in seconds, before anything is downloaded or written.

Imports neither torch nor torchvision, which would take longer than all of it.
"""

import logging
import os
import shutil
import threading
from collections import defaultdict
from pathlib import Path

import requests

from cxr.errors import InputError
from cxr.images import kaggle, mendeley
from cxr.images.download import cache_folder
from cxr.study import layout
from cxr.study.arrays import all_arrays
from cxr.study.config import PAPER, Study
from cxr.study.device import has_gpu
from cxr.study.schemas import read_yaml
from cxr.study.settings import pretrained_backbone, weights_settings
from cxr.study.workload import image_count, trained_runs

log = logging.getLogger(__name__)

# The addresses that are asked; the second is the one under which torchvision's weights lie.
ADDRESSES = {"kaggle": kaggle.ADDRESS, "mendeley": mendeley.CHEST_XRAY_2017.url}
WEIGHTS = "https://download.pytorch.org/models/"
INSTEAD = "or run `make demo`, whose images are embedded"
SECONDS = 2.0


def check(study: Study, results: Path, here: bool = True) -> None:
    """Look for a GPU, the network, Kaggle's permission and room on the disk, as far as a config still needs them.

    Args:
        study: the config.
        results: ``results/<config name>``; what lies there needs not be made.
        here: whether jobs run on this machine, and not on the nodes of a cluster.

    Raises:
        InputError: a sentence for each thing that is missing. Weights that cannot be downloaded are a warning: the runs
            that need them are then left out.
    """
    source, backbones = _images_to_fetch(study, results), _weights_to_fetch(study, results)
    asked = {"images": ADDRESSES[source]} if source else {}
    answers = statuses_of(asked | ({"weights": WEIGHTS} if backbones else {}))
    found = [gpu_obstacle(study, results) if here else None, room_obstacle(room_needed(study, results, source))]
    if source:
        found.append(images_obstacle(source, answers["images"]))
    if backbones and answers["weights"] is None:
        instead = "taken from the archive" if "file" in study.config.get("runs", {}) else "not run"
        log.warning(
            "%s does not answer, and torch's cache does not hold the weights of %s: the runs that need them are %s.",
            *(WEIGHTS, " and ".join(backbones), instead),
        )
    obstacles = [sentence for sentence in found if sentence]
    if obstacles:
        raise InputError("\n".join(obstacles))


def gpu_obstacle(study: Study, results: Path) -> str | None:
    """Return a sentence where runs are still to be trained on a GPU and there is none."""
    left = any(not (layout.run(results, layout.place_of(*run)) / "run.json").exists() for run in trained_runs(study))
    if study.config["device"] != "cuda" or not left or has_gpu():
        return None
    return (
        "The config says 'device: cuda', but there is no GPU here that torch can use; write 'device: auto' or "
        "'device: cpu', or run it where nvidia-smi lists a GPU."
    )


def images_obstacle(source: str, status: int | None) -> str | None:
    """Return a sentence where images cannot be downloaded.

    Args:
        source: ``kaggle`` or ``mendeley``.
        status: HTTP status that its site answered without credentials, or None.
    """
    site = "/".join(ADDRESSES[source].split("/")[:3])
    if status is None:
        return f"{site} does not answer, and the images are not in the cache; check the network, {INSTEAD}."
    if source == "kaggle" and status in (401, 403) and not kaggle.has_credentials():
        return (
            "Kaggle wants to know who downloads the images, and there are no credentials; make an API token at "
            f"{site}/settings and set KAGGLE_API_TOKEN to it, or choose the source 'mendeley', which needs no account."
        )
    return None


def statuses_of(addresses: dict[str, str], seconds: float = SECONDS) -> dict[str, int | None]:
    """Return the HTTP status that each address answers, or None where there is no answer in time."""
    found: dict[str, int | None] = dict.fromkeys(addresses)

    def ask(name: str) -> None:
        try:
            with requests.get(addresses[name], timeout=seconds, stream=True, allow_redirects=False) as response:
                found[name] = response.status_code
        except requests.RequestException:
            log.debug("%s does not answer", addresses[name], exc_info=True)

    # In threads, since no timeout of requests bounds the look-up of a name.
    threads = [threading.Thread(target=ask, args=[name], daemon=True) for name in addresses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    return dict(found)


def room_needed(study: Study, results: Path, source: str | None) -> list[tuple[Path, str, int]]:
    """Return what is still to be written: the folder, what it is, and its bytes.

    Arrays have 2 bytes for each pixel of each image, checkpoints 4 for each parameter of the networks that
    ``paper/networks.yaml`` describes; other networks are small.

    Args:
        study: the config.
        results: ``results/<config name>``.
        source: where images are to be downloaded from, or None. The archive and the images in it take the same room.
    """
    names = [name for name in all_arrays(study) if not layout.array(results, name).exists()]
    images = image_count(study)
    arrays = sum(2 * images * int(name.partition("px")[0]) ** 2 for name in names)
    networks = read_yaml(PAPER / "networks.yaml")
    checkpoints = sum(
        4 * networks.get(study.spec(experiment, protocol)["model"]["backbone"], {"parameters": 0})["parameters"]
        for protocol, experiment, seed in trained_runs(study)
        if not (layout.run(results, layout.place_of(protocol, experiment, seed)) / "checkpoint.pt").exists()
    )
    needed = [(results, "arrays", arrays), (results, "checkpoints", checkpoints)]
    if source:
        cache = kaggle.cache_folder() if source == "kaggle" else cache_folder()
        needed.append((cache, "images", 2 * mendeley.CHEST_XRAY_2017.size))
    return needed


def room_obstacle(needed: list[tuple[Path, str, int]]) -> str | None:
    """Return a sentence where a disk has less room than all that is to be written to it."""
    disks: dict[int, list[tuple[Path, str, int]]] = defaultdict(list)
    for folder, what, size in needed:
        place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
        disks[place.stat().st_dev].append((place, what, size))
    for parts in disks.values():
        place, total = parts[0][0], sum(size for _, _, size in parts)
        free = shutil.disk_usage(place).free
        if free < total:
            listed = ", ".join(f"{what} {size / 1e9:.1f} GB" for _, what, size in parts if size)
            return (
                f"The disk of {place} has {free / 1e9:.1f} GB free, but {total / 1e9:.1f} GB are still to be written "
                f"to it ({listed}); free some, or work on a larger disk."
            )
    return None


def _images_to_fetch(study: Study, results: Path) -> str | None:
    """Return the source from which images are to be downloaded, or None."""
    source = str(study.config["data"]["source"])
    cached = {"kaggle": kaggle.is_cached, "mendeley": mendeley.is_cached}
    return source if source in cached and not layout.manifest(results).exists() and not cached[source]() else None


def _weights_to_fetch(study: Study, results: Path) -> list[str]:
    """Return the backbones whose weights torchvision is to download."""
    home = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")
    folder = Path(os.environ.get("TORCH_HOME", home)).expanduser() / "hub" / "checkpoints"
    pretrained = {pretrained_backbone(study, experiment, protocol) for protocol, experiment, _ in trained_runs(study)}
    return [
        backbone
        for backbone in sorted(name for name in pretrained if name)
        if weights_settings(study, backbone)["source"] == "torchvision"
        and not layout.weights(results, backbone).exists()
        and not any(folder.glob(f"{backbone}-*.pth"))
    ]
