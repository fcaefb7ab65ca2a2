"""The workflow as its users run it: dry-runs of every config and profile, and a real run on a small cohort."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from PIL import Image
from snakemake_executor_plugin_slurm.partitions import read_partition_file

from cxr.files import REPOSITORY
from cxr.study.schemas import read_yaml

EXPERIMENTS = read_yaml(REPOSITORY / "paper" / "experiments.yaml")["experiments"]


@pytest.fixture(scope="module")
def repository(copy_repository: Callable[[], Path]) -> Path:
    return copy_repository()


def snakemake(repository: Path, *arguments: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in the copy; an environment variable given as None is taken away."""
    variables = os.environ | {"PYTHONPATH": str(repository)} | environment
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=repository,
        capture_output=True,
        text=True,
        env={name: value for name, value in variables.items() if value is not None},
    )


def jobs(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """The table of a dry-run: how often each rule would run."""
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    if "Job stats:" not in lines:
        return {}
    table = lines[lines.index("Job stats:") + 3 :]
    rows = [line.split() for line in table[: table.index("")]] if "" in table else [line.split() for line in table]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


GENERIC = pytest.param(
    "cluster-generic",
    marks=pytest.mark.skipif(
        not importlib.util.find_spec("snakemake_executor_plugin_cluster_generic"),
        reason="snakemake-executor-plugin-cluster-generic is not installed",
    ),
)


@pytest.mark.parametrize("profile", ["default", "slurm", GENERIC])
@pytest.mark.parametrize(("config", "device"), [("phantom", "cpu"), ("config", "cuda")])
def test_dry_run_of_each_config_under_each_profile(repository: Path, config: str, device: str, profile: str) -> None:
    done = snakemake(
        repository,
        "-n",
        "--forceall",
        "--configfile",
        f"config/{config}.yaml",
        "--config",
        f"device={device}",
        "--profile",
        f"profiles/{profile}",
    )
    planned = jobs(done)
    content = read_yaml(REPOSITORY / "config" / f"{config}.yaml")
    # phantom.yaml trains all experiments of a protocol in one process.
    experiments = 1 if content.get("one_process") else len(EXPERIMENTS)
    assert planned["train"] == experiments * len(content["protocols"]) * len(content["seeds"]) and planned["paper"] == 1
    gpu = "gpu=1" if device == "cuda" else "gpu=0"
    assert gpu in done.stdout
    # Short stages reach a cluster as two jobs.
    assert re.findall(r"Group job (\w+)", done.stdout) == ["preprocessing", "paper"]


def test_what_downloads_runs_where_the_network_is() -> None:
    listed = re.findall(r"^localrules:\n((?:    \w+,\n)+)", (REPOSITORY / "Snakefile").read_text(), re.MULTILINE)[0]
    assert {"images", "weights", "download_checkpoint"} <= set(re.findall(r"\w+", listed))


def test_training_alone_asks_slurm_for_a_gpu(repository: Path) -> None:
    done = snakemake(repository, "-n", "--forceall", "--config", "device=cuda", "--profile", "profiles/slurm")
    assert done.returncode == 0, done.stderr
    blocks = re.split(r"\n *rule ", done.stdout)
    trains = [block for block in blocks if block.startswith("train:")]
    study = read_yaml(REPOSITORY / "config" / "config.yaml")
    assert len(trains) == len(EXPERIMENTS) * len(study["protocols"]) * len(study["seeds"])
    assert all("mem_mb=6300" in block and "gpu=1" in block for block in trains)
    minutes = {block: int(re.findall(r"runtime=(\d+)", block)[0]) for block in trains}
    custom, resnet = (
        next(minutes[block] for block in trains if f"/{name}/" in block) for name in ("custom", "resnet18-III")
    )
    assert 10 < custom < resnet < 240
    on_gpus = {block.partition(":")[0] for block in blocks if "gpu=1" in block}
    assert on_gpus == {"explain", "features", "train", "train_ablation"}


def test_jobs_without_a_gpu_go_to_the_first_of_slurms_partitions() -> None:
    partitions = read_partition_file(REPOSITORY / "profiles" / "slurm" / "partitions.yaml")
    assert [(partition.name, partition.limits.max_gpu > 0) for partition in partitions] == [
        ("cpu", False),
        ("gpu", True),
    ]
    profile = read_yaml(REPOSITORY / "profiles" / "slurm" / "profile.yaml")
    assert (REPOSITORY / profile["slurm-partition-config"]).is_file()


def test_seeds_share_a_job_where_the_config_says_so(repository: Path) -> None:
    changes = ["name=small", "seeds=[42, 43]", "data={source: embedded}", "protocols=[published]", "device=cpu"]
    shared = [*changes, "ablations=[pixel-scale]", "weights={resnet18: none}", "seeds_in_one_job=true"]
    done = snakemake(repository, "-n", "--forceall", "--config", *shared)
    planned = jobs(done)
    assert planned["train"] == len(EXPERIMENTS) and planned["train_ablation"] == 3
    job = next(block for block in done.stdout.split("\nrule ") if block.startswith("train:") and "/custom/" in block)
    outputs = re.findall(r"output: (.+)", job)[0].split(", ")
    assert {f"results/small/training/runs/published/custom/seed-{seed}/run.json" for seed in (42, 43)} < set(outputs)


def test_the_default_is_the_study_and_keys_are_changed_on_the_command_line(repository: Path) -> None:
    changes = ["name=small", "seeds=[42, 43]", "data={source: embedded}", "protocols=[published]", "ablations=[]"]
    done = snakemake(repository, "-n", "--forceall", "--config", "weights={resnet18: none}", "threads=1", *changes)
    # All experiments under one protocol with two seeds; --config alone keeps config.yaml's other keys.
    assert jobs(done)["train"] == len(EXPERIMENTS) * 2
    assert "results/small/paper/paper.html" in done.stdout
    assert "workflow specific profile profiles/default" in done.stderr, "a profile that nobody has to name"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config", "imagesize=64"], ["unknown key 'imagesize'", "did you mean 'image_size'?"]),
        (["--config", "seeds=[42, first]"], ["'seeds.1': 'first' is not of type 'integer'"]),
        (["--configfile", "config/dev.yaml"], ["CXR_DATA"]),
        (["--sdm", "apptainer"], ["apptainer build cxr.sif apptainer.def", "--config container=cxr.sif"]),
        (["--sdm", "apptainer", "--config", "container=none.sif"], ["none.sif", "does not exist", "apptainer build"]),
        (["--configfile", "config/reference-training.yaml"], ["weights.resnet18.file", "CXR_WEIGHTS"]),
        (
            ["--configfile", "config/dev.yaml", "--config", 'data={"source":"folder","folder":"/none"}'],
            ["/none", "does not exist"],
        ),
    ],
)
def test_bad_configs_end_in_one_sentence(repository: Path, arguments: list[str], words: list[str]) -> None:
    done = snakemake(repository, "-n", *arguments, CXR_DATA=None, CXR_WEIGHTS=None)
    assert done.returncode == 1
    # Before it, Snakemake says which profile and config it takes.
    *before, sentence = done.stderr.strip().splitlines()
    assert all(word in sentence for word in words)
    assert not [line for line in before if not line.startswith(("Using workflow specific profile", "Config file"))]


