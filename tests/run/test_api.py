"""`spimpack_tasks.api`: its names, their documentation, and the examples of its page."""

import inspect
import subprocess
import sys
import typing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from markdown_blocks import ROOT, read_blocks
from plane_harm import tree_of

from spimpack_tasks import api
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import InputError

PAGE = ROOT / "docs/how-to/use-from-python.md"
FOR_OTHERS = ROOT / "docs/how-to/come-from-other-readers.md"
FUNCTIONS = [name for name in api.__all__ if inspect.isfunction(getattr(api, name))]


def test_s7_there_are_few_names():
    assert 15 <= len(api.__all__) <= 25
    assert api.__all__ == sorted(api.__all__)


@pytest.mark.parametrize("name", api.__all__)
def test_s7_each_name_is_documented(name):
    text = inspect.getdoc(getattr(api, name))
    assert text
    assert len(text.splitlines()[0]) > 20


@pytest.mark.parametrize("name", FUNCTIONS)
def test_s7_each_function_is_typed(name):
    signature = inspect.signature(getattr(api, name))
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty


def test_s7_importing_it_loads_no_heavy_library():
    code = "import spimpack_tasks.api, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"numpy", "pandas", "bids", "zarr", "h5py", "tifffile", "yaml"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert main(["demo", str(folder)]) == 0
    return folder


def test_s7_the_examples_of_the_page_run(demo, monkeypatch, capsys):
    monkeypatch.chdir(demo)
    names: dict[str, typing.Any] = {}
    blocks = [block for block in read_blocks(PAGE) if block.kind == "python"]
    assert len(blocks) >= 7
    for block in blocks:
        exec(compile(block.text, f"{PAGE}:{block.line}", "exec"), names)
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith(" uint16 (4.0, 1.8, 1.8)")
    assert any(line.startswith("('t', 'c', 'z', 'y', 'x')") for line in said)
    assert said[said.index("True") + 1] == "False"
    assert "OK 4" in said
    assert said[-2] == "[]"
    assert said[-1].startswith("InputError ['file.missing'")
    with api.open_volume(demo / "doubled.ome.zarr") as volume:
        level = volume.levels[0]
        found = level.read(tuple(slice(0, n) for n in level.shape))
    assert np.array_equal(np.unique(found), [2, 4])
    assert volume.spec.spacing_um_zyx == (4.0, 1.8, 1.8)


