"""A Slurm of one node on this machine, run by the user from unpacked Debian packages, and the workflow on it.

Tried with Slurm 22.05 of Debian 12. No root, systemd, munge, cgroups or accounting database is needed.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("libhwloc15", "liblua5.1-0", "libmunge2", "slurm-wlm-basic-plugins", "slurm-client", "slurmctld", "slurmd")
LIBRARIES = Path("usr/lib/x86_64-linux-gnu")
SECONDS = 60.0
# A job that Slurm cannot start waits for ever; then Snakemake is interrupted, and cancels it.
RUN_SECONDS = 900
# Small enough that each stage takes seconds: what is tested is how jobs reach the cluster and come back.
CONFIG: dict[str, Any] = {
    "name": "small",
    "data": {
        "source": "phantom",
        "phantom": {
            "seed": 1,
            "counts": {
                "train": {"NORMAL": 20, "PNEUMONIA": 40},
                "val": {"NORMAL": 4, "PNEUMONIA": 4},
                "test": {"NORMAL": 12, "PNEUMONIA": 16},
            },
        },
    },
    "device": "cpu",
    "threads": 1,
    "image_size": 32,
    "protocols": ["corrected"],
    "experiments": ["custom", "resnet18-I-10"],
    "seeds": [42],
    "weights": {"resnet18": "random"},
    "limits": [{"experiments": ["*"], "epochs": 2, "training_images": 16}],
}

# The node has more cores and memory than the machine may have: what is tested is how jobs are shared out.
SLURM_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/none
CredType=cred/none
SlurmUser={user}
SlurmdUser={user}
PluginDir={plugins}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=1
DefMemPerCPU=500
MinJobAge=3600
ReturnToService=2
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=32000 Gres=gpu:toy:2
PartitionName=cpu Nodes={host} Default=YES
PartitionName=gpu Nodes={host}
"""
# Slurm wants devices: then a job that asks for a GPU finds CUDA_VISIBLE_DEVICES set.
GRES_CONF = """\
NodeName={host} Name=gpu Type=toy File=/dev/null
NodeName={host} Name=gpu Type=toy File=/dev/zero
"""
# Where there is no cgroup file system, slurmd asks for version 2 and stops.
CGROUP_CONF = "CgroupPlugin=cgroup/v1\n"
# Snakemake's job step takes every SLURM_* variable away, the path of this configuration too, before it calls srun.
SRUN = '#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {root}/usr/bin/srun "$@"\n'


class NotAvailable(Exception):  # noqa: N818, since tests are then skipped
    """The packages cannot be had, or the daemons do not start here."""


