"""DCIMG files: every variant reads equal, and what does not add up is refused with its numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from dcimg_files import (
    CAMERA_LINK,
    HOLE,
    NEW,
    NEWEST,
    OLD,
    USB,
    VARIANTS,
    Dcimg,
    compose_frames,
    write_dcimg,
)

from spimpack_tasks.api import open_image, probe_image
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.volumes.dcimg.second import open_second
from spimpack_tasks.volumes.errors import SourceRefusedError, UnreadableVoxelsError
from spimpack_tasks.volumes.volume import open_volume

REGIONS = {
    "all": np.s_[:, :, :],
    "a row": np.s_[1:3, 3:4, :],
    "first row": np.s_[:, :1, 2:7],
    "third pixel": np.s_[2:3, :, 2:3],
    "from the fifth": np.s_[:, :, 5:],
    "end": np.s_[3:, 5:, 18:],
}


@pytest.mark.parametrize("name", VARIANTS)
def test_i19_01_s09_each_variant_reads_equal(tmp_path, name):
    layout = VARIANTS[name]
    frames = compose_frames(4, 7, 20, layout.dtype)
    path = write_dcimg(tmp_path / "a.dcimg", frames, layout)
    with open_image(path) as image:
        level = image.levels[0]
        assert level.shape == (1, 4, 1, 7, 20)
        for region in REGIONS.values():
            planes, rows, columns = region
            assert np.array_equal(level[0, planes, 0, rows, columns], frames[region])
    with open_second(str(path)) as second:
        found = second.read((slice(0, 1), slice(0, 1), slice(1, 4), slice(0, 7), slice(0, 20)))
        assert np.array_equal(found[0, 0], frames[1:])


def test_i19_01_the_generator_leaves_holes():
    """Where pixels lie elsewhere, an image that is read as it is would be wrong."""
    wrong = {name for name, layout in VARIANTS.items() if layout.line_of(7) is not None}
    assert len(VARIANTS) == 52
    assert {n.partition("-uint")[0] for n in VARIANTS} - {
        n.partition("-uint")[0] for n in wrong
    } == {*("old-none", "new-outside", "new-below", "new-usb", "newest-usb")}


def test_i19_01_pixels_of_the_footer_belong_to_line_1023_of_the_sensor(tmp_path):
    """With two lines of the sensor in a row, line 1023 is row 3 of a region from 1016 on."""
    frames = compose_frames(2, 6, 9)
    path = write_dcimg(tmp_path / "a.dcimg", frames, Dcimg(first_line=1016, binning=2))
    data = path.read_bytes()
    row = 112 + 760 + 3 * 18
    assert data[row : row + 8] == HOLE
    footer = 112 + 760 + 6 * 18
    assert data[footer + 12 : footer + 20] == frames[0, 3, :4].astype("<u2").tobytes()
    with open_image(path) as image:
        assert np.array_equal(image.levels[0][0, :, 0], frames)


@pytest.mark.parametrize("width", [1, 3, 4, 5])
@pytest.mark.parametrize("version", [OLD, NEW, NEWEST])
def test_i19_01_frames_narrower_than_eight_bytes(tmp_path, version, width):
    layout = Dcimg(version, footer=512 if version == NEWEST else CAMERA_LINK)
    frames = compose_frames(3, 2, width)
    path = write_dcimg(tmp_path / "a.dcimg", frames, layout)
    with open_image(path) as image:
        assert np.array_equal(image.levels[0][0, :, 0], frames)
    with open_second(str(path)) as second:
        assert np.array_equal(second.read((slice(0, 1),) * 2 + (slice(0, 3),) * 3)[0, 0], frames)


FACTS = {
    "times": (Dcimg(), "2020-09-13T12:26:40.250000+00:00", 0.1),
    "old": (Dcimg(OLD, interval_us=2_500), "2020-09-13T12:26:40.250000+00:00", 0.0025),
    "no clock": (Dcimg(interval_us=0), None, None),
    "clock starts at zero": (Dcimg(first_second=0, first_microsecond=0), None, None),
    "lost": (Dcimg(lost_after=1), "2020-09-13T12:26:40.250000+00:00", None),
    "no microseconds": (Dcimg(first_microsecond=0), "2020-09-13T12:26:40+00:00", 0.1),
}


@pytest.mark.parametrize(("layout", "acquired", "step"), FACTS.values(), ids=FACTS)
def test_i19_01_facts(tmp_path, layout, acquired, step):
    path = write_dcimg(tmp_path / "a.dcimg", compose_frames(4, 5, 6), layout)
    info = probe_image(path)
    assert (info.format, info.dtype) == ("DCIMG", "uint16")
    assert info.stored_axes == ("z", "y", "x")
    assert info.spacing_um_zyx == (None, None, None)
    assert (info.acquired_at, info.time_step_s) == (acquired, step)
    told = json.loads(info.original["DCIMG"])
    assert told["version"] == f"{layout.version:#x}"
    assert told["frames"] == 4


@pytest.mark.parametrize(("first_line", "line"), [(1017, 6), (1016, None), (1024, None)])
def test_i19_01_the_line_with_kept_pixels_is_told(tmp_path, first_line, line):
    layout = Dcimg(first_line=first_line)
    path = write_dcimg(tmp_path / "a.dcimg", compose_frames(2, 7, 6), layout)
    told = json.loads(probe_image(path).original["DCIMG"])
    assert told.get("line with pixels from the footer") == line


def test_i19_01_frames_may_be_times(tmp_path, capsys):
    frames = compose_frames(4, 5, 6)
    path = write_dcimg(tmp_path / "a.dcimg", frames)
    [decision] = probe_image(path).decisions
    assert (decision.field, decision.value, decision.origin) == ("axes", "ZYX", "default")
    target = tmp_path / "a.ome.zarr"
    assert main(["convert", str(path), str(target), "--source-axes", "TYX", "--verify"]) == 0
    assert "the file says" not in capsys.readouterr().err
    info = probe_image(target)
    assert info.shape == (4, 1, 1, 5, 6)
    assert info.time_step_s == 0.1


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ome.tif"])
def test_i19_01_an_image_that_is_made_is_compared_in_a_second_way(tmp_path, name, capsys):
    frames = compose_frames(6, 12, 18)
    path = write_dcimg(tmp_path / "a.dcimg", frames, Dcimg(padding=4))
    target = tmp_path / name
    size = ["--pixel-size", "1.8;1.8;1.28"]
    assert main(["convert", str(path), str(target), *size, "--verify"]) == ExitCode.OK
    assert "is equal to its source" in capsys.readouterr().out
    with open_image(target) as image:
        assert np.array_equal(image.levels[0][0, :, 0], frames)
    assert probe_image(target).spacing_um_zyx == (1.28, 1.8, 1.8)


CUTS = {
    "a byte": (Dcimg(), 1),
    "a byte of usb": (Dcimg(footer=USB), 1),
    "a byte of old": (Dcimg(OLD), 1),
    "a frame": (Dcimg(), 60 + 32),
    "all but a frame of old": (Dcimg(OLD), 3 * 60),
}


@pytest.mark.parametrize(("layout", "cut"), CUTS.values(), ids=CUTS)
def test_i19_02_a_cut_file_is_refused_with_both_sizes(tmp_path, layout, cut):
    path = write_dcimg(tmp_path / "a.dcimg", compose_frames(4, 5, 6), layout)
    whole = path.stat().st_size
    os.truncate(path, whole - cut)
    with pytest.raises(SourceRefusedError) as refused:
        probe_image(path)
    message = str(refused.value)
    assert str(path) in message
    assert f"it has {whole - cut:,} bytes of {whole:,}" in message


def test_i19_02_the_end_of_the_last_frame_counts_where_no_size_is_told(tmp_path):
    path = write_dcimg(tmp_path / "a.dcimg", compose_frames(4, 5, 6), Dcimg(lies={"file_size": 0}))
    whole = path.stat().st_size
    assert probe_image(path).shape == (1, 4, 1, 5, 6)
    os.truncate(path, whole - 1)
    with pytest.raises(SourceRefusedError, match=f"{whole - 1:,} bytes of {whole:,}"):
        probe_image(path)


def test_i19_02_a_file_that_shrinks_while_it_is_open(tmp_path):
    path = write_dcimg(tmp_path / "a.dcimg", compose_frames(4, 5, 6))
    with open_volume(str(path)) as volume:
        os.truncate(path, 1000)
        with pytest.raises(UnreadableVoxelsError, match="has become shorter"):
            volume.levels[0].read((slice(0, 1), slice(0, 1), *(slice(0, n) for n in (4, 5, 6))))


LIES = {
    "version": (NEW, {"version": 0x3}, "is of version 0x3 of DCIMG; 0x7, 0x1000000, 0x2000000"),
    "two sessions": (NEW, {"sessions": 2}, "holds 2 sessions of recording"),
    "no session": (OLD, {"sessions": 0}, "holds 0 sessions of recording"),
    "counts": (NEW, {"session_frames": 3}, "has 4 frames by its header, but 3 by its session"),
    "counts, old": (OLD, {"frames": 9}, "has 9 frames by its header, but 4 by its session"),
    "no frame": (NEW, {"frames": 0, "session_frames": 0}, "holds no frame"),
    "depth": (NEW, {"depth": 3}, "5 x 6 pixels of 3 bytes, which no camera writes"),
    "no width": (OLD, {"width": 0}, "5 x 0 pixels"),
    "rows": (NEW, {"row_bytes": 11}, "rows of 11 bytes and frames of 60 bytes do not fit"),
    "image": (OLD, {"image_bytes": 61}, "rows of 12 bytes and frames of 61 bytes do not fit"),
    "within": (NEW, {"data_offset": 719}, "719 bytes behind the begin of its session"),
    "within, old": (OLD, {"data_offset": 8}, "8 bytes behind the begin of its session"),
    "footer": (NEW, {"footer": 0}, "a footer of 0 bytes behind each frame"),
    "footer of 64": (NEW, {"footer": 64}, "a footer of 64 bytes behind each frame"),
    "binning": (NEW, {"sensor_width": 13 * 6}, "5 x 78 pixels of the sensor as 5 x 6, unevenly"),
    "session": (NEW, {"header_bytes": 2**31}, "no whole header at 2,147,483,648"),
    "session in header": (NEW, {"header_bytes": 4}, "no whole header at 4"),
    "session footer": (OLD, {"session_footer": 300}, "its footer of 300 bytes"),
    "far footer": (OLD, {"data_size": 2**40}, "no footer at"),
    "footer in frames": (OLD, {"data_size": 700}, "no footer at 932"),
    "second part": (OLD, {"second": 2**50}, "is not whole"),
    "kept elsewhere": (OLD, {"elsewhere": 300}, "8 bytes of each frame should be kept in its"),
    "kept too far": (OLD, {"elsewhere": 2**40}, "8 bytes of each frame should be kept in its"),
    "kept in a row": (OLD, {"kept_at": 2}, "pixels of byte 2 of each frame"),
    "kept below": (OLD, {"kept_at": 60}, "pixels of byte 60 of each frame"),
}


@pytest.mark.parametrize(("version", "lies", "told"), LIES.values(), ids=LIES)
def test_i19_02_headers_that_do_not_add_up(tmp_path, version, lies, told, capsys):
    layout = Dcimg(version, lies=lies)
    path = write_dcimg(tmp_path / "a.dcimg", compose_frames(4, 5, 6), layout)
    with pytest.raises(SourceRefusedError) as refused:
        probe_image(path)
    assert told in str(refused.value)
    assert main(["convert", str(path), str(tmp_path / "a.ome.zarr")]) == ExitCode.BAD_INPUT
    assert told in capsys.readouterr().err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.dcimg"]


def test_i19_01_the_source_is_not_changed(tmp_path):
    path: Path = write_dcimg(tmp_path / "a.dcimg", compose_frames(3, 4, 5))
    path.chmod(0o444)
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert main(["convert", str(path), str(tmp_path / "a.ome.zarr"), "--verify"]) == ExitCode.OK
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
