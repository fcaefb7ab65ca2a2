"""The fonts of the paper, embedded so that page and print look the same everywhere."""

import base64
import functools
import io
from pathlib import Path

import matplotlib
from fontTools import subset  # type: ignore[import-untyped]

# Fonts that matplotlib brings along: STIX (SIL Open Font License) for the text, DejaVu for digests and keys.
FONTS = (
    ("Paper", "normal", 400, "STIXGeneral.ttf"),
    ("Paper", "italic", 400, "STIXGeneralItalic.ttf"),
    ("Paper", "normal", 700, "STIXGeneralBol.ttf"),
    ("Paper Mono", "normal", 400, "DejaVuSansMono.ttf"),
)
# Latin with its accents, Greek, punctuation, arrows, mathematical operators and the signs of verdicts.
CHARACTERS = [
    *(*range(0x20, 0x180), *range(0x391, 0x3CA), *range(0x2010, 0x2050), *range(0x2190, 0x2194)),
    *(0x2212, 0x2248, 0x2260, 0x2264, 0x2265, 0x2713),
]


@functools.cache
def font_faces() -> str:
    """Return CSS that embeds the fonts, reduced to ``CHARACTERS``, as WOFF2.

    The fonts' own names are left out, as their licence wants of a changed font; copyright and licence stay.
    """
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    faces = []
    for family, style, weight, file in FONTS:
        options = subset.Options(flavor="woff2", name_IDs=[0, 13, 14], layout_features=["kern", "liga"])
        options.drop_tables += ["FFTM"]
        font = subset.load_font(str(folder / file), options)
        reducer = subset.Subsetter(options)
        reducer.populate(unicodes=CHARACTERS)
        reducer.subset(font)
        buffer = io.BytesIO()
        subset.save_font(font, buffer, options)
        data = base64.b64encode(buffer.getvalue()).decode()
        faces.append(
            f'@font-face {{ font-family: "{family}"; font-style: {style}; font-weight: {weight}; '
            f'src: url("data:font/woff2;base64,{data}") format("woff2"); }}\n'
        )
    return "".join(faces)
