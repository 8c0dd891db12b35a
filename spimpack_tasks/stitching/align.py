"""Aligns tiles: measures the shift of each pair, and finds the places that suit all of them best.

The stage counts as a weak measurement of each place. So a tile of which no pair could be measured
stays where the stage has put it, with the stage's uncertainty, and no other tile notices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from spimpack_tasks.stitching.pairs import (
    PairShift,
    SearchSettings,
    find_overlaps,
    measure_pair,
    reach_frc,
)
from spimpack_tasks.stitching.pitch import estimate_pitch
from spimpack_tasks.stitching.tiles import sample_of_um, um_of_sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.stitching.frames import Frames, OpenTiles
    from spimpack_tasks.stitching.pairs import Overlap
    from spimpack_tasks.stitching.pitch import PitchEstimate
    from spimpack_tasks.stitching.tiles import Geometry, TileSet, Vector

STAGE_SIGMA_UM = 5.0
"""Standard deviation of the stage's places, where nothing tells it."""
_ANCHOR_SIGMA_UM = 1e-4
"""Of the first tile, which stays in its place: the others are told from there."""
_LARGE_RESIDUAL = 0.5
"""Samples from which on a pair that contradicts the others counts less."""


@dataclass(frozen=True, slots=True)
class AlignedTile:
    """The place of one tile."""

    name: str
    position_um_zyx: Vector
    """Where its first sample lies."""
    sigma_um_zyx: Vector
    """Standard deviations of that, as seen from the first tile."""
    place_frc: Vector
    """The same place in samples, from the first sample of the first tile."""
    correction_frc: Vector
    """By how many samples it lies elsewhere than the stage says."""
    sigma_frc: Vector
    """Standard deviations in samples."""
    pairs: int
    """How many measured pairs it is in."""


