"""Several files as one image: sizes, voxels, policies, and what is refused."""

from __future__ import annotations

import json
from itertools import combinations_with_replacement
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
import zarr
from format_contract import SAMPLES
from merge_sources import as_tczyx, write_ome
from ome_sets import Xml, in_order, piece, stack, write

from spimpack_tasks.api import convert, merge_files, open_image, probe_image
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.volumes.compare import compare_with_source
from spimpack_tasks.volumes.errors import HeaderError, SourceRefusedError
from spimpack_tasks.volumes.merged import levels as merged_levels
from spimpack_tasks.volumes.merged.dtypes import promote
from spimpack_tasks.volumes.volume import open_volume

AXIS = {"T": 0, "C": 1, "Z": 2}
FREE = {"shape": "pad", "dtype": "promote", "spacing": "first", "channels": "number"}


def run(*words: object) -> int:
    return main([*map(str, words)])


def write_three(folder: Path, **facts: object) -> tuple[list[Path], list[np.ndarray]]:
    """Write three files that are given in an order which no sort of their names makes."""
    paths = [folder / f"img_{number}.ome.tif" for number in (10, 9, 11)]
    voxels = [write_ome(path, seed=seed, **facts) for seed, path in enumerate(paths)]
    return paths, voxels


def read(source: object) -> np.ndarray:
    """Return all voxels of an image along t, c, z, y, x."""
    with open_image(source) as image:
        return image.levels[0][...].transpose(0, 2, 1, 3, 4)


@pytest.mark.parametrize("axis", AXIS, ids=[f"o30-{axis}" for axis in AXIS])
@pytest.mark.parametrize("target", ["out.ome.zarr", "out.ome.tif"])
def test_joined_files_are_concatenated(tmp_path, axis, target):
    paths, voxels = write_three(tmp_path / "raw")
    wanted = np.concatenate([as_tczyx(v) for v in voxels], AXIS[axis])
    source = merge_files(paths, axis)
    assert np.array_equal(read(source), wanted)
    assert probe_image(source).spacing_um_zyx == (4.0, 1.8, 1.8)
    assert run("convert", *paths, "--merge", axis, tmp_path / target, "--verify") == ExitCode.OK
    if target.endswith("zarr"):
        made = zarr.open(tmp_path / target / "0")[...]
    else:
        made = tifffile.imread(tmp_path / target)
    assert np.array_equal(made.reshape(wanted.shape), wanted)


@pytest.mark.parametrize("axis", ["X", "Y", "TZ", ""])
def test_o30_other_axes_are_refused(tmp_path, axis, capsys):
    paths, _ = write_three(tmp_path)
    with pytest.raises(ValueError, match="choose T or C or Z"):
        merge_files(paths, axis)
    if axis:
        with pytest.raises(SystemExit):
            run("convert", *paths, "--merge", axis, tmp_path / "out.ome.zarr")
        assert "choose from" in capsys.readouterr().err


def test_o31_order_is_natural_or_that_of_the_table_and_is_told(tmp_path, capsys):
    paths, voxels = write_three(tmp_path)
    by_name = dict(zip((10, 9, 11), voxels, strict=True))
    written = np.stack(voxels)
    for options in ({}, {"order": "table"}):
        assert np.array_equal(read(merge_files(paths, "T", **options))[:, 0], written)
    by_numbers = np.stack([by_name[number] for number in (9, 10, 11)])
    assert np.array_equal(read(merge_files(paths, "T", order="natural"))[:, 0], by_numbers)
    # A shell fills in *, and Python sorts, so: 10, 11, 9.
    as_texts = sorted(paths)
    assert np.array_equal(read(merge_files(as_texts, "T"))[:, 0], by_numbers)
    kept = read(merge_files(as_texts, "T", order="table"))[:, 0]
    assert np.array_equal(kept, np.stack([by_name[number] for number in (10, 11, 9)]))
    assert run("info", *as_texts, "--merge", "T") == ExitCode.OK
    out = capsys.readouterr().out
    assert "T: in natural order: img_9.ome.tif, img_10.ome.tif, img_11.ome.tif" in out
    assert run("info", *paths, "--merge", "T") == ExitCode.OK
    assert "in the order given: img_10.ome.tif, img_9.ome.tif, img_11" in capsys.readouterr().out


