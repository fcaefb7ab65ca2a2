"""The workflow under ``profiles/slurm``, unchanged, on a Slurm of one node: its time, its results, and faults."""

import importlib.util
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from slurm_cluster import Workflow, wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

SLURM = ("--profile", "profiles/slurm")
RUN = "training/runs/corrected/custom/seed-42"
# What a run and the paper are made of; run.json and the pages also say when and where.
COMPARED = (f"{RUN}/predictions.csv", f"{RUN}/history.csv", "evaluation/metrics.csv", "claims/claims.csv")


def contents(workflow: Workflow) -> dict[str, bytes]:
    return {name: (workflow.results / name).read_bytes() for name in COMPARED if (workflow.results / name).exists()}


def jobs(workflow: Workflow) -> list[dict[str, str]]:
    """All jobs that have ended, in the order in which they were submitted."""
    path = workflow.cluster.folder / "jobs.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    found = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
    return sorted(found, key=lambda job: int(job["JobId"]))


@dataclass
class Undisturbed:
    """The results of a run on the machine itself, the seconds that it took, and its steps."""

    files: dict[str, bytes]
    seconds: float
    steps: int


@pytest.fixture(scope="module")
def undisturbed(workflow: Workflow) -> Undisturbed:
    seconds = workflow.run("--cores", "2")
    steps = re.findall(r"(\d+) of \1 steps", (workflow.repository / "snakemake.log").read_text())
    found = Undisturbed(contents(workflow), seconds, int(steps[-1]))
    assert len(found.files) == len(COMPARED)
    return found


def test_few_jobs_give_the_same_results_in_at_most_three_times_the_time(
    workflow: Workflow, undisturbed: Undisturbed, report: Callable[[str, str], None]
) -> None:
    shutil.rmtree(workflow.results)
    seconds = workflow.run(*SLURM)
    assert contents(workflow) == undisturbed.files
    made = jobs(workflow)
    times = seconds / undisturbed.seconds
    report(
        f"{undisturbed.steps} steps as {len(made)} jobs",
        f"{seconds:.0f} s, {times:.1f} times the {undisturbed.seconds:.0f} s without Slurm; the same bytes",
    )
    # Two groups, one network's features, and for each of the two runs its training and its explanation.
    assert len(made) == 7 and {job["JobState"] for job in made} == {"COMPLETED"}
    assert {job["Partition"] for job in made} == {"cpu"}, "no job here wants a GPU"
    assert times <= 3


def train_again(workflow: Workflow, *arguments: str) -> list[str]:
    """Arguments that train one run once more on the cluster."""
    target = f"{workflow.results.relative_to(workflow.repository)}/{RUN}/run.json"
    return [target, *SLURM, "--force", *arguments]


def states(workflow: Workflow, before: int) -> list[str]:
    """What became of each job after the first so many."""
    return [job["JobState"] for job in jobs(workflow)[before:]]


def wait_until_running(workflow: Workflow) -> str:
    """Wait for a job of the user to run; return its id."""
    command = ("squeue", "--noheader", "--states=RUNNING", "--format=%i")
    wait_for(lambda: bool(workflow.cluster.call(*command)), "a job runs", seconds=120)
    return workflow.cluster.call(*command)


def test_a_job_that_wants_a_gpu_goes_to_the_partition_that_has_some(
    workflow: Workflow, undisturbed: Undisturbed, report: Callable[[str, str], None]
) -> None:
    before = len(jobs(workflow))
    workflow.run(*train_again(workflow, "--set-resources", "train:gpu=1"))
    (job,) = jobs(workflow)[before:]
    asked = workflow.cluster.call("squeue", "--states=all", f"--jobs={job['JobId']}", "--Format=tres-per-job")
    assert job["Partition"] == "gpu" and "gpu:1" in asked
    report("a job that wants a GPU", f"ran in the partition {job['Partition']} with one of its two")