def test_i16_7_the_example_for_users_of_other_readers_runs(demo, monkeypatch, capsys):
    monkeypatch.chdir(demo)
    [block] = [block for block in read_blocks(FOR_OTHERS) if block.kind == "python"]
    exec(compile(block.text, str(FOR_OTHERS), "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("(4.0, 1.8, 1.8)")
    assert said[2] == "True"


def test_s7_a_dataset_that_was_not_packaged_is_not_verified(tmp_path):
    with pytest.raises(api.SpimpackError, match="is no dataset that was packaged"):
        list(api.verify(tmp_path))


def test_s7_what_is_in_the_way_is_told(demo, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/dataset_description.json").write_text("{}")
    options = api.Options(str(demo / "manifest.yml"), str(tmp_path / "out"))
    with pytest.raises(InputError) as refused:
        api.plan(options)
    assert [problem.code for problem in refused.value.report.errors]
    assert Path(tmp_path / "out/dataset_description.json").read_text() == "{}"


SPEC = api.VolumeSpec((1, 1, 4, 6, 5), np.dtype("uint16"))
REFUSED = {
    "s7-a-type-by-name": (replace(SPEC, dtype="uint16"), api.Layout(), TypeError),
    "s7-a-type-by-class": (replace(SPEC, dtype=np.uint16), api.Layout(), TypeError),
    "s7-complex-numbers": (replace(SPEC, dtype=np.dtype("complex64")), api.Layout(), ValueError),
    "s7-three-sizes": (replace(SPEC, shape_tczyx=(4, 6, 5)), api.Layout(), ValueError),
    "s7-no-voxel": (replace(SPEC, shape_tczyx=(1, 1, 0, 6, 5)), api.Layout(), ValueError),
    "s7-unknown-axes": (replace(SPEC, axes="xyz"), api.Layout(), ValueError),
    "s7-two-times-and-no-axis": (
        replace(SPEC, shape_tczyx=(2, 1, 4, 6, 5), axes="zyx"),
        api.Layout(),
        ValueError,
    ),
    "s7-an-unknown-version": (SPEC, api.Layout(ngff="0.6"), ValueError),
    "s7-an-unknown-codec": (SPEC, api.Layout(codec="zstd"), ValueError),
}


@pytest.mark.parametrize(("spec", "layout", "error"), REFUSED.values(), ids=REFUSED)
def test_an_image_that_cannot_be_written_is_refused(tmp_path, spec, layout, error):
    with (
        pytest.raises(error),
        api.create_volume(tmp_path / "a.ome.zarr", spec, layout),
    ):
        pass
    assert not list(tmp_path.iterdir())


def write_ones(path, spec, layout):
    with api.create_volume(path, spec, layout) as writer:
        blocks = list(writer.missing())
        for block in blocks:
            writer.write(block, np.ones(block.shape, spec.dtype))
        writer.finish()
    return len(blocks)


OTHERS = {
    "s7-another-size": (replace(SPEC, shape_tczyx=(1, 1, 4, 6, 7)), {}),
    "s7-another-type": (replace(SPEC, dtype=np.dtype("int16")), {}),
    "s7-other-axes": (replace(SPEC, axes="zyx"), {}),
    "s7-another-version": (SPEC, {"0.4": "0.5", "0.5": "0.4"}),
}


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
@pytest.mark.parametrize(("spec", "versions"), OTHERS.values(), ids=OTHERS)
def test_another_image_is_never_written_over(tmp_path, ngff, spec, versions):
    path = tmp_path / "a.ome.zarr"
    assert write_ones(path, SPEC, api.Layout(ngff)) == 1
    before = tree_of(path)
    with pytest.raises(api.SpimpackError, match="another image"):
        write_ones(path, spec, api.Layout(versions.get(ngff, ngff)))
    assert tree_of(path) == before
    assert write_ones(path, SPEC, api.Layout(ngff)) == 0
    assert tree_of(path) == before


ALL = slice(None)
REGIONS = {
    "s7-without-bounds": (ALL, ALL, ALL, ALL, ALL),
    "s7-beyond-the-edge": (slice(0, 9), slice(0, 9), slice(8, 99), slice(0, 999), slice(3, 999)),
    "s7-from-the-end": (ALL, slice(-1, None), slice(-3, -1), ALL, ALL),
}
NO_REGIONS = {
    "s7-a-number": (0, ALL, ALL, ALL, ALL),
    "s7-three-axes": (ALL, ALL, ALL),
    "s7-a-step": (ALL, ALL, slice(0, 8, 2), ALL, ALL),
    "s7-no-voxel": (ALL, ALL, slice(3, 3), ALL, ALL),
}
IMAGES = ("mouse A.ome.zarr", "mouse C.ome.tif", "mouse D.ims")


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS)
def test_a_region_is_read_as_numpy_does(demo, name, region):
    with api.open_volume(demo / "microscope" / name) as volume:
        level = volume.levels[0]
        whole = level.read(tuple(slice(0, n) for n in level.shape))
        assert np.array_equal(level.read(region), whole[region])


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("region", NO_REGIONS.values(), ids=NO_REGIONS)
def test_what_is_no_region_is_refused(demo, name, region):
    with (
        api.open_volume(demo / "microscope" / name) as volume,
        pytest.raises(ValueError, match="a region"),
    ):
        volume.levels[0].read(region)


def test_s7_a_volume_is_not_copied_into_a_writer_of_another_size(demo, tmp_path):
    with (
        api.open_volume(demo / "microscope/mouse D.ims") as volume,
        api.create_volume(tmp_path / "a.ome.zarr", SPEC) as writer,
        pytest.raises(ValueError, match="no image of"),
    ):
        api.copy_volume(volume, writer)


def test_s7_a_header_that_is_refused_is_an_error_for_users(demo):
    with pytest.raises(api.SpimpackError, match="of no known format"):
        api.read_header(demo / "manifest.yml")


def test_s7_an_image_that_is_refused_is_an_error_for_users(demo):
    with (
        pytest.raises(api.SpimpackError, match="of no known format"),
        api.open_volume(demo / "manifest.yml"),
    ):
        pass


def test_s7_there_must_be_a_worker(demo, tmp_path):
    with pytest.raises(ValueError, match="1 or more"):
        api.package(api.Options(demo / "manifest.yml", tmp_path / "out"), workers=0)
    assert not (tmp_path / "out").exists()
