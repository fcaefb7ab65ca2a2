"""The normal chest: soft tissue, lungs, heart, vessels and bones, as optical depth in body coordinates.

Tissue adds optical depth, air removes it, and bright is dense.
"""

import numpy as np

from cxr.images.phantom.portable import (
    Plane,
    bell,
    cosine_and_sine,
    exponential,
    fraction,
    length,
    normal,
    quarter_turns,
    uniform,
    wave,
)
from cxr.images.phantom.shapes import bump, edge, oval, polyline, texture


def chest(x: Plane, y: Plane, patient: np.random.Generator, breath: float, rotation: float) -> tuple[Plane, Plane]:
    """Return optical depth, about 0 (air) to 1 (spine), and the lungs as a plane of 0 to 1, both of the shape of ``x``.

    Args:
        x: body coordinate.
        y: body coordinate.
        patient: random numbers for everything that stays the same from one exposure to the next.
        breath: how much lower than usual the diaphragm stands.
        rotation: sideways shift of what lies in front, in half widths of the thorax.
    """
    age = patient.random()  # 0 an infant, 1 an adolescent
    a, left = np.abs(x), (x > 0).astype(np.float32)
    # Neck, shoulders, flanks: half width of the body against height.
    outline = polyline(
        y, [(-1.7, 0.3), (-1.35, 0.36), (-1.15, 0.6), (-0.95, 1.2), (-0.7, 1.3), (-0.3, 1.14), (1.5, 1.1)]
    )
    body = edge(outline - a, 0.05)
    tissue = body * (0.35 + 0.65 * bump(a, 1.45))
    # Arms leave the shoulders, hanging or lifted.
    c, s = cosine_and_sine(uniform(patient, -5, 60))
    u, v = a - 1.2, y + 0.78
    beyond = edge(s * u + c * v, 0.1)
    off = c * u - s * v
    arm, humerus = beyond * bump(off, 0.24), beyond * bump(off, 0.075)

    # The lungs: what the ribs enclose, less mediastinum, heart and what lies under the diaphragm.
    wall = bump(np.clip(0.6 - y, 0, None), 1.5 + 0.1 * age) - 0.06 * np.clip(y - 0.6, 0, 1)
    base = 0.40 + 0.12 * age + breath + normal(patient, 0, 0.05)
    lateral = np.maximum(a - 0.45, 0)
    dome = base + left * normal(patient, 0.05, 0.03) + 0.75 * lateral * lateral * (1 + lateral)
    dome += 0.1 * (a - 0.45) * (a - 0.45)
    size = 1.0 + 0.12 * (1 - age) + normal(patient, 0, 0.06)
    thymus = (1 - age) * uniform(patient, 0, 0.16) * bell((y + 0.4) / 0.25)
    # Borders of mediastinum and heart, as distances from the midline: right atrium; aortic knob, left ventricle.
    low = base + 0.05
    right = 0.15 + thymus + 0.14 * size * bell((y - low + 0.12) / 0.3)
    knob = 0.07 * bell((y + 0.42) / 0.11)
    left_border = 0.13 + thymus + knob + 0.46 * size / (1 + exponential(-(y - low + 0.46) / 0.13))
    border = np.where(x < rotation, right, left_border)
    heart = edge(border - np.abs(x - rotation), 0.08)
    cavity = edge(wall - a, 0.05)
    lung = cavity * edge(dome - y, 0.06) * (1 - 0.9 * heart)
    air = lung * (0.35 + 0.65 * np.sqrt(bump(a, np.maximum(wall, 0.05))))

    depth = 0.24 * tissue + 0.46 * tissue * (1 - 0.95 * air) + 0.05 * heart * cavity
    depth += body * 0.07 * edge(y - dome, 0.1) * cavity * (1 - 0.3 * left)
    depth += (1 - body) * 0.35 * arm + 0.28 * humerus * (1 - 0.5 * body)
    gas = oval(x, y, (uniform(patient, 0.35, 0.6), base + uniform(patient, 0.18, 0.3)), (0.26, 0.13), -11)
    depth -= max(0.0, uniform(patient, -0.2, 0.25)) * edge(gas, 0.3) * (1 - lung)
    depth += _bones(x, y, wall, lung, patient, age, rotation)
    # Vessels leave the hila like rays and thin out; some normal lungs are rich in them.
    hilum = length(a - 0.2, y + 0.02)
    angle = quarter_turns(a - 0.2, y + 0.02)
    far = (hilum - 0.88) / (hilum + 1.12)  # grows ever more slowly
    rays = texture(3.4 * angle + far + 9 * left, 3.2 * far, patient, 0.22)
    rich = uniform(patient, 0.05, 0.16)
    depth += lung * rich * exponential(-hilum / 0.38) * np.clip(1.4 - 1.6 * np.abs(rays), -0.2, 1)
    depth += lung * 0.12 * bell(hilum / 0.16)
    return depth, lung


def _bones(
    x: Plane, y: Plane, wall: Plane, lung: Plane, patient: np.random.Generator, age: float, rotation: float
) -> Plane:
    """Return the depth of ribs, spine, clavicles and shoulder blades, less that of the trachea before the spine."""
    a = np.abs(x)
    spacing = 0.205 + 0.02 * age + normal(patient, 0, 0.006)
    cage = edge(wall + 0.05 - a, 0.06) * edge(0.75 - y, 0.6)
    rim = 1 + 0.9 * bell((wall - a) / 0.07)
    bend = 0.14 + 0.1 * age + normal(patient, 0, 0.03)
    uneven = 0.08 * wave(0.4 * x + 0.24 * y + patient.random())
    # Ribs repeat down the chest: the distance from the nearest one is a remainder.
    posterior = (y - bend * a - 0.45 * a * a * a * a * (0.6 + 0.4 * age)) / spacing + uneven + patient.random()
    anterior = (y + (0.55 + 0.25 * age) * (a - 1)) / (1.15 * spacing) + uneven + patient.random()
    bones = 0.13 * cage * rim * (0.5 + 0.5 * lung) * _rib(posterior, 0.23) * edge(a - 0.08, 0.1)
    bones += 0.07 * cage * _rib(anterior, 0.3) * edge(a - 0.45, 0.4) * edge(y + 0.75, 0.3)
    # Vertebrae with their discs, darkened above by the trachea.
    level = fraction(y / 0.15 + patient.random())
    bones += 0.20 * bump(x, 0.13) * (0.75 + 0.25 * edge(np.abs(level - 0.5) - 0.1, 0.12))
    bones -= 0.14 * bump(x - rotation - 0.01, 0.05) * edge(-0.28 - y, 0.15)
    rise = normal(patient, 0.2, 0.06)
    collar = y + 0.76 + rise * (a - 0.1) - 0.05 * wave(0.8 * a)
    bones += 0.17 * bump(collar, 0.055) * edge(a - 0.1, 0.06) * edge(1.12 - a, 0.1)
    # The shoulder blade's inner margin.
    blade = oval(a, y, (1.12, -0.45), (0.26, 0.5), 14)
    return bones + 0.07 * edge(blade, 0.12)


def _rib(phase: Plane, half: float) -> Plane:
    """Return the depth of a tube, which is denser at its two cortical edges than in the middle."""
    distance = np.abs(fraction(phase) - 0.5)
    return edge(half - distance, 0.1) * (0.7 + 0.5 * distance * distance / (half * half))
