"""Test images that networks get right and wrong, from the results of the config's first protocol."""

from collections.abc import Iterable

import pandas as pd
from matplotlib.figure import Figure

from cxr.figures.data import FigureData
from cxr.figures.words import joined, part_of, three_digits
from cxr.figures.xrays import COLUMNS, Picture, below, draw_rows, shortened
from cxr.images.names import CLASSES

NORMAL, PNEUMONIA = range(len(CLASSES))
# The figure of shared errors has at most so many rows, and that of certain mistakes so many of each kind.
SHARED_ROWS, CERTAIN_ROWS = 4, 2


def draw_right_and_wrong(
    figure: Figure, data: FigureData, experiment: str | None = None, other_than: str | None = None
) -> str | None:
    """Draw test images that a network gets right and wrong; return what they show, or None without run or images.

    A row has up to seven images, evenly spaced in the order of their probability, so that it goes from the least to the
    most certain.

    Args:
        figure: empty.
        data: what there is.
        experiment: its id; if None, the one with the highest validation accuracy, the first of equals.
        other_than: an experiment that is not chosen.
    """
    name = experiment or _best_by_validation(data, other_than)
    if data.xrays is None or name is None or name not in data.predictions:
        return None
    rows = data.predictions[name].sort_values(["probability", "path"])
    normal, called = rows["label"] == NORMAL, rows["predicted"] == PNEUMONIA
    kinds = {
        "normal, called normal": rows[normal & (rows["predicted"] == NORMAL)],
        "pneumonia, called pneumonia": rows[~normal & called],
        "normal, called pneumonia": rows[normal & called],
        "pneumonia, not called pneumonia": rows[~normal & ~called],
    }
    groups = {
        f"{title} ({_images(len(found))})": [_picture(row) for row in _evenly(found).itertuples()]
        for title, found in kinds.items()
        if len(found)
    }
    draw_rows(figure, data.xrays, groups)
    false_positives, false_negatives = (len(found) for found in list(kinds.values())[2:])
    return (
        f"{data.title(name)} calls {part_of(false_positives, int(normal.sum()), 'normal image')} pneumonia and misses "
        f"{part_of(false_negatives, int((~normal).sum()), 'image')} with pneumonia. Below each X-ray stand its "
        f"probability of pneumonia and its patient; a row goes from low to high probability. Worth comparing between "
        f"right and wrong: position and exposure, the letters at the edge, tubes and wires, and how much of arms, chin "
        f"and abdomen is in the image."
    )


def _best_by_validation(data: FigureData, other_than: str | None) -> str | None:
    accuracies = {
        name: sum(record["best_val_accuracy"] for record in data.outcomes[name].records.values())
        / len(data.outcomes[name].records)
        for name in data.predictions
        if name != other_than
    }
    return max(accuracies, key=lambda name: accuracies[name], default=None)


def _evenly(rows: pd.DataFrame) -> pd.DataFrame:
    """Up to seven rows, evenly spaced, the first and the last among them."""
    if len(rows) <= COLUMNS:
        return rows
    return rows.iloc[[number * (len(rows) - 1) // (COLUMNS - 1) for number in range(COLUMNS)]]


def _picture(row: "pd.core.frame.Pandas") -> Picture:  # type: ignore[name-defined]
    return Picture(row.path, (three_digits(row.probability), shortened(row.patient_fine)))


def draw_shared_errors(figure: Figure, data: FigureData) -> str | None:
    """Draw the test images that most networks get wrong; return how many there are, or None without any."""
    found, networks = data.agreement.get("shared_errors", []), len(data.predictions)
    if data.xrays is None or not found or networks < 2:
        return None
    pictures = [
        Picture(
            row["path"],
            (
                f"{CLASSES[row['label']].lower()}, {row['wrong']} of {networks}",
                f"mean {three_digits(row['mean_probability'])}",
                shortened(row["patient"]),
            ),
        )
        for row in found
    ]
    draw_rows(figure, data.xrays, {"": pictures[: SHARED_ROWS * COLUMNS]})
    everyone = sum(row["wrong"] == networks for row in found)
    normal = sum(row["label"] == NORMAL for row in found)
    left = len(found) - SHARED_ROWS * COLUMNS
    return (
        f"More than half of the {networks} networks are wrong on {_images(len(found))} ({normal} normal); "
        f"all {networks} are wrong on {_images(everyone)}. Below each X-ray stand its class, how many networks are "
        f"wrong on it, the mean probability of pneumonia, and the patient."
        + (f" {left} more are not shown." if left > 0 else "")
    )


def _images(count: int) -> str:
    return "no image" if count == 0 else "1 image" if count == 1 else f"{count} images"


def draw_certain_mistakes(figure: Figure, data: FigureData) -> str | None:
    """Draw the mistakes that any network is most certain of; return whose they are, or None without any.

    An image is shown once, with the network that is most certain of it.
    """
    if data.xrays is None:
        return None
    kinds = {"false_positives": "normal, called pneumonia", "false_negatives": "pneumonia, not called pneumonia"}
    chosen: dict[str, list[tuple[str, float, str]]] = {}
    for kind, title in kinds.items():
        mistakes = [
            (row["path"], row["probability"], name)
            for name, found in data.agreement.get("certain_mistakes", {}).items()
            for row in found[kind]
        ]
        if mistakes:
            chosen[title] = _most_certain(mistakes, highest=kind == "false_positives")
    if not chosen:
        return None
    patients = next(iter(data.predictions.values())).set_index("path")["patient_fine"]
    groups = {
        title: [
            Picture(path, (three_digits(value), shortened(patients[path]), *below(data.title(name))))
            for path, value, name in mistakes
        ]
        for title, mistakes in chosen.items()
    }
    draw_rows(figure, data.xrays, groups)
    parts = []
    for title, mistakes in chosen.items():
        path, value, name = mistakes[0]
        parts.append(f"{title}: {three_digits(value)} by {data.title(name)} ({patients[path]})")
    owners = list(dict.fromkeys(data.title(name) for mistakes in chosen.values() for _, _, name in mistakes))
    return (
        f"The most certain mistakes: {'; '.join(parts)}. Below each X-ray stand the probability of pneumonia, the "
        f"patient, and the network. These are mistakes of {joined(owners)}."
    )


def _most_certain(mistakes: Iterable[tuple[str, float, str]], highest: bool) -> list[tuple[str, float, str]]:
    """The mistakes of highest or lowest probability, each image once; equals in the order of their paths."""
    kept: dict[str, tuple[str, float, str]] = {}
    for mistake in sorted(mistakes, key=lambda mistake: (-mistake[1] if highest else mistake[1], mistake[0])):
        kept.setdefault(mistake[0], mistake)
    return list(kept.values())[: CERTAIN_ROWS * COLUMNS]
