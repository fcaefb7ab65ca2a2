"""Where images may come from; every source has a module of its own and a line in ``SOURCES``."""

from pathlib import Path
from typing import Any, Protocol

from cxr.files import write_json
from cxr.images import embedded, folder, kaggle, mendeley
from cxr.images.phantom import cohort


class Source(Protocol):
    """What the module of a source holds.

    Attributes:
        DESCRIPTION: ``title``, ``synthetic`` (whether the images show no person), ``licence``, ``citation``, and
            ``if_counts_differ``: whether numbers of images other than the published ones ``refuse`` the cohort,
            ``warn``, or are to be ``ignore``d.
    """

    DESCRIPTION: dict[str, Any]

    def provide(self, settings: dict[str, Any], folder: Path, threads: int) -> Path:
        """Make the images available.

        Args:
            settings: ``data`` of the config.
            folder: where a source may write images that it keeps in no cache.
            threads: how many processors it may use.

        Returns:
            The folder that holds train/, val/ and test/.
        """


# The keys are the values of ``data.source`` in the config.
SOURCES: dict[str, Source] = {
    "embedded": embedded,
    "folder": folder,
    "kaggle": kaggle,
    "mendeley": mendeley,
    "phantom": cohort,
}


def provide_images(settings: dict[str, Any], folder: Path, source: Path, threads: int = 1) -> None:
    """Fetch, unpack or draw the images, and write where they are.

    Args:
        settings: ``data`` of the config.
        folder: where phantoms are drawn and embedded images are unpacked; other sources keep their images where they
            are or in a cache.
        source: JSON with ``source``, ``settings``, ``root`` (the folder that holds train/, val/ and test/) and the
            source's ``DESCRIPTION``. Since it holds the settings, the file changes whenever the images may have.
        threads: how many phantoms are drawn at once.

    Raises:
        InputError: as the source's ``provide``.
    """
    name = settings["source"]
    root = SOURCES[name].provide(settings, folder, threads)
    write_json(source, {"source": name, "settings": settings, "root": str(root.absolute())} | SOURCES[name].DESCRIPTION)
