"""Stitched volumes as others take them: libraries that read and validate, and a cluster of Dask.

Statements 25 and 26 of the reference: equal bytes by Dask, and volumes that all readers open. The
scene is analytic, so that voxels are compared with it and not with another output of this program.
"""

import numpy as np
import pytest
import tensorstore
import tifffile
import zarr
from oblique_scenes import ROOT, covered_by, cut_tiles, make_scene, sample_tile, tile_set
from zarr_readers import READERS

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.stitching import volume as volumes
from spimpack_tasks.stitching.making import finish, make_part, stitch
from spimpack_tasks.stitching.tile_files import write_tiles
from spimpack_tasks.stitching.tiles import MOST_PARTS, Geometry
from spimpack_tasks.stitching.volume import deskew, stitch_on_stage

EXACT = Geometry(pitch_um=ROOT, step_um=1.0)
SIDES = (32, 64, 128)


def nothing(_):
    pass


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Return two tiles of a scene without noise, and its values at all voxels that they cover."""
    folder, shape = tmp_path_factory.mktemp("scene"), (90, 60, 40)
    stage = [(0.0, 0.0, 0.0), (0.0, 40 * ROOT, 30.0)]
    blobs = make_scene((-10, -10, -10), (50, 160, 170), per_um3=1 / 8000, sigma_um=(4, 8))
    paths = []
    for number, place in enumerate(stage):
        paths.append(folder / f"tile{number}.tif")
        frames = sample_tile(blobs, place, shape, v_um=ROOT, step_um=1.0)
        tifffile.imwrite(paths[-1], frames, metadata={"axes": "ZYX"}, imagej=True)
    tiles = tile_set([shape] * 2, stage, EXACT, paths=paths)
    whole = (40, 100, 159)
    covered = covered_by(whole, [(0, 0, 0), (0, 40, 30)], [(40, 60, 90)] * 2)
    z, y, x = np.meshgrid(*map(np.arange, whole), indexing="ij")
    return tiles, np.where(covered, blobs.along(z, y * ROOT, x), 0), covered


def halved(voxels):
    """Return the floor of the means of 2 x 2 x 2 voxels; an odd last one has no partner."""
    even = voxels[tuple(slice(n // 2 * 2) for n in voxels.shape)].astype("u4")
    return sum(even[z::2, y::2, x::2] for z in (0, 1) for y in (0, 1) for x in (0, 1)) // 8


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_i19_26_every_reader_sees_the_scene_at_every_level(scene, tmp_path, ngff):
    tiles, truth, covered = scene
    target = tmp_path / "whole.ome.zarr"
    stitch(stitch_on_stage(tiles, ngff=ngff, channel_name="cFos"), str(target), 2, nothing)
    wanted = READERS["zarr"](target)[0, 0]
    assert np.abs(wanted - truth)[covered].max() <= 1
    assert not wanted[~covered].any()
    levels = sorted(path.name for path in target.iterdir() if path.name.isdecimal())
    assert len(levels) >= 2
    for level in range(len(levels)):
        for name, read in READERS.items():
            found = np.asarray(read(target, level))
            assert found.dtype == np.uint16, name
            np.testing.assert_array_equal(found.reshape(wanted.shape), wanted, err_msg=name)
        wanted = halved(wanted)


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
@pytest.mark.parametrize("kind", ["stitched", "deskewed"])
def test_i19_26_validators_accept_a_volume(scene, tmp_path, ngff, kind):
    yaozarrs = pytest.importorskip("yaozarrs", reason="an independent validator")
    models = pytest.importorskip("ome_zarr_models", reason="an independent validator")
    tiles, *_ = scene
    target = tmp_path / "a.ome.zarr"
    chosen = {"ngff": ngff, "channel_name": "cFos", "name": "brain"}
    make = stitch_on_stage(tiles, **chosen) if kind == "stitched" else deskew(tiles, 1, **chosen)
    stitch(make, str(target), 1, nothing)
    assert yaozarrs.validate_zarr_store(str(target)).ome_version() == ngff
    group = zarr.open_group(str(target), mode="r")
    assert type(models.open_ome_zarr(group, version=ngff)).__name__ == "Image"


def test_i19_an_info_of_neuroglancer_tells_levels_in_nanometres(scene, tmp_path, capsys):
    """spimstitch wrote micrometres there. tensorstore reads the file by a driver of its own."""
    tiles, *_ = scene
    write_tiles(str(tmp_path / "tiles.json"), tiles)
    command = ["stitch", "volume", f"{tmp_path}/tiles.json", f"{tmp_path}/a.ome.zarr"]
    command += ["--align", "stage", "--precomputed-info"]
    path = tmp_path / "a.ome.zarr.precomputed" / "info"
    for _ in range(2):
        assert main(command) == ExitCode.OK
        assert f"made {tmp_path}/a.ome.zarr.precomputed/info" in capsys.readouterr().out
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")
    datasets = group.attrs["ome"]["multiscales"][0]["datasets"]
    for number, dataset in enumerate(datasets):
        spec = {"driver": "neuroglancer_precomputed", "scale_index": number, "open": True}
        spec["kvstore"] = {"driver": "file", "path": f"{path.parent}/"}
        found = tensorstore.open(spec).result()
        assert found.dtype.name == "uint16"
        assert found.shape[:3] == group[dataset["path"]].shape[::-1]
        scale = dataset["coordinateTransformations"][0]["scale"]
        nanometres = [unit.multiplier for unit in found.dimension_units[:3]]
        assert nanometres == pytest.approx([1000 * um for um in scale[::-1]])
    (path.parent / "info").write_text("mine")
    assert main(command) == ExitCode.CONFLICT
    assert path.read_text() == "mine"
    assert main(["stitch", "align", *command[2:]]) == ExitCode.BAD_INPUT


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of distributed
def test_i19_25_dask_makes_equal_bytes(tmp_path, monkeypatch):
    """The parts of a volume are plain functions of values, which any scheduler can spread."""
    distributed = pytest.importorskip("distributed", reason="of zarrnii, not of this package")
    monkeypatch.setattr(volumes, "BLOCK_SIDES_ZYX", SIDES)
    volume = np.random.default_rng(1).integers(1, 4000, (70, 110, 239)).astype("u2")
    starts = [(z, y, x) for z in (0, 30) for y in (0, 50) for x in (0, 80)]
    paths = []
    for number, stack in enumerate(cut_tiles(volume, starts, [(40, 60, 120)] * len(starts))):
        paths.append(tmp_path / f"tile{number}.tif")
        tifffile.imwrite(paths[-1], stack, metadata={"axes": "ZYX"}, imagej=True)
    positions = [(z, y * ROOT, x) for z, y, x in starts]
    work = stitch_on_stage(tile_set([(120, 60, 40)] * len(starts), positions, EXACT, paths=paths))
    one, other = tmp_path / "one.ome.zarr", tmp_path / "other.ome.zarr"
    stitch(work, str(one), 1, nothing)

    def make(number):
        from spimpack_tasks.stitching import volume

        volume.BLOCK_SIDES_ZYX = SIDES
        return make_part(work, str(other), (number, MOST_PARTS), 1, lambda _: None)

    with (
        distributed.LocalCluster(
            # Processes of its own would make the test wait for their start on a busy machine.
            processes=False,
            n_workers=2,
            threads_per_worker=2,
            dashboard_address=None,
            local_directory=tmp_path,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert all(client.gather(client.map(make, range(MOST_PARTS))))
    assert finish(work, str(other), MOST_PARTS, 1)
    assert contents(other) == contents(one)


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
