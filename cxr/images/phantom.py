"""A synthetic cohort of chest radiographs, so that the whole study runs without the real images.

Every image is drawn from formulae and random numbers: no pixel comes from a patient, and each image says so in a plate
burned into it. What the drawings share with the real set (DOI 10.17632/rscbjbr9sj.2) is what later stages must cope
with: Kaggle's folders and file names, images of many sizes whose aspect ratio differs between the classes, several
images of one patient, exact duplicates, RGB files in train/PNEUMONIA only, classes out of balance, and a test set that
is a block of patient numbers with another acquisition. A part of the opacities is too faint to be seen.

Anatomy lives in body coordinates: x to the patient's left (right in the image), y down, both in half widths of the
thorax, with the origin in the middle of the chest. Tissue adds optical depth, air removes it, and bright is dense.
"""

import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter, map_coordinates

from cxr.errors import InputError
from cxr.images.names import CLASSES, SPLITS
from cxr.progress import progress

Plane = npt.NDArray[Any]
Counts = Mapping[str, Mapping[str, int]]

NOTICE = "PHANTOM.txt"
COMMENT = b"PHANTOM - NOT A PATIENT - a drawing by cxr.images.phantom"
SMALLEST_HEIGHT = 96  # px, for the plate to be legible
# Left, top, right, bottom of the plate, as fractions of the image: after resizing to a square it is the same in all.
PLATE = (0.2, 0.855, 0.8, 0.99)


@dataclass(frozen=True)
class Radiograph:
    """One file of the cohort.

    Attributes:
        path: relative to the cohort's folder, POSIX.
        patient: number of the patient, which decides anatomy and disease.
        view: number of the exposure, which decides all else; exact duplicates share it.
        finding: ``none``, ``bacteria`` or ``virus``.
        colour: whether the JPEG is RGB.
    """

    path: str
    patient: int
    view: int
    finding: str
    colour: bool = False


def draw_cohort(folder: Path, *, seed: int, counts: Counts, scale: float = 1 / 7, workers: int = 1) -> None:
    """Draw a cohort of phantom radiographs in Kaggle's layout.

    The folder appears whole or not at all; what stood there stays until then. The same arguments give the same bytes,
    however many workers there are.

    Args:
        folder: to be made; it will hold ``train/``, ``val/``, ``test/``, each with ``NORMAL/`` and ``PNEUMONIA/``, and
            ``PHANTOM.txt``.
        seed: of all random numbers, >= 0.
        counts: number of images by split and class, as ``{"train": {"NORMAL": 250, "PNEUMONIA": 600}, ...}``.
        scale: size of the drawings relative to the real originals, which are 400 to 2,900 px wide.
        workers: processes that draw.

    Raises:
        InputError: ``folder`` exists and is no cohort of phantoms, so that drawing would destroy somebody's data.
    """
    if folder.exists() and not (folder / NOTICE).is_file():
        raise InputError(f"{folder} exists and holds no {NOTICE}, so it may be real data; choose another folder.")
    cohort = plan_cohort(seed, counts)
    with _whole_folder(folder) as part, _mapping(workers) as mapped:
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


@contextmanager
def _mapping(workers: int) -> Iterator[Callable[..., Iterator[None]]]:
    """Yield a ``map`` that spreads its calls over processes."""
    if workers == 1:
        yield map
    else:
        # Spawned, since the caller may hold threads, with which forking does not go together.
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_end_with_parent) as pool:
            yield partial(pool.map, chunksize=8)


def _end_with_parent() -> None:
    """Let a worker end when the main process is killed; it would wait for ever."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder beside ``folder`` to fill; on success it takes the place of ``folder``, on any error it goes.

    The names of what stands beside are fixed, so that a run sweeps up what a killed one left.
    """
    part, old = (folder.with_name(f".{folder.name}.{kind}") for kind in ("part", "old"))
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


# --- Which images there are -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Block:
    """Patients whose numbers follow each other, all in one split."""

    split: str
    share: float  # of the images of this split and class
    again: float  # probability that a patient has one more image
    gap: float  # mean count of numbers left out before each patient


