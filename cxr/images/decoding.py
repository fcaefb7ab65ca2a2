"""Open images with PIL such that a truncated file is an error."""

from pathlib import Path

from PIL import Image, ImageFile


def opened(path: Path) -> Image.Image:
    """Open a JPEG or PNG file; its pixels are decoded when they are first used, which fails if the file is truncated.

    Raises:
        OSError, SyntaxError: the file is no such image (as ``PIL.Image.open``).
    """
    # Importing WeasyPrint switches this on for the whole process; PIL would then fill the missing part with grey.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    return Image.open(path, formats=("JPEG", "PNG"))
