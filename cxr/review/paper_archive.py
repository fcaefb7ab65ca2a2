"""The archive of a finished paper, and the paper made again from it elsewhere."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cxr.errors import Differs, InputError
from cxr.files import REPOSITORY, write_json, written_whole
from cxr.review.checks import Check
from cxr.review.packed_files import CONFIG, OTHER_SIZES, OUTPUTS, PROVENANCE, made_with
from cxr.review.verify import table_of
from cxr.sealed_zip import read_sealed_zip, write_sealed_zip
from cxr.study.config import Study
from cxr.study.differences import first_difference

log = logging.getLogger(__name__)

# Of the packages of other versions, the terminal shows so many.
SHOWN_PACKAGES = 5


def write_paper_archive(crate: Path, archive: Path) -> None:
    """Pack a crate into one zip file with the SHA-256 of each file; equal crates make an equal archive.

    Args:
        crate: a folder of ``cxr.review.crate.write_crate``.
        archive: the file to write; with ``runs: {source: archive}`` a config takes its runs, too.
    """
    names = sorted(path.relative_to(crate).as_posix() for path in crate.rglob("*") if path.is_file())
    write_sealed_zip(archive, ((name, (crate / name).read_bytes()) for name in names))


def reproduce(
    archive: Path, /, folder: Path = Path("reproduced"), images: Path | None = None, cores: int | None = None
) -> None:
    """Make the paper again from an archive, without training, and compare it with the archive's byte for byte.

    The runs come from the archive, the images from where its config says. Everything else is computed anew: sets,
    baselines, metrics, intervals, verdicts, figures and the paper as HTML and PDF.

    Args:
        archive: a file that ``snakemake archive`` wrote.
        folder: where to work; the paper will be in ``results/<config name>/paper/`` below it.
        images: the folder of the images, where the archive was made from a folder.
        cores: how many processor cores to use; all of them, if absent.

    Raises:
        InputError: the archive is missing or damaged, its config cannot be used here, or the workflow fails.
        Differs: ``claims.json``, ``paper.html`` or ``paper.pdf`` has other bytes than in the archive.
    """
    files = _needed(archive)
    config = reproducing(json.loads(files[CONFIG]), archive, images)
    sizes = {folder.absolute() / name: content for name, content in files.items() if name.startswith(OTHER_SIZES)}
    study = Study.from_config(config | ({"other_sizes": str(*sizes)} if sizes else {}))
    for sentence in other_origins(json.loads(files[PROVENANCE]), made_with()):
        log.warning("%s", sentence)
    for path, content in sizes.items():
        with written_whole(path) as part:
            part.write_bytes(content)
    run_workflow(study, folder, cores)
    checks = list(compared(files, folder / study.results))
    print(table_of(checks))
    differing = [check.name for check in checks if not check.ok]
    if differing:
        raise Differs(f"{len(differing)} of {len(checks)} files differ: {', '.join(differing)}.")


def _needed(archive: Path) -> dict[str, bytes]:
    """Return the files that are needed, once all of the archive was compared with its list of hashes."""
    needed = {CONFIG, PROVENANCE, *OUTPUTS}
    files = {
        name: content
        for name, content in read_sealed_zip(archive, "fetch it again")
        if name in needed or name.startswith(OTHER_SIZES)
    }
    for name in sorted(needed - set(files)):
        raise InputError(f"{archive} has no {name}; name a file that `snakemake archive` wrote.")
    return files


def reproducing(config: Mapping[str, Any], archive: Path, images: Path | None = None) -> dict[str, Any]:
    """Return the config that takes all runs, as they were recorded, from an archive.

    Args:
        config: the archive's.
        archive: of ``write_paper_archive``.
        images: the folder of the images, where the config names one.

    Raises:
        InputError: a folder is needed and not given, or given and not needed.
    """
    source = config.get("data", {}).get("source")
    if source == "folder" and images is None:
        raise InputError(f"{archive} was made from a folder of images; name that folder with --images.")
    if source != "folder" and images is not None:
        raise InputError(f"{archive} takes its images from '{source}'; leave out --images.")
    # No run starts from pretrained weights, whose files may not be here; other sizes come from the archive.
    kept = {key: value for key, value in config.items() if key not in ("weights", "other_sizes")}
    if images is not None:
        kept["data"] = {**kept["data"], "folder": str(images.absolute())}
    return {**kept, "runs": {"source": "archive", "file": str(archive.absolute()), "as_recorded": True}}


def other_origins(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence where code or packages are others than those that made the archive's paper.

    Args:
        there: the archive's ``provenance.json``.
        here: of ``cxr.review.packed_files.made_with``.
    """
    if there["code"] != here["code"]:
        old, new = (_code(made["code"]) for made in (there, here))
        yield f"The archive's paper was made by the code of {old}, and this is {new}; results may differ."
    differing = [
        f"{name} {here['packages'].get(name, 'none')} instead of {version}"
        for name, version in there["packages"].items()
        if here["packages"].get(name) != version
    ]
    if differing:
        others = f" and {len(differing) - SHOWN_PACKAGES} more" if len(differing) > SHOWN_PACKAGES else ""
        yield f"Other package versions: {', '.join(differing[:SHOWN_PACKAGES])}{others}; results may differ."


