"""The licences of all packages of the lock, as a table in ``docs/licences.md``."""

import importlib.metadata
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cxr.errors import InputError
from cxr.files import REPOSITORY, written_whole
from cxr.review.checks import pins_of

HEADING = "| package | needed | licence |\n|:--|:--|:--|\n"
ROW = re.compile(r"^\| (?P<name>[\w.-]+) \| (?P<needed>[^|]*) \| (?P<licence>[^|]*) \|$", re.MULTILINE)
# SPDX identifiers for what packages write in their metadata or at the head of their licence.
IDENTIFIERS = {
    "MIT License": "MIT",
    "Apache License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD 3-Clause License": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "2-clause BSD License": "BSD-2-Clause",
    "2-clause BSD": "BSD-2-Clause",
    "BSD License": "BSD",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "GNU General Public License (GPL)": "GPL",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "Python Software Foundation License": "PSF-2.0",
    "NVIDIA Proprietary Software": "LicenseRef-NVIDIA-Proprietary",
}


def write_licences(
    table: Path = REPOSITORY / "docs" / "licences.md", lock: Path = REPOSITORY / "requirements.lock"
) -> None:
    """Write the table of packages at the end of a page again, from the metadata of the installed packages.

    Args:
        table: the page; what stands before the table stays. A package that is not installed here (of another operating
            system) keeps its row.
        lock: the pinned packages.

    Raises:
        InputError: the page has no table, or nothing tells the licence of a package.
    """
    page = table.read_text(encoding="utf-8")
    before, heading, rows = page.partition(HEADING)
    if not heading:
        raise InputError(f"{table} has no table of packages; restore it with git checkout.")
    found = {row["name"]: row["licence"] for row in ROW.finditer(rows)}
    found |= {name: licence for name in names_of(lock) if (licence := licence_of(name))}
    unknown = [name for name in names_of(lock) if name not in found]
    if unknown:
        raise InputError(f"nothing tells the licence of {', '.join(unknown)}; add a row to {table} by hand.")
    needed = direct_packages(REPOSITORY / "pyproject.toml")
    lines = [f"| {name} | {needed.get(name, 'by others')} | {found[name]} |\n" for name in names_of(lock)]
    with written_whole(table) as part:
        part.write_text(before + heading + "".join(lines), encoding="utf-8")


def names_of(lock: Path) -> list[str]:
    """Return the names of the pinned packages, sorted, each once."""
    return sorted({pin.name for pin in pins_of(lock)})


def direct_packages(pyproject: Path) -> Mapping[str, str]:
    """Return ``to run`` or ``to test`` for the packages that ``pyproject.toml`` names."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    wanted = {"to test": project["optional-dependencies"]["test"], "to run": project["dependencies"]}
    return {canonicalize_name(Requirement(line).name): use for use, lines in wanted.items() for line in lines}


def licence_of(package: str) -> str | None:
    """Return the licence of an installed package, or None.

    The expression of PEP 639 counts first, then the field ``License`` if it is a name and not a text, then the
    classifiers, then the first lines of the licence's own file.
    """
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    metadata = distribution.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = [line.split(" :: ") for line in metadata.get_all("Classifier") or [] if line.startswith("License ::")]
    told = dict.fromkeys(IDENTIFIERS.get(parts[-1], parts[-1]) for parts in classifiers if len(parts) > 2)
    field = metadata["License"].strip() if "License" in metadata else ""
    # Some put the whole text of the licence there.
    name = field if field and "\n" not in field and len(field) < 60 else " OR ".join(told)
    return IDENTIFIERS.get(name, name) or _by_text(distribution)


def _by_text(distribution: importlib.metadata.Distribution) -> str | None:
    for file in distribution.files or []:
        if re.search(r"licen[cs]e", file.name, re.IGNORECASE):
            beginning = Path(str(file.locate())).read_text(encoding="utf-8", errors="replace")[:400]
            for title, identifier in IDENTIFIERS.items():
                if title in beginning:
                    return identifier
    return None
