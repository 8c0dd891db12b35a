"""The brain of the demo study: an ellipsoid with some structures and cells, known at each place.

Places are in the space of the atlas, in millimetres from its first corner: ML to the right, AP to
the back, DV downwards. The same formulas give the voxels of the microscope and those of the atlas.
The brain is equal from call to call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Places: TypeAlias = NDArray[np.float64]
    """Places with ML, AP and DV along the last axis."""

CENTRE_MM = (5.7, 6.6, 4.0)
"""The middle of the Allen CCF."""
BACKGROUND = 120
"""Counts outside of the tissue, like the offset of a camera."""
_CORTEX_FROM = 0.78
"""Share of the way from centre to surface at which the cortex begins."""
_EDGE = 0.1
"""Share of that way over which a structure fades: overlaps are measured by cells, and an edge
that is sharper than they are would hide them."""


class Ellipsoid(NamedTuple):
    """An ellipsoid of the brain; those with an offset along ML are there on both sides."""

    label: int
    """As the Allen ontology has it."""
    offset_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]


BRAIN = Ellipsoid(343, (0.0, 0.0, 0.0), (4.6, 5.8, 3.2))
"""Tissue that is in no other structure counts as brain stem."""
CORTEX_LABEL = 315
"""Isocortex in the Allen ontology."""
STRUCTURES = (
    Ellipsoid(549, (0.0, 0.2, 0.5), (1.8, 1.5, 1.0)),
    Ellipsoid(1089, (2.0, 0.9, -0.7), (1.2, 1.0, 0.6)),
    Ellipsoid(512, (0.0, 4.0, 0.0), (2.4, 1.3, 1.6)),
)
"""Thalamus, hippocampal formation and cerebellum."""


@dataclass(frozen=True, slots=True)
class Stain:
    """How bright a stain makes tissue, structures and cells, in counts."""

    tissue: float
    cortex: float
    structures: tuple[float, float, float]
    cells: int
    """Number of cells in the box around the brain, if all of it were as dense as can be."""
    densities: tuple[float, float, tuple[float, float, float]]
    """Share of them that is in tissue, cortex and structures."""
    cell: float
    seed: int
    """Of the places of the cells, so that stains have cells of their own."""


STAINS = {
    "NeuN": Stain(
        *(140.0, 40.0, (-40.0, 60.0, 60.0), 50_000, (0.35, 0.6, (0.35, 1.0, 0.6))),
        cell=3000.0,
        seed=1,
    ),
    "cFos": Stain(
        *(140.0, 40.0, (60.0, -30.0, 30.0), 14_000, (0.1, 0.7, (0.3, 0.2, 0.05))),
        cell=2500.0,
        seed=2,
    ),
}
"""By the name of the channel. The first one is registered with the atlas."""


def find_shares(places_mm: Places, structure: Ellipsoid) -> NDArray[np.float64]:
    """Return how much of each place a structure takes, from 0 to 1."""
    import numpy as np

    away = _distance(places_mm, structure)
    return np.clip((1 - away) / _EDGE + 0.5, 0, 1)


def find_brightness(places_mm: Places, stain: Stain) -> NDArray[np.float64]:
    """Return the counts of the tissue at each place, without cells."""
    import numpy as np

    away = _distance(places_mm, BRAIN)
    tissue = np.clip((1 - away) / _EDGE + 0.5, 0, 1)
    cortex = np.clip((away - _CORTEX_FROM) / _EDGE + 0.5, 0, 1) * _above(places_mm)
    light = stain.tissue + stain.cortex * cortex
    for structure, counts in zip(STRUCTURES, stain.structures, strict=True):
        light += counts * find_shares(places_mm, structure)
    light *= tissue
    light += BACKGROUND
    return light


def find_labels(places_mm: Places) -> NDArray[np.int64]:
    """Return the region of each place, negative on the left, and 0 outside of the brain."""
    import numpy as np

    away = _distance(places_mm, BRAIN)
    labels = np.where(away <= 1, BRAIN.label, 0)
    is_cortex = (away > _CORTEX_FROM) & (_above(places_mm) > 0.5)
    labels = np.where((labels != 0) & is_cortex, CORTEX_LABEL, labels)
    for structure in STRUCTURES:
        is_inside = (_distance(places_mm, structure) <= 1) & (labels != 0)
        labels = np.where(is_inside, structure.label, labels)
    return np.where(places_mm[..., 0] < CENTRE_MM[0], -labels, labels)


def list_labels() -> list[int]:
    """Return all labels of the atlas, in order."""
    known = [BRAIN.label, CORTEX_LABEL, *(structure.label for structure in STRUCTURES)]
    return sorted([0, *known, *(-label for label in known)])


def place_cells(stain: Stain) -> Places:
    """Return the places of the cells of a stain, all of them inside of the brain."""
    import numpy as np

    # Of all generators of NumPy this one gives equal numbers in every version (NEP 19).
    random = np.random.RandomState(stain.seed)
    places: Places = np.array(CENTRE_MM) + random.uniform(-1, 1, (stain.cells, 3)) * BRAIN.radii_mm
    tissue, cortex, structures = stain.densities
    known = dict(zip((each.label for each in STRUCTURES), structures, strict=True))
    known |= {BRAIN.label: tissue, CORTEX_LABEL: cortex, 0: 0.0}
    labels = np.abs(find_labels(places))
    density = np.select([labels == label for label in known], list(known.values()))
    is_inside = _distance(places, BRAIN) < 1 - _EDGE / 2
    return places[is_inside & (random.uniform(0, 1, stain.cells) < density)]


def _distance(places_mm: Places, structure: Ellipsoid) -> NDArray[np.float64]:
    """Return the distances from the centre of a structure, 1 at its surface."""
    import numpy as np

    away = places_mm - CENTRE_MM
    if structure.offset_mm[0]:
        away[..., 0] = np.abs(away[..., 0])
    away -= structure.offset_mm
    away /= structure.radii_mm
    distances: NDArray[np.float64] = np.sqrt(np.square(away).sum(-1))
    return distances


def _above(places_mm: Places) -> NDArray[np.float64]:
    """Return 1 above the middle of the brain, 0 below, and a slope between."""
    import numpy as np

    return np.clip(0.5 - (places_mm[..., 2] - CENTRE_MM[2] - 0.6) / 0.4, 0, 1)
