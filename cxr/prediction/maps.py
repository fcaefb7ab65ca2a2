"""Draw class activation maps over an X-ray, as a picture that says what it is."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

COLOURS = "inferno"
SMALLEST = 384  # px; smaller X-rays are enlarged by a whole factor, for the text to be legible
OPACITY = 0.65  # of the strongest colour
PAPER, INK, WARNING = (255, 255, 255), (20, 20, 20), (176, 0, 32)

Plane = npt.NDArray[np.float32]


def draw_maps(grey: Plane, maps: Mapping[str, Plane], text: Sequence[str], notice: str) -> Image.Image:
    """Return one picture: the X-ray under each map, side by side, with one colour bar for all.

    Args:
        grey: the X-ray at its own resolution, shape (H, W), 0 to 255.
        maps: a map for each title, shape (H, W), from 0 in units of the logit. All share the scale from 0 to the
            largest value of any.
        text: lines below the picture.
        notice: a further line, in red.
    """
    height, width = grey.shape
    factor = -(-SMALLEST // min(height, width))
    font_size = max(14, round(factor * height / 40))
    font, gap = ImageFont.load_default(font_size), font_size
    highest = max(float(values.max()) for values in maps.values())
    panels = [(title, _overlaid(grey, values, highest, factor)) for title, values in maps.items()]
    bar_width, label_width = 2 * gap, 6 * gap
    wide = gap + len(panels) * (factor * width + gap) + bar_width + label_width
    tall = 3 * gap + factor * height + round((len(text) + 2) * 1.4 * font_size)
    picture = Image.new("RGB", (wide, tall), PAPER)
    draw = ImageDraw.Draw(picture)
    left, top = gap, 2 * gap + gap // 2
    for title, panel in panels:
        draw.text((left, gap // 2), title, INK, font)
        picture.paste(panel, (left, top))
        left += factor * width + gap
    picture.paste(_bar(bar_width, factor * height), (left, top))
    for place, value in ((0, highest), (1, 0.0)):
        at = (left + bar_width + gap // 2, top + place * (factor * height - font_size))
        draw.text(at, f"{value:.3g}", INK, font)
    line = top + factor * height + gap // 2
    for words, colour in [*((words, INK) for words in text), (notice, WARNING)]:
        draw.text((gap, line), _cut(words, font, wide - 2 * gap), colour, font)
        line += round(1.4 * font_size)
    return picture


def _overlaid(grey: Plane, values: Plane, highest: float, factor: int) -> Image.Image:
    """Return the X-ray with the map over it: where the map is 0, the X-ray is as it was."""
    share = values / highest if highest > 0 else np.zeros_like(values)
    colours = matplotlib.colormaps[COLOURS](share)[..., :3] * 255
    opacity = OPACITY * share[..., None]
    mixed = np.rint((1 - opacity) * grey[..., None] + opacity * colours).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(mixed)
    return image.resize((factor * image.width, factor * image.height), Image.Resampling.NEAREST)


def _bar(width: int, height: int) -> Image.Image:
    """Return the colours of the scale, the highest at the top, as they are over a middle grey."""
    share = np.linspace(1, 0, height, dtype=np.float32)[:, None].repeat(width, axis=1)
    return _overlaid(np.full((height, width), 128, np.float32), share, 1.0, 1)


def _cut(words: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    while words and font.getlength(words) > width:
        words = words[:-2] + "…"
    return words
