"""The container in which jobs run where Snakemake is called with ``--sdm apptainer``."""

from pathlib import Path

from cxr.errors import InputError
from cxr.study.config import Study, expanded


def container_of(study: Study, wanted: bool) -> str | None:
    """Return the image that the config names under ``container``, a file or an address such as ``docker://NAME:TAG``.

    Args:
        study: the config.
        wanted: whether jobs are to run in a container.

    Raises:
        InputError: a container is wanted, and the config names none or a file that does not exist.
    """
    named = study.config.get("container")
    if named is None:
        if wanted:
            raise InputError(
                "--sdm apptainer runs jobs in a container, and the config names none; build it with `apptainer build "
                "cxr.sif apptainer.def`, and add `--config container=cxr.sif`."
            )
        return None
    if "://" in named:
        return str(named)
    path = expanded(named, f"config '{study.config['name']}': container")
    if wanted and not Path(path).is_file():
        raise InputError(
            f"The container {path} does not exist; build it with `apptainer build {path} apptainer.def`, or name "
            "another under 'container'."
        )
    return str(path)