@dataclass(frozen=True, slots=True)
class AlignedPair:
    """A pair of tiles with what was measured."""

    first: str
    second: str
    stage_shift_frc: Vector
    shift_frc: Vector | None
    sigma_frc: Vector | None
    residual_frc: Vector | None
    """Measured shift minus that of the places of the tiles."""
    windows: int
    correlation: float
    reason: str
    """Why it was not measured; empty if it was."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """The places of all tiles of a set."""

    geometry: Geometry
    """With the measured distance of pixels where it is used."""
    tiles: tuple[AlignedTile, ...]
    pairs: tuple[AlignedPair, ...]
    pitch: PitchEstimate | None
    warnings: tuple[str, ...]

    @property
    def positions_um_zyx(self) -> tuple[Vector, ...]:
        """Where the first sample of each tile lies."""
        return tuple(tile.position_um_zyx for tile in self.tiles)


def keep_stage(tiles: TileSet) -> Alignment:
    """Return the places that the stage tells."""
    anchor = tiles.tiles[0].position_um_zyx
    sigma = (STAGE_SIGMA_UM,) * 3
    aligned = []
    for tile in tiles.tiles:
        away = tuple(p - a for p, a in zip(tile.position_um_zyx, anchor, strict=True))
        place = sample_of_um(tiles.geometry, (away[0], away[1], away[2]))
        sigmas = _sigma_frc(tiles.geometry, sigma)
        aligned.append(
            AlignedTile(tile.name, tile.position_um_zyx, sigma, place, (0.0,) * 3, sigmas, 0)
        )
    return Alignment(tiles.geometry, tuple(aligned), (), None, ())


def align(
    tiles: TileSet,
    stacks: OpenTiles,
    settings: SearchSettings | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> Alignment:
    """Return the places of tiles by their overlaps.

    Parameters
    ----------
    tiles
        The tiles, where the stage says they are.
    stacks
        Their frames.
    settings
        How pairs are compared.
    advance
        Told how many pairs are done, and how many there are.

    Raises
    ------
    SourceRefusedError, UnreadableVoxelsError
        A tile is not as it was found, or damaged.
    """
    settings = settings or SearchSettings()
    reach = reach_frc(tiles.geometry, settings)
    measure = partial(measure_pair, reach=reach, settings=settings)
    return solve(tiles, measure_pairs(tiles, stacks, measure, advance))


def measure_pairs(
    tiles: TileSet,
    stacks: OpenTiles,
    measure: Callable[[Overlap, tuple[Frames, Frames]], PairShift],
    advance: Callable[[int, int], None] | None = None,
) -> list[PairShift]:
    """Return what a function measures of each pair of tiles that overlap.

    Parameters
    ----------
    tiles, stacks, advance
        As of `align`.
    measure
        Returns the shift of a pair by its frames.
    """
    overlaps = find_overlaps(tiles)
    pairs = []
    for number, overlap in enumerate(overlaps):
        frames = stacks.need((overlap.first, overlap.second))
        pairs.append(measure(overlap, (frames[overlap.first], frames[overlap.second])))
        if advance is not None:
            advance(number + 1, len(overlaps))
    return pairs


def solve(tiles: TileSet, pairs: list[PairShift]) -> Alignment:
    """Return the places of tiles that suit measured pairs best, by weighted least squares."""
    import numpy as np

    places, covariance, residuals = _places(tiles, pairs)
    pitch = estimate_pitch(tiles, places, _groups(len(places), pairs))
    geometry = tiles.geometry
    if pitch is not None and pitch.is_used:
        geometry = replace(geometry, pitch_um=pitch.pitch_um)
    counts = np.zeros(len(places), int)
    for pair in pairs:
        if pair.shift_frc is not None:
            counts[[pair.first, pair.second]] += 1
    aligned = [
        _aligned(tiles, number, geometry, (places, covariance), int(counts[number]))
        for number in range(len(places))
    ]
    told = [_tell(tiles, pair, residual) for pair, residual in zip(pairs, residuals, strict=True)]
    return Alignment(geometry, tuple(aligned), tuple(told), pitch, _warnings(aligned, told))


def _aligned(
    tiles: TileSet, number: int, geometry: Geometry, solution: tuple[Any, Any], pairs: int
) -> AlignedTile:
    """Return the place of one tile."""
    import numpy as np

    places, covariance = solution
    block = covariance[3 * number : 3 * number + 3, 3 * number : 3 * number + 3]
    place = _vector(places[number])
    anchor = tiles.tiles[0].position_um_zyx
    away = um_of_sample(geometry, place)
    return AlignedTile(
        tiles.tiles[number].name,
        _vector([a + w for a, w in zip(anchor, away, strict=True)]),
        _sigma_um(geometry, block),
        place,
        _vector(places[number] - _stage_places(tiles)[number]),
        _vector(np.sqrt(np.maximum(np.diag(block), 0))),
        pairs,
    )


def _stage_places(tiles: TileSet) -> Any:
    """Return the places of the stage in samples, from the first tile: tiles x 3."""
    import numpy as np

    anchor = tiles.tiles[0].position_um_zyx
    places = []
    for tile in tiles.tiles:
        away = [p - a for p, a in zip(tile.position_um_zyx, anchor, strict=True)]
        places.append(sample_of_um(tiles.geometry, _vector(away)))
    return np.array(places)


def _places(tiles: TileSet, pairs: list[PairShift]) -> tuple[Any, Any, list[Any]]:
    """Return places in samples, their covariance, and the residual of each pair."""
    import numpy as np

    stage = _stage_places(tiles)
    count = len(stage)
    prior = _stage_information(tiles.geometry)
    known = [(n, pair) for n, pair in enumerate(pairs) if pair.shift_frc is not None]
    factors = dict.fromkeys((n for n, _ in known), 1.0)
    places, matrix = stage, np.eye(3 * count)
    for _ in range(10 if known else 1):
        matrix = np.kron(np.eye(count), prior)
        matrix[:3] *= (STAGE_SIGMA_UM / _ANCHOR_SIGMA_UM) ** 2
        right = matrix @ stage.ravel()
        for n, pair in known:
            weight = pair.information * factors[n]
            a, b = (slice(3 * at, 3 * at + 3) for at in (pair.first, pair.second))
            matrix[a, a] += weight
            matrix[b, b] += weight
            matrix[a, b] -= weight
            matrix[b, a] -= weight
            right[b] += weight @ pair.shift_frc
            right[a] -= weight @ pair.shift_frc
        places = np.linalg.solve(matrix, right).reshape(count, 3)
        for n, pair in known:
            away = np.abs(pair.shift_frc - (places[pair.second] - places[pair.first])).max()
            factors[n] = min(1.0, (_LARGE_RESIDUAL / max(away, 1e-9)) ** 2)
    residuals = [
        None
        if pair.shift_frc is None
        else pair.shift_frc - (places[pair.second] - places[pair.first])
        for pair in pairs
    ]
    return places, np.linalg.inv(matrix), residuals


def _groups(count: int, pairs: list[PairShift]) -> list[list[int]]:
    """Return the numbers of tiles that measured pairs connect, in groups."""
    group_of = list(range(count))
    for pair in pairs:
        if pair.shift_frc is not None:
            old, new = group_of[pair.second], group_of[pair.first]
            group_of = [new if group == old else group for group in group_of]
    return [[n for n in range(count) if group_of[n] == group] for group in sorted(set(group_of))]


def _tell(tiles: TileSet, pair: PairShift, residual: Any) -> AlignedPair:
    import numpy as np

    sigma = None
    if pair.shift_frc is not None:
        sigma = _vector(np.sqrt(np.diag(np.linalg.inv(pair.information))))
    return AlignedPair(
        tiles.tiles[pair.first].name,
        tiles.tiles[pair.second].name,
        pair.stage_shift_frc,
        pair.shift_frc,
        sigma,
        None if residual is None else _vector(residual),
        pair.windows,
        pair.correlation,
        pair.reason,
    )


def _warnings(tiles: list[AlignedTile], pairs: list[AlignedPair]) -> tuple[str, ...]:
    found = [
        f"{pair.first} and {pair.second}: {pair.reason}; the stage counts"
        for pair in pairs
        if pair.reason
    ]
    for pair in pairs:
        if pair.residual_frc and max(map(abs, pair.residual_frc)) > _LARGE_RESIDUAL:
            away = max(map(abs, pair.residual_frc))
            message = f"{pair.first} and {pair.second}: contradicts other pairs by {away:.1f}"
            found.append(f"{message} samples, and counts less")
    alone = [tile.name for tile in tiles if not tile.pairs]
    if len(tiles) > 1 and not pairs:
        found.append("no two tiles overlap; are their places in micrometres?")
    if len(tiles) > 1 and alone:
        found.append(f"{', '.join(alone)}: not aligned, stays where the stage says")
    return tuple(found)


def _sigma_frc(geometry: Geometry, sigma_um_zyx: Vector) -> Vector:
    """Return standard deviations in samples of independent ones along z, y and x."""
    z, y, x = sigma_um_zyx
    dz, dy, dx = geometry.spacing_um_zyx
    if not geometry.is_oblique:
        return z / dz, y / dy, x / dx
    column = z / dz
    return math.hypot(x, column * geometry.shear_um) / dx, y / dy, column


def _stage_information(geometry: Geometry) -> Any:
    """Return the inverse covariance, in samples, of a place that the stage tells."""
    matrix = _um_matrix(geometry)
    return matrix.T @ matrix / STAGE_SIGMA_UM**2


def _um_matrix(geometry: Geometry) -> Any:
    """Return the matrix from samples to z, y and x in µm."""
    import numpy as np

    return np.array([um_of_sample(geometry, _vector(row)) for row in np.eye(3)]).T


def _sigma_um(geometry: Geometry, covariance_frc: Any) -> Vector:
    """Return standard deviations along z, y and x, by the covariance of samples."""
    import numpy as np

    matrix = _um_matrix(geometry)
    return _vector(np.sqrt(np.maximum(np.diag(matrix @ covariance_frc @ matrix.T), 0)))


def _vector(values: Any) -> Vector:
    a, b, c = (float(value) for value in values)
    return a, b, c
