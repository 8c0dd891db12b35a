"""Converted images are compared with their sources: every fault is found, and named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import children
import conversions
import numpy as np
import plane_sources as sources
import pytest
import zarr
from imaris_variants import VARIANTS, Variant, write_variant
from plane_sources import compose_voxels
from workspace import SHARED, Workspace, small_workspace

from spimpack_tasks.arrays import grid as layout
from spimpack_tasks.arrays import pyramid
from spimpack_tasks.cli.main import main
from spimpack_tasks.conversion.convert_file import convert_file
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.verification import pixels as verification
from spimpack_tasks.volumes.compare import compare_with_source
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.tiff import layout as tiff_layout
from spimpack_tasks.volumes.tiff import ome_writer as ome_tiff

ANY = Request(codec="", ngff="")
SHAPE = (2, 2, 9, 34, 20)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Make the images of the tests consist of several slabs, shards and levels."""
    monkeypatch.setattr(pyramid, "_CHUNKS", ((8, 16),))
    monkeypatch.setattr(layout, "SLAB_CHUNKS", 2)
    monkeypatch.setattr(pyramid, "SMALL_ENOUGH", 500)
    for module in (ome_tiff, tiff_layout):
        monkeypatch.setattr(module, "TILE", 16)


def write(writer, path, dtype="uint16"):
    writer(path, compose_voxels(SHAPE, dtype))


write_folder = partial(sources.write_folder, write=sources.write_tif, pattern="T{t}C{c}Z{z}.tif")
planes = partial(write, write_folder)
imaris = Variant(channels=2, times=2, shape=(9, 16, 20))
shuffled = replace(imaris, filters={"compression": "gzip", "shuffle": True})
SOURCES = {
    "a.ims": lambda path: write_variant(path, imaris),
    "shuffled.ims": lambda path: write_variant(path, shuffled),
    "planes": planes,
    "a.ome.tif": partial(write, sources.write_ome),
    "floats.ome.tif": partial(write, sources.write_ome, dtype="float32"),
    "signed.nii.gz": partial(write, sources.write_nifti, dtype="int16"),
    "a.ome.zarr": partial(write, sources.write_zarr),
}


def convert(
    tmp_path: Path, name: str, ending: str = ".ome.zarr", codec: str = "", ngff: str = ""
) -> tuple[str, Path]:
    source, target = tmp_path / name, tmp_path / f"made{ending}"
    SOURCES[name](source)
    assert convert_file(
        str(source), str(target), Request(codec=codec, ngff=ngff), 2, lambda _: None
    )
    return str(source), target


def faults(source: str, target: Path) -> list[str]:
    return list(conversions.compare(source, target))


@pytest.mark.few(14)
@pytest.mark.parametrize("ngff", ["0.5", "0.4"])
@pytest.mark.parametrize("codec", ["gzip", "blosc", "lz4"])
@pytest.mark.parametrize("name", SOURCES)
def test_an_image_is_equal_to_its_source(tmp_path, name, codec, ngff):
    source, target = convert(tmp_path, name, codec=codec, ngff=ngff)
    assert faults(source, target) == []


@pytest.mark.parametrize("level", ["0", "1"])
@pytest.mark.parametrize("name", ["a.ims", "planes"])
def test_a_chunk_that_is_a_file_is_named(tmp_path, name, level):
    source, target = convert(tmp_path, name, ngff="0.4")
    place = "1/0/0/0/1" if level == "0" else "1/0/0/0/0"
    (target / level / place).unlink()
    change(target, 0, (0, 0, 0, 0, 0))
    wrong, lost = sorted(faults(source, target), key=lambda told: "missing" in told)
    assert wrong.startswith(
        "level 0, time point 0, channel 0, chunk 0/0/0 (z/y/x): 1 voxel differs"
    )
    where = f"level {level}, time point 1, channel 0, chunk {place[4:]} (z/y/x)"
    assert lost.startswith(f"{where}: it is missing, or all zero")


@pytest.mark.parametrize("name", SOURCES)
def test_an_ome_tiff_is_equal_to_its_source(tmp_path, name):
    source, target = convert(tmp_path, name, ".ome.tif")
    assert faults(source, target) == []


@pytest.mark.parametrize("ending", [".ome.zarr", ".ome.tif"])
@pytest.mark.parametrize("shape", sources.ODD_SHAPES, ids=str)
def test_odd_sizes_are_no_fault(tmp_path, shape, ending):
    source, target = tmp_path / "planes", tmp_path / f"made{ending}"
    write_folder(source, compose_voxels(shape))
    convert_file(str(source), str(target), ANY, 2, lambda _: None)
    assert faults(str(source), target) == []
    if "zarr" in ending:
        last = len(list(target.glob("*/zarr.json"))) - 1
        change(target, last, (0, 0, 0, 0, 0))
        (told,) = faults(str(source), target)
        assert told.startswith(f"level {last}, time point 0, channel 0, chunk 0/0/0 ")


