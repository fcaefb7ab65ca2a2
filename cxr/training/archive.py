"""Finished runs in one zip file: results that others can build the paper from without training.

An archive holds ``runs/<protocol>/<experiment>/seed-<seed>/`` with ``run.json``, ``history.csv`` and
``predictions.csv`` of each run, ``explanation.json`` and ``maps.npz`` of those that were explained, and ``SHA256SUMS``.
It holds no images, and no weights but the filters of first convolutions.
"""

import functools
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cxr.errors import InputError
from cxr.files import read_json, sha256_of, write_json, written_whole
from cxr.sealed_zip import read_sealed_zip, sha256_of_bytes, write_sealed_zip
from cxr.study import layout
from cxr.study.config import Study
from cxr.study.differences import first_difference
from cxr.study.layout import run as run_folder
from cxr.study.settings import EXECUTION, run_settings
from cxr.training.explanations import MAPS, NAMES, RECORD, check_explanation, write_not_made
from cxr.training.tables import write_not_run

TABLES = ("history.csv", "predictions.csv")
FILES = ("run.json", *TABLES)
JUDGED = ["path", "set", "label"]


def write_archive(results: list[Path], archive: Path) -> None:
    """Pack all finished runs of some results, those that could not be run included.

    Args:
        results: folders ``results/<config name>``; no two may hold a run of the same name.
        archive: the zip file to write.

    Raises:
        InputError: there are no runs; a file of a run is missing, or is not the one that ``run.json`` was written for;
            two folders hold the same run.
    """
    holders: dict[str, Path] = {}
    for root in results:
        for record in sorted(root.glob("training/runs/*/*/seed-*/run.json")):
            place = record.parent.relative_to(root / "training").as_posix()
            if place in holders:
                raise InputError(f"{root} and {holders[place]} both hold {place}; name one of them.")
            holders[place] = root
    if not holders:
        raise InputError(f"{', '.join(map(str, results))} hold no finished runs; train some first.")
    write_sealed_zip(archive, _files_of(holders))


def _files_of(holders: Mapping[str, Path]) -> Iterator[tuple[str, bytes]]:
    for place, root in sorted(holders.items()):
        folder = run_folder(root, place)
        check_outputs(folder)
        for path in (*(folder / name for name in FILES), *_explanation_of(root, place)):
            yield f"{place}/{path.name}", path.read_bytes()


def _explanation_of(results: Path, place: str) -> list[Path]:
    """The files that explain a run, checked; none where it was not explained."""
    record, maps = (layout.explanation(results, place) / name for name in NAMES)
    if not record.exists() or read_json(record)["status"] != "done":
        return []
    run = read_json(run_folder(results, place) / "run.json")
    check_explanation(read_json(record), run, maps.read_bytes(), str(record))
    return [record, maps]


def check_outputs(folder: Path) -> None:
    """Compare the tables of a run with the hashes in its ``run.json``.

    Args:
        folder: a run's folder. A record without hashes (of a run that was not run) is not compared.

    Raises:
        InputError: a table is missing, or was changed after the run.
    """
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    for name, sha256 in record.get("outputs", {}).items():
        if name not in TABLES:
            continue
        path = folder / name
        again = f"restore it, or delete {folder} and train the run again"
        if not path.exists():
            raise InputError(f"{path} does not exist, but {folder / 'run.json'} says that it was written; {again}.")
        if sha256_of(path) != sha256:
            raise InputError(
                f"{path} is not the file that the run wrote: its SHA-256 is not the one in {folder / 'run.json'}; "
                f"{again}."
            )


def unpack_runs(config: dict[str, Any], results: Path, archive: Path) -> None:
    """Unpack the runs that a config takes from an archive into the folders in which training would have written them.

    A run that the archive does not hold is written as not run, and an explanation that it does not hold as not made.

    Args:
        config: as ``workflow/schemas/config.schema.yaml`` describes it; its ``runs`` says which runs are taken.
        results: ``results/<config name>``, with the manifest and the splits.
        archive: of ``write_archive``.

    Raises:
        InputError: as ``unpack_run``.
    """
    study = Study.from_config(config)
    explained = set(study.explained_places())
    for (protocol, experiment, seed), place in zip(study.runs(), study.run_places(), strict=True):
        if study.is_archived(place):
            folder, settings = run_folder(results, place), run_settings(study, experiment, protocol, seed)
            images, sets = layout.manifest(results), layout.split(results, protocol)
            kept = study.config["runs"].get("as_recorded", False)
            if not unpack_run(archive, folder, settings, images, sets, as_recorded=kept):
                write_not_run(folder, settings, {"reason": f"{archive.name} holds no such run", "available": False})
            if place in explained:
                unpack_explanation(archive, folder, layout.explanation(results, place), as_recorded=kept)