@pytest.mark.parametrize("options", [(), ("--merge-order", "table")], ids=["open", "table"])
def test_n1_channels_keep_the_order_in_which_they_are_named(tmp_path, options):
    """As dye and antibody are: in the order of `--stains`, whatever the alphabet says."""
    paths = [tmp_path / name for name in ("m2_yopro.ome.tif", "m2_abeta.ome.tif")]
    voxels = [write_ome(path, seed=seed) for seed, path in enumerate(paths)]
    assert np.array_equal(read(merge_files(paths, "C"))[0], np.stack(voxels))
    target = tmp_path / "m2.ome.zarr"
    words = ("convert", *paths, "--merge", "C", "--stains", "YoPro;Abeta", target, *options)
    assert run(*words) == ExitCode.OK
    labels = json.loads((target / "zarr.json").read_text())["attributes"]["ome"]["omero"]
    assert [each["label"] for each in labels["channels"]] == ["YoPro", "Abeta"]
    assert np.array_equal(zarr.open(target / "0")[...], np.stack(voxels))


def test_files_are_told_by_the_names_that_are_given(tmp_path, capsys):
    """Links of git-annex lead to files whose names are digests."""
    keys = {"t1": "MD5E-c", "t2": "MD5E-a", "t10": "MD5E-b"}
    for seed, (name, key) in enumerate(keys.items()):
        write_ome(tmp_path / f"annex/{key}/{key}.ome.tif", seed=seed)
        (tmp_path / f"{name}.ome.tif").symlink_to(f"annex/{key}/{key}.ome.tif")
    paths = [tmp_path / f"{name}.ome.tif" for name in ("t10", "t2", "t1")]
    source = merge_files(paths, "T", order="natural")
    info = probe_image(source)
    assert info.path == str(paths[2])
    assert "t1.ome.tif, t2.ome.tif, t10.ome.tif" in info.decisions[-1].rule
    assert [*info.original] == [f"OME-XML of {path.name}" for path in paths[::-1]]
    with open_image(source) as image:
        assert image.files[0] == str(paths[2])
    words = ("info", *paths, "--merge", "T", "--merge-order", "natural")
    assert run(*words) == ExitCode.OK
    assert capsys.readouterr().out.startswith(f"{paths[2]}\n")
    write_ome(tmp_path / "annex/MD5E-a/MD5E-a.ome.tif", dtype="uint8")
    with pytest.raises(HeaderError, match=r"uint8 in 't2\.ome\.tif', but uint16 in 't1\.ome\.tif'"):
        probe_image(source)


DIFFERENCES = {
    "o32-shape": ({"shape": (2, 20, 30)}, "shape", "the size along z is 2 in {}, but 3 in {}"),
    "o33-dtype": ({"dtype": "uint8"}, "dtype", "the type of voxels is uint8 in {}, but uint16 in"),
    "o34-spacing": (
        {"size_um": (5.0, 1.8, 1.8)},
        "spacing",
        "the voxel size along z (um) is 5 in {}, but 4 in {}",
    ),
    "o34-unknown-spacing": (
        {"size_um": None},
        "spacing",
        "the voxel size along x (um) is unknown in {}, but 1.8 in {}",
    ),
    "o34-names": (
        {"names": ("GFP",)},
        "spacing",
        "the list of channels is GFP in {}, but unknown in {}",
    ),
    "o34-time-step": (
        {"axes": "TYX", "time_step_s": 2.0},
        "spacing",
        "the time step (s) is 2 in {}, but unknown in {}",
    ),
}
"""What the second file has otherwise, the policy that allows it, and the message."""