# The real numberings in their order: bacterial patients 1 to 77 are in train, 78 to 175 in test, then train and val;
# viral ones 1 to 79 in test, then train, then test; both NORMAL series begin with test, and the second one reaches val.
_NUMBERINGS = {
    "NORMAL": {
        "IM-": (_Block("test", 0.29, 0.06, 0.6), _Block("train", 0.45, 0.13, 0.2)),
        "NORMAL2-IM-": (_Block("test", 0.71, 0.02, 1.3), _Block("train", 0.55, 0.07, 0.5), _Block("val", 1, 0, 0.8)),
    },
    "PNEUMONIA": {
        "bacteria": (
            _Block("train", 0.03, 0.46, 0),
            _Block("test", 0.62, 0.68, 0.3),
            _Block("train", 0.62, 0.46, 0.3),
            _Block("val", 1, 0.12, 0.3),
        ),
        "virus": (_Block("test", 0.20, 0.15, 0.2), _Block("train", 0.35, 0.19, 0.4), _Block("test", 0.18, 0.15, 0.3)),
    },
}
_DUPLICATES = 0.03  # of the further images of patients
_COLOUR = 283 / 3875  # of train/PNEUMONIA


def plan_cohort(seed: int, counts: Counts) -> list[Radiograph]:
    """Return the files of a cohort: names, patients and duplicates as in the real set.

    No patient is in two splits by the fine key; by the coarse one (``person12`` whether bacterial or viral) some are,
    as in the real set.

    Args:
        seed: >= 0.
        counts: number of images by split and class, at least 1 each.
    """
    random = np.random.default_rng((seed, 0))
    cohort: list[Radiograph] = []
    patients = count()
    for name, numberings in _NUMBERINGS.items():
        shared = dict.fromkeys(SPLITS, 0.0)
        for series, blocks in numberings.items():
            number = file = 0
            for block in blocks:
                wanted = counts[block.split][name]
                before = round(wanted * shared[block.split])
                shared[block.split] += block.share
                missing = round(wanted * shared[block.split]) - before
                while missing:
                    number += int(random.geometric(1 / (1 + block.gap)))
                    images = min(missing, int(random.geometric(1 - block.again)))
                    patient, missing = next(patients), missing - images
                    for image in range(1, images + 1):
                        file += 1
                        repeated = image > 1 and random.random() < _DUPLICATES
                        view = cohort[-1].view if repeated else len(cohort)
                        if name == "NORMAL":
                            stem = f"{series}{number:04d}-0001" + (f"-{image:04d}" if images > 1 else "")
                        else:
                            stem = f"person{number}_{series}_{file}"
                        finding = "none" if name == "NORMAL" else series
                        cohort.append(Radiograph(f"{block.split}/{name}/{stem}.jpeg", patient, view, finding))
    views = sorted({image.view for image in cohort if image.path.startswith("train/PNEUMONIA/")})
    coloured = set(random.choice(views, size=max(1, round(_COLOUR * len(views))), replace=False).tolist())
    return [replace(image, colour=image.view in coloured) for image in cohort]


# --- What an image shows ----------------------------------------------------------------------------------------------


def _edge(distance: Plane, width: float) -> Plane:
    """1 where the distance is positive, 0 where it is negative, smooth over ``width``."""
    t = np.clip(0.5 + distance / width, 0, 1)
    step: Plane = t * t * (3 - 2 * t)
    return step


def _bump(distance: Plane, width: Plane | float) -> Plane:
    """Depth of a cylinder of radius ``width`` at a distance from its axis, at most 1."""
    depth: Plane = np.sqrt(np.clip(1 - np.square(distance / width), 0, 1))
    return depth


def _oval(x: Plane, y: Plane, centre: tuple[float, float], axes: tuple[float, float], turn: float = 0.0) -> Plane:
    """Positive inside an ellipse, 1 in its middle, 0 on its outline; ``turn`` in radians, clockwise in the image."""
    u, v = x - centre[0], y - centre[1]
    c, s = np.cos(turn), np.sin(turn)
    inside: Plane = 1 - np.hypot((c * u + s * v) / axes[0], (c * v - s * u) / axes[1])
    return inside


def _texture(x: Plane, y: Plane, random: np.random.Generator, grain: float) -> Plane:
    """Random relief fixed to the body, mean 0 and standard deviation 1, with structures of about ``grain``."""
    cells = 128
    span = min(4.0, 24 * grain)  # repeats beyond
    relief = gaussian_filter(random.standard_normal((cells, cells)), grain / span * cells / 2, mode="wrap")
    at = np.stack([y, x]) / span * cells
    sampled: Plane = map_coordinates((relief / relief.std()).astype(np.float32), at, order=1, mode="grid-wrap")
    return sampled


