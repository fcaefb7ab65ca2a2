"""``profiles/cluster-generic/scheduler.sh``: what it says to each scheduler, and what it makes of the answers."""

import os
import subprocess
from pathlib import Path

import pytest

from cxr.files import REPOSITORY

SCRIPT = REPOSITORY / "profiles" / "cluster-generic" / "scheduler.sh"


def scheduler(folder: Path, name: str, *arguments: str, **answers: tuple[str, int]) -> subprocess.CompletedProcess[str]:
    """Call the script where each command of ``answers`` notes its call, prints a text and exits with a code."""
    for command, (text, code) in answers.items():
        file = folder / "bin" / command
        file.parent.mkdir(exist_ok=True)
        file.write_text(
            f"#!/bin/sh\necho {command} \"$@\" >> '{folder}/calls'\ncat <<'END'\n{text}\nEND\nexit {code}\n"
        )
        file.chmod(0o755)
    environment = os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "SCHEDULER": name}
    return subprocess.run(
        ["sh", str(SCRIPT), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("name", "command", "answer", "options"),
    [
        ("slurm", "sbatch", "17", ["--cpus-per-task=4", "--mem=6000", "--time=90"]),
        ("pbs", "qsub", "17", ["walltime=90:00", "select=1:ncpus=4:mem=6000mb"]),
        (
            "lsf",
            "bsub",
            "Job <17> is submitted to queue <normal>.",
            ["-n 4", "-M 6000MB", "-W 90", "hosts=1", "sh job"],
        ),
        # SGE counts memory by slot.
        ("sge", "qsub", "17", ["-pe smp 4", "h_vmem=1500M", "h_rt=5400", "-terse"]),
    ],
)
@pytest.mark.parametrize("gpus", ["0", "1"])
def test_a_job_is_submitted_with_what_it_asks_for(
    tmp_path: Path, name: str, command: str, answer: str, options: list[str], gpus: str
) -> None:
    done = scheduler(tmp_path, name, "submit", "4", "6000", "90", gpus, "job.sh", **{command: (answer, 0)})
    assert done.returncode == 0 and done.stdout.strip() == "17"
    called = (tmp_path / "calls").read_text()
    assert all(option in called for option in options), called
    gpu = {"slurm": "--gpus=1", "pbs": ":ngpus=1", "lsf": "-gpu num=1", "sge": "-l gpu=1"}[name]
    assert (gpu in called) == (gpus == "1") and ("gpu" in called) == (gpus == "1")
    assert called.strip().endswith("job.sh")
    assert (tmp_path / "logs" / "cluster").is_dir(), "schedulers do not make the folder that they write to"


PBS = "Job Id: 17\n    job_state = {}\n    Exit_status = {}"


@pytest.mark.parametrize(
    ("name", "answers", "status"),
    [
        ("slurm", {"squeue": ("PENDING", 0)}, "running"),
        ("slurm", {"squeue": ("COMPLETED", 0)}, "success"),
        ("slurm", {"squeue": ("OUT_OF_MEMORY", 0)}, "failed"),
        ("slurm", {"squeue": ("", 1)}, "failed"),
        ("pbs", {"qstat": ("Job Id: 17\n    job_state = Q", 0)}, "running"),
        ("pbs", {"qstat": (PBS.format("F", 0), 0)}, "success"),
        ("pbs", {"qstat": (PBS.format("F", 271), 0)}, "failed"),
        ("pbs", {"qstat": ("", 153)}, "failed"),
        ("lsf", {"bjobs": ("PEND", 0)}, "running"),
        ("lsf", {"bjobs": ("DONE", 0)}, "success"),
        ("lsf", {"bjobs": ("EXIT", 0)}, "failed"),
        ("sge", {"qstat": ("job_number: 17", 0)}, "running"),
        ("sge", {"qstat": ("", 1), "qacct": ("failed       0\nexit_status  0", 0)}, "success"),
        ("sge", {"qstat": ("", 1), "qacct": ("failed       0\nexit_status  137", 0)}, "failed"),
    ],
)
def test_what_became_of_a_job(tmp_path: Path, name: str, answers: dict[str, tuple[str, int]], status: str) -> None:
    done = scheduler(tmp_path, name, "status", "17", **answers)
    assert (done.stdout.strip(), done.returncode) == (status, 0)


@pytest.mark.parametrize(
    ("name", "command"), [("slurm", "scancel"), ("pbs", "qdel"), ("lsf", "bkill"), ("sge", "qdel")]
)
def test_jobs_are_cancelled(tmp_path: Path, name: str, command: str) -> None:
    scheduler(tmp_path, name, "cancel", "17", "18", **{command: ("", 0)})
    assert (tmp_path / "calls").read_text() == f"{command} 17 18\n"


def test_another_scheduler_ends_in_one_sentence(tmp_path: Path) -> None:
    done = scheduler(tmp_path, "condor", "status", "17")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "SCHEDULER is 'condor'; set it to slurm, pbs, lsf or sge.\n"
