"""What is doubtful of merged files and of a user's choices: numbers that lack, times, axes."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile
import zarr
from merge_sources import write_ome

from spimpack_tasks.api import SpimpackError, convert, merge_files, open_image, probe_image
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.files.number_gaps import Gap, find_gap, numbers_of
from spimpack_tasks.volumes.conversion import Request


def run(*words: object) -> int:
    return main([*map(str, words)])


GAPS = {
    "n3-one": ([1, 2, 4], (), Gap(3, 1)),
    "n3-several": ([1, 2, 10], (), Gap(3, 7)),
    "n3-in-any-order": ([4, 1, 2], (), Gap(3, 1)),
    "n3-by-its-step": ([0, 20, 60], (), Gap(40, 1)),
    "n3-none": ([7, 8, 9], (), None),
    "n3-none-by-its-step": ([0, 5, 10], (), None),
    "n3-two-have-no-step": ([1, 3], (), None),
    "n3-places": ([0, 333, 667], (), None),
    "n3-dates": ([20240101, 20240102, 20240104], (), None),
    "n3-beginnings": ([0, 40, 80, 160], (40, 40, 80, 3), None),
    "n3-beginnings-with-one-missing": ([0, 40, 120], (40, 40, 40), Gap(80, 1)),
    "n3-counted-parts-of-any-length": ([0, 1, 3], (40, 60, 5), Gap(2, 1)),
}


@pytest.mark.parametrize(("numbers", "lengths", "wanted"), GAPS.values(), ids=GAPS)
def test_numbers_that_are_missing(numbers, lengths, wanted):
    assert find_gap(numbers, lengths) == wanted


NAMES = {
    "n3-one-number": (["z1.tif", "z2.tif"], [1, 2]),
    "n3-the-same-twice": (["TAG_01/i_1.tif", "TAG_02/i_2.tif"], [1, 2]),
    "n3-others-stay": (["ch488_z3.tif", "ch488_z5.tif"], [3, 5]),
    "n3-two-numbers": (["t1_z1.tif", "t1_z2.tif", "t2_z1.tif"], []),
    "n3-other-words": (["left_1.tif", "right_2.tif"], []),
    "n3-no-number": (["a.tif", "b.tif"], []),
}


@pytest.mark.parametrize(("names", "wanted"), NAMES.values(), ids=NAMES)
def test_numbers_that_tell_files_apart(names, wanted):
    assert numbers_of(names) == wanted


def write_parts(folder: Path, numbers: tuple[int, ...], **facts: object) -> list[Path]:
    paths = [folder / f"s_{number}.ome.tif" for number in numbers]
    for seed, path in enumerate(paths):
        write_ome(path, seed=seed, **facts)
    return paths


def test_n3_a_gap_along_z_is_refused_until_it_is_accepted(tmp_path, capsys):
    paths = write_parts(tmp_path, (0, 1, 3))
    target = tmp_path / "out.ome.zarr"
    words = ("convert", *paths, "--merge", "Z", target)
    assert run(*words) == ExitCode.BAD_INPUT
    err = capsys.readouterr().err
    assert "the number 2 is missing" in err
    assert "--merge-gaps accept" in err
    assert run("info", *paths, "--merge", "Z") == ExitCode.BAD_INPUT
    assert "--merge-gaps accept" in capsys.readouterr().err
    with pytest.raises(SpimpackError, match=r'the number 2 is missing.*gaps="accept"'):
        open_image(merge_files(paths, "Z"))
    assert run(*words, "--merge-gaps", "accept") == ExitCode.OK
    wanted = np.concatenate([tifffile.imread(path) for path in paths])
    assert np.array_equal(zarr.open(target / "0")[...].reshape(wanted.shape), wanted)
    info = probe_image(merge_files(paths, "Z", gaps="accept"))
    assert ("merge gaps", "accept") in {(d.field, d.value) for d in info.decisions}
    assert json.loads((target / "zarr.json").read_text())["attributes"]


def test_n3_a_gap_along_t_is_told(tmp_path, capsys):
    paths = write_parts(tmp_path, (1, 2, 4))
    assert run("info", *paths, "--merge", "T") == ExitCode.OK
    [line] = [line for line in capsys.readouterr().out.splitlines() if "doubtful" in line]
    assert "the number 3 is missing" in line
    assert run("convert", *paths, "--merge", "T", tmp_path / "out.ome.zarr") == ExitCode.OK
    assert "the number 3 is missing" in capsys.readouterr().err
    assert run("info", *paths, "--merge", "T", "--merge-gaps", "accept") == ExitCode.OK
    assert "doubtful" not in capsys.readouterr().out


def test_n3_wavelengths_have_no_gaps(tmp_path):
    paths = write_parts(tmp_path, (488, 561, 785))
    assert probe_image(merge_files(paths, "C")).doubts == ()
    paths = write_parts(tmp_path, (1, 2, 4))
    assert probe_image(merge_files(paths, "C")).doubts == ()


def test_n2_files_of_one_time_point_have_no_time_step_in_common(tmp_path):
    """TimeIncrement is that between time points of one file, and there are none."""
    paths = write_parts(tmp_path, (1, 2, 3), shape=(1, 20, 30), axes="TYX", time_step_s=5.0)
    assert probe_image(paths[0]).time_step_s == 5.0
    source = merge_files(paths, "T")
    with open_image(source) as image:
        assert image.shape == (3, 1, 1, 20, 30)
        assert image.time_step_s is None
    target = tmp_path / "out.ome.tif"
    assert convert(source, target, Request(codec="", ngff=""))
    with tifffile.TiffFile(target) as file:
        [pixels] = ET.fromstring(file.ome_metadata).findall("{*}Image/{*}Pixels")
    assert "TimeIncrement" not in pixels.attrib


def test_n2_files_of_several_time_points_keep_their_step(tmp_path):
    paths = write_parts(tmp_path, (1, 2), shape=(2, 20, 30), axes="TYX", time_step_s=5.0)
    assert probe_image(merge_files(paths, "T")).time_step_s == 5.0


def test_n2_steps_that_files_of_one_time_point_name_are_not_compared(tmp_path):
    paths = [tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"]
    for path, step in zip(paths, (5.0, 7.0), strict=True):
        write_ome(path, (1, 20, 30), axes="TYX", time_step_s=step)
    assert probe_image(merge_files(paths, "T")).time_step_s is None


TIMES = {
    "n2-even": (("10:00:00", "10:00:30", "10:01:00"), 30.0),
    "n2-uneven": (("10:00:00", "10:00:30", "10:01:01"), None),
    "n2-the-same": (("10:00:00", "10:00:00", "10:00:00"), None),
    "n2-backwards": (("10:01:00", "10:00:30", "10:00:00"), None),
    "n2-one-unknown": (("10:00:00", "", "10:01:00"), None),
}


@pytest.mark.parametrize(("times", "wanted"), TIMES.values(), ids=TIMES)
def test_start_times_tell_the_step(tmp_path, times, wanted):
    paths = []
    for number, time in enumerate(times):
        paths.append(tmp_path / f"t{number}.ome.tif")
        facts = {"AcquisitionDate": f"2024-05-06T{time}"} if time else {}
        voxels = np.zeros((2, 20, 30), "u2")
        metadata = {"axes": "ZYX"} | facts
        tifffile.imwrite(paths[-1], voxels, metadata=metadata, photometric="minisblack")
    assert probe_image(merge_files(paths, "T")).time_step_s == wanted


def test_n5_axes_that_contradict_the_file_count_and_are_told(tmp_path, capsys):
    path = tmp_path / "a.ome.tif"
    write_ome(path, (2, 3, 20, 30), axes="TZYX")
    info = probe_image(path, axes="ZTYX")
    assert info.shape == (3, 2, 1, 20, 30)
    [doubt] = info.doubts
    assert doubt == "the file says that its axes are TZYX, not ZTYX"
    assert run("info", path, "--axes", "ZTYX") == ExitCode.OK
    assert doubt in capsys.readouterr().out
    target = tmp_path / "out.ome.zarr"
    assert run("convert", path, target, "--source-axes", "ZTYX") == ExitCode.OK
    assert doubt in capsys.readouterr().err


def test_n5_axes_that_agree_are_no_doubt(tmp_path):
    write_ome(tmp_path / "a.ome.tif", (2, 3, 20, 30), axes="TZYX")
    assert probe_image(tmp_path / "a.ome.tif", axes="TZYX").doubts == ()
    plain = tmp_path / "b.tif"
    tifffile.imwrite(plain, np.zeros((3, 20, 30), "u2"), metadata=None, photometric="minisblack")
    assert probe_image(plain, axes="TYX").doubts == ()


def test_n5_files_that_are_merged_say_it_once(tmp_path):
    paths = write_parts(tmp_path, (1, 2, 3), shape=(2, 20, 30), axes="ZYX")
    [doubt] = probe_image(merge_files(paths, "C", axes="TYX")).doubts
    assert doubt.endswith("(of s_1.ome.tif and 2 more)")


AXES = {
    "n16-all": ("TZCYX", (2, 3, 1, 20, 30)),
    "n16-those-that-info-shows": ("TZYX", (2, 3, 1, 20, 30)),
    "n16-others-than-the-file-says": ("CZYX", (1, 3, 2, 20, 30)),
}


@pytest.mark.parametrize(("axes", "wanted"), AXES.values(), ids=AXES)
def test_axes_of_one_index_need_no_name(tmp_path, axes, wanted):
    voxels = write_ome(tmp_path / "a.ome.tif", (2, 3, 20, 30), axes="TZYX")
    as_tzcyx = voxels[:, :, None]
    with open_image(tmp_path / "a.ome.tif", axes=axes) as image:
        assert image.shape == wanted
        found = image.levels[0][...]
    assert np.array_equal(found if axes[0] == "T" else found.transpose(2, 1, 0, 3, 4), as_tzcyx)


@pytest.mark.parametrize("axes", ["ZYX", "TCZ", "TZYXCC", "TTZYX"])
def test_n16_axes_that_do_not_fit_are_refused_with_the_sizes(tmp_path, axes):
    write_ome(tmp_path / "a.ome.tif", (2, 3, 20, 30), axes="TZYX")
    with pytest.raises(SpimpackError, match="2 t x 3 z x 1 c x 20 y x 30 x"):
        open_image(tmp_path / "a.ome.tif", axes=axes)


def test_n16_a_folder_of_planes_takes_the_axes_that_info_shows(tmp_path):
    for channel in range(2):
        for z in range(3):
            plane = np.full((20, 30), 10 * channel + z, "u2")
            tifffile.imwrite(tmp_path / f"C{channel}_Z{z}.tif", plane)
    assert probe_image(tmp_path, axes="CZYX").shape == (1, 3, 2, 20, 30)
    with open_image(tmp_path, axes="TZYX") as image:
        assert image.shape == (2, 3, 1, 20, 30)
        assert image.levels[0][:, :, 0, 0, 0].tolist() == [[0, 1, 2], [10, 11, 12]]
    with pytest.raises(SpimpackError, match="2 c x 3 z x 20 y x 30 x, which 'ZYX' does not name"):
        probe_image(tmp_path, axes="ZYX")


def test_n9_errors_of_merge_files_are_ours_and_those_of_python(tmp_path):
    [path] = write_parts(tmp_path, (1,))
    for words, kind in (
        ({"paths": [path], "axis": "X"}, ValueError),
        ({"paths": [], "axis": "T"}, ValueError),
        ({"paths": [path], "axis": "T", "shape": "crop"}, ValueError),
        ({"paths": [path], "axis": "T", "shapes": "pad"}, TypeError),
    ):
        with pytest.raises(SpimpackError) as caught:
            merge_files(**words)
        assert isinstance(caught.value, kind)
    assert "did you mean 'shape'?" in str(caught.value)


def test_n9_one_path_is_one_file(tmp_path):
    [path] = write_parts(tmp_path, (1,))
    for given in (path, str(path)):
        assert probe_image(merge_files(given, "T")).shape == (1, 3, 1, 20, 30)


def two_images(path: Path) -> None:
    with tifffile.TiffWriter(path, ome=True) as writer:
        for _ in range(2):
            writer.write(np.zeros((3, 20, 30), "u2"), metadata={"axes": "ZYX"})


def pages(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((3, 20, 30), "u2"), metadata=None, photometric="minisblack")


REMEDIES = {
    "n11-scene": (two_images, "a.ome.tif", "--scene 0", 'scene="0"', "--scene 0", 'scene="0"'),
    "n11-axes": (
        *(pages, "a.tif"),
        *("", 'axes="ZYX"', "--source-axes ZYX", 'source_axes="ZYX"'),
    ),
}
"""What spimpack info, open_image, spimpack convert and convert say."""


@pytest.mark.parametrize("case", REMEDIES.values(), ids=REMEDIES)
def test_remedies_are_in_the_words_of_the_reader(tmp_path, capsys, case):
    write, name, *remedies = case
    path = tmp_path / name
    write(path)
    run("info", path)
    told = [capsys.readouterr().err]
    with pytest.raises(SpimpackError) as caught:
        open_image(path)
    told.append(str(caught.value))
    assert run("convert", path, tmp_path / "out.ome.zarr") == ExitCode.BAD_INPUT
    told.append(capsys.readouterr().err)
    with pytest.raises(SpimpackError) as caught:
        convert(path, tmp_path / "out.ome.zarr")
    told.append(str(caught.value))
    for remedy, text in zip(remedies, told, strict=True):
        assert remedy in text


def test_n12_policies_are_in_the_words_of_the_reader(tmp_path, capsys):
    paths = [tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"]
    for path, shape, size in zip(
        paths, ((2, 9, 9), (3, 9, 9)), ((4, 2, 2), (5, 2, 2)), strict=True
    ):
        write_ome(path, shape, size_um=size)
    assert run("info", *paths, "--merge", "T") == ExitCode.BAD_INPUT
    err = capsys.readouterr().err
    assert "with --merge-shape pad, zeros" in err
    assert "with --merge-spacing first, the" in err
    with pytest.raises(SpimpackError) as caught:
        open_image(merge_files(paths, "T"))
    assert 'with shape="pad", zeros' in str(caught.value)
    assert 'with spacing="first", the' in str(caught.value)


def test_n13_each_mistake_has_its_own_remedy(tmp_path):
    for name in ("a.tif", "b.tif"):
        pages(tmp_path / name)
    with pytest.raises(SpimpackError) as caught:
        open_image(merge_files([tmp_path / "a.tif", tmp_path / "b.tif"], "T"))
    assert 'axes="ZYX"' in str(caught.value)
    assert "set" not in str(caught.value)


def test_n18_a_type_that_the_target_has_not_is_named_with_a_remedy(tmp_path, capsys):
    """Of uint32 and int32 only int64 holds all values, which is no type of OME-TIFF."""
    paths = [tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"]
    for path, dtype in zip(paths, ("uint32", "int32"), strict=True):
        write_ome(path, dtype=dtype)
    words = ("convert", *paths, "--merge", "T", "--merge-dtype", "promote")
    assert run(*words, tmp_path / "out.ome.tif") == ExitCode.BAD_INPUT
    err = capsys.readouterr().err
    assert "the merged image has voxels of type int64, which OME-TIFF has not" in err
    assert "make an OME-Zarr" in err
    assert "a.ome.tif" not in err
    assert run(*words, tmp_path / "out.ome.zarr") == ExitCode.OK


@pytest.mark.parametrize("target", ["b.ome.tif", "new.ome.tif"], ids=["n22-lacks", "n22-is-given"])
def test_a_target_that_is_one_of_the_images_is_asked_about(tmp_path, capsys, target):
    paths = [tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"]
    for path in paths:
        write_ome(path)
    before = paths[1].read_bytes()
    code = run("convert", paths[0], paths[1], tmp_path / target, "--merge", "T")
    if target == "new.ome.tif":
        assert code == ExitCode.OK
        return
    code = run("convert", *paths, "--merge", "T")
    assert code == ExitCode.CONFLICT
    assert "the last path is the image to make" in capsys.readouterr().err
    assert paths[1].read_bytes() == before
