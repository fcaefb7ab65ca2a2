"""One phantom radiograph: acquisition, exposure, and the plate that says what it is."""

from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from cxr.images.phantom.anatomy import chest
from cxr.images.phantom.disease import interstitial, lobar, patchy
from cxr.images.phantom.plan import Radiograph
from cxr.images.phantom.portable import (
    Plane,
    blurred,
    cosine_and_sine,
    exponential,
    lognormal,
    noise,
    normal,
    uniform,
)

SMALLEST_HEIGHT = 96  # px, for the plate to be legible
# Left, top, right, bottom of the plate as fractions of the image, so that it is the same in all after resizing.
PLATE = (0.2, 0.855, 0.8, 0.99)


def draw_radiograph(image: Radiograph, seed: int, scale: float) -> npt.NDArray[np.uint8]:
    """Return the grey levels of a phantom radiograph, shape (H, W), 0 (black) to 255, the plate included.

    Args:
        image: what to draw.
        seed: of the cohort.
        scale: size relative to the real originals.
    """
    depth, _, u, v, view = _exposed(image, seed, scale)
    picture = _film(depth, u, v, view, image.path.startswith("test/"))
    height, width = depth.shape
    left, top, right, bottom = (round(f * side) for f, side in zip(PLATE, (width, height) * 2, strict=True))
    # The weights of this filter are fractions; those of smoother filters are sines.
    picture.paste(_plate().resize((right - left, bottom - top), Image.Resampling.BILINEAR), (left, top))
    return np.asarray(picture)


def lungs_of(image: Radiograph, seed: int, scale: float) -> npt.NDArray[np.bool_]:
    """Return where the lungs of a phantom are, shape (H, W), exactly: the ground truth of ``draw_radiograph``.

    Args:
        image: what is drawn.
        seed: of the cohort.
        scale: size relative to the real originals.
    """
    _, lung, _, _, _ = _exposed(image, seed, scale)
    mask: npt.NDArray[np.bool_] = lung > 0.5
    return mask


def _exposed(image: Radiograph, seed: int, scale: float) -> tuple[Plane, Plane, Plane, Plane, np.random.Generator]:
    """Return optical depth, the lungs (0 to 1), the coordinates on the film, and the random numbers of the exposure."""
    patient = np.random.default_rng((seed, 1, image.patient))
    view = np.random.default_rng((seed, 2, image.view))
    sick, shifted = image.finding != "none", image.path.startswith("test/")
    # Sick children are examined lying, on smaller films, less straight: size and aspect ratio hint at the class.
    height = max(SMALLEST_HEIGHT, round(scale * lognormal(view, 1050 if sick else 1250, 0.24)))
    width = round(height * max(0.8, normal(view, 1.36 if sick else 1.23, 0.14) + 0.04 * shifted))
    reach = normal(view, 1.07, 0.07) - 0.03 * shifted  # half the image's height in body coordinates
    c, s = cosine_and_sine(normal(view, 0, 4.5 if sick else 3.0))
    across, down = normal(view, 0, 0.07), normal(view, 0, 0.07)
    row, column = np.indices((height, width), dtype=np.float32)
    u, v = (column - width / 2) * (2 * reach / height), (row - height / 2) * (2 * reach / height)
    x, y = c * u + s * v - across, c * v - s * u - down

    depth, lung = chest(x, y, patient, breath=normal(view, 0, 0.05), rotation=normal(view, 0, 0.05))
    if sick:
        # The third of four uniform numbers has the distribution Beta(3, 2).
        extent = sorted(patient.random() for _ in range(4))[2]
        severity = min(1.2, extent * lognormal(view, 1, 0.3))
        opacity = interstitial if image.finding == "virus" else (lobar if patient.random() < 0.5 else patchy)
        depth = depth + severity * lung * opacity(x, y, patient)
    return depth, lung, u, v, view


def _film(depth: Plane, u: Plane, v: Plane, view: np.random.Generator, shifted: bool) -> Image.Image:
    """Turn optical depth into grey levels, with borders of collimation and, on most images, a side marker.

    Args:
        depth: optical depth, shape (H, W).
        u: column, from the middle.
        v: row, from the middle, in the same units.
        view: random numbers for everything that differs between exposures.
        shifted: whether it is the acquisition of the test set, which is noisier and darker.
    """
    height, width = depth.shape
    soft = blurred(depth, uniform(view, 0.3, 0.9) * height / 200)
    # Fewer photons pass where the body is dense: the noise of their count grows with depth.
    grain = lognormal(view, 0.009, 0.4) * (1.3 if shifted else 1.0)
    exposed = soft + grain * exponential(0.7 * soft) * noise(view, (height, width))
    black, white = normal(view, 0.08, 0.05), normal(view, 1.12, 0.08)
    # Darkens the middle greys where positive, lightens them where negative.
    bend = max(-0.6, normal(view, 0.12 if shifted else 0.0, 0.22))
    light = np.clip((exposed - black) / (white - black), 0, 1)
    grey = 245 * light / (1 + bend * (1 - light))
    for side in (u, -u, v):
        if view.random() < 0.2:
            border, slant = uniform(view, 0.82, 0.97) * side.max(), normal(view, 0, 0.04)
            grey = np.where(side + slant * (u + v) > border, 4, grey)
    picture = Image.fromarray(grey.astype(np.uint8))
    if view.random() < 0.7:
        corner = (round(width * uniform(view, 0.03, 0.16)), round(height * uniform(view, 0.03, 0.3)))
        font = ImageFont.load_default(max(9, round(0.06 * height)))
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