def draw_radiograph(image: Radiograph, seed: int, scale: float) -> npt.NDArray[np.uint8]:
    """Return the grey levels of a phantom radiograph, shape (H, W), 0 (black) to 255, the plate included.

    Args:
        image: what to draw.
        seed: of the cohort.
        scale: size relative to the real originals.
    """
    patient = np.random.default_rng((seed, 1, image.patient))
    view = np.random.default_rng((seed, 2, image.view))
    sick, shifted = image.finding != "none", image.path.startswith("test/")
    # Acquisition. Sick children are examined lying, on smaller films, less straight: size and aspect tell the class.
    height = max(SMALLEST_HEIGHT, round(scale * view.lognormal(np.log(1050 if sick else 1250), 0.24)))
    width = round(height * max(0.8, view.normal(1.36 if sick else 1.23, 0.14) + 0.04 * shifted))
    reach = view.normal(1.07, 0.07) - 0.03 * shifted  # half the image's height in body coordinates
    turn = np.deg2rad(view.normal(0, 4.5 if sick else 3.0))
    across, down = view.normal(0, 0.07, 2)
    row, column = np.indices((height, width), dtype=np.float32)
    u, v = (column - width / 2) * (2 * reach / height), (row - height / 2) * (2 * reach / height)
    x = (np.cos(turn) * u + np.sin(turn) * v - across).astype(np.float32)
    y = (np.cos(turn) * v - np.sin(turn) * u - down).astype(np.float32)

    depth, lung = _chest(x, y, patient, breath=view.normal(0, 0.05), rotation=view.normal(0, 0.05))
    if sick:
        severity = np.clip(patient.beta(2.5, 1.8) * view.lognormal(0, 0.3), 0, 1.2)
        opacity = _interstitial if image.finding == "virus" else (_lobar if patient.random() < 0.5 else _patchy)
        depth = depth + severity * lung * opacity(x, y, patient)
    picture = _film(depth, u, v, view, shifted)
    left, top, right, bottom = (round(f * side) for f, side in zip(PLATE, (width, height) * 2, strict=True))
    picture.paste(_plate().resize((right - left, bottom - top), Image.Resampling.LANCZOS), (left, top))
    return np.asarray(picture)


def _chest(x: Plane, y: Plane, patient: np.random.Generator, breath: float, rotation: float) -> tuple[Plane, Plane]:
    """Return optical depth, about 0 (air) to 1 (spine), and the lungs as a plane of 0 to 1, both of the shape of ``x``.

    Args:
        x: body coordinate.
        y: body coordinate.
        patient: all that lasts from one exposure to the next is drawn from it.
        breath: how much lower than usual the diaphragm stands.
        rotation: sideways shift of what lies in front, in half widths of the thorax.
    """
    age = patient.random()  # 0 an infant, 1 an adolescent
    a, left = np.abs(x), (x > 0).astype(np.float32)
    # Neck, shoulders, flanks: half width of the body against height.
    levels, halves = (-1.7, -1.35, -1.15, -0.95, -0.7, -0.3, 1.5), (0.3, 0.36, 0.6, 1.2, 1.3, 1.14, 1.1)
    outline = np.interp(y, levels, halves).astype(np.float32)
    body = _edge(outline - a, 0.05)
    tissue = body * (0.35 + 0.65 * _bump(a, 1.45))
    # Arms leave the shoulders, hanging or lifted.
    lift = np.deg2rad(patient.uniform(-5, 60))
    u, v = a - 1.2, y + 0.78
    beyond = _edge(np.sin(lift) * u + np.cos(lift) * v, 0.1)
    off = np.cos(lift) * u - np.sin(lift) * v
    arm, humerus = beyond * _bump(off, 0.24), beyond * _bump(off, 0.075)

    # The lungs: what the ribs enclose, less mediastinum, heart and what lies under the diaphragm.
    wall: Plane = (1 - np.clip((0.6 - y) / (1.5 + 0.1 * age), 0, 1) ** 2.1) ** 0.58 - 0.06 * np.clip(y - 0.6, 0, 1)
    base = 0.40 + 0.12 * age + breath + patient.normal(0, 0.05)
    lateral = np.maximum(a - 0.45, 0)
    dome = base + left * patient.normal(0.05, 0.03) + 0.75 * np.square(lateral) * (1 + lateral)
    dome += 0.1 * np.square(a - 0.45)
    size = 1.0 + 0.12 * (1 - age) + patient.normal(0, 0.06)
    thymus = (1 - age) * patient.uniform(0, 0.16) * np.exp(-np.square((y + 0.4) / 0.25))
    # Borders of mediastinum and heart, as distances from the midline: right atrium; aortic knob, left ventricle.
    low = base + 0.05
    right = 0.15 + thymus + 0.14 * size * np.exp(-np.square((y - low + 0.12) / 0.3))
    knob = 0.07 * np.exp(-np.square((y + 0.42) / 0.11))
    left_border = 0.13 + thymus + knob + 0.46 * size / (1 + np.exp(-(y - low + 0.46) / 0.13))
    border = np.where(x < rotation, right, left_border)
    heart = _edge(border - np.abs(x - rotation), 0.08)
    cavity = _edge(wall - a, 0.05)
    lung = cavity * _edge(dome - y, 0.06) * (1 - 0.9 * heart)
    air = lung * (0.35 + 0.65 * np.sqrt(_bump(a, np.maximum(wall, 0.05))))

    depth = 0.24 * tissue + 0.46 * tissue * (1 - 0.95 * air) + 0.05 * heart * cavity
    depth += body * 0.07 * _edge(y - dome, 0.1) * cavity * (1 - 0.3 * left)
    depth += (1 - body) * 0.35 * arm + 0.28 * humerus * (1 - 0.5 * body)
    gas = _oval(x, y, (patient.uniform(0.35, 0.6), base + patient.uniform(0.18, 0.3)), (0.26, 0.13), -0.2)
    depth -= max(0.0, patient.uniform(-0.2, 0.25)) * _edge(gas, 0.3) * (1 - lung)
    depth += _bones(x, y, wall, lung, patient, age, rotation)
    # Vessels leave the hila like rays and thin out; some normal lungs are rich in them.
    hilum = np.hypot(a - 0.2, y + 0.02)
    angle = np.arctan2(y + 0.02, a - 0.2)
    far = np.log(hilum + 0.12)
    rays = _texture(2.2 * angle + 0.5 * far + 9 * left, 1.6 * far, patient, 0.22)
    rich = patient.uniform(0.05, 0.16)
    depth += lung * rich * np.exp(-hilum / 0.38) * np.clip(1.4 - 1.6 * np.abs(rays), -0.2, 1)
    depth += lung * 0.12 * np.exp(-np.square(hilum / 0.16))
    return depth, lung