def _code(code: Mapping[str, Any]) -> str:
    commit = f"commit {code['commit'][:12]}" if code["commit"] else "no commit"
    return f"version {code['version']}, {commit}{' with changes' if code['dirty'] else ''}"


def run_workflow(study: Study, folder: Path, cores: int | None) -> None:
    """Run the workflow of this checkout in another folder, and keep its messages there in ``snakemake.log``.

    Raises:
        InputError: it fails; the sentence repeats the last one of a command.
    """
    config, messages = folder / CONFIG, folder / "snakemake.log"
    write_json(config, dict(study.config))
    log.info("making the paper again in %s, messages in %s", folder / study.results, messages)
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores or "all")]
    command += ["--snakefile", str(REPOSITORY / "Snakefile"), "--directory", str(folder.absolute())]
    command += ["--configfile", str(config.absolute())]
    path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    with messages.open("w", encoding="utf-8") as stream:
        done = subprocess.run(command, stdout=stream, stderr=stream, env={**os.environ, "PYTHONPATH": path})
    if done.returncode:
        said = [line for line in messages.read_text(encoding="utf-8").splitlines() if line.startswith("cxr ")]
        last = f": {said[-1]}" if said else ""
        raise InputError(f"the workflow failed{last} (see {messages})")


def compared(files: Mapping[str, bytes], results: Path) -> Iterator[Check]:
    """Compare the files that matter with those that were made anew, and say of each what differs first.

    Args:
        files: the archive's, by name.
        results: ``results/<config name>``, made anew.
    """
    for name in OUTPUTS:
        anew = (results / name).read_bytes()
        same = anew == files[name]
        found = "the same bytes" if same else _first_difference(name, files[name], anew)
        yield Check(name, "the same bytes", found, same)


def _first_difference(name: str, old: bytes, new: bytes) -> str:
    if name.endswith(".json"):
        difference = first_difference(json.loads(old), json.loads(new))
        return difference or "the same content in other bytes"
    if name.endswith(".html"):
        lines = zip(old.decode().splitlines(), new.decode().splitlines(), strict=False)
        for number, (before, after) in enumerate(lines, 1):
            if before != after:
                at = _length_in_common(before, after)
                start = max(at - 20, 0)
                return f"line {number}: “{after[start : at + 40]}” instead of “{before[start : at + 40]}”"
    at = _length_in_common(old, new)
    return f"byte {at:,} of {len(new):,} (before: {len(old):,})"


def _length_in_common(old: str | bytes, new: str | bytes) -> int:
    pairs = enumerate(zip(old, new, strict=False))
    return next((place for place, (before, after) in pairs if before != after), min(len(old), len(new)))
