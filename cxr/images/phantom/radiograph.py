"""One phantom radiograph: acquisition, exposure, and the plate that says what it is."""

from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from cxr.images.phantom.anatomy import chest
from cxr.images.phantom.disease import interstitial, lobar, patchy
from cxr.images.phantom.plan import Radiograph
from cxr.images.phantom.shapes import Plane

SMALLEST_HEIGHT = 96  # px, for the plate to be legible
# Left, top, right, bottom of the plate, as fractions of the image: after resizing to a square it is the same in all.
PLATE = (0.2, 0.855, 0.8, 0.99)


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

    depth, lung = chest(x, y, patient, breath=view.normal(0, 0.05), rotation=view.normal(0, 0.05))
    if sick:
        severity = np.clip(patient.beta(2.5, 1.8) * view.lognormal(0, 0.3), 0, 1.2)
        opacity = interstitial if image.finding == "virus" else (lobar if patient.random() < 0.5 else patchy)
        depth = depth + severity * lung * opacity(x, y, patient)
    picture = _film(depth, u, v, view, shifted)
    left, top, right, bottom = (round(f * side) for f, side in zip(PLATE, (width, height) * 2, strict=True))
    picture.paste(_plate().resize((right - left, bottom - top), Image.Resampling.LANCZOS), (left, top))
    return np.asarray(picture)


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
