"""The packages of ``cxr`` in the order of the work: which may import which, and how large their modules are."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from cxr.files import REPOSITORY

# A package may import those before it. `cli` loads its commands by name, and is imported by nobody.
BELOW = ["errors", "files", "progress", "provenance", "sealed_zip", "cli"]
PACKAGES = [
    "study",
    "images",
    "preprocessing",
    "networks",
    "training",
    "explanation",
    "prediction",
    "evaluation",
    "claims",
    "figures",
    "paper",
    "review",
]
WITH_TORCH = {"preprocessing", "networks", "training", "explanation", "prediction"}
ROOT = REPOSITORY / "cxr"
MODULES = {
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
INNER = [name for name in MODULES if name not in ("cxr", "cxr.__main__")]


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, inside its functions, too; ``from cxr import x`` is ``cxr`` and ``cxr.x``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path} imports relatively"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def level(module: str) -> int:
    """How far down the list a module stands; those directly in ``cxr`` come first."""
    part = module.split(".")[1]
    return 0 if part in BELOW else 1 + PACKAGES.index(part)


def within(module: str) -> list[str]:
    """The project's own modules that a module imports."""
    return [name for name in imports(MODULES[module]) if name in INNER and name != module]


@pytest.mark.parametrize("module", INNER)
def test_a_module_imports_from_its_own_package_and_those_before_it(module: str) -> None:
    assert [name for name in within(module) if level(name) > level(module)] == []


def test_no_modules_import_each_other_in_a_cycle() -> None:
    TopologicalSorter({module: within(module) for module in INNER}).prepare()


@pytest.mark.parametrize("module", INNER)
def test_torch_is_imported_where_images_and_networks_are_computed_alone(module: str) -> None:
    found = {name.split(".")[0] for name in imports(MODULES[module])} & {"torch", "torchvision"}
    assert not found or module.split(".")[1] in WITH_TORCH


@pytest.mark.parametrize("module", MODULES)
def test_a_module_uses_no_private_name_of_another(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    attributes = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls")
    ]
    names = [*attributes, *imports(MODULES[module])]
    # os._exit is documented, for child processes after a fork.
    assert [name for name in names if re.search(r"(^|\.)_(?!_)\w*$", name) and name != "os._exit"] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_at_most_300_lines(module: str) -> None:
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= 300


def test_the_package_is_its_list_of_packages_and_ten_modules_at_most() -> None:
    entries = {path for path in ROOT.iterdir() if not path.name.startswith("__")}
    assert sorted(path.name for path in entries if path.is_dir()) == sorted(PACKAGES)
    assert len([path for path in entries if path.is_file()]) <= 10


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_tells_what_comes_in_and_goes_out_and_imports_nothing_itself(package: str) -> None:
    tree = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))
    text = ast.get_docstring(tree) or ""
    assert len(tree.body) == 1 and "In: " in text and "Out: " in text