def unpack_run(
    archive: Path,
    folder: Path,
    settings: Mapping[str, Any],
    manifest: Path,
    split: Path,
    done: bool = False,
    as_recorded: bool = False,
) -> bool:
    """Unpack one run, and return whether the archive holds it.

    ``run.json`` gets a key ``source``: ``kind`` (``archive``), ``archive`` (the file's name) and its ``sha256``.

    Args:
        archive: of ``write_archive``.
        folder: where to write ``history.csv``, ``predictions.csv`` and ``run.json``.
        settings: of ``run_settings``, which the archived run must have been made with; how it was computed (device,
            precision, memory format) may differ.
        manifest: ``manifest.csv``; the archived run must have been made from these images.
        split: ``split.csv`` of the protocol; the archived run must have predicted these images.
        done: pass over a run that could not be run.
        as_recorded: write ``run.json`` as the archive has it, so that what is made from it is what was made before.

    Raises:
        InputError: the archive is missing or damaged, or the run was made with other settings, images or sets.
    """
    place, content = _content(archive, folder)
    if content is None:
        return False
    record = json.loads(content["run.json"])
    if done and record["status"] != "done":
        return False
    remedy = "change the config, or let the run be trained"
    difference = first_difference(settings, record["settings"], ignored=EXECUTION)
    if difference:
        raise InputError(f"{archive}: {place} was made with other settings, {difference}; {remedy}.")
    if record["status"] == "done":
        if record["inputs"]["manifest"] != sha256_of(manifest):
            raise InputError(f"{archive}: {place} was made from other images than {manifest} lists; {remedy}.")
        predictions = pd.read_csv(io.BytesIO(content["predictions.csv"]))
        rows = pd.read_csv(split).query("set != 'train'")
        if predictions[JUDGED].to_numpy().tolist() != rows[JUDGED].to_numpy().tolist():
            raise InputError(f"{archive}: {place} predicts other images than the sets of {split}; {remedy}.")
    for name in TABLES:
        with written_whole(folder / name) as part:
            part.write_bytes(content[name])
    write_json(folder / "run.json", record if as_recorded else record | {"source": _source(archive)})
    return True


def unpack_explanation(archive: Path, run: Path, explanation: Path, as_recorded: bool = False) -> None:
    """Unpack the files that explain an unpacked run; if there are none, say so in their place.

    Args:
        archive: of ``write_archive``.
        run: the folder of ``unpack_run``.
        explanation: the folder to write ``explanation.json`` and ``maps.npz`` to.
        as_recorded: write ``explanation.json`` as the archive has it.
    """
    record = read_json(run / "run.json")
    _, content = _content(archive, run)
    if content is not None and RECORD in content:
        with written_whole(explanation / MAPS) as part:
            part.write_bytes(content[MAPS])
        source = {} if as_recorded else {"source": _source(archive)}
        write_json(explanation / RECORD, json.loads(content[RECORD]) | source)
    elif record["status"] != "done":
        write_not_made(explanation, record["reason"])
    else:
        write_not_made(explanation, f"{archive.name} holds no explanation of this run")


def _content(archive: Path, folder: Path) -> tuple[str, dict[str, bytes] | None]:
    """The name of a run in an archive, by its folder, and its files."""
    place = "runs/" + "/".join(folder.parts[-3:])
    return place, read_archive(archive).get(place)


def _source(archive: Path) -> dict[str, str]:
    return {"kind": "archive", "archive": archive.name, "sha256": sha256_of(archive)}


@functools.lru_cache(maxsize=4)
def read_archive(archive: Path) -> dict[str, dict[str, bytes]]:
    """The files of each run of an archive, after comparing them with its list of hashes."""
    again = "restore it, or name another file as runs.file in the config"
    found: dict[str, dict[str, bytes]] = {}
    for name, content in read_sealed_zip(archive, again):
        place, _, file = name.rpartition("/")
        # An archive of a paper holds more than its runs.
        if place.startswith("runs/"):
            found.setdefault(place, {})[file] = content
    for place, files in found.items():
        needed = (*FILES, *NAMES) if set(NAMES) & set(files) else FILES
        absent = [name for name in needed if name not in files]
        if absent:
            raise InputError(f"{archive}: {place} has no {absent[0]}; {again}.")
        outputs = json.loads(files["run.json"]).get("outputs", {})
        hashes = {name: sha256_of_bytes(files[name]) for name in TABLES}
        changed = [name for name in TABLES if outputs.get(name, hashes[name]) != hashes[name]]
        if changed:
            raise InputError(f"{archive}: {place}/{changed[0]} is not the file that the run wrote; {again}.")
        run, explanation = json.loads(files["run.json"]), json.loads(files.get(RECORD, "{}"))
        if explanation.get("status") == "done":
            check_explanation(explanation, run, files[MAPS], f"{archive}: {place}/{RECORD}")
    return found
