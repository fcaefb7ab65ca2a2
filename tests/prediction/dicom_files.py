"""DICOM files of one X-ray, written by pydicom."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

SECRETS = {
    "PatientName": "Doe^Jane",
    "PatientID": "MRN-4711",
    "PatientBirthDate": "20190203",
    "InstitutionName": "Hospital of Nowhere",
    "AccessionNumber": "ACC-0815",
    "ReferringPhysicianName": "Who^Doctor",
}


def dataset_of(pixels: npt.NDArray[Any], bits: int | None = None, **elements: Any) -> FileDataset:
    """A digital radiograph of pixels of shape (H, W) or (H, W, 3), with everything that identifies a patient."""
    depth = pixels.dtype.itemsize * 8
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.1")
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["cxr"])
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    facts = {
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "Modality": "DX",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": 3 if pixels.ndim == 3 else 1,
        "PhotometricInterpretation": "RGB" if pixels.ndim == 3 else "MONOCHROME2",
        "BitsAllocated": depth,
        "BitsStored": bits or depth,
        "HighBit": (bits or depth) - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        **({"PlanarConfiguration": 0} if pixels.ndim == 3 else {}),
        "PixelData": np.ascontiguousarray(pixels).tobytes(),
        **SECRETS,
        **elements,
    }
    for name, value in facts.items():
        setattr(dataset, name, value)
    dataset["PixelData"].VR = "OW" if depth > 8 else "OB"
    return dataset


def write(path: Path, pixels: npt.NDArray[Any], **elements: Any) -> Path:
    dataset_of(pixels, **elements).save_as(path, enforce_file_format=True)
    return path