@pytest.mark.few(8)
@pytest.mark.parametrize("name", VARIANTS)
def test_an_imaris_file_of_any_kind_is_compared(tmp_path, name):
    source, target = tmp_path / "a.ims", tmp_path / "made.ome.zarr"
    write_variant(source, VARIANTS[name])
    convert_file(str(source), str(target), ANY, 2, lambda _: None)
    assert faults(str(source), target) == []
    change(target, 1, (0, 0, 0, 0, 0))
    (told,) = faults(str(source), target)
    assert told.startswith("level 1, time point 0, channel 0, chunk 0/0/0 (z/y/x): 1 voxel differs")


def change(target: Path, level: int, place: tuple[int, ...]) -> tuple[str, str]:
    array = zarr.open_array(target / str(level), mode="r+")
    place = place[-array.ndim :]
    before = array[place]
    array[place] = before + 1
    return str(before + 1), str(before)


@pytest.mark.parametrize("name", SOURCES)
def test_a_wrong_voxel_is_named_at_its_own_level_only(tmp_path, name):
    source, target = convert(tmp_path, name)
    levels = len(list(target.glob("*/zarr.json")))
    assert levels > 1
    for level in range(levels):
        shutil.copytree(target, tmp_path / "whole", dirs_exist_ok=True)
        array = zarr.open_array(target / str(level), mode="r")
        z, y, x = (size - 1 for size in array.shape[2:])
        found, wanted = change(target, level, (1, 0, z, y, x))
        chunk = "/".join(str(at // n) for at, n in zip((z, y, x), array.chunks[2:], strict=True))
        where = f"level {level}, time point 1, channel 0, chunk {chunk} (z/y/x)"
        what = f"1 voxel differs, the first at {z}/{y}/{x} is {found} instead of {wanted}"
        assert faults(source, target) == [f"{where}: {what}"]
        shutil.rmtree(target)
        (tmp_path / "whole").rename(target)


def first_shard(level: Path) -> Path:
    return min(path for path in (level / "c").rglob("*") if path.is_file())


def edit(path: Path, old: str, new: str) -> None:
    data = json.dumps(json.loads((path / "zarr.json").read_text()))
    assert old in data
    (path / "zarr.json").write_text(data.replace(old, new, 1))


LOST = "time point 0, channel 0, chunk 0/0/0 (z/y/x): it is missing, or all zero, and"
CUT = "time point 0, channel 0, chunk 0/0/0 (z/y/x): the voxels of"
DAMAGES = {
    "a missing shard": (lambda t, n: first_shard(t / n).unlink(), "level {n}, " + LOST),
    "a cut shard": (lambda t, n: os.truncate(first_shard(t / n), 30), "level {n}, " + CUT),
    "an empty shard": (lambda t, n: os.truncate(first_shard(t / n), 0), "level {n}, " + CUT),
    "a missing level": (lambda t, n: shutil.rmtree(t / n), "{target}"),
    "a cut level": (
        lambda t, n: edit(t / n, '"shape": [2, 2, ', '"shape": [2, 1, '),
        "level 1 ",  # which is larger than level 0 if that is cut
    ),
    "another type": (
        lambda t, n: edit(t / n, '"uint16"', '"int16"'),
        "level {n} has voxels of the type int16 instead of uint16",
    ),
    "a level less": (lambda t, n: edit(t, f'"path": "{n}"', '"path": "x"'), "x"),
}


@pytest.mark.parametrize("level", ["0", "1"])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["a.ims", "planes"])
def test_damage_is_named(tmp_path, name, damage, level):
    source, target = convert(tmp_path, name)
    harm, message = DAMAGES[damage]
    harm(target, level)
    told = faults(source, target)
    assert told
    assert message.format(n=level, target=target) in told[0]
    others = [one for one in told if not one.startswith((f"level {level}", "it "))]
    assert others == []


def test_damage_in_the_chunks_is_named(tmp_path):
    """The data of a chunk, not the index of its shard."""
    for name in ("a.ims", "planes"):
        source, target = convert(tmp_path, name)
        shard = first_shard(target / "0")
        data = bytearray(shard.read_bytes())
        data[20:60] = bytes(40)
        shard.write_bytes(data)
        (told,) = faults(source, target)
        assert told.startswith("level 0, time point 0, channel 0, chunk 0/0/0 (z/y/x): ")
        shutil.rmtree(target)


def test_all_faults_are_found_in_one_pass(tmp_path):
    source, target = convert(tmp_path, "planes")
    for level, place in ((0, (0, 0, 0, 0, 0)), (0, (1, 1, 8, 33, 19)), (1, (1, 0, 0, 3, 3))):
        change(target, level, place)
    first_shard(target / "2").unlink()
    told = [fault.partition(":")[0] for fault in faults(source, target)]
    assert told[0] == "level 0, time point 0, channel 0, chunk 0/0/0 (z/y/x)"
    assert {fault.partition(",")[0] for fault in told} == {"level 0", "level 1", "level 2"}
    assert sum(fault.startswith("level 0") for fault in told) == 2


@pytest.mark.parametrize("level", [0, 1])
def test_a_wrong_voxel_of_an_ome_tiff_is_named(tmp_path, monkeypatch, level):
    voxels = np.zeros(SHAPE, "uint16")
    source = tmp_path / "planes"
    write_folder(source, voxels)
    spoiled = tmp_path / "spoiled"
    voxels[0, 1, 7, 20, 18] = 1  # too little for the next level
    write_folder(spoiled, voxels if level == 0 else np.zeros(SHAPE, "uint16"))
    if level:
        calls = []

        def halve(plane, steps):
            calls.append(0)
            small = pyramid.halve(plane, steps)
            small[0, 1, 2] = len(calls) == 1
            return small

        monkeypatch.setattr(ome_tiff, "halve", halve)
    target = tmp_path / "made.ome.tif"
    convert_file(str(spoiled), str(target), ANY, 1, lambda _: None)
    (told, *more) = faults(str(source), target)
    where = "channel 1, chunk 7/1/1" if level == 0 else "channel 0, chunk 0/0/0"
    assert told.startswith(f"level {level}, time point 0, {where} (z/y/x): 1 voxel")
    assert more == []


ENTRIES = {
    "flipped": (
        lambda f: f.write_bytes(bytes([f.read_bytes()[0] ^ 1]) + f.read_bytes()[1:]),
        "differs from its entry, from byte 0 on",
    ),
    "cut": (lambda f: os.truncate(f, 5), "differs from its entry, from byte 5 on"),
    "grown": (lambda f: f.write_bytes(f.read_bytes() + b"x"), "differs from its entry, from byte"),
    "gone": (Path.unlink, "is missing"),
    "more": (lambda f: f.with_name("more").write_text("x"), "is not in the archive"),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_what_was_unpacked_is_compared_byte_by_byte(tmp_path, name):
    source, target = tmp_path / "a.ozx", tmp_path / "made.ome.zarr"
    sources.write_zip(source, compose_voxels(SHAPE))
    convert_file(str(source), str(target), ANY, 2, lambda _: None)
    assert faults(str(source), target) == []
    harm, message = ENTRIES[name]
    chunk = first_shard(target / "0")
    harm(chunk)
    (told,) = faults(str(source), target)
    assert message in told
    assert str(chunk.parent.relative_to(target)) in told


@pytest.mark.slow
def test_memory_does_not_grow_with_the_image(tmp_path, monkeypatch):
    """The peak of a process that compares 8, and 64 slabs of 16 MiB."""
    monkeypatch.undo()
    code = (
        "import sys\n"
        "from spimpack_tasks.volumes.compare import compare_with_source\n"
        "from spimpack_tasks.volumes.formats import PLANE_FOLDER\n"
        "source, path = sys.argv[1:]\n"
        "assert not list(compare_with_source(source, PLANE_FOLDER, path, lambda _: None))\n"
    )
    peaks = []
    sources.write_tif(tmp_path / "Z0.tif", compose_voxels((512, 512)))
    for count in (256, 2048):
        source, target = tmp_path / str(count), str(tmp_path / f"{count}.ome.zarr")
        source.mkdir()
        for z in range(count):
            os.link(tmp_path / "Z0.tif", source / f"Z{z}.tif")
        convert_file(str(source), target, ANY, 2, lambda _: None)
        done = subprocess.run(
            [sys.executable, "-c", code + children.PRINT_PEAK_KIB, str(source), target],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout) / 1024)
    assert max(peaks) < 400
    assert peaks[1] - peaks[0] < 30


# A dataset.


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    workspace = small_workspace(tmp_path)
    write_variant(tmp_path / "raw" / "a.ims", imaris)
    workspace.rows[0] |= {"PixelSize": "1.5;2.5;3.5"}
    workspace.participants.append({"participant_id": "sub-04", "genotype": ""})
    planes(tmp_path / "raw" / "planes")
    row = {"spim_path": "raw/planes", "subject": "04", "acquisition": "4x", "Species": "rat"}
    workspace.rows.append({**SHARED, **row})
    assert workspace.run(backend="ome-zarr").exit_code == ExitCode.OK
    return workspace


def image(space: Workspace, subject: str) -> Path:
    return space.out / f"sub-{subject}/micr/sub-{subject}_sample-brain_acq-4x_SPIM.ome.zarr"


def verify(space: Workspace, *options: str) -> int:
    return main(["verify", str(space.out), "--pixels", *options])


def test_what_is_linked_is_counted_and_the_rest_is_equal(space, capsys):
    before = space.stamps()
    assert verify(space) == ExitCode.OK
    assert capsys.readouterr().out == f"{space.out}: 0 deviations, 2 images not converted\n"
    assert space.stamps() == before
    assert not (space.out / ".spimpack" / verification.LOG).exists()


def test_what_differs_is_told_and_ends_as_other_deviations_do(space, capsys):
    change(image(space, "01"), 0, (0, 0, 0, 0, 0))
    change(image(space, "04"), 1, (0, 0, 0, 0, 0))
    assert verify(space, "--format", "json") == ExitCode.CONFLICT
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["fault"] for each in told} == {"pixels differ"}
    paths = [str(image(space, subject).relative_to(space.out)) for subject in ("01", "04")]
    assert [each["path"] for each in told] == paths
    assert "level 0" in told[0]["detail"]
    assert "level 1" in told[1]["detail"]


