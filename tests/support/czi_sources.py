"""Writes Zeiss CZI files by libCZI, tile by tile, with metadata as ZEN writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from pylibCZIrw import czi


@dataclass(frozen=True)
class Czi:
    """One CZI file; sizes of pixels are in metres."""

    t: int = 1
    z: int = 3
    c: int = 2
    y: int = 20
    x: int = 30
    dtype: str = "uint16"
    tile: tuple[int, int] = (20, 30)
    corner: tuple[int, int] = (0, 0)
    """Where the first pixel lies, along x and y."""
    spacing_m_xyz: tuple[float, float, float] = (1e-7, 2e-7, 3e-6)
    names: tuple[str, ...] = ("DAPI", "GFP")
    compression: str | None = None
    left_out: frozenset[tuple[int, int, int]] = frozenset()
    """Planes along t, z, c that are not written."""
    first: tuple[int, int, int] = (0, 0, 0)
    """Numbers of the first plane along t, z, c."""

    def voxels(self) -> np.ndarray:
        """Return numbers along t, z, c, y, x of which no two are equal, as far as the type goes."""
        shape = (self.t, self.z, self.c, self.y, self.x)
        return np.arange(np.prod(shape)).reshape(shape).astype(self.dtype)


def write_czi(path: Path, one: Czi, voxels: np.ndarray | None = None) -> Path:
    """Write a file; `voxels` lie along t, z, c, y, x."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with czi.create_czi(str(path), exist_ok=True, compression_options=one.compression) as file:
        _write_tiles(file, one, one.voxels() if voxels is None else voxels)
        _write_metadata(file, one)
    return path


def write_scenes(path: Path, scenes: list[Czi], names: list[str]) -> Path:
    """Write a file with several scenes; the voxels of each are its own plus its number."""
    with czi.create_czi(str(path), exist_ok=True) as file:
        for number, one in enumerate(scenes):
            _write_tiles(file, one, one.voxels() + one.voxels().dtype.type(number), number)
        _write_metadata(file, scenes[0])
    _name_scenes(path, names)
    return path


def _name_scenes(path: Path, names: list[str]) -> None:
    """Write names into the metadata, which the library cannot; blanks between tags make room."""
    data = path.read_bytes()
    start, end = data.index(b"<ImageDocument>"), data.index(b"</ImageDocument>")
    named = "".join(f'<Scene Index="{n}" Name="{name}"/>' for n, name in enumerate(names))
    xml = re.sub(rb">\s+<", b"><", data[start:end])
    xml = xml.replace(b"<Dimensions>", f"<Dimensions><S><Scenes>{named}</Scenes></S>".encode())
    xml = re.sub(rb"<(Document|Application)>.*?</\1>", b"", xml)
    assert len(xml) <= end - start
    path.write_bytes(data[:start] + xml.ljust(end - start) + data[end:])


def _write_tiles(file: czi.CziWriter, one: Czi, data: np.ndarray, scene: int = 0) -> None:
    for top, left in _tiles(one):
        ys, xs = slice(top, top + one.tile[0]), slice(left, left + one.tile[1])
        for at in product(range(one.t), range(one.z), range(one.c)):
            if at not in one.left_out:
                block = np.ascontiguousarray(data[(*at, ys, xs)][..., None])
                where = (one.corner[0] + left + scene * 1000, one.corner[1] + top)
                plane = {d: n + s for d, n, s in zip("TZC", at, one.first, strict=True)}
                file.write(block, location=where, plane=plane, scene=scene)


def _write_metadata(file: czi.CziWriter, one: Czi) -> None:
    x, y, z = one.spacing_m_xyz
    names = dict(enumerate(one.names))
    file.write_metadata("", channel_names=names, scale_x=x, scale_y=y, scale_z=z)


def _tiles(one: Czi) -> Iterable[tuple[int, int]]:
    return product(range(0, one.y, one.tile[0]), range(0, one.x, one.tile[1]))


def write_rgb_czi(path: Path, pixels: np.ndarray) -> Path:
    """Write one plane of red, green and blue, along y, x and colour."""
    with czi.create_czi(str(path), exist_ok=True) as file:
        file.write(np.ascontiguousarray(pixels[..., ::-1]), plane={"C": 0})
        file.write_metadata("")
    return path
