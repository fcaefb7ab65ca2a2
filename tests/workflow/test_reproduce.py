"""A finished paper in one file, and the same paper made from it in another checkout."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from test_workflow import snakemake

from cxr.files import read_json
from cxr.sealed_zip import read_sealed_zip, write_sealed_zip

CONFIG = {
    "name": "small",
    "data": {
        "source": "phantom",
        "phantom": {
            "seed": 1,
            "counts": {
                "train": {"NORMAL": 30, "PNEUMONIA": 60},
                "val": {"NORMAL": 2, "PNEUMONIA": 2},
                "test": {"NORMAL": 20, "PNEUMONIA": 30},
            },
        },
    },
    "device": "cpu",
    "image_size": 32,
    "protocols": ["published"],
    "experiments": ["custom", "densenet121-I-10"],
    "seeds": [1],
    "weights": {"densenet121": "none"},
    "limits": [{"experiments": ["*"], "epochs": 2, "training_images": 16}],
}


def reproduce(repository: Path, archive: Path) -> subprocess.CompletedProcess[str]:
    """Run ``cxr reproduce`` in a checkout."""
    command = [sys.executable, "-m", "cxr", "reproduce", str(archive), "--cores", "2"]
    environment = os.environ | {"PYTHONPATH": str(repository)}
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_the_paper_of_an_archive_comes_out_the_same_elsewhere(
    copy_repository: Callable[[], Path], tmp_path: Path
) -> None:
    first, second = copy_repository(), copy_repository()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    done = snakemake(first, "archive", "--configfile", str(tmp_path / "config.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
    review = first / "results" / "small" / "review"
    archive = review / "small.zip"
    assert not [name for name, _ in read_sealed_zip(archive, "") if name.endswith((".png", ".pt", ".npy"))]

    done = reproduce(second, archive)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("the same bytes  the same bytes") == 3
    made = second / "reproduced" / "results" / "small"
    # Where a run was trained and why one was not: recorded, not made up anew.
    place = "training/runs/published/custom/seed-1/run.json"
    assert read_json(made / place) == read_json(first / "results" / "small" / place) and "source" not in read_json(
        made / place
    )
    assert not (made / "training/runs/published/custom/seed-1/checkpoint.pt").exists()

    # What was made by other predictions than the archive's paper differs, and is named.
    files = dict(read_sealed_zip(archive, ""))
    claims = json.loads(files["claims/claims.json"])
    claims["claims"][0]["says"] = "Something else."
    files["claims/claims.json"] = json.dumps(claims).encode()
    write_sealed_zip(tmp_path / "changed.zip", files.items())
    done = reproduce(second, tmp_path / "changed.zip")
    assert done.returncode == 1 and "1 of 3 files differ: claims/claims.json" in done.stderr
    assert "claims.0.says is" in done.stdout