def test_no_more_than_a_page_is_told_of_one_image(space, capsys, monkeypatch):
    monkeypatch.setattr(verification, "MOST_LISTED", 3)
    shutil.rmtree(image(space, "04") / "0" / "c")
    assert verify(space) == ExitCode.CONFLICT
    *_, more, count = capsys.readouterr().out.splitlines()
    assert more.endswith("more faults)")
    assert f"{space.out}: 4 deviations" in count


GONE = {
    "a source that is gone": (
        lambda s: (s.root / "raw/a.ims").unlink(),
        "source gone: sub-01",
    ),
    "a source that has changed": (
        lambda s: os.utime(s.root / "raw/a.ims", ns=(1, 1)),
        "source changed: sub-01",
    ),
    "a plane that is gone": (
        lambda s: next((s.root / "raw/planes").glob("T*.tif")).unlink(),
        "source changed: sub-04",
    ),
    "an image that is gone": (lambda s: shutil.rmtree(image(s, "01")), "missing: sub-01"),
}


def test_a_damaged_source_is_told_and_the_others_are_compared(space, capsys):
    plane = space.root / "raw" / "planes" / "T1C0Z3.tif"
    before = plane.stat()
    plane.write_bytes(plane.read_bytes()[:8] + bytes(before.st_size - 8))
    os.utime(plane, ns=(before.st_atime_ns, before.st_mtime_ns))
    change(image(space, "01"), 0, (0, 0, 0, 0, 0))
    assert verify(space) == ExitCode.CONFLICT
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first.startswith("pixels differ: sub-01")
    assert second.startswith("unreadable: sub-04")
    assert "T1C0Z3.tif" in second


