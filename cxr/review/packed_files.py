"""Which files of a finished paper are packed, under which names, and what made them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cxr.errors import InputError
from cxr.files import REPOSITORY
from cxr.provenance import code_version
from cxr.review.checks import installed_version, pins_of
from cxr.study import layout
from cxr.study.config import Study
from cxr.study.settings import other_sizes_of
from cxr.training.archive import FILES, check_outputs
from cxr.training.explanations import NAMES

CONFIG, PROVENANCE, README = "config.json", "provenance.json", "README.md"
OTHER_SIZES = "other_sizes/"
# What of the results is packed beside the runs, by folder. Not cohort.json, which names a folder of this machine.
RESULTS = {
    "images": ["manifest.csv"],
    "preprocessing": ["*/split.csv", "*/preprocessing.json"],
    "evaluation": ["*.json", "*.csv", "baselines/**/*.csv", "runs/**/metrics.json"],
    "claims": ["claims.json", "claims.csv"],
    "figures": ["**/*.svg", "paper/index.json"],
    "paper": ["paper.html", "paper.pdf"],
}
# What the workflow is: enough to read what was done. The whole code is in version control.
WORKFLOW = ["Snakefile", "workflow/rules/*.smk", "requirements.lock", "CITATION.cff", "LICENSE"]
OUTPUTS = ["claims/claims.json", "paper/paper.html", "paper/paper.pdf"]


def files_of(study: Study, results: Path) -> dict[str, Path]:
    """Return the files of a crate by their names within it.

    Raises:
        InputError: a result is missing, or a table was changed after its run.
    """
    found = {path.relative_to(REPOSITORY).as_posix(): path for path in _matching(REPOSITORY, WORKFLOW)}
    for folder, patterns in RESULTS.items():
        found |= {path.relative_to(results).as_posix(): path for path in _matching(results / folder, patterns)}
    for place in study.run_places():
        run = layout.run(results, place)
        if not (run / "run.json").exists():
            raise InputError(f"{run / 'run.json'} does not exist; run the workflow first.")
        check_outputs(run)
        found |= {f"{place}/{name}": run / name for name in FILES}
    for place in study.explained_places():
        explanation = layout.explanation(results, place)
        found |= {f"{place}/{name}": explanation / name for name in NAMES if (explanation / name).exists()}
    sizes = other_sizes_of(study)
    found |= {f"{OTHER_SIZES}{sizes.name}": sizes} if sizes else {}
    for name in OUTPUTS:
        if name not in found:
            raise InputError(f"{results / name} does not exist; run the workflow first.")
    return found


def _matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def made_with(lock: Path = REPOSITORY / "requirements.lock") -> dict[str, Any]:
    """Return ``code`` (as ``run.json`` has it) and ``packages``: the lock's packages with their versions here."""
    versions = {pin.name: installed_version(pin.name) for pin in pins_of(lock)}
    return {"code": code_version(), "packages": {name: version for name, version in versions.items() if version}}
