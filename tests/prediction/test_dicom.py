"""DICOM: the same grey levels as an 8-bit picture of the same X-ray, and one sentence for what cannot be read."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from dicom_files import SECRETS, dataset_of, write
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import convert_color_space
from pydicom.sequence import Sequence
from pydicom.uid import JPEGLSLossless, RLELossless

from cxr.errors import InputError
from cxr.prediction.dicom import is_dicom, read_dicom
from cxr.prediction.image_files import read_image


@pytest.fixture
def eight(xray: Path) -> npt.NDArray[np.uint8]:
    """The grey levels of an X-ray."""
    return np.asarray(Image.open(xray))


def grey_of(path: Path) -> npt.NDArray[np.float32]:
    return read_image(path, "luma").grey


def test_eight_bits_are_the_picture_itself(tmp_path: Path, eight: npt.NDArray[np.uint8], xray: Path) -> None:
    image = read_image(write(tmp_path / "a.dcm", eight), "luma")
    np.testing.assert_array_equal(image.grey, grey_of(xray))
    assert image.remarks == () and image.colour == 0 and image.grey.dtype == np.float32


def test_the_content_tells_the_format_and_not_the_name(
    tmp_path: Path, eight: npt.NDArray[np.uint8], xray: Path
) -> None:
    nameless = write(tmp_path / "IM000001", eight)
    assert is_dicom(nameless) and not is_dicom(xray)
    np.testing.assert_array_equal(grey_of(nameless), eight)


def test_monochrome1_is_inverted(tmp_path: Path, eight: npt.NDArray[np.uint8]) -> None:
    twin = write(tmp_path / "a.dcm", 255 - eight, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(grey_of(twin), eight)
    window = {"WindowCenter": 32768, "WindowWidth": 65536}
    deep = (255 - eight).astype(np.uint16) * 257
    twin = write(tmp_path / "b.dcm", deep, PhotometricInterpretation="MONOCHROME1", **window)
    np.testing.assert_array_equal(grey_of(twin), eight)


@pytest.mark.parametrize(
    ("pixels", "elements"),
    [
        (lambda eight: eight.astype(np.uint16) * 257, {"WindowCenter": 32768, "WindowWidth": 65536}),
        # 12 bits stored in 16, the window from 1000 to 1000 + 255 * 8.
        (lambda eight: eight.astype(np.uint16) * 8 + 1000, {"bits": 12, "WindowCenter": 2020.5, "WindowWidth": 2041}),
        # Several windows: the first counts.
        (
            lambda eight: eight.astype(np.uint16) * 257,
            {"WindowCenter": [32768, 100], "WindowWidth": [65536, 50], "WindowCenterWidthExplanation": ["a", "b"]},
        ),
        # Signed pixels, rescaled before the window.
        (
            lambda eight: eight.astype(np.int16) * 4 - 512,
            {"RescaleSlope": 2, "RescaleIntercept": 1024, "WindowCenter": 1020.5, "WindowWidth": 2041},
        ),
    ],
)
def test_sixteen_bits_under_their_window_are_the_eight_bit_twin(
    tmp_path: Path, eight: npt.NDArray[np.uint8], pixels: Any, elements: dict[str, Any]
) -> None:
    np.testing.assert_array_equal(grey_of(write(tmp_path / "a.dcm", pixels(eight), **elements)), eight)


def test_a_narrow_window_clips(tmp_path: Path, eight: npt.NDArray[np.uint8]) -> None:
    narrow = grey_of(write(tmp_path / "a.dcm", eight, WindowCenter=128, WindowWidth=64))
    assert (narrow[eight < 96] == 0).all() and (narrow[eight > 160] == 255).all()
    assert np.abs(narrow[eight == 128] - 127.5).max() < 4


def test_a_voi_lut_goes_before_a_window(tmp_path: Path, eight: npt.NDArray[np.uint8]) -> None:
    table = Dataset()
    table.LUTDescriptor = [256, 0, 16]
    table.LUTData = (np.arange(255, -1, -1, dtype=np.uint16) * 257).tobytes()
    lut = {"VOILUTSequence": Sequence([table]), "WindowCenter": 10, "WindowWidth": 5}
    np.testing.assert_array_equal(grey_of(write(tmp_path / "a.dcm", eight, **lut)), 255 - eight)


def test_deep_pixels_without_a_window_are_stretched_and_it_is_said(
    tmp_path: Path, eight: npt.NDArray[np.uint8]
) -> None:
    deep = eight.astype(np.uint16) * 3 + 500
    deep[0, 0] = 65535
    image = read_image(write(tmp_path / "a.dcm", deep, PixelPaddingValue=65535), "luma")
    low, high = int(eight.ravel()[1:].min()), int(eight.ravel()[1:].max())
    expected = np.rint((eight.astype(float) - low) / (high - low) * 255)
    np.testing.assert_array_equal(image.grey.ravel()[1:], expected.ravel()[1:])
    assert image.grey[0, 0] == 255
    assert any("no window" in remark for remark in image.remarks)


def test_colour_becomes_grey_as_in_other_files(tmp_path: Path, eight: npt.NDArray[np.uint8]) -> None:
    colours = np.stack([eight, np.roll(eight, 5, 0), np.roll(eight, 5, 1)], axis=2)
    Image.fromarray(colours).save(tmp_path / "a.png")
    for grey in ("luma", "average"):
        found = read_image(write(tmp_path / "a.dcm", colours), grey)
        np.testing.assert_array_equal(found.grey, read_image(tmp_path / "a.png", grey).grey)
        assert found.colour == read_image(tmp_path / "a.png", grey).colour > 0
    ybr = convert_color_space(colours, "RGB", "YBR_FULL")
    found = read_image(write(tmp_path / "b.dcm", ybr, PhotometricInterpretation="YBR_FULL"), "luma")
    assert np.abs(found.grey - read_image(tmp_path / "a.png", "luma").grey).max() <= 2


def test_a_compression_that_can_be_read_is_read(tmp_path: Path, eight: npt.NDArray[np.uint8]) -> None:
    dataset = dataset_of(eight)
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(grey_of(tmp_path / "a.dcm"), eight)


def compressed(path: Path, eight: npt.NDArray[np.uint8]) -> None:
    dataset = dataset_of(eight)
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xf7" + b"\0" * 60])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    dataset.save_as(path, enforce_file_format=True)


def encrypted(path: Path, eight: npt.NDArray[np.uint8]) -> None:
    dataset = dataset_of(eight)
    del dataset.PixelData
    item = Dataset()
    item.EncryptedContent = b"\x30\x82" + bytes(range(64))
    dataset.EncryptedAttributesSequence = Sequence([item])
    dataset.save_as(path, enforce_file_format=True)


def without_pixels(path: Path, eight: npt.NDArray[np.uint8]) -> None:
    dataset = dataset_of(eight, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    del dataset.PixelData
    dataset.save_as(path, enforce_file_format=True)


def several_frames(path: Path, eight: npt.NDArray[np.uint8]) -> None:
    dataset = dataset_of(eight, NumberOfFrames=3)
    dataset.PixelData = eight.tobytes() * 3
    dataset.save_as(path, enforce_file_format=True)


def cut_short(path: Path, eight: npt.NDArray[np.uint8]) -> None:
    write(path, eight)
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (compressed, "JPEG-LS"),
        (encrypted, "is encrypted"),
        (without_pixels, "has no pixels .*Text SR"),
        (several_frames, "has 3 frames"),
        (cut_short, "cannot be read|damaged"),
        (lambda path, _: path.write_text("no image\n" * 30), "no DICOM file"),
        (lambda path, _: path.write_bytes(np.random.default_rng(0).bytes(9000)), "no DICOM file"),
        (lambda path, eight: write(path, eight[:20, :20]), "20 x 20 px"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    tmp_path: Path, eight: npt.NDArray[np.uint8], make: Any, words: str
) -> None:
    make(tmp_path / "a.dcm", eight)
    with pytest.raises(InputError, match=words) as caught:
        read_image(tmp_path / "a.dcm", "luma")
    sentence = str(caught.value)
    assert str(tmp_path / "a.dcm") in sentence and sentence.count("\n") == 0 and sentence.endswith(".")
    assert not any(secret in sentence for secret in SECRETS.values())


def test_the_header_warns_of_other_examinations(tmp_path: Path, eight: npt.NDArray[np.uint8]) -> None:
    hand = write(tmp_path / "a.dcm", eight, BodyPartExamined="HAND", ViewPosition="PA")
    assert read_dicom(hand, "luma").remarks == ("says body part HAND and not CHEST or THORAX or LUNG",)
    lateral = write(tmp_path / "b.dcm", eight, Modality="CT", ViewPosition="LL", BodyPartExamined="CHEST")
    assert [remark.split(" and ")[0] for remark in read_dicom(lateral, "luma").remarks] == [
        "says modality CT",
        "says view LL",
    ]
    # Free text may hold a name.
    free = write(tmp_path / "c.dcm", eight, BodyPartExamined="JANE DOE 4711")
    assert "DOE" not in str(read_dicom(free, "luma").remarks)