def test_what_is_missing_is_said_before_anything_is_made(repository: Path) -> None:
    data = ["data={source: embedded}", "weights={resnet18: none, densenet121: none}"]
    done = snakemake(repository, "--config", "name=missing", "device=cuda", *data, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("The config says 'device: cuda', but there is no GPU here")
    assert "Traceback" not in done.stderr and ".smk" not in done.stderr
    assert not (repository / "results" / "missing").exists()


def test_the_time_is_estimated_where_training_takes_long_on_a_cpu(repository: Path) -> None:
    planned = {device: jobs(snakemake(repository, "-n", "--config", f"device={device}")) for device in ("cpu", "cuda")}
    assert planned["cpu"].pop("estimate") == 1
    assert planned["cpu"] | {"total": 0} == planned["cuda"] | {"total": 0}


@pytest.fixture(scope="module")
def config(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    content = read_yaml(REPOSITORY / "config" / "phantom.yaml") | {
        "name": "small",
        "data": {"source": "folder", "folder": str(cohort)},
        "image_size": 32,
        "protocols": ["published", "corrected"],
        "experiments": ["custom", "resnet18-I-10", "densenet121-I-10"],
        "weights": {"resnet18": "random", "densenet121": "none"},
        "limits": [{"experiments": ["*"], "epochs": 2, "training_images": 16}],
    }
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.mark.slow
def test_from_images_to_paper_and_what_reruns(repository: Path, config: str, cohort: Path) -> None:
    """One story, in its order: a run, nothing to do, touches, edits, a further image."""
    done = snakemake(repository, "--configfile", config)
    assert done.returncode == 0, done.stdout + done.stderr
    results = repository / "results" / "small"
    html, pdf = results / "paper" / "paper.html", results / "paper" / "paper.pdf"
    assert html.stat().st_size > 10_000 and pdf.read_bytes().startswith(b"%PDF")

    def planned(config: str = config) -> dict[str, int]:
        return jobs(snakemake(repository, "-n", "--configfile", config))

    assert planned() == {}, "a second run has nothing to do"
    report = repository / "report.html"
    # Where a proxy refuses every connection, whatever the report still fetched would fail.
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = snakemake(
        repository, "--configfile", config, "--report", str(report), no_proxy=None, NO_PROXY=None, **proxies
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = report.read_text()
    for shown in ("paper.html", "paper.pdf", "metrics.csv", "claims.csv", "ablations.csv", "strategies.svg"):
        assert f'"name": "{shown}"' in page
    captions = re.findall(r'"caption": "([^"]+)"', page)
    assert len(captions) >= 6 and not [caption for caption in captions if "{{" in caption]
    report.unlink()
    # The last made becomes the oldest, so that all that jobs read is newer than what they wrote.
    files = [file for file in repository.rglob("*") if file.is_file() and ".snakemake" not in file.parts]
    files = sorted([*files, *cohort.rglob("*.jpeg")], key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for second, file in enumerate(files, int(time.time()) - len(files)):
        os.utime(file, (second, second))
    assert planned() == {}, "a touch reruns nothing"

    with edited(repository / "report_templates" / "print.css", "/* an edit */\n"):
        assert set(planned()) == {"paper", "all", "total"}, "a template's edit reruns the paper alone"
    with edited(repository / "cxr" / "training" / "train.py", "# an edit\n"):
        rerun = planned()
        assert {"train", "evaluate", "figures", "paper"} <= set(rerun)
        assert not {"images", "manifest", "split", "arrays", "normalisation"} & set(rerun)
    # Snakemake asks none of the jobs after one that runs for reasons of their own: it must reach them all.
    with edited(repository / "cxr" / "images" / "decoding.py", "# an edit\n"):
        assert planned() | {"arrays": 2, "normalisation": 3, "train": 2, "paper": 1} == planned()
    assert planned() == {}

    further = cohort.parent / "further.yaml"
    content = yaml.safe_load(Path(config).read_text())
    further.write_text(yaml.safe_dump(content | {"protocols": ["published", "described", "corrected"]}))
    rerun = planned(str(further))
    assert rerun | {"arrays": 1, "normalisation": 1, "train": 1} == rerun, "a further protocol makes its own alone"

    first = next(cohort.rglob("*.jpeg"))
    Image.effect_noise((90, 80), 30).save(first.with_name("person9_virus_9.jpeg"))
    assert {"manifest", "split", "arrays", "train", "paper"} <= set(planned()), "a further image reruns everything"
    first.with_name("person9_virus_9.jpeg").unlink()

    records = {
        name: json.loads((results / f"training/runs/corrected/{name}/seed-42/run.json").read_text())
        for name in ("custom", "resnet18-I-10", "densenet121-I-10")
    }
    assert records["custom"]["settings"]["image_size"] == 32 and records["custom"]["code"]["version"]
    assert records["resnet18-I-10"]["weights"]["origin"] == "random weights, standing in"
    assert records["densenet121-I-10"]["status"] == "not run"
    words = re.sub(r"<[^>]+>|\s+", " ", html.read_text())
    assert "no weights: the config names none for this network" in words
    assert "random weights, standing in" in words


@contextmanager
def edited(path: Path, line: str) -> Iterator[None]:
    """Append a line to a file for a while."""
    content = path.read_bytes()
    path.write_bytes(content + line.encode())
    yield
    path.write_bytes(content)