def _bones(
    x: Plane, y: Plane, wall: Plane, lung: Plane, patient: np.random.Generator, age: float, rotation: float
) -> Plane:
    """Ribs, spine, clavicles and shoulder blades; and the trachea in front of the spine, of negative depth."""
    a = np.abs(x)
    spacing = 0.205 + 0.02 * age + patient.normal(0, 0.006)
    cage = _edge(wall + 0.05 - a, 0.06) * _edge(0.75 - y, 0.6)
    rim = 1 + 0.9 * np.exp(-np.square((wall - a) / 0.07))
    bend = 0.14 + 0.1 * age + patient.normal(0, 0.03)
    uneven = 0.08 * np.sin(2.5 * x + 1.5 * y + patient.uniform(0, 2 * np.pi))
    # Ribs repeat down the chest: the distance from the nearest one is a remainder.
    posterior = (y - bend * a - 0.45 * a**4 * (0.6 + 0.4 * age)) / spacing + uneven + patient.random()
    anterior = (y + (0.55 + 0.25 * age) * (a - 1)) / (1.15 * spacing) + uneven + patient.random()
    bones = 0.13 * cage * rim * (0.5 + 0.5 * lung) * _rib(posterior, 0.23) * _edge(a - 0.08, 0.1)
    bones += 0.07 * cage * _rib(anterior, 0.3) * _edge(a - 0.45, 0.4) * _edge(y + 0.75, 0.3)
    # Vertebrae with their discs, darkened above by the trachea.
    level = np.mod(y / 0.15 + patient.random(), 1)
    bones += 0.20 * _bump(x, 0.13) * (0.75 + 0.25 * _edge(np.abs(level - 0.5) - 0.1, 0.12))
    bones -= 0.14 * _bump(x - rotation - 0.01, 0.05) * _edge(-0.28 - y, 0.15)
    rise = patient.normal(0.2, 0.06)
    collar = y + 0.76 + rise * (a - 0.1) - 0.05 * np.sin(5 * a)
    bones += 0.17 * _bump(collar, 0.055) * _edge(a - 0.1, 0.06) * _edge(1.12 - a, 0.1)
    # The shoulder blade's inner margin.
    blade = _oval(a, y, (1.12, -0.45), (0.26, 0.5), 0.25)
    return bones + 0.07 * _edge(blade, 0.12)


def _rib(phase: Plane, half: float) -> Plane:
    """A tube: denser at its two cortical edges than in the middle."""
    distance = np.abs(np.mod(phase, 1) - 0.5)
    return _edge(half - distance, 0.1) * (0.7 + 0.5 * np.square(distance / half))


