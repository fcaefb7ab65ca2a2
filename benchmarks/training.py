"""The training loop beside the fastest possible one: the same network and optimiser on one batch of random numbers."""

import statistics
from collections.abc import Callable

import torch
from torch import nn

from benchmarks.cohort import prepared
from benchmarks.timing import Row, rates, row_of_rates
from cxr.networks.architectures import build_model, set_training_mode
from cxr.study.settings import run_settings
from cxr.training.epochs import train_epoch

SIZE, PROTOCOL = 224, "published"
# By experiment: the training images of each class in an epoch, and the goal. Epochs are short, so that both loops take
# turns often and a machine that slows down for a while slows both.
MEASURED = {
    "custom": (75, 0.85),
    "resnet18-I-100": (15, 0.95),
    "resnet18-II-100": (15, 0.95),
    "resnet18-III": (15, 0.95),
    "densenet121-I-100": (15, 0.95),
    "densenet121-II-100": (15, 0.95),
    "densenet121-III": (15, 0.95),
}


def loops(experiment: str, images_a_class: int, threads: int) -> dict[str, Callable[[], int]]:
    """Return an epoch of the training loop, and as many steps on one batch of random numbers."""
    cohort = prepared(SIZE, PROTOCOL)
    # `prepared` has set one thread.
    torch.set_num_threads(threads)
    settings = run_settings(cohort.study, experiment, PROTOCOL, 42) | {"training_rows": images_a_class}
    images = cohort.sets(settings)["train"]
    torch.manual_seed(0)
    network = build_model(settings["model"], SIZE)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, fused=True)
    batch_size: int = settings["batch_size"]
    inputs = torch.randn(batch_size, settings["model"]["input_channels"], SIZE, SIZE)
    labels = torch.randint(0, 2, (batch_size,))

    def real() -> int:
        train_epoch(network, optimizer, images, settings, 1)
        return len(images)

    def alone() -> int:
        set_training_mode(network, settings["fixed_batch_norm"])
        batches = len(images) // batch_size
        for _ in range(batches):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(inputs), labels).backward()
            optimizer.step()
        return batches * batch_size

    return {"the real loop": real, "the model alone": alone}


def rows(repeats: int, threads: int = 2) -> list[Row]:
    """Measure each experiment."""
    found = []
    for experiment, (images, goal) in MEASURED.items():
        measured = rates(loops(experiment, images, threads), repeats)
        found.append(row_of_rates(f"training, {experiment}", measured, "the real loop", "the model alone", goal))
    return found


def real_rate(experiment: str, repeats: int, threads: int = 2) -> float:
    """Return the images per second of the training loop in this process, with the allocator settings that it has."""
    real = loops(experiment, MEASURED[experiment][0], threads)["the real loop"]
    return statistics.median(rates({"real": real}, repeats)["real"])
