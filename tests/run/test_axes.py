"""Which axes a converted image has: those of its source, or all five where that is asked for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import ngff_zarr
import numpy as np
import plane_sources as sources
import pytest
import tifffile
import yaozarrs
import zarr
from imaris_variants import Variant, write_variant
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr_models import open_ome_zarr
from plane_harm import tree_of
from test_ome_zarr_backend import IMAGE
from workspace import Workspace, small_workspace
from zarr_readers import READERS, axes_of, five, read_with_zarr

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.state.session import SESSION
from spimpack_tasks.validation.validate import validate
from spimpack_tasks.volumes import labels, reuse, volume
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.formats import NGFF
from spimpack_tasks.volumes.imaris import chunks
from spimpack_tasks.volumes.ome_zarr import stores

ONE, CHANNELS, TIMES = (1, 1, 9, 20, 17), (1, 2, 9, 20, 17), (2, 1, 9, 20, 17)


def write_few_axes(axes, version=3):
    """Return what writes an OME-Zarr of some axes of one size."""

    def write(path, voxels):
        sources.write_zarr(path, voxels, version)
        name, keys = ("zarr.json", ("attributes", "ome")) if version == 3 else (".zattrs", ())
        data = told = json.loads((path / name).read_text())
        for key in keys:
            told = told[key]
        (multiscale,) = told["multiscales"]
        kept = ["tczyx".index(axis) for axis in axes]
        multiscale["axes"] = [multiscale["axes"][number] for number in kept]
        (transform,) = multiscale["datasets"][0]["coordinateTransformations"]
        transform["scale"] = [transform["scale"][number] for number in kept]
        (path / name).write_text(json.dumps(data))
        sizes = [voxels.shape[number] for number in kept]
        options = {"overwrite": True, "chunks": sizes}
        root = zarr.open_group(path, mode="r+")
        root.create_array("0", shape=sizes, dtype=voxels.dtype, **options)[:] = voxels.reshape(
            sizes
        )

    return write


def write_flat_nifti(path, voxels):
    """Write a NIfTI of the dimensions x, y and z alone."""
    import nibabel

    nifti = nibabel.Nifti1Image(voxels[0, 0].T, np.diag([*sources.SPACING_UM[::-1], 1]))
    nifti.header.set_xyzt_units("micron")
    nibabel.save(nifti, path)


def write_planes(pattern):
    return lambda path, voxels: sources.write_folder(path, voxels, sources.write_tif, pattern)


SOURCES = {
    "g3-imaris.ims": (CHANNELS, sources.write_imaris, "czyx"),
    "g3-imaris-channel.ims": (ONE, sources.write_imaris, "czyx"),
    "g3-imaris-times.ims": (TIMES, sources.write_imaris, "tczyx"),
    "g3-ome.ome.tif": (CHANNELS, sources.write_ome, "czyx"),
    "g3-ome-times.ome.tif": (TIMES, sources.write_ome, "tczyx"),
    "g3-imagej.tif": (ONE, sources.write_imagej, "zyx"),
    "g3-imagej-channels.tif": (CHANNELS, sources.write_imagej, "czyx"),
    "g3-nifti-volume.nii": (ONE, write_flat_nifti, "zyx"),
    "g3-nifti.nii": (CHANNELS, sources.write_nifti, "czyx"),
    "g3-nifti-times.nii": (TIMES, sources.write_nifti, "tczyx"),
    "g3-planes": (ONE, write_planes("Z{z:03}.tif"), "zyx"),
    "g3-planes-channels": (CHANNELS, write_planes("C{c}_Z{z:03}.tif"), "czyx"),
    "g3-planes-times": (TIMES, write_planes("t{t}_Z{z:03}.tif"), "tzyx"),
    "g3-five.ome.zarr": (ONE, sources.write_zarr, "tczyx"),
    "g3-volume.ome.zarr": (ONE, write_few_axes("zyx"), "zyx"),
    "g3-channel.ome.zarr": (ONE, write_few_axes("czyx", 2), "czyx"),
    "g3-time.ome.zarr": (TIMES, write_few_axes("tzyx"), "tzyx"),
    "g3-plane.ome.zarr": ((1, 1, 1, 20, 17), write_few_axes("yx", 2), "zyx"),
}
"""By the name of the source: sizes, a writer, and the axes that the image should have."""


def run(*arguments: object) -> int:
    return main([*map(str, arguments)])


@pytest.mark.parametrize("ngff", ["0.5", "0.4"])
@pytest.mark.parametrize("axes", ["CZYX", "TZYX", "TYX", "CYX", "ZCYX", "TCZYX"])
def test_b4_pages_that_tifffile_tells_apart_keep_their_axes(tmp_path, axes, ngff):
    """The header of such a TIFF counts pages; the voxels have channels and times."""
    sizes = {"T": 2, "C": 3, "Z": 4, "Y": 20, "X": 30}
    voxels = np.arange(np.prod([sizes[a] for a in axes])).astype("uint16")
    voxels = voxels.reshape([sizes[a] for a in axes])
    tifffile.imwrite(tmp_path / "s.tif", voxels, metadata={"axes": axes}, photometric="minisblack")
    target = tmp_path / "o.ome.zarr"
    arguments = [str(tmp_path / "s.tif"), str(target), "--ngff", ngff, "--verify"]
    assert main(["convert", *arguments]) == 0
    order = [axes.index(a) for a in "TCZYX" if a in axes]
    wanted = voxels.transpose(order).reshape([sizes[a] if a in axes else 1 for a in "TCZYX"])
    np.testing.assert_array_equal(read_with_zarr(target), wanted)


@pytest.mark.few(12)
@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("name", SOURCES)
def test_axes_are_those_of_the_source(tmp_path: Path, name: str, ngff: str) -> None:
    shape, write, axes = SOURCES[name]
    voxels = sources.compose_voxels(shape)
    write(tmp_path / name, voxels)
    out = tmp_path / "out.ome.zarr"
    assert run("convert", tmp_path / name, out, "--ngff", ngff, "--verify") == ExitCode.OK
    assert axes_of(out) == axes
    for read in READERS.values():
        assert np.array_equal(five(out, read(out).reshape(of_axes(shape, axes))), voxels)
    array = zarr.open_array(out / "0", mode="r")
    if ngff == "0.5":
        assert array.metadata.dimension_names == tuple(axes)
    # Each of these wants as many numbers as there are axes.
    assert yaozarrs.validate_zarr_store(str(out)).ome_version() == ngff
    open_ome_zarr(zarr.open_group(str(out), mode="r"), version=ngff)
    assert ngff_zarr.from_ngff_zarr(str(out)).images[0].dims == tuple(axes)
    (node,) = Reader(parse_url(str(out)))()
    assert node.data[0].shape == of_axes(shape, axes)


def of_axes(shape: tuple[int, ...], axes: str) -> tuple[int, ...]:
    return tuple(n for n, axis in zip(shape, "tczyx", strict=True) if axis in axes)


@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("name", ["g3-imaris.ims", "g3-planes", "g3-time.ome.zarr"])
def test_g3_all_five_axes_can_be_asked_for(tmp_path: Path, name: str, ngff: str) -> None:
    shape, write, _ = SOURCES[name]
    voxels = sources.compose_voxels(shape)
    write(tmp_path / name, voxels)
    out = tmp_path / "out.ome.zarr"
    options = ("--ngff", ngff, "--axes", "tczyx", "--verify")
    assert run("convert", tmp_path / name, out, *options) == ExitCode.OK
    assert zarr.open_array(out / "0", mode="r").shape == shape
    assert np.array_equal(zarr.open_array(out / "0", mode="r")[:], voxels)


REFUSED = {
    "g3-tiff": ("a.ims", "out.ome.tif", "leave out --axes"),
    "g3-zip": ("a.ozx", "out.ome.zarr", "is unpacked as it is"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_axes_cannot_be_chosen_where_there_are_none(tmp_path: Path, case: str, capsys) -> None:
    source, target, told = REFUSED[case]
    write_variant(tmp_path / "a.ims", Variant())
    sources.write_zip(tmp_path / "a.ozx", sources.compose_voxels(ONE))
    options = ("--axes", "tczyx")
    assert run("convert", tmp_path / source, tmp_path / target, *options) == ExitCode.BAD_INPUT
    assert told in capsys.readouterr().err


# --- datasets


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    workspace = small_workspace(tmp_path)
    write_variant(tmp_path / "raw" / "a.ims", Variant(channels=2))
    workspace.rows[0] |= {"PixelSize": "1.5;2.5;3.5"}
    return workspace


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch):
    """Convert as the version before, which wrote all five axes for the same requests."""

    def run(space: Workspace, backend: str) -> None:
        with monkeypatch.context() as patches:
            for module in (chunks, volume, reuse, labels):
                patches.setattr(module, "choose_axes", lambda *_, **__: "tczyx")
            assert space.run(backend=backend).exit_code == ExitCode.OK
        SESSION.reset()

    return run


@pytest.mark.parametrize("ngff", NGFF)
def test_g3_a_dataset_of_the_version_before_stays_as_it_is(space, as_before, ngff) -> None:
    backend = f"ome-zarr:convert=all,ngff={ngff}"
    as_before(space, backend)
    before = space.stamps()
    assert axes_of(space.out / IMAGE) == "tczyx"
    assert space.run(backend=backend).lines("out")[0].startswith("Nothing to do")
    assert space.stamps() == before
    assert validate(str(space.out)).verdict.is_valid()
    assert run("verify", space.out, "--pixels") == ExitCode.OK


def files_of(image: Path) -> set[int]:
    return {
        path.stat().st_ino for path in image.rglob("*") if path.is_file() and path.name.isdecimal()
    }


@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("subject", ["sub-01", "sub-03"], ids=["imaris", "planes"])
def test_g3_an_edit_gives_its_voxels_new_names(space, as_before, ngff, subject) -> None:
    """No voxel is converted anew; what comes of it is what is made today."""
    backend = f"ome-zarr:convert=all,ngff={ngff}"
    as_before(space, backend)
    (image,) = space.out.glob(f"{subject}/micr/*.ome.zarr")
    before = files_of(image)
    space.rows[int(subject[-1]) - 1]["orientation_string_xyz"] = "LAS"
    space.write()
    assert space.run(backend=backend).exit_code == ExitCode.OK
    assert files_of(image) == before
    assert axes_of(image) == "czyx"
    afresh = space.root / "afresh"
    assert space.run(backend=backend, output_dir=str(afresh)).exit_code == ExitCode.OK
    (same,) = afresh.glob(f"{subject}/micr/*.ome.zarr")
    assert tree_of(image) == tree_of(same)
    assert run("verify", space.out, "--pixels") == ExitCode.OK


@pytest.mark.few(1)
@pytest.mark.parametrize("ngff", NGFF)
def test_g3_a_dataset_gets_other_axes_without_new_voxels(space, ngff) -> None:
    backend = f"ome-zarr:ngff={ngff}"
    space.run(backend=backend)
    before = files_of(space.out / IMAGE)
    for axes in ("tczyx", "source"):
        assert space.run(backend=f"{backend},axes={axes}").exit_code == ExitCode.OK
        assert axes_of(space.out / IMAGE) == ("czyx" if axes == "source" else "tczyx")
        assert files_of(space.out / IMAGE) == before
        assert validate(str(space.out)).verdict.is_valid()
        assert run("verify", space.out, "--pixels") == ExitCode.OK
    told = json.loads(next(space.out.glob("sub-01/micr/*.json")).read_text())
    assert "axes" not in told["ConvertedFrom"]["Settings"]


@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("name", ["g3-imaris.ims", "g3-planes"])
def test_g3_what_the_version_before_began_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, ngff: str
) -> None:
    """Its files have other names, and stand in the way of those of today."""
    shape, write, axes = SOURCES[name]
    write(tmp_path / name, sources.compose_voxels(shape))
    out, whole = tmp_path / "out.ome.zarr", tmp_path / "whole.ome.zarr"

    def fail(*_: object) -> None:
        raise OSError(5, "the power went")

    with monkeypatch.context() as patches:
        for module in (chunks, volume):
            patches.setattr(module, "choose_axes", lambda *_, **__: "tczyx")
        for store in (stores._ShardFiles, stores._ChunkFiles):
            patches.setattr(store, "finish", fail)
        assert run("convert", tmp_path / name, out, "--ngff", ngff) != ExitCode.OK
    (left,) = tmp_path.glob(".out.ome.zarr.unfinished/*")
    assert any(path.is_file() for path in left.rglob("*"))
    assert run("convert", tmp_path / name, out, "--ngff", ngff, "--verify") == ExitCode.OK
    assert axes_of(out) == axes
    assert run("convert", tmp_path / name, whole, "--ngff", ngff) == ExitCode.OK
    names = [{n for n in tree_of(path) if "json" not in n} for path in (out, whole)]
    assert names[0] == names[1]


def test_g3_a_request_of_the_version_before_is_spelled_as_it_was() -> None:
    """By this text an image is known again."""
    told = (
        '{"channel_names": [], "codec": "gzip", "name": "", "ngff": "0.5", '
        '"orientation_xyz": null, "spacing_um_xyz": []}'
    )
    assert Request().as_text() == told
    assert Request.from_text(told) == Request()
    assert '"axes": "tczyx"' in Request(axes="tczyx").as_text()


def test_g3_axes_that_are_none_are_refused(space, capsys) -> None:
    space.write()
    options = ["--manifest", space.manifest, "--output-dir", space.out]
    code = run("plan", *options, "--backend", "ome-zarr:axes=xyz")
    assert code == ExitCode.BAD_INPUT
    assert "source" in capsys.readouterr().err
    assert not os.path.exists(space.out)


@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("axes", ["source", "tczyx"])
def test_g4_the_ways_round_limits_of_programs_work(space, ngff, axes) -> None:
    """As the page on which program reads what has them."""
    import bids2table
    from bids import BIDSLayout
    from zarrnii import ZarrNii

    backend = f"ome-zarr:convert=all,ngff={ngff},axes={axes}"
    assert space.run(backend=backend).exit_code == ExitCode.OK
    listed = BIDSLayout(space.out, validate=False).get(suffix="SPIM", extension=".ome.zarr")
    assert len(listed) == 3
    assert bids2table.index_dataset(str(space.out)).num_rows == 3
    image = ZarrNii.from_ome_zarr(str(space.out / IMAGE), channel_labels=["Abeta"])
    assert image.orientation == "RPI"
    assert image.darr.size == read_with_zarr(space.out / IMAGE)[:, :1].size
