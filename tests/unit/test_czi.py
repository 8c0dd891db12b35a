"""Zeiss CZI files: sizes, channels, tiles, compression; what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from czi_sources import Czi, write_czi, write_rgb_czi, write_scenes

from spimpack_tasks.api import open_image, probe_image
from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.volumes.czi import _parse, _time_step
from spimpack_tasks.volumes.errors import SourceRefusedError

FILES = {
    "o12-two-channels": Czi(),
    "o12-times": Czi(t=2, z=2),
    "o12-zstd": Czi(compression="zstd0:ExplicitLevel=2"),
    "o12-zstd1": Czi(compression="zstd1:ExplicitLevel=2"),
    "o12-8-bit": Czi(dtype="uint8"),
    "o12-float": Czi(dtype="float32"),
    "o12-tiles": Czi(tile=(8, 9), corner=(-5, 100)),
    "o12-numbers-that-begin-elsewhere": Czi(t=2, first=(4, 7, 0)),
    "o12-line-scan": Czi(y=1, z=1, t=5, tile=(1, 30)),
    "o12-one-plane": Czi(z=1, c=1, names=("one",)),
    "o12-no-names": Czi(names=()),
}


@pytest.mark.parametrize("one", FILES.values(), ids=FILES)
def test_czi(tmp_path, one):
    path = write_czi(tmp_path / "a.czi", one)
    info = probe_image(path)
    assert info.shape == (one.t, one.z, one.c, one.y, one.x)
    assert (info.dtype, info.format) == (one.dtype, "CZI")
    assert info.spacing_um_zyx == (3.0, 0.2, 0.1)
    if one.names:
        assert [channel.name for channel in info.channels] == list(one.names)
    with open_image(path) as image:
        assert np.array_equal(image.levels[0][...], one.voxels())
        part = np.s_[:, -1:, :, one.y // 2 :, 7:19]
        assert np.array_equal(image.levels[0][part], one.voxels()[part])


def test_o12_sizes_that_are_not_told_are_unknown(tmp_path):
    path = write_czi(tmp_path / "a.czi", Czi(spacing_m_xyz=(1e-7, 1e-7, 0.0)))
    assert probe_image(path).spacing_um_zyx == (None, 0.1, 0.1)


def test_o08_colours_are_channels(tmp_path):
    pixels = np.arange(4 * 5 * 3).reshape(4, 5, 3).astype("uint8")
    with open_image(write_rgb_czi(tmp_path / "a.czi", pixels)) as image:
        assert np.array_equal(image.levels[0][0, 0], pixels.transpose(2, 0, 1))
        assert np.array_equal(image.levels[0][0, 0, 1], pixels[..., 1])


def test_o06_scenes_are_listed_and_chosen(tmp_path):
    first, second = Czi(c=1, names=("a",)), Czi(c=1, z=2, y=12, x=17, tile=(12, 9), names=("a",))
    path = write_scenes(tmp_path / "a.czi", [first, second], ["left", "right"])
    listed = "0 'left' of 1 t x 1 c x 3 z x 20 y x 30 x; 1 'right' of 1 t x 1 c x 2 z x 12 y x 17 x"
    for opened in (probe_image, open_image):
        with pytest.raises(SourceRefusedError, match=f"has 2 scenes: {listed}"):
            opened(path)
        with pytest.raises(SourceRefusedError, match="has 2 scenes, and none that is 'up'"):
            opened(path, scene="up")
    for scene, one in ((0, first), (1, second), ("1", second), ("right", second)):
        with open_image(path, scene=scene) as image:
            voxels = one.voxels() + (one is second)
            assert image.shape == probe_image(path, scene=scene).shape == voxels.shape
            assert np.array_equal(image.levels[0][...], voxels)
            assert np.array_equal(image.levels[0][0, 1:, 0, 3:, 5:], voxels[0, 1:, 0, 3:, 5:])
        [decision] = image.decisions
        number = "1 right" if one is second else "0 left"
        assert (decision.field, decision.value, decision.origin) == ("scene", number, "user")


def test_o05_a_missing_plane_is_no_zeros(tmp_path):
    path = write_czi(tmp_path / "a.czi", Czi(left_out=frozenset({(0, 1, 0)})))
    with pytest.raises(SourceRefusedError, match="lacks 1 of its planes"):
        open_image(path)


def test_o19_metadata_that_contradict_the_tiles(tmp_path):
    path = write_czi(tmp_path / "a.czi", Czi())
    path.write_bytes(path.read_bytes().replace(b"<SizeZ>3<", b"<SizeZ>4<"))
    with pytest.raises(SourceRefusedError, match="4 along z by its metadata, but of 3 by"):
        open_image(path)


def cut(share: float):
    def harm(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return harm


BROKEN = {
    "o19-half": cut(0.5),
    "o19-most": cut(0.97),
    "o19-text": lambda path: path.write_text("no image"),
    "o19-empty": cut(0),
    "o19-beginning": lambda path: path.write_bytes(b"ZISRAWFILE"),
}


@pytest.mark.parametrize("harm", BROKEN.values(), ids=BROKEN)
def test_a_broken_czi_is_refused(tmp_path, harm):
    path = write_czi(tmp_path / "a.czi", Czi())
    harm(path)
    with pytest.raises(SourceRefusedError, match=r"a\.czi"):
        probe_image(path)


INCREMENT = "Information/Image/Dimensions/T/Positions/Interval/Increment"


@pytest.mark.parametrize(("text", "step"), [("2.5", 2.5), ("0", None), ("x", None), ("", None)])
def test_o12_time_step(text, step):
    inner = text
    for name in reversed(["ImageDocument", "Metadata", *INCREMENT.split("/")]):
        inner = f"<{name}>{inner}</{name}>"
    assert _time_step(_parse("a.czi", inner)) == step


def test_metadata_with_a_document_type_are_refused():
    bomb = '<!DOCTYPE a [<!ENTITY b "c">]><ImageDocument>&b;</ImageDocument>'
    with pytest.raises(SourceRefusedError, match="document type"):
        _parse("a.czi", bomb)


def test_o23_the_extra_is_named(tmp_path, monkeypatch):
    path = write_czi(tmp_path / "a.czi", Czi())
    monkeypatch.setitem(sys.modules, "pylibCZIrw.czi", None)
    with pytest.raises(MissingExtraError, match="czi"):
        probe_image(path)