@pytest.mark.parametrize(("facts", "policy", "told"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_differences_are_refused_with_both_names(tmp_path, facts, policy, told, capsys):
    paths = [tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"]
    write_ome(paths[0])
    write_ome(paths[1], **facts)
    before = sorted(tmp_path.iterdir())
    code = run("convert", *paths, "--merge", "T", tmp_path / "out.ome.zarr")
    assert code == ExitCode.BAD_INPUT
    err = capsys.readouterr().err
    assert told.format("'b.ome.tif'", "'a.ome.tif'") in err
    assert f"--merge-{policy} " in err
    assert sorted(tmp_path.iterdir()) == before


def test_o32_all_differences_are_told_at_once(tmp_path):
    paths = [tmp_path / f"{name}.ome.tif" for name in "abc"]
    write_ome(paths[0])
    write_ome(paths[1], (3, 21, 30), dtype="uint8", size_um=None)
    write_ome(paths[2], (3, 21, 31))
    with pytest.raises(HeaderError) as caught:
        probe_image(merge_files(paths, "T"))
    for told in (
        "the size along y is 21 in 'b.ome.tif', 'c.ome.tif', but 20 in 'a.ome.tif'",
        "the size along x is 31 in 'c.ome.tif', but 30 in 'a.ome.tif'",
        "uint8 in 'b.ome.tif'",
        "the voxel size along z (um) is unknown in 'b.ome.tif'",
    ):
        assert told in str(caught.value)


@pytest.mark.parametrize("axis", AXIS)
def test_o32_padding_is_zero_at_the_high_end_and_recorded(tmp_path, axis):
    paths = [tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"]
    shapes = ((2, 20, 33), (5, 24, 30))
    parts = [as_tczyx(write_ome(paths[n], shapes[n], seed=n)) for n in range(2)]
    largest = [max(n) for n in zip(*(part.shape for part in parts), strict=True)]
    padded = []
    for part in parts:
        ends = [0 if n == AXIS[axis] else largest[n] - part.shape[n] for n in range(5)]
        padded.append(np.pad(part, [(0, end) for end in ends]))
    wanted = np.concatenate(padded, AXIS[axis])
    source = merge_files(paths, axis, shape="pad")
    assert np.array_equal(read(source), wanted)
    target = tmp_path / "out.ome.zarr"
    assert convert(source, target)
    assert list(compare_with_source(source.path, source.format, str(target), lambda _: None)) == []
    told = json.loads((target / "zarr.json").read_text())["attributes"]["spimpack_tasks"]
    files = json.loads(told["merged"])["files"]
    along_z = {"Z": [2, 5]} if axis != "Z" else {}
    assert files[0]["padded"] == {**along_z, "Y": [20, 24]}
    assert files[1]["padded"] == {"X": [30, 33]}
    decided = {(d.field, d.value) for d in probe_image(source).decisions}
    assert ("padding", "20 to 24") in decided


KINDS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
FLOATS = ("float16", "float32", "float64")


@pytest.mark.parametrize(
    ("one", "other"), [*combinations_with_replacement((*KINDS, *FLOATS, "bool"), 2)]
)
def test_o33_promotion_keeps_all_values(one, other):
    found = promote([one, other])
    extremes = []
    for name in (one, other):
        dtype = np.dtype(name)
        if dtype.kind == "f":
            info = np.finfo(dtype)
            extremes += [info.max, info.min, info.smallest_subnormal, info.eps]
        elif dtype.kind == "b":
            extremes += [np.True_, np.False_]
        else:
            top = np.iinfo(dtype).max
            extremes += [dtype.type(top), dtype.type(np.iinfo(dtype).min), dtype.type(top - 1)]
    if found is None:
        # No type of numpy holds these, by the significant bits of each.
        assert {np.dtype(one).kind, np.dtype(other).kind} in ({"u", "i"}, {"u", "f"}, {"i", "f"})
        assert {"uint64", "int64"} & {one, other}
    else:
        for value in extremes:
            assert value.item() == np.dtype(found).type(value).item()
        assert np.result_type(one, other) == np.dtype(found) or np.dtype(found).kind == "f"


def test_o33_promoted_voxels_are_those_of_both_files(tmp_path):
    paths = [tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"]
    first = write_ome(paths[0], dtype="uint16", big_endian=True)
    second = write_ome(paths[1], dtype="int16")
    source = merge_files(paths, "T", dtype="promote")
    found = read(source)
    assert found.dtype == np.int32
    assert np.array_equal(found[:, 0], [first.astype("i8"), second.astype("i8")])
    with open_volume(source.path, source.format) as volume:
        blocks = [
            volume.levels[0].read(tuple(slice(n, n + 1) for n in (t, 0, z)) + (slice(3, 17),) * 2)
            for t in range(2)
            for z in range(3)
        ]
    assert np.array_equal(
        np.concatenate(blocks)[:, 0, 0], found[..., 3:17, 3:17].reshape(6, 14, 14)
    )


def test_o33_types_without_a_common_one_are_refused(tmp_path):
    for name, dtype in (("a.nii", "f8"), ("b.nii", "i8")):
        voxels = np.zeros((4, 5, 6), dtype)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4), dtype=dtype), tmp_path / name)
    with pytest.raises(HeaderError, match=r"is int64 in 'b.nii', but float64 in") as caught:
        probe_image(merge_files([tmp_path / "a.nii", tmp_path / "b.nii"], "T", **FREE))
    assert caught.value.hint == "no type holds all values of these types"


def test_o34_the_first_file_counts_where_that_is_asked_for(tmp_path):
    paths = [tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"]
    write_ome(paths[0], size_um=(5.0, 2.0, 2.0), names=("GFP",))
    write_ome(paths[1])
    info = probe_image(merge_files(paths, "T", spacing="first"))
    assert info.spacing_um_zyx == (5.0, 2.0, 2.0)
    assert [channel.name for channel in info.channels] == ["GFP"]
    assert ("merge spacing", "first") in {(d.field, d.value) for d in info.decisions}


def test_o35_provenance_has_every_member(tmp_path):
    paths = [tmp_path / folder / "image.ome.tif" for folder in ("TAG_01", "TAG_02")]
    for seed, path in enumerate(paths):
        write_ome(path, seed=seed)
    target = tmp_path / "out.ome.tif"
    assert run("convert", *paths, "--merge", "T", target) == ExitCode.OK
    with tifffile.TiffFile(target) as file:
        xml = file.ome_metadata
    told = next(part for part in xml.split("<M K=") if part.startswith('"merged"'))
    record = json.loads(told.partition(">")[2].partition("<")[0].replace("&quot;", '"'))
    assert (record["axis"], record["order"]) == ("T", "natural")
    for each, path in zip(record["files"], paths, strict=True):
        assert each["path"] == f"{path.parent.name}/image.ome.tif"
        assert each["bytes"] == path.stat().st_size
        assert each["stamp"] == f"{path.stat().st_size} {path.stat().st_mtime_ns}"
        sizes = dict(zip(each["axes"], each["shape"], strict=True))
        assert {axis: n for axis, n in sizes.items() if n > 1} == {"Z": 3, "Y": 20, "X": 30}
    assert str(tmp_path) not in xml


CHANNELS = {
    "o36-joined": ([("A", "B"), ("C",)], "error", ["A", "B", "C"]),
    "o36-some-without-names": ([(), ("C",)], "error", ["", "C"]),
    "o36-numbered": ([("A",), ("A",), ("A 2",)], "number", ["A", "A 3", "A 2"]),
    "o36-twice": ([("A",), ("A",)], "error", None),
}


@pytest.mark.parametrize(("names", "policy", "wanted"), CHANNELS.values(), ids=CHANNELS)
def test_channels(tmp_path, names, policy, wanted):
    paths = []
    for number, each in enumerate(names):
        paths.append(tmp_path / f"c{number}.ome.tif")
        several = {"shape": (2, 3, 20, 30), "axes": "CZYX"} if len(each) > 1 else {}
        write_ome(paths[-1], **several, names=each)
    source = merge_files(paths, "C", channels=policy)
    if wanted is None:
        with pytest.raises(HeaderError, match="'A' comes 2 times") as caught:
            probe_image(source)
        assert 'channels="number"' in str(caught.value)
    else:
        assert [channel.name or "" for channel in probe_image(source).channels] == wanted


def write_pages(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((3, 20, 30), "u2"), metadata=None, photometric="minisblack")


def write_two_images(path: Path) -> None:
    with tifffile.TiffWriter(path, ome=True) as writer:
        for _ in range(2):
            writer.write(np.zeros((3, 20, 30), "u2"), metadata={"axes": "ZYX"})


UNCLEAR = {
    "o37-pages": ("b.tif", write_pages, "'b.tif' does not say what its pages are: 3 x 20 x 30"),
    "o37-several-images": ("b.ome.tif", write_two_images, "convert its images by themselves"),
}


@pytest.mark.parametrize(("name", "write", "told"), UNCLEAR.values(), ids=UNCLEAR)
def test_unclear_members_are_refused_before_anything_is_written(
    tmp_path, name, write, told, capsys
):
    write_ome(tmp_path / "a.ome.tif", size_um=None)
    write(tmp_path / name)
    before = sorted(tmp_path.iterdir())
    words = ("convert", tmp_path / "a.ome.tif", tmp_path / name, "--merge", "T")
    assert run(*words, tmp_path / "out.ome.zarr") == ExitCode.BAD_INPUT
    assert told in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_o37_axes_may_be_said_of_all_files(tmp_path, capsys):
    paths = [tmp_path / name for name in ("t1.tif", "t2.tif")]
    voxels = [np.arange(1800, dtype="u2").reshape(3, 20, 30) + n for n in range(2)]
    for path, each in zip(paths, voxels, strict=True):
        tifffile.imwrite(path, each, metadata=None, photometric="minisblack")
    words = (*paths, "--merge", "T")
    assert run("info", *words, "--axes", "ZYX") == ExitCode.OK
    assert "2 t x 3 z x 20 y x 30 x" in capsys.readouterr().out
    target = tmp_path / "out.ome.zarr"
    made = run("convert", *words, "--source-axes", "ZYX", "--verify", target)
    assert made == ExitCode.OK
    assert np.array_equal(zarr.open(target / "0")[...], np.stack(voxels))
    assert run("convert", *words, "--scene", "0", tmp_path / "b.ome.zarr") == ExitCode.BAD_INPUT


def test_files_that_cannot_be_read_are_told_together(tmp_path, capsys):
    write_ome(tmp_path / "a.ome.tif")
    for name in ("b.ome.tif", "c.ome.tif"):
        (tmp_path / name).write_bytes((tmp_path / "a.ome.tif").read_bytes()[:300])
    paths = [tmp_path / f"{name}.ome.tif" for name in "abc"]
    assert run("convert", *paths, "--merge", "T", tmp_path / "o.ome.zarr") == ExitCode.BAD_INPUT
    err = capsys.readouterr().err
    assert "b.ome.tif" in err
    assert "c.ome.tif" in err


def test_a_file_is_merged_once(tmp_path):
    write_ome(tmp_path / "a.ome.tif")
    (tmp_path / "link.ome.tif").symlink_to("a.ome.tif")
    with pytest.raises(SourceRefusedError, match="given twice"):
        merge_files([tmp_path / "a.ome.tif", tmp_path / "link.ome.tif"], "T")


@pytest.mark.parametrize("most", [1, 2])
@pytest.mark.parametrize("axis", AXIS)
def test_few_files_are_open_at_a_time(tmp_path, monkeypatch, most, axis):
    monkeypatch.setattr(merged_levels, "_MOST_OPEN", most)
    paths, voxels = write_three(tmp_path / "raw", shape=(2, 3, 20, 30), axes="CZYX")
    wanted = np.concatenate([as_tczyx(v, "CZYX") for v in voxels], AXIS[axis])
    assert np.array_equal(read(merge_files(paths, axis)), wanted)
    target = tmp_path / "out.ome.zarr"
    assert run("convert", *paths, "--merge", axis, target, "--verify") == ExitCode.OK


def test_a_changed_voxel_is_found(tmp_path):
    paths, _ = write_three(tmp_path / "raw")
    target = tmp_path / "out.ome.zarr"
    words = ("convert", *paths, "--merge", "T", target)
    assert run(*words) == ExitCode.OK
    array = zarr.open(target / "0")
    array[1, ..., 2, 7, 11] += 1
    source = merge_files(paths, "T")
    faults = list(compare_with_source(source.path, source.format, str(target), lambda _: None))
    assert len(faults) == 1
    assert "time point 1" in faults[0]
    assert "the first at 2/7/11" in faults[0]


def test_another_policy_or_order_is_another_image(tmp_path, capsys):
    paths, _ = write_three(tmp_path / "raw")
    target = tmp_path / "out.ome.zarr"
    assert run("convert", *paths, "--merge", "T", target) == ExitCode.OK
    for more in ([], ["--merge-order", "table"]):
        assert run("convert", *paths, "--merge", "T", *more, target) == ExitCode.OK
        assert "Nothing to do" in capsys.readouterr().out
    for more in (["--merge-order", "natural"], ["--merge-shape", "pad"]):
        assert run("convert", *paths, "--merge", "T", *more, target) == ExitCode.CONFLICT
    assert run("convert", *paths, "--merge", "Z", target) == ExitCode.CONFLICT
    paths[1].touch()
    assert run("convert", *paths, "--merge", "T", target) == ExitCode.CONFLICT


COMMANDS = {
    "policy-without-axis": (["a", "b", "--merge-shape", "pad"], "--merge is not given"),
    "too-many": (["a", "b", "c"], "'c' is one path too many"),
    "no-target": (["a"], "the image to make is not given"),
}


@pytest.mark.parametrize(("words", "told"), COMMANDS.values(), ids=COMMANDS)
def test_command_lines_that_are_refused(words, told, capsys):
    assert run("convert", *words) == ExitCode.BAD_INPUT
    assert told in capsys.readouterr().err


@pytest.mark.few(15)
@pytest.mark.parametrize("axis", AXIS)
@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_files_of_every_format_are_merged(tmp_path, sample, axis):
    paths = [tmp_path / f"m{number}" / sample.name for number in range(2)]
    for path in paths:
        path.parent.mkdir()
        sample.write(path)
    wanted = np.concatenate([sample.voxels] * 2, AXIS[axis])
    policies = {"channels": "number"} if axis == "C" else {}
    assert np.array_equal(read(merge_files(paths, axis, **policies)), wanted)
    words = ["convert", *paths, "--merge", axis, "--merge-channels", "number", "--verify"]
    for target in ("out.ome.zarr", "out.ome.tif"):
        assert run(*words, tmp_path / target) == ExitCode.OK
    made = zarr.open(tmp_path / "out.ome.zarr/0")[...]
    assert np.array_equal(made.reshape(wanted.shape), wanted)


def test_formats_can_be_mixed(tmp_path):
    paths = []
    for name in ("OME-Zarr", "Imaris"):
        paths.append(tmp_path / SAMPLES[name].name)
        SAMPLES[name].write(paths[-1])
    source = merge_files(paths, "T", spacing="first")
    assert np.array_equal(read(source), np.concatenate([SAMPLES["Imaris"].voxels] * 2))


def test_files_of_one_set_are_not_merged_with_one_another(tmp_path):
    names = ["c0.ome.tif", "c1.ome.tif"]
    voxels = stack(1, 2, 3)
    pieces = "".join(piece(name, IFD=0, PlaneCount=3, FirstC=n) for n, name in enumerate(names))
    xml = Xml(voxels, "XYZTC", pieces)
    for number, name in enumerate(names):
        planes = in_order(voxels[:, number : number + 1], "XYZTC")
        write(tmp_path / name, planes, xml.text(name))
    with pytest.raises(HeaderError, match=r"'c0.ome.tif' is an image together with 'c1.ome.tif'"):
        probe_image(merge_files([tmp_path / name for name in names], "C"))


@pytest.mark.parametrize("most", [1, 16])
def test_damage_at_the_very_end_of_a_file_is_found(tmp_path, monkeypatch, most, capsys):
    monkeypatch.setattr(merged_levels, "_MOST_OPEN", most)
    paths = [tmp_path / name for name in ("a.nii.gz", "b.nii.gz", "c.nii.gz")]
    for path in paths:
        image = nibabel.Nifti1Image(np.arange(5 * 6 * 7, dtype="i2").reshape(7, 6, 5), np.eye(4))
        nibabel.save(image, path)
    data = bytearray(paths[1].read_bytes())
    data[-6] ^= 1  # of the checksum
    paths[1].write_bytes(data)
    assert run("convert", *paths, "--merge", "T", tmp_path / "out.ome.zarr") != ExitCode.OK
    assert "b.nii.gz" in capsys.readouterr().err
    assert not (tmp_path / "out.ome.zarr").exists()


@pytest.mark.parametrize("name", ["OME-TIFF", "folder of planes"])
def test_bytes_are_the_same_for_any_number_of_threads(tmp_path, name):
    paths = [tmp_path / f"m{number}" / SAMPLES[name].name for number in range(3)]
    for path in paths:
        path.parent.mkdir()
        SAMPLES[name].write(path)
    trees = []
    for threads in (1, 2, 5):
        target = tmp_path / str(threads) / "out.ome.zarr"
        target.parent.mkdir()
        words = ("convert", *paths, "--merge", "T", target, "--threads", threads)
        assert run(*words) == ExitCode.OK
        trees.append({p.relative_to(target): p.read_bytes() for p in files_of(target)})
    assert trees[0] == trees[1] == trees[2]


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_o26_a_merged_image_keeps_the_metadata_of_each_file(tmp_path):
    paths = [tmp_path / f"t{n}.ome.tif" for n in range(2)]
    for n, path in enumerate(paths):
        tifffile.imwrite(path, np.full((2, 8, 9), n, "u2"), ome=True, metadata={"axes": "ZYX"})
    target = tmp_path / "merged.ome.zarr"
    words = ["convert", *map(str, paths), str(target), "--merge", "T"]
    assert main(words) == ExitCode.OK
    original = probe_image(target).original
    for path in paths:
        with tifffile.TiffFile(path) as file:
            assert original[f"OME-XML of {path.name}"] == file.ome_metadata
