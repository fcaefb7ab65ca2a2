"""The workflow in other places: in another folder, as a module of another workflow, and in the workflow catalogue."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from test_reproduce import CONFIG
from test_workflow import jobs, snakemake

from cxr.files import REPOSITORY
from cxr.study.schemas import read_yaml

SNAKEFILE = """
module xray:
    snakefile:
        "{repository}/Snakefile"
{keys}

use rule * from xray as xray_*


rule verdicts:
    default_target: True
    input:
        rules.xray_claims.output.table,
    output:
        "verdicts.txt",
    shell:
        "wc -l < {{input}} > {{output}}"
"""
KEYS = '    config:\n        config["xray"]'


@pytest.fixture(scope="module")
def repository(copy_repository: Callable[[], Path]) -> Path:
    return copy_repository()


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The folder of another workflow, with a space in its name, and its config."""
    folder = tmp_path / "other workflow"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump({"xray": CONFIG}))
    return folder


def run(other: Path, repository: Path, *arguments: str, keys: str = KEYS) -> subprocess.CompletedProcess[str]:
    """Run the other workflow."""
    (other / "Snakefile").write_text(SNAKEFILE.format(repository=repository, keys=keys))
    return snakemake(other, *arguments, "--configfile", "config.yaml", PYTHONPATH=str(repository))


def test_as_a_module_its_files_are_found_and_its_results_lie_here(other: Path, repository: Path) -> None:
    done = run(other, repository, "-n", "verdicts.txt")
    planned = jobs(done)
    assert planned["verdicts"] == planned["xray_claims"] == 1
    assert planned["xray_train"] == len(CONFIG["experiments"])
    assert f"{os.path.relpath(repository, other)}/paper/claims.yaml" in done.stdout
    assert "output: results/small/claims/claims.json" in done.stdout


@pytest.mark.slow
def test_as_a_module_it_makes_verdicts_and_paper(other: Path, repository: Path) -> None:
    done = run(other, repository, "verdicts.txt", "xray_paper")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int((other / "verdicts.txt").read_text()) > 100
    assert (other / "results" / "small" / "paper" / "paper.pdf").exists()
    assert not (repository / "results").exists()


def test_what_a_module_cannot_have_is_one_sentence(other: Path, repository: Path) -> None:
    done = run(other, repository, "-n", keys=f'    prefix:\n        "there"\n{KEYS}')
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("Leave out the prefix of this module: results go to")
    done = run(other, repository, "-n", keys="")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == "config '?': the key 'name' is missing."


def test_in_another_folder_it_finds_its_files(repository: Path, tmp_path: Path) -> None:
    arguments = ["-n", "--directory", str(tmp_path), "--configfile", f"{repository}/config/reference.yaml"]
    planned = jobs(snakemake(repository, *arguments))
    assert planned["unpack_runs"] == planned["paper"] == 1 and "train" not in planned
    assert jobs(snakemake(repository, "-n", "--directory", str(tmp_path)))["paper"] == 1, "the default config"


def test_the_catalogue_finds_workflow_and_instructions(repository: Path) -> None:
    planned = [
        jobs(snakemake(repository, "-n", "--forceall", *snakefile, "--configfile", "config/reference.yaml"))
        for snakefile in ([], ["--snakefile", "workflow/Snakefile"])
    ]
    assert planned[0].pop("all") == planned[1].pop("default") == 1 and planned[0] == planned[1]
    usage = read_yaml(REPOSITORY / ".snakemake-workflow-catalog.yml")["usage"]
    assert set(usage["software-stack-deployment"]) == {"conda", "apptainer", "apptainer+conda"} and usage["report"]
    assert (REPOSITORY / "config" / "README.md").exists()


def test_a_codecheck_compares_files_that_the_workflow_makes(repository: Path) -> None:
    done = snakemake(repository, "-n", "--forceall", "--configfile", "config/reference.yaml")
    made = done.stdout.replace(",", " ").split()
    check = read_yaml(REPOSITORY / "codecheck.yml")
    assert check["version"] == "https://codecheck.org.uk/spec/config/1.0/"
    files = [entry["file"] for entry in check["manifest"]]
    assert files and set(files) <= set(made)
