"""Nikon ND2 and Leica LIF: sizes, channels, positions; what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import liffile
import nd2
import numpy as np
import pytest
from lif_sources import Lif, write_lif
from nd2_sources import Nd2, write_nd2

from spimpack_tasks.api import open_image, probe_image
from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.volumes.errors import SourceRefusedError

ND2 = {
    "two-channels": Nd2(),
    "times": Nd2(t=2),
    "z-before-t": Nd2(t=2, order="zpt"),
    "8-bit": Nd2(dtype="uint8"),
    "float": Nd2(dtype="float32"),
    "compressed": Nd2(is_compressed=True),
    "padded-rows": Nd2(padding=6),
    "padded-and-compressed": Nd2(padding=3, dtype="uint8", is_compressed=True),
    "one-frame": Nd2(z=1),
    "one-channel": Nd2(c=1, names=("one",)),
}


@pytest.mark.parametrize("one", ND2.values(), ids=[f"i16-1-nd2-{name}" for name in ND2])
def test_nd2(tmp_path, one):
    path = write_nd2(tmp_path / "a.nd2", one)
    info = probe_image(path)
    voxels = one.voxels()[0]
    assert (info.format, info.dtype, info.shape) == ("ND2", one.dtype, voxels.shape)
    assert info.spacing_um_zyx == (2.0 if one.z > 1 else None, 0.5, 0.5)
    assert info.time_step_s == (2.5 if one.t > 1 else None)
    assert [channel.name for channel in info.channels] == list(one.names[: one.c])
    assert [channel.colour for channel in info.channels] == ["0000FF", "00FF00"][: one.c]
    assert info.instrument == {"NumericalAperture": 0.28, "Magnification": 10.0}
    with open_image(path) as image:
        assert np.array_equal(image.levels[0][...], voxels)
        part = np.s_[:, -1:, -1, 5:, 7:9]
        assert np.array_equal(image.levels[0][part], voxels[part])
    theirs = nd2.imread(path)
    letters = [axis for axis in (*one.order, "c") if axis != "p" and getattr(one, axis) > 1]
    order = ["tzc".index(axis) for axis in letters]
    assert np.array_equal(theirs, np.squeeze(voxels.transpose(*_whole(order), 3, 4)))


def _whole(order: list[int]) -> list[int]:
    return [*[n for n in range(3) if n not in order], *order]


def test_o06_positions_are_scenes(tmp_path):
    one = Nd2(t=2, p=3, order="tpz")
    path = write_nd2(tmp_path / "a.nd2", one)
    listed = "0 'left' of 2 t x 3 z x 2 c x 12 y x 17 x; 1 'right' of 2 t"
    for opened in (probe_image, open_image):
        with pytest.raises(SourceRefusedError, match=f"has 3 scenes: {listed}"):
            opened(path)
    for scene, number in (("right", 1), (2, 2)):
        with open_image(path, scene=scene) as image:
            assert np.array_equal(image.levels[0][...], one.voxels()[number])


def test_o08_nd2_of_colours(tmp_path):
    one = Nd2(c=3, is_rgb=True, dtype="uint8")
    with open_image(write_nd2(tmp_path / "a.nd2", one)) as image:
        assert np.array_equal(image.levels[0][...], one.voxels()[0])
        assert [decision.field for decision in image.decisions] == ["channels"]


def test_sizes_that_an_nd2_does_not_tell_are_unknown(tmp_path):
    one = Nd2(is_calibrated=False, period_ms=0.0, t=2)
    info = probe_image(write_nd2(tmp_path / "a.nd2", one))
    assert (info.spacing_um_zyx, info.time_step_s) == ((2.0, None, None), None)


ODD = {
    "o05-a-frame-is-missing": (Nd2(left_out=frozenset({1})), "lacks 1 of its frames"),
    "o19-stopped": (Nd2(recorded=2), "loops are of 3 frames, but 2 were recorded"),
}


@pytest.mark.parametrize(("one", "says"), ODD.values(), ids=ODD)
def test_an_nd2_that_is_not_whole_is_refused(tmp_path, one, says):
    with pytest.raises(SourceRefusedError, match=says):
        open_image(write_nd2(tmp_path / "a.nd2", one))


LIF = {
    "two-channels": Lif(),
    "times": Lif(t=2),
    "channels-slowest": Lif(order="ctzyx", t=2),
    "channels-fastest": Lif(order="tzyxc", colours=("Gray", "Gray")),
    "8-bit": Lif(dtype="uint8"),
    "float": Lif(dtype="float32"),
    "one-plane": Lif(z=1, c=1, dyes=("one",), colours=("Red",)),
    "xzy": Lif(order="tcyzx"),
}


@pytest.mark.parametrize("one", LIF.values(), ids=[f"i16-1-lif-{name}" for name in LIF])
def test_lif(tmp_path, one):
    path = write_lif(tmp_path / "a.lif", [one])
    info = probe_image(path)
    voxels = one.voxels()
    assert (info.format, info.dtype, info.shape) == ("LIF", one.dtype, voxels.shape)
    wanted = (2.0 if one.z > 1 else None, 0.5, 0.5)
    assert info.spacing_um_zyx == pytest.approx(wanted)
    assert info.time_step_s == (2.5 if one.t > 1 else None)
    assert [channel.name for channel in info.channels] == list(one.dyes)
    with open_image(path) as image:
        assert np.array_equal(image.levels[0][...], voxels)
        part = np.s_[:, -1:, -1, 5:, 7:9]
        assert np.array_equal(image.levels[0][part], voxels[part])
    with liffile.LifFile(path) as file:
        theirs = file.images[0].asarray()
    mine = np.squeeze(voxels.transpose(["tzcyx".index(axis) for axis in one.order]))
    assert np.array_equal(theirs, mine)


def test_lif_has_colours(tmp_path):
    info = probe_image(write_lif(tmp_path / "a.lif", [Lif()]))
    assert [channel.colour for channel in info.channels] == ["0000FF", "00FF00"]


def test_o08_lif_of_colours(tmp_path):
    tags, names = (3, 2, 1), ("Blue", "Green", "Red")
    one = Lif(c=3, order="tzyxc", dtype="uint8", tags=tags, colours=names, dyes=())
    with open_image(write_lif(tmp_path / "a.lif", [one])) as image:
        assert np.array_equal(image.levels[0][...], one.voxels()[:, :, ::-1])


def test_o06_images_of_a_lif_are_scenes(tmp_path):
    images = [Lif(), Lif(name="Series002", z=1, y=5, x=7, dtype="uint8")]
    path = write_lif(tmp_path / "a.lif", images, folder="day 1")
    listed = "0 'day 1/Series001' of 3 z x 2 c x 12 y x 17 x; 1 'day 1/Series002' of 2 c x 5 y"
    for opened in (probe_image, open_image):
        with pytest.raises(SourceRefusedError, match=f"has 2 scenes: {listed}"):
            opened(path)
    for scene, number in ((0, 0), ("day 1/Series002", 1)):
        with open_image(path, scene=scene) as image:
            assert image.dtype == images[number].dtype
            assert np.array_equal(image.levels[0][...], images[number].voxels())


@pytest.mark.parametrize(("axis", "name"), [("m", "tile"), ("l", "wavelength")])
def test_o07_other_axes_of_a_lif_are_refused(tmp_path, axis, name):
    path = write_lif(tmp_path / "a.lif", [Lif(c=1, dyes=(), others=((axis, 2),))])
    with pytest.raises(SourceRefusedError, match=f"has an axis '{name}'"):
        open_image(path)
    with open_image(path, axes="TZYX") as image:
        assert image.shape == (2, 3, 1, 12, 17)


def cut(share: float):
    def harm(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return harm


def replaced(old: str, new: str):
    def harm(path: Path) -> None:
        before, after = old.encode("utf-16-le"), new.encode("utf-16-le")
        assert len(before) == len(after)
        assert before in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(before, after))

    return harm


BROKEN = {
    "o19-half": cut(0.5),
    "o19-most": cut(0.97),
    "o19-text": lambda path: path.write_text("no image"),
    "o19-empty": cut(0),
}
BROKEN_LIF = {
    "o19-document-type": replaced("<LMSDataContainerHeader ", "<!DOCTYPE a><LMSDataCont"),
    "o19-longer-rows": replaced('NumberOfElements="12"', 'NumberOfElements="99"'),
    "o19-steps": replaced('BytesInc="34"', 'BytesInc="99"'),
}


@pytest.mark.parametrize("harm", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("ending", ["nd2", "lif"])
def test_a_broken_file_is_refused(tmp_path, harm, ending):
    path = tmp_path / f"a.{ending}"
    write_nd2(path, Nd2()) if ending == "nd2" else write_lif(path, [Lif()])
    harm(path)
    with pytest.raises(SourceRefusedError, match=rf"a\.{ending}"):
        probe_image(path)


@pytest.mark.parametrize("harm", BROKEN_LIF.values(), ids=BROKEN_LIF)
def test_a_lif_that_lies_is_refused(tmp_path, harm):
    path = write_lif(tmp_path / "a.lif", [Lif(c=1)])
    harm(path)
    with pytest.raises(SourceRefusedError, match=r"a\.lif"):
        probe_image(path)


@pytest.mark.parametrize(("ending", "library"), [("nd2", "nd2"), ("lif", "liffile")])
def test_o23_the_extra_is_named(tmp_path, monkeypatch, ending, library):
    path = tmp_path / f"a.{ending}"
    write_nd2(path, Nd2()) if ending == "nd2" else write_lif(path, [Lif()])
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'spimpack_tasks\[{ending}\]'"):
        probe_image(path)