def _lobar(x: Plane, y: Plane, patient: np.random.Generator) -> Plane:
    """Consolidation of a lobe: dense up to the fissure."""
    side = 1 if patient.random() < 0.4 else -1
    fissure = y - patient.uniform(-0.25, 0.2) + patient.uniform(-0.3, 0.3) * np.abs(x)
    upper = patient.random() < 0.4
    part = _edge(-fissure if upper else fissure, patient.uniform(0.08, 0.35))
    reach = 1 - 0.5 * np.clip(np.abs(y - (-0.5 if upper else 0.55)) / 0.7, 0, 1)
    return 0.50 * part * reach * _edge(side * x, 0.1) * (0.85 + 0.15 * _texture(x, y, patient, 0.12))


def _patchy(x: Plane, y: Plane, patient: np.random.Generator) -> Plane:
    """Bronchopneumonia: several patches with blurred edges."""
    relief = 0.25 * _texture(x, y, patient, 0.12)
    patches = np.zeros_like(x)
    for _ in range(patient.integers(2, 6)):
        centre = (patient.choice([-1, 1]) * patient.uniform(0.25, 0.85), patient.uniform(-0.45, 0.65))
        size = patient.uniform(0.18, 0.4)
        patches = np.maximum(patches, patient.uniform(0.5, 1) * _edge(_oval(x, y, centre, (size, size)) + relief, 0.9))
    return 0.50 * patches


def _interstitial(x: Plane, y: Plane, patient: np.random.Generator) -> Plane:
    """Viral pneumonia: a net of thickened septa and streaks about both hila, and a faint veil."""
    net = 1 - np.abs(_texture(x, y, patient, 0.055)) * 1.6
    about = np.exp(-np.square(np.hypot(np.abs(x) - 0.25, y - 0.1) / patient.uniform(0.4, 0.9)))
    return about * (0.16 * np.clip(net, -0.3, 1) + 0.13)


def _film(depth: Plane, u: Plane, v: Plane, view: np.random.Generator, shifted: bool) -> Image.Image:
    """Expose and develop: from optical depth to grey levels, with collimation and, mostly, a side marker.

    Args:
        depth: optical depth, shape (H, W).
        u: column, from the middle.
        v: row, from the middle, in the same units.
        view: what differs between exposures is drawn from it.
        shifted: whether it is the other acquisition, that of the test set: noisier and darker.
    """
    height, width = depth.shape
    blurred = gaussian_filter(depth, view.uniform(0.3, 0.9) * height / 200)
    # Fewer photons pass where the body is dense: the noise of their count grows with depth.
    grain = 0.009 * view.lognormal(0, 0.4) * (1.3 if shifted else 1.0)
    exposed = blurred + grain * np.exp(0.7 * blurred) * view.standard_normal(depth.shape, dtype=np.float32)
    black, white = view.normal(0.08, 0.05), view.normal(1.12, 0.08)
    gamma = np.exp(view.normal(0.08 if shifted else 0.0, 0.16))
    grey = 245 * np.clip((exposed - black) / (white - black), 0, 1) ** gamma
    for side in (u, -u, v):
        if view.random() < 0.2:
            border, slant = view.uniform(0.82, 0.97) * side.max(), 0.04 * view.normal()
            grey = np.where(side + slant * (u + v) > border, 4, grey)
    picture = Image.fromarray(grey.astype(np.uint8))
    if view.random() < 0.7:
        corner = (width * view.uniform(0.03, 0.16), height * view.uniform(0.03, 0.3))
        font = ImageFont.load_default(max(9, 0.06 * height))
        ImageDraw.Draw(picture).text(corner, "R", fill=235, font=font)
    return picture


@cache
def _plate() -> Image.Image:
    plate = Image.new("L", (640, 200), 0)
    pen = ImageDraw.Draw(plate)
    pen.rectangle((6, 6, 633, 193), outline=255, width=8)
    pen.text((320, 72), "PHANTOM", fill=255, anchor="mm", font=ImageFont.load_default(122), stroke_width=3)
    pen.text((320, 152), "NOT A PATIENT", fill=255, anchor="mm", font=ImageFont.load_default(64), stroke_width=1)
    return plate


def _write(folder: Path, seed: int, scale: float, image: Radiograph) -> None:
    picture = Image.fromarray(draw_radiograph(image, seed, scale))
    if image.colour:
        picture = picture.convert("RGB")
    picture.save(folder / image.path, "JPEG", quality=90, comment=COMMENT)
