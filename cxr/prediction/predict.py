"""The command ``cxr predict``: a finished run on images of one's own."""

import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from csv import writer as csv_writer
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cxr.errors import InputError, SomeFailed
from cxr.files import sha256_of, write_json, written_whole
from cxr.images.names import CLASSES
from cxr.networks.precision import forward
from cxr.prediction.calibration import calibrated
from cxr.prediction.dicom import is_dicom
from cxr.prediction.image_files import find_files, read_image
from cxr.prediction.loading import load_network
from cxr.prediction.own_images import TRAINING, Batch, arranged
from cxr.prediction.trained import NOTICE, TrainedNetwork
from cxr.preprocessing.arrays import resized
from cxr.progress import progress
from cxr.provenance import code_version, package_versions

CALIBRATED = ("calibrated_probability", "calibrated_low", "calibrated_high", "calibrated_on")
COLUMNS = ("path", "probability", "predicted", *CALIBRATED, "set", "warnings", "error", "run", "notice")
OWN_WARNINGS = {
    TRAINING: "the network was trained on this image",
    "validation": "the epoch was chosen with this image",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """An image, ready for the network.

    Attributes:
        stored: as the stage ``arrays`` stores it, shape (size, size).
        warnings: what is unlike the training images, in words.
        error: why there is no image, in a sentence; then the image is None.
    """

    stored: npt.NDArray[np.int16] | None
    warnings: Sequence[str] = ()
    error: str = ""


def predict(
    paths: list[Path],
    /,
    run: Path,
    csv: Path | None = None,
    json: Path | None = None,
    threads: int | None = None,
    device: str | None = None,
) -> None:
    """Predict the class of images with a finished run. Research use only; not for clinical use.

    Images are read, resized and normalised as the run's own were. An image that the run itself has predicted gets the
    same probability to the last digit, on the same kind of processor.

    Args:
        paths: image files (JPEG, PNG, DICOM) and folders, which are searched with their subfolders.
        run: the folder of a finished run, results/NAME/training/runs/PROTOCOL/EXPERIMENT/seed-N, or a file of
            ``cxr export``.
        csv: table to write, a row for each file: path, probability (of PNEUMONIA), predicted class, what the
            calibration says, the run's set that the image is in (if any), warnings, error, run, notice. Without csv
            and json it goes to standard output.
        json: the same with more about the run; files that could not be used are listed as ``failed``.
        threads: CPU threads of the network; as many as the run was trained with if not given.
        device: cpu or cuda; that of the run if not given.

    Raises:
        InputError: there is no such run, or no file.
        SomeFailed: some files could not be used; the others were predicted.
    """
    trained = load_network(run)
    files = find_files(paths)
    rows = predictions_of(trained, files, threads, device)
    if csv is not None:
        with written_whole(csv) as part, part.open("w", encoding="utf-8", newline="") as stream:
            write_rows(rows, stream)
    if json is not None:
        write_json(json, report_of(trained, rows))
    if csv is None and json is None:
        write_rows(rows, sys.stdout)
    log.info("%s", summary_of(rows))
    failed = [row["error"] for row in rows if row["error"]]
    if failed:
        raise SomeFailed(f"{len(failed)} of {len(rows)} files could not be used:\n" + "\n".join(failed))


def predictions_of(
    trained: TrainedNetwork, files: Sequence[Path], threads: int | None = None, device: str | None = None
) -> list[dict[str, Any]]:
    """Return a row with ``COLUMNS`` for each file, in order; ``warnings`` is a list.

    Args:
        trained: of ``load_network``.
        files: image files.
        threads: as for ``predict``.
        device: as for ``predict``.
    """
    settings = trained.settings_on(device)
    own_threads = trained.facts["record"]["device"].get("threads", 1)
    torch.set_num_threads(threads or own_threads)
    network = trained.network(settings)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        batches, sets = arranged(list(pool.map(_hash_of, files)), trained.own)
        made = _in_batches(trained, files, batches, pool)
        outputs = _outputs(made, trained, network, settings)
        rows: list[dict[str, Any]] = [{} for _ in files]
        for number, prepared, logits in progress(outputs, len(files), "images", "predict"):
            rows[number] = _row(trained, files[number], sets[number], prepared, logits)
    return rows


def _hash_of(file: Path) -> str | None:
    """Return the SHA-256 of a file that may be one of the run's: those are no DICOM files."""
    try:
        return None if is_dicom(file) else sha256_of(file)
    except OSError:
        return None


def _prepared(trained: TrainedNetwork, file: Path) -> Prepared:
    try:
        image = read_image(file, trained.facts["grey"])
    except InputError as error:
        return Prepared(None, error=str(error))
    stored = resized(image.grey, trained.size, trained.facts["antialias"])
    distance = float(trained.likeness.distances(stored[None])[0])
    return Prepared(stored, [*trained.likeness.warnings(image, distance), *image.remarks])


def _in_batches(
    trained: TrainedNetwork, files: Sequence[Path], batches: Sequence[Batch], pool: ThreadPoolExecutor
) -> Iterator[tuple[Batch, dict[int, Prepared]]]:
    """Yield batches with their images; those of the next are read while the network works on one."""

    def started(batch: Batch) -> dict[int, Any]:
        return {slot: pool.submit(_prepared, trained, files[number]) for slot, number in batch.files.items()}

    following = started(batches[0])
    for index, batch in enumerate(batches):
        reading = following
        following = started(batches[index + 1]) if index + 1 < len(batches) else {}
        yield batch, {slot: future.result() for slot, future in reading.items()}


@torch.no_grad()
def _outputs(
    made: Iterator[tuple[Batch, dict[int, Prepared]]],
    trained: TrainedNetwork,
    network: torch.nn.Module,
    settings: dict[str, Any],
) -> Iterator[tuple[int, Prepared, Tensor]]:
    """Yield the number of each file, its image, and its logits (whatever they are, where there is no image)."""
    for batch, images in made:
        stored = np.zeros((batch.size, trained.size, trained.size), np.int16)
        for slot, prepared in images.items():
            if prepared.stored is not None:
                stored[slot] = prepared.stored
        logits = forward(network, trained.inputs(stored, settings), settings).cpu()
        for slot, prepared in images.items():
            yield batch.files[slot], prepared, logits[slot]


def _row(trained: TrainedNetwork, file: Path, name: str, prepared: Prepared, logits: Tensor) -> dict[str, Any]:
    common = {"run": trained.facts["name"], "notice": NOTICE}
    if prepared.error:
        return dict.fromkeys(COLUMNS) | {"path": str(file), "warnings": [], "error": prepared.error} | common
    number, probability = int(logits.argmax()), float(logits.softmax(0)[1])
    own = [OWN_WARNINGS[name]] if name in OWN_WARNINGS else []
    return {
        "path": str(file),
        "probability": probability,
        # An unchanged ImageNet head has 1,000 outputs.
        "predicted": CLASSES[number] if number < len(CLASSES) else f"neither (output {number})",
        **calibrated(trained.facts["calibration"], probability),
        "set": name or None,
        "warnings": [*own, *prepared.warnings],
        "error": None,
        **common,
    }


def write_rows(rows: Sequence[dict[str, Any]], stream: TextIO) -> None:
    """Write rows as CSV; numbers have nine significant digits, which give a float32 back, and none are empty cells."""
    writer = csv_writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        cells = row | {"warnings": "; ".join(row["warnings"])}
        writer.writerow(f"{cell:.9g}" if isinstance(cell, float) else cell for cell in map(cells.get, COLUMNS))


def report_of(trained: TrainedNetwork, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what ``--json`` holds: the notice, the run, its calibration, predictions, and ``failed`` files."""
    facts, shared = trained.facts, ("run", "notice", "error")
    return {
        "notice": NOTICE,
        "run": {key: facts[key] for key in ("name", "settings", "cohort", "record")},
        "calibration": facts["calibration"],
        "distance_allowed": trained.likeness.limit,
        "predictions": [
            {key: value for key, value in row.items() if key not in shared} for row in rows if not row["error"]
        ],
        "failed": [{"path": row["path"], "error": row["error"]} for row in rows if row["error"]],
        "code": code_version(),
        "packages": package_versions(),
    }


def summary_of(rows: Sequence[dict[str, Any]]) -> str:
    """Return one line: how many images were given which class, how many have warnings, how many files failed."""
    used = [row for row in rows if not row["error"]]
    classes = Counter(row["predicted"] for row in used)
    parts = [f"{count} {name}" for name, count in sorted(classes.items())]
    parts.append(f"{sum(bool(row['warnings']) for row in used)} with warnings")
    if len(used) < len(rows):
        parts.append(f"{len(rows) - len(used)} failed")
    return f"{len(used)} images: {', '.join(parts)}. {NOTICE}"
