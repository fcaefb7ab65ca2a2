"""A cohort of phantom radiographs, drawn into a folder.

The drawings let the whole study run without the real images. No pixel comes from a patient, and each image says so in
a plate burned into it. The cohort shares with the real set (DOI 10.17632/rscbjbr9sj.2) what later stages must cope
with: Kaggle's folders and file names, images of many sizes whose aspect ratio differs between the classes, several
images of one patient, exact duplicates, RGB files in train/PNEUMONIA only, unbalanced classes, and a test set that is
a block of patient numbers with another acquisition. Some opacities are too faint to be seen.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from cxr.errors import InputError
from cxr.files import folder_written_whole
from cxr.images.names import CLASSES, SPLITS
from cxr.images.phantom.plan import Counts, Radiograph, plan_cohort
from cxr.images.phantom.radiograph import draw_radiograph
from cxr.progress import progress

NOTICE = "PHANTOM.txt"
COMMENT = b"PHANTOM - NOT A PATIENT - a drawing by cxr.images.phantom"
DESCRIPTION = {
    "title": "Drawn chest phantoms",
    "synthetic": True,
    "licence": "MIT, like the program that draws them",
    "citation": "",
    "if_counts_differ": "ignore",
}


def provide(settings: Mapping[str, Any], folder: Path, threads: int) -> Path:
    """Draw the cohort of the settings ``phantom`` into ``folder`` and return it; see ``cxr.images.sources.Source``.

    Raises:
        InputError: as ``draw_cohort``.
    """
    draw_cohort(folder, **settings["phantom"], workers=threads)
    return folder


def draw_cohort(folder: Path, *, seed: int, counts: Counts, scale: float = 1 / 7, workers: int = 1) -> None:
    """Draw a cohort of phantom radiographs in Kaggle's layout.

    The folder is written completely or not at all, and replaces an earlier cohort of phantoms only when it is complete.
    The same arguments give the same bytes, whatever the processor and the number of workers.

    Args:
        folder: will hold ``train/``, ``val/``, ``test/``, each with ``NORMAL/`` and ``PNEUMONIA/``, and
            ``PHANTOM.txt``.
        seed: seed of all random numbers, >= 0.
        counts: number of images by split and class, as ``{"train": {"NORMAL": 250, "PNEUMONIA": 600}, ...}``.
        scale: size of the drawings relative to the real originals, which are 400 to 2,900 px wide.
        workers: number of processes.

    Raises:
        InputError: ``folder`` exists and is no cohort of phantoms; to replace it could destroy somebody's data.
    """
    if folder.exists() and not (folder / NOTICE).is_file():
        raise InputError(f"{folder} exists and holds no {NOTICE}, so it may be real data; choose another folder.")
    cohort = plan_cohort(seed, counts)
    with folder_written_whole(folder) as part, _mapping(workers) as mapped:
        for split in SPLITS:
            for name in CLASSES:
                (part / split / name).mkdir(parents=True)
        (part / NOTICE).write_text(
            f"PHANTOM - NOT A PATIENT\n\nThe {len(cohort)} images in this folder are drawings by cxr.images.phantom "
            f"(seed {seed}).\nThey show no patient, and nothing measured on them is about patients.\n",
            encoding="utf-8",
        )
        drawn = mapped(partial(_write, part, seed, scale), cohort)
        for _ in progress(drawn, len(cohort), "images", "phantoms"):
            pass


def _write(folder: Path, seed: int, scale: float, image: Radiograph) -> None:
    picture = Image.fromarray(draw_radiograph(image, seed, scale))
    if image.colour:
        picture = picture.convert("RGB")
    picture.save(folder / image.path, "JPEG", quality=90, comment=COMMENT)


@contextmanager
def _mapping(workers: int) -> Iterator[Callable[..., Iterator[None]]]:
    """Yield a function like ``map`` that distributes its calls over processes."""
    if workers == 1:
        yield map
    else:
        # Spawned rather than forked, since the caller may have threads.
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_end_with_parent) as pool:
            yield partial(pool.map, chunksize=8)


def _end_with_parent() -> None:
    """End this worker when the main process is killed; it would otherwise wait for ever."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
