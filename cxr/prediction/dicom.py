"""Read the pixels of a DICOM file as grey levels, and nothing that could tell who the patient is.

Of a file, only the elements of ``READ`` are read, so that names, birth dates and identifiers are never in memory, and
can get into no message, log or result.
"""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array

from cxr.errors import InputError
from cxr.prediction.radiograph import Radiograph, check_size, colourfulness

SUFFIXES = (".dcm", ".dicom", ".ima")
# What the file is expected to say of a frontal chest radiograph, where it says anything.
EXPECTED = {
    "Modality": ("modality", ("CR", "DX", "RG")),
    "BodyPartExamined": ("body part", ("CHEST", "THORAX", "LUNG")),
    "ViewPosition": ("view", ("AP", "PA")),
}
PIXELS = [
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelData"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "FloatPixelData", "DoubleFloatPixelData"),
]
LEVELS = [
    *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *(
        f"{kind}{colour}PaletteColorLookupTable{part}"
        for colour in ("Red", "Green", "Blue")
        for kind, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
    ),
]
READ = ["SOPClassUID", "SpecificCharacterSet", "EncryptedAttributesSequence", *EXPECTED, *PIXELS, *LEVELS]

# pydicom's own messages quote what a file holds.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module="pydicom")


def is_dicom(path: Path) -> bool:
    """Return whether a file is DICOM by its content, or, lacking the preamble that old files lack, by its name."""
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM" or path.suffix.lower() in SUFFIXES


def read_dicom(path: Path, grey: str) -> Radiograph:
    """Read a file of one frame: rescaled, seen through its VOI LUT or its first window, and MONOCHROME1 inverted.

    Grey levels are whole numbers, as those of 8-bit images are. Deeper pixels without a window are stretched from
    their smallest to their largest value, as most viewers do; a remark says so.

    Args:
        path: the file.
        grey: how colour becomes grey: ``luma`` or ``average``.

    Raises:
        InputError: the file is no DICOM file, encrypted, shows no image or several, or its compression cannot be read.

    Source: DICOM PS3.3, C.7.6.3.1.2 (photometric interpretation), C.11.1 (modality LUT) and C.11.2 (VOI LUT).
    """
    dataset = _elements(path)
    try:
        pixels = pixel_array(dataset)
    except (RuntimeError, NotImplementedError):
        syntax = dataset.file_meta.TransferSyntaxUID.name
        raise InputError(
            f"{path} is compressed in a way that is not read here ({syntax}), or damaged; export it uncompressed."
        ) from None
    # pydicom raises many kinds of errors for damaged files, with values of elements in their messages.
    except Exception:
        raise InputError(f"{path} holds pixels that cannot be read; export it again from its source.") from None
    remarks = list(_unexpected(dataset))
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
    if pixels.ndim == 3:
        bits = int(np.iinfo(pixels.dtype).bits) if dataset.PhotometricInterpretation == "PALETTE COLOR" else 0
        colours = (pixels >> max((bits or int(dataset.BitsStored)) - 8, 0)).astype(np.uint8)
        return Radiograph(_as_grey(colours, grey), colourfulness(colours), tuple(remarks))
    values, low, high = _seen(pixels, dataset)
    if low is None or high is None:
        shown = values[pixels != dataset.PixelPaddingValue] if "PixelPaddingValue" in dataset else values
        low, high = float(shown.min()), float(shown.max())
        remarks.append("has no window, so its grey levels were stretched from the darkest to the brightest")
    levels = np.clip((values - low) / max(high - low, 1e-9), 0, 1) * 255
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        levels = 255 - levels
    return Radiograph(np.rint(levels).astype(np.float32), remarks=tuple(remarks))


def _elements(path: Path) -> Dataset:
    """Return the elements of ``READ`` after refusing a file that cannot be one radiograph."""
    try:
        dataset = pydicom.dcmread(path, force=path.suffix.lower() in SUFFIXES, specific_tags=READ)
    except (InvalidDicomError, EOFError, ValueError, OSError, AttributeError, KeyError, NotImplementedError):
        raise InputError(f"{path} is damaged, or no DICOM file; export it again from its source.") from None
    frames = int(dataset.get("NumberOfFrames") or 1)
    if "EncryptedAttributesSequence" in dataset and "PixelData" not in dataset:
        raise InputError(f"{path} is encrypted; export it without encryption.")
    if "SOPClassUID" not in dataset and "PixelData" not in dataset:
        raise InputError(f"{path} is no DICOM file, or is encrypted; export it again from its source.")
    if "PixelData" not in dataset or "Rows" not in dataset or "Columns" not in dataset:
        kind = dataset.SOPClassUID.name if "SOPClassUID" in dataset else "an unknown kind of file"
        raise InputError(f"{path} has no pixels (it is: {kind}); give the file of the image.")
    if frames > 1:
        raise InputError(f"{path} has {frames} frames; export the one radiograph as a file of its own.")
    check_size(path, int(dataset.Columns), int(dataset.Rows))
    if not hasattr(dataset, "file_meta") or "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        # What old files without a preamble are in.
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    return dataset


def _seen(pixels: npt.NDArray[Any], dataset: Dataset) -> tuple[npt.NDArray[np.float64], float | None, float | None]:
    """Return values after modality and VOI LUT, and which of them are black and white; None where nothing says it."""
    values = apply_modality_lut(pixels, dataset)
    shown = np.asarray(apply_voi_lut(values, dataset), np.float64)
    if dataset.get("VOILUTSequence"):
        return shown, 0.0, float(2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1)
    if dataset.get("WindowWidth") is not None and dataset.get("WindowCenter") is not None:
        centre, width = (float(np.atleast_1d(dataset[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
        # Values far outside the window are black and white.
        ends = apply_voi_lut(np.array([centre - 20 * width, centre + 20 * width]), dataset)
        return shown, float(ends[0]), float(ends[1])
    if int(dataset.BitsStored) <= 8 and "RescaleSlope" not in dataset and "ModalityLUTSequence" not in dataset:
        return shown, 0.0, float(2 ** int(dataset.BitsStored) - 1)
    return shown, None, None


def _as_grey(colours: npt.NDArray[np.uint8], grey: str) -> npt.NDArray[np.float32]:
    if grey == "average":
        averaged: npt.NDArray[np.float32] = colours.astype(np.float32).mean(axis=2)
        return averaged
    return np.asarray(Image.fromarray(colours).convert("L"), np.float32)


def _unexpected(dataset: Dataset) -> list[str]:
    """Return what the file says against a frontal chest radiograph; only known words are repeated, not free text."""
    found = []
    for name, (words, expected) in EXPECTED.items():
        value = str(dataset.get(name) or "").upper()
        if value and not any(word in value for word in expected):
            shown = f"{words} {value}" if value.isalpha() and len(value) <= 16 else f"another {words}"
            found.append(f"says {shown} and not {' or '.join(expected)}")
    return found
