"""The opacities of pneumonia: optical depth that is added to the lungs, about 0 to 0.5."""

import numpy as np

from cxr.images.phantom.portable import Plane, bell, length, uniform
from cxr.images.phantom.shapes import edge, oval, texture


def lobar(x: Plane, y: Plane, patient: np.random.Generator) -> Plane:
    """Return the consolidation of a lobe, which is dense up to the fissure."""
    side = 1 if patient.random() < 0.4 else -1
    fissure = y - uniform(patient, -0.25, 0.2) + uniform(patient, -0.3, 0.3) * np.abs(x)
    upper = patient.random() < 0.4
    part = edge(-fissure if upper else fissure, uniform(patient, 0.08, 0.35))
    reach = 1 - 0.5 * np.clip(np.abs(y - (-0.5 if upper else 0.55)) / 0.7, 0, 1)
    return 0.50 * part * reach * edge(side * x, 0.1) * (0.85 + 0.15 * texture(x, y, patient, 0.12))


def patchy(x: Plane, y: Plane, patient: np.random.Generator) -> Plane:
    """Return several patches with blurred edges, as in bronchopneumonia."""
    relief = 0.25 * texture(x, y, patient, 0.12)
    patches = np.zeros_like(x)
    for _ in range(patient.integers(2, 6)):
        side = 1 if patient.random() < 0.5 else -1
        centre = (side * uniform(patient, 0.25, 0.85), uniform(patient, -0.45, 0.65))
        size = uniform(patient, 0.18, 0.4)
        patches = np.maximum(patches, uniform(patient, 0.5, 1) * edge(oval(x, y, centre, (size, size)) + relief, 0.9))
    return 0.50 * patches


def interstitial(x: Plane, y: Plane, patient: np.random.Generator) -> Plane:
    """Return a net of thickened septa around both hila, and a faint veil, as in viral pneumonia."""
    net = 1 - np.abs(texture(x, y, patient, 0.055)) * 1.6
    about = bell(length(np.abs(x) - 0.25, y - 0.1) / uniform(patient, 0.4, 0.9))
    return about * (0.16 * np.clip(net, -0.3, 1) + 0.13)
