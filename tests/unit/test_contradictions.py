"""Files that contradict themselves or each other: no plane is lost, mixed up or cast in silence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from lif_sources import Lif, write_lif

from spimpack_tasks.api import merge_files, open_image, probe_image
from spimpack_tasks.errors import SpimpackError

RNG = np.random.default_rng(4)
CHANNELS = RNG.integers(0, 60000, (2, 3, 10, 11), dtype="u2")
"""Voxels of two files, each a channel of three planes."""
NAMES = ("c0.ome.tif", "c1.ome.tif")
UUIDS = (
    "urn:uuid:00000000-0000-0000-0000-000000000000",
    "urn:uuid:00000000-0000-0000-0000-000000000001",
)
FOREIGN = "urn:uuid:00000000-0000-0000-0000-000000000007"


def ome(pieces: str, uuid: str, channels: int = 2, kind: str = "uint16") -> str:
    root = f' UUID="{uuid}"' if uuid else ""
    return (
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{root}><Image ID="Image:0">'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="{kind}" SizeX="11" SizeY="10" '
        f'SizeZ="3" SizeC="{channels}" SizeT="1">{pieces}</Pixels></Image></OME>'
    )


def pieces_of(names=NAMES, uuids=UUIDS) -> str:
    return "".join(
        f'<TiffData IFD="0" FirstC="{number}" PlaneCount="3">'
        f'<UUID FileName="{name}">{uuid}</UUID></TiffData>'
        for number, (name, uuid) in enumerate(zip(names, uuids, strict=True))
    )


def write(path: Path, voxels: np.ndarray, description: str) -> None:
    tifffile.imwrite(path, voxels, description=description, metadata=None, photometric="minisblack")


def write_set(folder: Path, uuids=UUIDS) -> None:
    for name, voxels, uuid in zip(NAMES, CHANNELS, uuids, strict=True):
        write(folder / name, voxels, ome(pieces_of(uuids=uuids), uuid))


def voxels_of(path: object, **choices: str) -> np.ndarray:
    with open_image(path, **choices) as image:
        return np.asarray(image.levels[0][...])


def both() -> np.ndarray:
    """Return the voxels of the whole set along t, z, c, y, x."""
    return CHANNELS.transpose(1, 0, 2, 3)[None]


@pytest.mark.parametrize("asked", NAMES)
def test_a_sound_set_is_read_from_any_of_its_files(tmp_path, asked):
    write_set(tmp_path)
    assert np.array_equal(voxels_of(tmp_path / asked), both())


@pytest.mark.parametrize("asked", NAMES)
def test_names_tell_files_apart_that_have_one_uuid(tmp_path, asked):
    write_set(tmp_path, (UUIDS[0], UUIDS[0]))
    assert np.array_equal(voxels_of(tmp_path / asked), both())


@pytest.mark.parametrize("asked", NAMES)
def test_files_that_have_exchanged_their_names_are_refused(tmp_path, asked):
    write_set(tmp_path)
    os.rename(tmp_path / NAMES[0], tmp_path / "aside")
    os.rename(tmp_path / NAMES[1], tmp_path / NAMES[0])
    os.rename(tmp_path / "aside", tmp_path / NAMES[1])
    with pytest.raises(SpimpackError, match="UUID"):
        voxels_of(tmp_path / asked)


@pytest.mark.parametrize("asked", NAMES)
@pytest.mark.parametrize("kind", ["of a set", "alone"])
def test_a_file_of_another_recording_is_no_member(tmp_path, asked, kind):
    write_set(tmp_path)
    alone = (
        f'<TiffData IFD="0" PlaneCount="3"><UUID FileName="{NAMES[1]}">{FOREIGN}</UUID></TiffData>'
    )
    text = ome(pieces_of(), FOREIGN) if kind == "of a set" else ome(alone, FOREIGN, channels=1)
    write(tmp_path / NAMES[1], np.zeros((3, 10, 11), "u2"), text)
    if asked == NAMES[1] and kind == "alone":
        assert voxels_of(tmp_path / asked).shape == (1, 3, 1, 10, 11)
        return
    with pytest.raises(SpimpackError, match=r"another image|UUID"):
        voxels_of(tmp_path / asked)


def test_a_member_without_metadata_of_its_own_is_read(tmp_path):
    write_set(tmp_path)
    tifffile.imwrite(tmp_path / NAMES[1], CHANNELS[1], ome=False, photometric="minisblack")
    assert np.array_equal(voxels_of(tmp_path / NAMES[0]), both())


def single(name: str, uuid: str) -> str:
    return f'<TiffData IFD="0" PlaneCount="3"><UUID FileName="{name}">{uuid}</UUID></TiffData>'


def test_a_single_file_may_have_another_name(tmp_path):
    write(tmp_path / "new.ome.tif", CHANNELS[0], ome(single("old.ome.tif", UUIDS[0]), FOREIGN, 1))
    assert np.array_equal(voxels_of(tmp_path / "new.ome.tif")[0, :, 0], CHANNELS[0])


def test_a_renamed_file_is_not_taken_for_the_one_that_has_its_name_now(tmp_path):
    text = ome(single("scan.ome.tif", UUIDS[0]), "", 1)
    write(tmp_path / "scan_old.ome.tif", CHANNELS[0], text)
    other = ome(single("scan.ome.tif", UUIDS[1]), "", 1)
    write(tmp_path / "scan.ome.tif", CHANNELS[1], other)
    with pytest.raises(SpimpackError, match=r"names 'scan\.ome\.tif'"):
        voxels_of(tmp_path / "scan_old.ome.tif")
    assert np.array_equal(voxels_of(tmp_path / "scan.ome.tif")[0, :, 0], CHANNELS[1])


@pytest.mark.parametrize(("told", "stored"), [("int16", "u2"), ("float", "u4"), ("uint16", "i2")])
def test_voxels_are_never_cast_to_the_type_of_the_ome_xml(tmp_path, told, stored):
    paths = []
    for number in (0, 1):
        paths.append(tmp_path / f"t{number}.ome.tif")
        voxels = CHANNELS[number].astype(stored) * np.array(3).astype(stored)
        write(paths[-1], voxels, ome("<TiffData/>", "", 1, told))
    wanted = np.stack([tifffile.imread(path) for path in paths])
    assert wanted.dtype == np.dtype(stored)
    found = voxels_of(merge_files(paths, "T"))
    assert found.dtype == wanted.dtype
    assert np.array_equal(found[:, :, 0], wanted)
    probed = probe_image(paths[0])
    assert probed.dtype == wanted.dtype
    assert any(told.replace("float", "float32") in doubt for doubt in probed.doubts)


@pytest.mark.parametrize("axes", ["ZYX", "TYX", "CYX"])
@pytest.mark.parametrize(
    "other", [np.zeros((50, 50), "u2"), np.zeros((64, 64), "u1")], ids=["size", "type"]
)
def test_axes_do_not_let_pages_be_lost(tmp_path, other, axes):
    path = tmp_path / "mixed.tif"
    with tifffile.TiffWriter(path) as writer:
        for page in (*np.ones((3, 64, 64), "u2"), other, other):
            writer.write(page, metadata=None, contiguous=False)
    for choices in ({}, {"axes": axes}):
        with pytest.raises(SpimpackError, match="different sizes or types"):
            voxels_of(path, **choices)


def test_images_of_one_name_are_all_there(tmp_path):
    images = [Lif(name="p", z=2), Lif(name="x", z=3), Lif(name="x", z=4)]
    path = write_lif(tmp_path / "same.lif", images)
    assert len(probe_image(path, scene="0").scenes) == len(images)
    for number, one in enumerate(images):
        found = voxels_of(path, scene=str(number))
        assert np.array_equal(found, one.voxels())
    with pytest.raises(SpimpackError, match="several that is 'x'"):
        voxels_of(path, scene="x")


@pytest.mark.parametrize("folder", ["", "folder"])
def test_two_images_of_one_name_are_not_one(tmp_path, folder):
    path = write_lif(tmp_path / "two.lif", [Lif(name="x", z=3), Lif(name="x", z=4)], folder=folder)
    with pytest.raises(SpimpackError, match="has 2 scenes"):
        voxels_of(path)


def test_pages_that_imagej_does_not_count_are_not_lost(tmp_path):
    path = tmp_path / "less.tif"
    voxels = RNG.integers(0, 9999, (12, 10, 11), dtype="u2")
    text = "ImageJ=1.11a\nimages=6\nchannels=2\nslices=3\nhyperstack=true\n"
    with tifffile.TiffWriter(path) as writer:
        for number, page in enumerate(voxels):
            description = text if not number else None
            writer.write(page, description=description, metadata=None, contiguous=False)
    with pytest.raises(SpimpackError, match="12 pages, but 6 images"):
        voxels_of(path)


def test_axes_against_the_file_are_doubtful(tmp_path):
    write(tmp_path / "one.ome.tif", CHANNELS.reshape(6, 10, 11), ome("<TiffData/>", "", 2))
    assert probe_image(tmp_path / "one.ome.tif", axes="TCZYX").doubts == ()
    other = probe_image(tmp_path / "one.ome.tif", axes="TZCYX")
    assert other.shape == (1, 2, 3, 10, 11)
    assert any("axes are CZYX, not ZCYX" in doubt for doubt in other.doubts)
