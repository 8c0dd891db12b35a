"""Methods of programs that users install: refused where they are not there."""

import sys
from types import ModuleType

import numpy as np
import pytest
from oblique_scenes import tile_set
from test_stitch_align import GRIDS, Stacks, make_grid, places_frc

from spimpack_tasks.stitching import plugins
from spimpack_tasks.stitching.align import solve
from spimpack_tasks.stitching.align_multiview import measure_by_multiview
from spimpack_tasks.stitching.chain import Choices
from spimpack_tasks.stitching.choice_rules import ChoiceRefusedError, check_choices
from spimpack_tasks.stitching.correct import DESTRIPERS, Corrections, correct_frame
from spimpack_tasks.stitching.names import ALIGNERS, DESTRIPES
from spimpack_tasks.stitching.tile_files import read_alignment, write_alignment
from spimpack_tasks.stitching.tiles import Geometry


def test_plugins_are_choices():
    known = {"align": ALIGNERS, "destripe": DESTRIPES}
    assert all(plugin.value in known[plugin.key] for plugin in plugins.PLUGINS)
    assert set(DESTRIPERS) == set(DESTRIPES)


def test_programs_that_are_not_installed_are_refused_all_at_once(monkeypatch):
    monkeypatch.setattr(plugins, "find_spec", lambda _: None)
    chosen = Choices("t", "v", align="multiview", corrections=Corrections("zarrnii"))
    with pytest.raises(ChoiceRefusedError) as caught:
        check_choices(chosen)
    assert str(caught.value).splitlines() == [
        f"{what}; install it with: pip install {package}"
        for what, package in (
            ("align is 'multiview', which needs multiview_stitcher", "multiview-stitcher"),
            ("destripe is 'zarrnii', which needs zarrnii", "'spimpack_tasks[zarrnii]'"),
        )
    ]
    check_choices(Choices("t", "v"))


@pytest.mark.parametrize("shape", [(16, 32), (17, 31), (5, 3)], ids=str)
def test_zarrnii_gets_frames_that_suit_it(monkeypatch, shape):
    """It fails with an error of its own where a side is no multiple of 16."""
    seen = []

    def destripe_block(block):
        seen.append(block)
        return block + 1

    module = ModuleType("zarrnii.destripe")
    module.destripe_block = destripe_block
    monkeypatch.setitem(sys.modules, "zarrnii", ModuleType("zarrnii"))
    monkeypatch.setitem(sys.modules, "zarrnii.destripe", module)
    frame = np.arange(np.prod(shape)).reshape(shape).astype("u2")
    assert np.array_equal(correct_frame(frame, Corrections("zarrnii"), None), frame + 1)
    assert all(count % 16 == 0 for count in seen[0].shape)
    beyond = [(0, n - m) for n, m in zip(seen[0].shape, shape, strict=True)]
    assert np.array_equal(seen[0], np.pad(frame, beyond, mode="edge"))


@pytest.mark.slow
def test_zarrnii_itself_takes_stripes_along_rows():
    pytest.importorskip("zarrnii")
    rng = np.random.default_rng(0)
    gain = 1 + 0.3 * np.sin(np.arange(250) * 2 * np.pi / 9)
    frame = rng.poisson(600 * gain[:, None] * np.ones((250, 310))).astype("u2")
    found = correct_frame(frame, Corrections("zarrnii"), None)
    assert found.mean(1).std() < 0.8 * frame.mean(1).std()


@pytest.mark.slow
def test_multiview_stitcher_finds_places():
    """Its shifts are coarser than our own; a pair without structure is left to the stage."""
    pytest.importorskip("multiview_stitcher")
    tiles, stacks, true = make_grid(**GRIDS["x and y"])
    few = tile_set(
        [tile.shape_frc for tile in tiles.tiles[:3]],
        [tile.position_um_zyx for tile in tiles.tiles[:3]],
        tiles.geometry,
    )
    stacks[2][:] = np.random.default_rng(3).poisson(200, stacks[2].shape)
    told = []
    pairs = measure_by_multiview(few, Stacks(stacks), lambda *done: told.append(done))
    found = solve(few, pairs)
    wanted = places_frc(true, 1.83)[:2]
    got = np.array([tile.place_frc for tile in found.tiles])[:2]
    assert np.abs(got - wanted).max() < 1.5
    assert found.tiles[1].sigma_frc[1] > 0.5
    assert [bool(pair.reason) for pair in found.pairs] == [False, True, True]
    assert "multiview-stitcher finds a correlation of" in found.warnings[0]
    assert told[-1] == (3, 3)


@pytest.mark.slow
def test_tiles_that_are_the_same_everywhere_are_left_to_the_stage_by_multiview_stitcher(tmp_path):
    """It tells a correlation that is no number, which no file of an alignment can hold."""
    pytest.importorskip("multiview_stitcher")
    shape = (40, 80, 40)
    tiles = tile_set([shape] * 2, [(0, 0, 0), (0, 50, 0)], Geometry(1, 1, None))
    found = solve(tiles, measure_by_multiview(tiles, Stacks([np.full(shape, 7, "u2")] * 2)))
    assert found.tiles[1].correction_frc == (0, 0, 0)
    assert "multiview-stitcher finds a correlation of 0.00 only" in found.warnings[0]
    path = str(tmp_path / "align.json")
    write_alignment(path, found, "identity")
    assert read_alignment(path) == found
