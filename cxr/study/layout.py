"""Where each result lies below ``results/<config name>``: one folder for each package of ``cxr`` that writes files.

The rules in ``workflow/rules`` spell these paths out, so that a person can search for them; a test holds them equal.
"""

from pathlib import Path


def manifest(results: Path) -> Path:
    """Return the table of all images."""
    return results / "images" / "manifest.csv"


def cohort(results: Path) -> Path:
    """Return the facts of the cohort as a whole."""
    return results / "images" / "cohort.json"


def array(results: Path, name: str) -> Path:
    """Return the array of all images at one size, such as ``224px``."""
    return results / "preprocessing" / "arrays" / f"{name}.npy"


def lungs(results: Path) -> Path:
    """Return the masks of the lungs of all images; their facts lie beside them, in ``lungs.json``."""
    return results / "preprocessing" / "lungs.npz"


def split(results: Path, protocol: str) -> Path:
    """Return the table of a protocol's sets."""
    return results / "preprocessing" / protocol / "split.csv"


def preprocessing(results: Path, protocol: str) -> Path:
    """Return a protocol's set sizes and normalisation constants."""
    return results / "preprocessing" / protocol / "preprocessing.json"


def transforms(results: Path, protocol: str) -> Path:
    """Return training images under each transform of a protocol, for the figures."""
    return results / "preprocessing" / protocol / "transforms.npz"


def duplicates(results: Path) -> Path:
    """Return the identical and nearly identical images."""
    return results / "preprocessing" / "duplicates.json"


def intensity(results: Path) -> Path:
    """Return how bright the images are, by class and official split."""
    return results / "preprocessing" / "intensity.json"


def weights(results: Path, backbone: str) -> Path:
    """Return the pretrained weights of a backbone; their facts lie beside them."""
    return results / "networks" / f"{backbone}.pt"


def features(results: Path, protocol: str, backbone: str) -> Path:
    """Return the features of a protocol's images under a pretrained backbone."""
    return results / "training" / "features" / protocol / f"{backbone}.npz"


def first_batch(results: Path) -> Path:
    """Return the first batch of the first experiment's training, for the figures."""
    return results / "training" / "first_batch.npz"


def place_of(protocol: str, experiment: str, seed: int) -> str:
    """Return the name of a run, ``runs/<protocol>/<experiment>/seed-<seed>``."""
    return f"runs/{protocol}/{experiment}/seed-{seed}"


def run(results: Path, place: str) -> Path:
    """Return the folder of a run's history, predictions, checkpoint and ``run.json``."""
    return results / "training" / place


def explanation(results: Path, place: str) -> Path:
    """Return the folder of a run's class activation maps and of ``explanation.json``."""
    return results / "explanation" / place


def metrics(results: Path, place: str) -> Path:
    """Return the metrics of a run."""
    return results / "evaluation" / place / "metrics.json"


def evaluation(results: Path, name: str) -> Path:
    """Return a file about all runs, such as ``metrics.csv`` or ``uncertainty.json``."""
    return results / "evaluation" / name


def claims(results: Path) -> Path:
    """Return the verdicts on the study's claims."""
    return results / "claims" / "claims.json"


def figures(results: Path) -> Path:
    """Return the folder of the figures."""
    return results / "figures"
