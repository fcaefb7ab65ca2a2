"""The grid of test images of the HTML page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxr.evaluation.quantities import Quantity
from cxr.figures.words import three_digits
from cxr.files import read_json

SOURCE = "figures/test_images.json"


@dataclass(frozen=True)
class GridImage:
    """A test image of the grid, in the words and attributes of the page.

    Attributes:
        source: the image as a data address.
        truth: its class.
        patient: the fine key.
        right: for each network 1 or 0, such as ``110``.
        probabilities: of pneumonia by each network, separated by commas.
    """

    source: str
    truth: str
    patient: str
    right: str
    probabilities: str

    @property
    def count_right(self) -> str:
        """How many networks are right."""
        return str(self.right.count("1"))

    @property
    def count(self) -> str:
        """How many networks there are."""
        return str(len(self.right))


@dataclass(frozen=True)
class ImageGrid:
    """The test images that the page shows.

    Attributes:
        may_show_images: whether images may be shown at all.
        networks: their titles as JSON.
        images: none where they may not be shown or are not there.
        left_out: how many more test images there are.
    """

    may_show_images: bool
    networks: str
    images: tuple[GridImage, ...]
    left_out: Quantity


def read_image_grid(path: Path) -> ImageGrid | None:
    """Read ``test_images.json`` of ``cxr.figures.page_images.write_page_images``, or return None where it is absent."""
    if not path.exists():
        return None
    content: Mapping[str, Any] = read_json(path)
    return ImageGrid(
        may_show_images=content["may_show_images"],
        networks=json.dumps([network["title"] for network in content["networks"]], ensure_ascii=False),
        images=tuple(
            GridImage(
                source=f"data:image/png;base64,{row['png']}",
                truth=row["class"],
                patient=row["patient"],
                right="".join(str(int(right)) for right in row["right"]),
                probabilities=",".join(three_digits(value) for value in row["probabilities"]),
            )
            for row in content["images"]
        ),
        left_out=Quantity(content["left_out"], SOURCE, "left_out"),
    )
