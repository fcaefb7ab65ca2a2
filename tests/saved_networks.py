"""Networks as ``torch.save`` writes them, and files that only look like them."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn

# The author's way: a class in __main__, and the whole network saved. Its answers are the reference for ours.
AUTHOR = """
import sys
import numpy, torch
from torch import nn
torch.set_num_threads(1)

class SimpleConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(6, 10, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(10, 10, kernel_size=3, padding=1)
        self.conv4 = nn.Conv2d(10, 5, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(5 * 4 * 4, 50)
        self.fc2 = nn.Linear(50, 30)
        self.fc3 = nn.Linear(30, 2)

    def forward(self, x):
        for conv, pool in ((self.conv1, 2), (self.conv2, 4), (self.conv3, 2), (self.conv4, 1)):
            x = nn.functional.max_pool2d(torch.relu(conv(x)), pool)
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x.flatten(1))))))

path, *images_and_answers = sys.argv[1:]
torch.manual_seed(3)
model = SimpleConvNet()
torch.save(model, path)
if images_and_answers:
    images, answers = images_and_answers
    with torch.no_grad():
        numpy.save(answers, model(torch.from_numpy(numpy.load(images))).numpy())
"""


def saved_by_the_author(folder: Path, *images_and_answers: Path) -> Path:
    """Save ``custom.pth``, and what its network makes of images in one ``.npy`` file in another."""
    (folder / "notebook.py").write_text(AUTHOR)
    subprocess.run([sys.executable, folder / "notebook.py", folder / "custom.pth", *images_and_answers], check=True)
    return folder / "custom.pth"


def saved(network: Any, path: Path) -> Path:
    torch.save(network, path)
    return path


def resnet(head: nn.Module, channels: int = 3) -> nn.Module:
    torch.manual_seed(5)
    network: nn.Module = torchvision.models.resnet18()
    if channels == 1:
        network.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    network.fc = head
    return network


class Trap:
    """A pickle of this makes a file when it is loaded."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.canary}'",)


def with_program(program: bytes, path: Path, **records: bytes) -> Path:
    """Write a file of torch.save whose data.pkl, and whatever else is given, is replaced."""
    torch.save({"w": torch.arange(4.0)}, path)
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    root = next(name for name in content if name.endswith("data.pkl")).removesuffix("data.pkl")
    content |= {f"{root}data.pkl": program, **{f"{root}{name}": value for name, value in records.items()}}
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in content.items():
            archive.writestr(name, value)
    return path