@dataclass
class Cluster:
    """A running cluster: its folder, the unpacked packages, its node, and the environment of its commands."""

    folder: Path
    root: Path
    node: str
    environment: dict[str, str]

    def call(self, *command: str) -> str:
        """Run a command of Slurm and return what it prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=30)
        return done.stdout.strip()

    def state(self) -> str:
        """Return the state of the node, such as ``idle``."""
        return self.call("sinfo", "--noheader", "--format=%T", "--partition=cpu")

    def start_node(self) -> None:
        """Start ``slurmd`` and wait until the node takes jobs."""
        stepd = str(self.root / "usr/sbin/slurmstepd")
        subprocess.run(["slurmd", "-N", self.node, "-d", stepd], env=self.environment, check=True, timeout=30)
        wait_for(lambda: self.state() in ("idle", "mixed", "allocated"), "the node takes jobs")

    def stop_node(self) -> None:
        """Kill the node's daemon and all that its jobs run, as if its power had gone, and tell the controller."""
        for process in self.processes():
            if process.name() in ("slurmd", "slurmstepd"):
                for victim in [process, *process.children(recursive=True)]:
                    with suppress(psutil.NoSuchProcess):
                        victim.kill()
        self.call("scontrol", "update", f"NodeName={self.node}", "State=DOWN", "Reason=test")

    def processes(self) -> list[psutil.Process]:
        """Return the processes, daemons and steps of jobs, that were started from the unpacked packages."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if any(str(self.root) in word for word in [process.exe(), *process.cmdline()]):
                    found.append(process)
        return found


@dataclass
class Workflow:
    """A copy of the repository with a config, on a cluster."""

    repository: Path
    cluster: Cluster

    @property
    def results(self) -> Path:
        return self.repository / "results" / str(CONFIG["name"])

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake; what it prints goes to ``snakemake.log`` in the copy."""
        command = ["timeout", "--signal=INT", str(RUN_SECONDS), sys.executable, "-m", "snakemake"]
        with (self.repository / "snakemake.log").open("w") as log:
            return subprocess.Popen(
                [*command, *arguments, "--configfile", "config/small.yaml"],
                cwd=self.repository,
                env=self.cluster.environment | {"PYTHONPATH": f"{self.repository}:{os.environ.get('PYTHONPATH', '')}"},
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def run(self, *arguments: str) -> float:
        """Run Snakemake to its end; return the seconds that it took."""
        started = time.monotonic()
        done = self.start(*arguments).wait()
        assert done == 0, (self.repository / "snakemake.log").read_text()[-5000:]
        return time.monotonic() - started


def unpack_packages(folder: Path) -> Path:
    """Download Debian's packages of Slurm and unpack them below ``folder``, without installing them.

    Raises:
        NotAvailable: there is no apt, or it does not reach its archive.
    """
    root = folder / "root"
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise NotAvailable("this system has no apt, which would download Debian's packages of Slurm")
    done = subprocess.run(["apt-get", "download", *PACKAGES], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise NotAvailable(f"apt cannot download Debian's packages of Slurm: {done.stderr.strip().splitlines()[-1]}")
    for package in sorted(folder.glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(package), str(root)], check=True)
    # Under its long name, a daemon starts steps that srun never hears of.
    for name in ("slurmctld", "slurmd", "slurmstepd"):
        (root / "usr/sbin" / name).symlink_to(f"{name}-wlm")
    return root


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Start a cluster in an empty folder, and stop it with all that it runs.

    Raises:
        NotAvailable: of ``unpack_packages``, or the daemons do not start.
    """
    root, node = unpack_packages(folder), socket.gethostname().partition(".")[0]
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    values = {
        "host": node,
        "user": getpass.getuser(),
        "folder": folder,
        "root": root,
        "plugins": root / LIBRARIES / "slurm-wlm",
        "controller_port": free_port(),
        "node_port": free_port(),
    }
    (folder / "slurm.conf").write_text(SLURM_CONF.format(**values))
    (folder / "gres.conf").write_text(GRES_CONF.format(**values))
    (folder / "cgroup.conf").write_text(CGROUP_CONF)
    (folder / "bin/srun").write_text(SRUN.format(**values))
    (folder / "bin/srun").chmod(0o755)
    places = [folder / "bin", root / "usr/bin", root / "usr/sbin"]
    environment = os.environ | {
        "PATH": ":".join([*map(str, places), os.environ["PATH"]]),
        "LD_LIBRARY_PATH": f"{root / LIBRARIES / 'slurm-wlm'}:{root / LIBRARIES}",
        "SLURM_CONF": str(folder / "slurm.conf"),
    }
    cluster = Cluster(folder, root, node, environment)
    try:
        try:
            subprocess.run(["slurmctld"], env=environment, check=True, capture_output=True, timeout=30)
            cluster.start_node()
        except (subprocess.SubprocessError, OSError, TimeoutError) as error:
            logs = "".join(path.read_text()[-1000:] for path in folder.glob("slurm*.log"))
            raise NotAvailable(f"Slurm does not start here: {error}\n{logs}") from None
        yield cluster
    finally:
        cluster.call("scancel", f"--user={getpass.getuser()}")
        with suppress(TimeoutError):
            wait_for(lambda: not cluster.call("squeue", "--noheader"), "the queue is empty")
        for name in ("slurmd", "slurmctld"):
            kill(folder / f"{name}.pid", signal.SIGTERM)
        with suppress(TimeoutError):
            wait_for(lambda: not cluster.processes(), "the daemons end")


def kill(pid_file: Path, number: signal.Signals) -> None:
    """Send a signal to the process whose id a file holds, if there is one, and wait until it ends."""
    with suppress(OSError, ValueError):
        process = int(pid_file.read_text())
        os.kill(process, number)
        wait_for(lambda: not Path(f"/proc/{process}").exists(), f"process {process} ends")


def wait_for(condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not in time.
    """
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"after {seconds:.0f} s, still not: {what}")
        time.sleep(0.1)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