def test_a_job_that_fails_is_submitted_again(
    workflow: Workflow, undisturbed: Undisturbed, report: Callable[[str, str], None]
) -> None:
    before = len(jobs(workflow))
    rules = workflow.repository / "workflow/rules/training.smk"
    text = rules.read_text()
    # The first to train leaves a file and fails.
    command = '"python -m cxr --log {log} train --runs'
    assert text.count(command) == 1
    rules.write_text(text.replace(command, command.replace('"', '"test -e tried || {{ touch tried; exit 1; }}; ', 1)))
    workflow.run(*train_again(workflow))
    rules.write_text(text)
    assert states(workflow, before) == ["FAILED", "COMPLETED"]
    assert contents(workflow) == undisturbed.files
    report("a job that fails", "submitted again, completed; the same bytes")


def test_a_job_over_its_memory_is_submitted_again_with_more(
    workflow: Workflow, undisturbed: Undisturbed, report: Callable[[str, str], None]
) -> None:
    before = len(jobs(workflow))
    workflow.run(*train_again(workflow, "--set-resources", "train:mem_mb=250 + 1000 * (attempt - 1)"))
    asked = [int(re.findall(r"mem=(\d+)M", job["Tres"])[0]) for job in jobs(workflow)[before:]]
    first, second = states(workflow, before)
    assert first in ("FAILED", "OUT_OF_MEMORY") and second == "COMPLETED" and asked == [250, 1250]
    assert contents(workflow) == undisturbed.files
    report("a job over its memory", f"killed at {asked[0]} MB, completed with {asked[1]} MB; the same bytes")


def test_a_job_that_is_cancelled_is_submitted_again(
    workflow: Workflow, undisturbed: Undisturbed, report: Callable[[str, str], None]
) -> None:
    before = len(jobs(workflow))
    snakemake = workflow.start(*train_again(workflow))
    workflow.cluster.call("scancel", wait_until_running(workflow))
    assert snakemake.wait() == 0
    assert states(workflow, before) == ["CANCELLED", "COMPLETED"]
    assert contents(workflow) == undisturbed.files
    report("a job cancelled by scancel", "submitted again, completed; the same bytes")


def test_a_node_that_goes_down_and_comes_back(
    workflow: Workflow, undisturbed: Undisturbed, report: Callable[[str, str], None]
) -> None:
    before = len(jobs(workflow))
    snakemake = workflow.start(*train_again(workflow))
    wait_until_running(workflow)
    workflow.cluster.stop_node()
    assert workflow.cluster.state().startswith("down")
    workflow.cluster.start_node()
    assert snakemake.wait() == 0
    first, second = states(workflow, before)
    assert first == "NODE_FAIL" and second == "COMPLETED"
    assert contents(workflow) == undisturbed.files
    report("a node down and up again", "its job submitted again, completed; the same bytes")


def test_an_interrupted_snakemake_cancels_its_jobs(
    workflow: Workflow, undisturbed: Undisturbed, report: Callable[[str, str], None]
) -> None:
    before = len(jobs(workflow))
    snakemake = workflow.start(*train_again(workflow))
    wait_until_running(workflow)
    # As Ctrl-C does; after SIGTERM, Snakemake would wait for its jobs.
    snakemake.send_signal(signal.SIGINT)
    assert snakemake.wait() != 0
    wait_for(lambda: not workflow.cluster.call("squeue", "--noheader"), "the queue is empty")
    assert states(workflow, before) == ["CANCELLED"]
    report("Snakemake interrupted", "its job cancelled")


def test_the_generic_profile_submits_to_slurm_as_well(
    workflow: Workflow, undisturbed: Undisturbed, report: Callable[[str, str], None]
) -> None:
    if not importlib.util.find_spec("snakemake_executor_plugin_cluster_generic"):
        pytest.skip("snakemake-executor-plugin-cluster-generic is not installed (pip install '.[cluster]')")
    before = len(jobs(workflow))
    workflow.cluster.environment["SCHEDULER"] = "slurm"
    target = train_again(workflow)[0]
    workflow.run(target, "--profile", "profiles/cluster-generic", "--force")
    assert states(workflow, before) == ["COMPLETED"]
    assert contents(workflow) == undisturbed.files
    report("profiles/cluster-generic", "completed; the same bytes")
