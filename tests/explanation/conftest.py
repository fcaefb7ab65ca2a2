"""A network whose relevance is known, and images whose class lies in one square."""

import pytest
import torch
from torch import Tensor, nn

SIZE, SQUARE = 32, (slice(8, 16), slice(20, 28))


class Planted(nn.Module):
    """PNEUMONIA is what is brighter than 0.5, NORMAL what is darker than -0.5; a mean over the image, and one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(1, 2, 1)
        self.relu = nn.ReLU(inplace=True)
        self.classifier = nn.Linear(2, 2)
        weights = {
            "features.weight": torch.tensor([-1.0, 1.0])[:, None, None, None],
            "features.bias": torch.full((2,), -0.5),
            "classifier.weight": torch.eye(2),
            "classifier.bias": torch.zeros(2),
        }
        self.load_state_dict(weights)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of shape (B, 2)."""
        logits: Tensor = self.classifier(self.relu(self.features(images)).mean((2, 3)))
        return logits


@pytest.fixture
def planted() -> nn.Module:
    return Planted()


@pytest.fixture
def squares() -> Tensor:
    """Three images of faint noise, shape (3, 1, 32, 32), each with a bright square at SQUARE."""
    images = torch.randn(3, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 0.1
    images[:, 0, SQUARE[0], SQUARE[1]] += 2
    return images
