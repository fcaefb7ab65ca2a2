# From chest X-rays to a paper. `snakemake --cores all` runs the study; `--configfile config/demo.yaml` runs the demo.
import json
import os
import platform
import sys
from pathlib import Path
from shlex import quote

from snakemake.settings.types import DeploymentMethod
from snakemake.utils import min_version

min_version("9.0")

from cxr.errors import exit_with_sentence
from cxr.files import REPOSITORY
from cxr.study import arrays, settings, workload
from cxr.study.code_digests import check_checkout, code_of
from cxr.study.config import Study
from cxr.study.container import container_of
from cxr.study.image_source import image_source

# Snakemake may run in another folder (--directory), and this may be the module of another workflow.
PAPER = os.path.relpath(REPOSITORY / "paper")
TEMPLATES = os.path.relpath(REPOSITORY / "report_templates")

# A --configfile on the command line takes the place of the study's; --config KEY=VALUE changes a key of either.
if not workflow.overwrite_configfiles:

    configfile: os.path.relpath(REPOSITORY / "config" / "config.yaml")


# Jobs run this Python, also where its environment is not activated, and this checkout's code. The memory that tensors
# leave stays with the process up to 32 MiB, and larger pieces come in large pages: glibc would give back and fetch small
# pages half a million times a step, which halves the speed of training on CPUs.
MALLOC = "hugetlb=1:glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=68719476736"
# OpenBLAS has other kernels for each kind of processor, which differ in last bits: with those of one kind, baselines and
# claims are the same on all x86-64 processors.
BLAS = "OPENBLAS_CORETYPE=Nehalem" if platform.machine() == "x86_64" else ""
CODE = f"PYTHONPATH={quote(str(REPOSITORY))}${{{{PYTHONPATH:+:$PYTHONPATH}}}}"
# A container has its own Python.
IN_CONTAINER = (
    DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method
)
PYTHON = "" if IN_CONTAINER else f"PATH={Path(sys.executable).parent}:$PATH"
shell.prefix(
    f"export {PYTHON} {CODE} {BLAS}"
    f" GLIBC_TUNABLES=${{{{GLIBC_TUNABLES:-glibc.malloc.{MALLOC}}}}}; "
)


report: "workflow/report/workflow.rst"


with exit_with_sentence():
    check_checkout(workflow.current_basedir.get_path_or_uri(secret_free=True))
    study = Study.from_config(config)
    SOURCE = image_source(study)
    ARCHIVE = settings.archive_of(study)
    OTHER_SIZES = settings.other_sizes_of(study)
    WEIGHTS = settings.all_weights_settings(study)
    CONTAINER = container_of(study, IN_CONTAINER)
config.update(study.config)
RESULTS = study.results

if CONTAINER:

    container: CONTAINER


include: "workflow/rules/common.smk"
include: "workflow/rules/images.smk"
include: "workflow/rules/preprocessing.smk"
include: "workflow/rules/networks.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/explanation.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/paper.smk"
include: "workflow/rules/review.smk"


# Commands name the folder of results, which a prefix of a module would move.
if str(rules.images.output[0]) != f"{RESULTS}/images/source.json":
    sys.exit(
        "Leave out the prefix of this module: results go to results/<name>, with the name of the config."
    )


# Before the first job, but not in a dry-run.
onstart:
    from cxr.training import preflight

    with exit_with_sentence():
        preflight.check(study, Path(RESULTS), here=workflow.local_exec)


# gpu_mb is counted per machine; a cluster's scheduler gives whole GPUs.
resource_scopes:
    gpu_mb="local",


# On a cluster these run where Snakemake was started: they are short, or download, which compute nodes often cannot.
localrules:
    all,
    archive,
    crate,
    download_checkpoint,
    estimate,
    images,
    verify_checkpoints,
    weights,


rule all:
    default_target: True
    input:
        ESTIMATE,
        rules.paper.output,
        # Listed so that a deleted run is made again.
        expand(
            "{run}/{name}",
            run=RUNS,
            name=["run.json", "history.csv", "predictions.csv"],
        ),
        EXPLANATIONS,
