"""Some X-rays of each class and etiology."""

import numpy as np
from matplotlib.figure import Figure

from cxr.figures.data import FigureData
from cxr.figures.pictures import draw_grid
from cxr.figures.words import joined
from cxr.images.names import ETIOLOGIES

# So many images of each kind from the official training and test images.
FROM = {"train": 5, "test": 3}
# What a row is called by its etiology.
KINDS = {
    "none": "normal",
    "bacteria": "bacterial\npneumonia",
    "virus": "viral\npneumonia",
    "unknown": "pneumonia,\nunknown\netiology",
}


def draw_samples(figure: Figure, data: FigureData) -> str | None:
    """Draw a row of X-rays for each kind; return how they were chosen, or None where there are no images.

    They stand at even distances in the manifest's list of a kind in a folder, from the first to the last, so that no
    one chooses them.
    """
    if data.images is None or not data.may_show_images:
        return None
    manifest, pictures, words, titles = data.images.manifest, [], [], []
    for etiology in [name for names in ETIOLOGIES.values() for name in names]:
        chosen: list[int] = []
        for split, number in FROM.items():
            rows = manifest.index[(manifest["etiology"] == etiology) & (manifest["official_split"] == split)]
            places = np.linspace(0, len(rows) - 1, min(number, len(rows))).round().astype(int)
            chosen += rows[places].tolist()
        if chosen:
            pictures.append(list(data.images.pictures(chosen)))
            words.append(manifest.loc[chosen, "official_split"].tolist())
            titles.append(KINDS[etiology])
    draw_grid(figure, pictures, words, titles)
    counts = joined([f"{number} of each kind from {split}" for split, number in FROM.items()])
    return (
        f"{sum(map(len, pictures))} of {len(manifest):,} X-rays, at even distances in the lists of the folders, up to "
        f"{counts}."
    )
