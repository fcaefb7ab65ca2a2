"""Load a trained network from what ``--run`` names."""

from pathlib import Path

from cxr.prediction.exported import SUFFIX, read_export
from cxr.prediction.run_folder import read_run
from cxr.prediction.trained import TrainedNetwork


def load_network(run: Path) -> TrainedNetwork:
    """Load a run's folder, or a file of ``cxr export``.

    Raises:
        InputError: as ``read_run`` and ``read_export``.
    """
    return read_export(run) if run.is_file() or run.suffix == SUFFIX else read_run(run)
