"""Regions of the atlas along a track: the label at steps between the annotated points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from spimpack_tasks.alignment.atlas import acronym_of
from spimpack_tasks.alignment.picks import ccf_to_bregma_um
from spimpack_tasks.files.tsv import compose_tsv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spimpack_tasks.alignment.atlas import AtlasLabels, Structure

STEP_MM = 0.01
"""Distance of samples along a track: less than half a voxel of the finest atlas in use."""
_COLUMNS = ("distance_um", "x_um", "y_um", "z_um", "region_id", "acronym", "hemisphere")


@dataclass(frozen=True, slots=True)
class RegionSample:
    """A place on a track with its label."""

    distance_um: float
    """Along the track, from its first point."""
    bregma_um: tuple[float, float, float]
    label: int
    """0 outside of the atlas."""

    @property
    def hemisphere(self) -> str:
        """The side of the brain, as the coordinate from bregma tells it."""
        return "right" if self.bregma_um[0] > 0 else "left"


def sample_track(
    places_mm_lps: Sequence[Sequence[float]], step_mm: float = STEP_MM
) -> list[tuple[float, tuple[float, float, float]]]:
    """Return distances and places along straight lines between points, both in mm."""
    samples, start = [], 0.0
    for a, b in pairwise(places_mm_lps):
        length = math.dist(a, b)
        count = max(math.ceil(length / step_mm), 1)
        for number in range(count):
            share = number / count
            x, y, z = (p + share * (q - p) for p, q in zip(a, b, strict=True))
            samples.append((start + share * length, (x, y, z)))
        start += length
    x, y, z = places_mm_lps[-1]
    return [*samples, (start, (x, y, z))]


def find_regions(
    places_mm_lps: Sequence[Sequence[float]], labels: AtlasLabels, bregma_um: Sequence[float]
) -> list[RegionSample]:
    """Return the labels along a track in the space of the atlas.

    Parameters
    ----------
    places_mm_lps
        Points of the track.
    labels
        Those of the atlas.
    bregma_um
        Place of bregma in the atlas.
    """
    found = []
    for distance, place in sample_track(places_mm_lps):
        x, y, z = ccf_to_bregma_um([place], bregma_um)[0]
        found.append(RegionSample(1000 * distance, (x, y, z), labels.at(place)))
    return found


def compose_regions(samples: Sequence[RegionSample], structures: Mapping[int, Structure]) -> str:
    """Return the table of regions, a row for each sample."""
    rows = [
        (
            f"{each.distance_um:.2f}",
            *(f"{value:.2f}" for value in each.bregma_um),
            str(each.label),
            acronym_of(each.label, structures),
            each.hemisphere,
        )
        for each in samples
    ]
    return compose_tsv([_COLUMNS, *rows])
