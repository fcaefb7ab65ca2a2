"""Which source files a stage depends on, for Snakemake's ``params: code=``."""

import ast
import hashlib
from functools import cache
from pathlib import Path

from cxr.errors import InputError
from cxr.files import REPOSITORY


@cache
def source_files(module: str) -> tuple[str, ...]:
    """Return the files of a module and of all modules of this package that it imports, directly or not.

    Args:
        module: a module's name, such as ``cxr.training.train``.

    Returns:
        Paths relative to the repository, sorted. Files are parsed, never imported.
    """
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = REPOSITORY / (name.replace(".", "/") + ".py")
        if name in found or not path.is_file():
            continue
        found[name] = path
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "cxr":
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names if alias.name.split(".")[0] == "cxr"]
    return tuple(sorted(str(path.relative_to(REPOSITORY)) for path in found.values()))


@cache
def code_of(module: str) -> str:
    """Return what changes when the code of a stage does: the SHA-256 of the names and contents of its source files.

    As a parameter of a rule it makes Snakemake run the rule again, as the files themselves would as inputs; but with
    thousands of runs, each with dozens of inputs, planning would take twice as long.

    Args:
        module: as for ``source_files``.
    """
    digest = hashlib.sha256()
    for file in source_files(module):
        digest.update(f"{file}\n".encode() + (REPOSITORY / file).read_bytes())
    return digest.hexdigest()


def check_checkout(folder: str) -> None:
    """Refuse a Snakefile of another checkout than the code that its rules would run.

    Args:
        folder: where the Snakefile lies; a URL, where a module was fetched by ``github()``.

    Raises:
        InputError: it is not the folder of this package.
    """
    if Path(folder).resolve() != REPOSITORY:
        raise InputError(
            f"The Snakefile is in {folder}, but Python finds the package cxr in {REPOSITORY}; use the Snakefile there, "
            "or `pip install --no-deps --editable` in the checkout of the other."
        )