@pytest.mark.parametrize("name", GONE)
def test_what_cannot_be_compared_is_told_once(space, capsys, name):
    harm, message = GONE[name]
    harm(space)
    assert verify(space) == ExitCode.CONFLICT
    first, count = capsys.readouterr().out.splitlines()
    assert first.startswith(message)
    assert count.startswith(f"{space.out}: 1 deviation, ")


def test_what_was_found_equal_is_not_read_again_after_an_interruption(space, monkeypatch):
    compared = []

    def watch(source, form, path, advance, selection):
        compared.append(os.path.basename(source))
        if len(compared) == 2:
            raise KeyboardInterrupt
        yield from compare_with_source(source, form, path, advance, selection)

    monkeypatch.setattr(verification, "compare_with_source", watch)
    assert verify(space) == 130
    assert verify(space) == ExitCode.OK
    assert compared == ["a.ims", "planes", "planes"]


def test_an_image_that_has_changed_since_is_read_again(space, monkeypatch):
    log = space.out / ".spimpack" / verification.LOG
    monkeypatch.setattr(verification.EqualImages, "forget", lambda _: None)
    assert verify(space) == ExitCode.OK
    assert len(log.read_text().split()) == 2
    change(image(space, "01"), 0, (0, 0, 0, 0, 0))
    assert verify(space) == ExitCode.CONFLICT


def test_one_conversion_can_be_verified(tmp_path, capsys):
    source, target = convert(tmp_path, "a.ims")
    shutil.rmtree(target)
    assert main(["convert", source, str(target), "--verify"]) == ExitCode.OK
    assert "equal to its source" in capsys.readouterr().out
    change(target, 1, (0, 0, 0, 0, 0))
    assert main(["convert", source, str(target), "--verify"]) == ExitCode.CONFLICT
    assert "level 1, time point 0, channel 0, chunk 0/0/0" in capsys.readouterr().out
