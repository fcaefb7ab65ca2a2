"""A real Slurm for the tests of this folder, and the table of what came of each (``make test-slurm``)."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from slurm_cluster import CONFIG, Cluster, NotAvailable, Workflow, running_cluster

ROWS = pytest.StashKey[list[tuple[str, str]]]()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running cluster; afterwards, nothing of it is left."""
    # Sockets in it have paths of at most 108 letters, which pytest's folders are too long for.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    try:
        with running_cluster(folder) as found:
            yield found
        assert not found.processes()
    except NotAvailable as error:
        pytest.skip(str(error))
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def workflow(cluster: Cluster, copy_repository: Callable[[], Path]) -> Workflow:
    repository = copy_repository()
    (repository / "config" / "small.yaml").write_text(yaml.safe_dump(CONFIG))
    return Workflow(repository, cluster)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Add a row to the table at the end: what was tried, and what came of it."""
    rows = request.config.stash.setdefault(ROWS, [])
    return lambda tried, outcome: rows.append((tried, outcome))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    rows = config.stash.get(ROWS, [])
    if rows:
        width = max(len(tried) for tried, _ in rows)
        terminalreporter.section(f"on Slurm, with {os.cpu_count()} cores and a load of {os.getloadavg()[1]:.1f}")
        for tried, outcome in rows:
            terminalreporter.line(f"{tried:{width}}  {outcome}")
