"""Open images so that a truncated file is an error, whoever else uses PIL in this process."""

from pathlib import Path

from PIL import Image, ImageFile


def opened(path: Path) -> Image.Image:
    """Open a JPEG or PNG file; its pixels are read, and a truncated file found, when they are first used.

    Raises:
        OSError, SyntaxError: the file is no such image (as ``PIL.Image.open``).
    """
    # WeasyPrint switches this on for all of PIL when it is imported; the missing part of an image would then be grey.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    return Image.open(path, formats=("JPEG", "PNG"))
