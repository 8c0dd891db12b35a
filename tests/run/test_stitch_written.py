"""The progress of a stitched volume, by the files that lie beside its target."""

import math
import threading

import numpy as np
import pytest
import tifffile
from oblique_scenes import tile_set

from spimpack_tasks.cli.main import main
from spimpack_tasks.stitching import tiles as tile_sets
from spimpack_tasks.stitching import volume as volumes
from spimpack_tasks.stitching.chain import Chain, Choices
from spimpack_tasks.stitching.identity import Pace
from spimpack_tasks.stitching.steps import (
    finish_volume,
    has_volume_part,
    make_alignment,
    make_volume_part,
    stitching_of,
)
from spimpack_tasks.stitching.tasks import volume as tasks
from spimpack_tasks.stitching.tile_files import write_tiles
from spimpack_tasks.stitching.tiles import Geometry, count_parts
from spimpack_tasks.stitching.volume import plan_volume
from spimpack_tasks.stitching.written import WrittenVolume

SHAPE = (60, 40, 70)
VOXELS = math.prod(SHAPE)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(tile_sets, "SAMPLES_OF_A_PART", VOXELS // 5)


@pytest.fixture
def tiles(tmp_path):
    """Return a file of one tile without a voxel of zero."""
    frames = np.full(SHAPE, 7, "u2")
    tifffile.imwrite(tmp_path / "tile.tif", frames, metadata={"axes": "ZYX"}, imagej=True)
    geometry = Geometry(1.0, 1.0, angle_deg=None)  # no corner is empty
    write_tiles(
        str(tmp_path / "tiles.json"),
        tile_set([SHAPE], [(0, 0, 0)], geometry, paths=[tmp_path / "tile.tif"]),
    )
    return tmp_path / "tiles.json"


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_i19_progress_goes_from_the_alignment_to_all_bytes(tiles, tmp_path, ngff):
    now = [0.0]
    choices = Choices(str(tiles), str(tmp_path / "a.ome.zarr"), align="stage", ngff=ngff)
    chain = Chain(choices)
    written = WrittenVolume(chain, lambda: now[0])
    assert written.tell() == (0.0, "Aligning  0:00:00")
    make_alignment(chain)
    share, text = written.tell()
    assert share == 0
    assert text.startswith("Stitching  ")
    shares = []
    for number in range(count_parts(chain.tiles)):
        make_volume_part(chain, number, Pace(1, lambda _: None))
        assert has_volume_part(chain, number)
        now[0] += 10
        share, text = written.tell()
        shares.append(share)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert "/s" in "".join(text)
    assert written._size == 2 * VOXELS
    assert math.isclose(written._done, written._files)
    finish_volume(chain, Pace(1, lambda _: None))


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_i19_progress_of_a_sparse_volume_ends_at_all_of_it(tmp_path, ngff, monkeypatch):
    """A tilted sheet leaves two corners empty, and tiles that do not touch leave a gap."""
    monkeypatch.setattr(volumes, "BLOCK_SIDES_ZYX", (128, 128, 128))
    shape, places = (150, 20, 300), [(0, 0, 0), (0, 700, 0)]
    paths = [tmp_path / "a.tif", tmp_path / "b.tif"]
    for path in paths:
        tifffile.imwrite(path, np.full(shape, 7, "u2"), metadata={"axes": "ZYX"}, imagej=True)
    tiles = tile_set([shape] * 2, places, Geometry(math.sqrt(2), 1.0), paths=paths)
    write_tiles(str(tmp_path / "tiles.json"), tiles)
    image = str(tmp_path / "a.ome.zarr")
    chain = Chain(Choices(str(tmp_path / "tiles.json"), image, align="stage", ngff=ngff))
    make_alignment(chain)
    now = [0.0]
    written = WrittenVolume(chain, lambda: now[0])
    for number in range(count_parts(chain.tiles)):
        make_volume_part(chain, number, Pace(1, lambda _: None))
    now[0] += 10
    assert written.tell()[0] == 1
    full = plan_volume(stitching_of(chain))[1][0]
    most = math.prod(full.shard_grid if ngff == "0.5" else full.grid)
    assert written._done == written._files < most / 2


def test_i19_the_line_goes_to_the_log_of_a_run(tiles, tmp_path, capfd, monkeypatch):
    """Where errors are no terminal, the line is printed at its interval; none of it stays away."""
    told = threading.Event()
    tell, align = WrittenVolume.tell, tasks._make_alignment

    def tell_once(self):
        found = tell(self)
        if found[1].startswith("Aligning"):
            told.set()
        return found

    def align_then(*arguments):
        assert told.wait(20), "no line while tiles were aligned"
        return align(*arguments)

    monkeypatch.setattr(WrittenVolume, "tell", tell_once)
    monkeypatch.setattr(tasks, "_make_alignment", align_then)
    monkeypatch.setattr("spimpack_tasks.cli.progress_line.log_interval", lambda: 0.02)
    image = str(tmp_path / "a.ome.zarr")
    assert main(["stitch", "volume", str(tiles), image, "--align", "stage"]) == 0
    assert "Aligning  0:00:00" in capfd.readouterr().err
