"""Files and variables of spimstitch: places with their sign, options of scripts, sidecars."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from spimpack_tasks.model.entities import stem
from spimpack_tasks.stitching.align import AlignedPair, keep_stage
from spimpack_tasks.stitching.chunk_transforms import (
    TransformRefusedError,
    compose_transform,
    read_transform,
    session_of_folder,
    tile_matrix,
)
from spimpack_tasks.stitching.spimstitch.align_file import read_align_file, write_align_file
from spimpack_tasks.stitching.spimstitch.environment import (
    EnvironmentRefusedError,
    SpimstitchEnv,
    read_environment,
)
from spimpack_tasks.stitching.spimstitch.options import explain_idle
from spimpack_tasks.stitching.tile_files import TilesRefusedError
from spimpack_tasks.stitching.tiles import Geometry, Tile, TileSet

GEOMETRY = Geometry(1.8, 1.28)


def tile_set(*places, geometry=GEOMETRY):
    tiles = [
        Tile(f"t{n}", f"/raw/{n}.dcimg", place, (40, 30, 20), "uint16")
        for n, place in enumerate(places)
    ]
    return TileSet(geometry, tuple(tiles))


TILES = tile_set((0.0, 0.0, 0.0), (0.0, 360.0, 0.0), (0.0, 720.0, 0.0))


def write(path, alignments, **more):
    path.write_text(json.dumps({"voxel_sizes": [1.28, 1.8, 1.27], "alignments": alignments} | more))
    return str(path)


def places(alignment):
    return [tile.position_um_zyx for tile in alignment.tiles]


# Each tile lies 5.4 µm further along y than the stage says; the program writes the opposite.
FAULTY = {"[0.0, 0.0, 0.0]": [0, 10.8, 0], "[0.0, 360.0, 0.0]": [0, 365.4, 0]}
FAULTY |= {"[0.0, 720.0, 0.0]": [0, 720.0, 0]}
RIGHT = {"[0.0, 0.0, 0.0]": [0, 0, 0], "[0.0, 360.0, 0.0]": [0, 365.4, 0]}
RIGHT |= {"[0.0, 720.0, 0.0]": [0, 730.8, 0]}


@pytest.mark.parametrize(
    ("text", "convention"), [(RIGHT, "positions"), (FAULTY, "mirrored")], ids=["right", "faulty"]
)
def test_i19_s1_the_sign_of_corrections_is_a_choice(tmp_path, text, convention):
    path = write(tmp_path / "align.json", text)
    found = read_align_file(path, TILES, convention)
    assert np.allclose(places(found), [(0, 0, 0), (0, 365.4, 0), (0, 730.8, 0)])
    corrections = [tile.correction_frc for tile in found.tiles]
    assert np.allclose(corrections, [(0, 0, 0), (0, 3, 0), (0, 6, 0)])


def test_i19_s1_places_as_they_are_is_the_default(tmp_path):
    path = write(tmp_path / "align.json", FAULTY)
    assert np.allclose(places(read_align_file(path, TILES))[2], (0, 709.2, 0))


def test_a_stage_that_runs_against_the_rows(tmp_path):
    tiles = tile_set((0.0, 0.0, 0.0), (0.0, 360.0, 0.0))
    text = {"[0.0, 0.0, 0.0]": [0, 0, 0], "[0.0, -360.0, 0.0]": [0, 365.4, 0]}
    path = write(tmp_path / "align.json", text)
    found = read_align_file(path, tiles, reversed_axes="y")
    assert np.allclose(places(found), [(0, 0, 0), (0, 365.4, 0)])
    with pytest.raises(TilesRefusedError, match="no place for t1, which is at 0, 360, 0 µm"):
        read_align_file(path, tiles)


@pytest.mark.parametrize("has_z", [True, False])
def test_z_is_aligned_where_the_file_says_so(tmp_path, has_z):
    tiles = tile_set((0.0, 0.0, 0.0), (200.0, 0.0, 0.0))
    text = {"[0.0, 0.0, 0.0]": [0, 0, 0], "[0.0, 0.0, 200.0]": [1.5, 0, 203.0]}
    if not has_z:
        text = {"[0.0, 0.0, 0.0]": [0, 0, 0]}  # without z, one place serves all layers
    path = write(tmp_path / "align.json", text, **{"align-z": has_z})
    wanted = (203.0, 0.0, 1.5) if has_z else (200.0, 0.0, 0.0)
    assert np.allclose(places(read_align_file(path, tiles))[1], wanted)


REFUSED = {
    "no json": ("{", "is no JSON"),
    "a list": ("[]", "has no 'alignments'"),
    "no alignments": ("{}", "has no 'alignments'"),
    "two numbers": ('{"alignments": {"[0, 0]": [0, 0, 0]}}', "'[0, 0]': [0, 0, 0] is not a place"),
    "text": ('{"alignments": {"[0, 0, 0]": ["a", 0, 0]}}', "is not a place of x, y and z"),
    "not finite": ('{"alignments": {"[0, 0, 0]": [NaN, 0, 0]}}', "is not a place of x, y and z"),
    "key": ('{"alignments": {"here": [0, 0, 0]}}', "'here': [0, 0, 0] is not a place"),
}


@pytest.mark.parametrize(("text", "told"), REFUSED.values(), ids=REFUSED)
def test_files_that_are_refused(tmp_path, text, told):
    path = tmp_path / "align.json"
    path.write_text(text)
    with pytest.raises(TilesRefusedError) as refused:
        read_align_file(str(path), TILES)
    assert told in str(refused.value)
    assert str(path) in str(refused.value)


def test_i19_s1_all_tiles_without_a_place_are_told(tmp_path):
    path = write(tmp_path / "align.json", {"[0, 0, 0]": [0, 0, 0]})
    with pytest.raises(TilesRefusedError) as refused:
        read_align_file(path, TILES)
    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize("reversed_axes", ["", "y", "xyz"])
def test_what_is_written_is_read_again(tmp_path, reversed_axes):
    tiles = tile_set((0.0, 0.0, 0.0), (0.0, 360.0, 10.0), (50.0, -72.5, 100.0))
    stage = keep_stage(tiles)
    shifts = [(0.0, 0.0, 0.0), (0.25, 3.0, -1.0), (-2.0, 0.5, 7.125)]
    moved = [
        replace(tile, position_um_zyx=tuple(np.add(tile.position_um_zyx, by)))
        for tile, by in zip(stage.tiles, shifts, strict=True)
    ]
    pair = AlignedPair("t0", "t1", (1, 200, 0), (2.5, 203, 1), (0.1,) * 3, None, 9, 0.97, "")
    path = str(tmp_path / "align.json")
    write_align_file(path, tiles, replace(stage, tiles=tuple(moved), pairs=(pair,)), reversed_axes)
    found = read_align_file(path, tiles, reversed_axes=reversed_axes)
    assert np.allclose(places(found), [tile.position_um_zyx for tile in moved], atol=1e-9)
    data = json.loads((tmp_path / "align.json").read_text())
    assert data["voxel_size"] == 1.8
    assert np.allclose(data["voxel_sizes"], [1.28, 1.8, 1.8 / math.sqrt(2)])
    assert data["align-z"] is True
    lowest = np.min(list(data["alignments"].values()), axis=0)
    assert lowest.tolist() == [0, 0, 0]
    sign = -1 if "y" in reversed_axes else 1
    x_sign = -1 if "x" in reversed_axes else 1
    [told] = data[json.dumps([[0.0, 0.0, 0.0], [10.0 * x_sign, 360.0 * sign, 0.0]])]
    assert told["yb"] - told["ya"] == pytest.approx(3)
    assert told["zb"] - told["za"] == pytest.approx(1)
    # A column further down lies further along x, too: by its pitch over the root of two.
    assert told["xb"] - told["xa"] == pytest.approx(1.5 + 1.8 / math.sqrt(2) / 1.28)
    assert told["corr"] == 0.97


ENVIRONMENTS = {
    "empty": ({}, SpimstitchEnv()),
    "empty texts": ({"X_STEP_SIZE": "", "NEGATIVE_Y": " "}, SpimstitchEnv()),
    "others": ({"PATH": "/bin", "HOME": "/root"}, SpimstitchEnv()),
    "geometry": (
        {"X_STEP_SIZE": "1.28", "Y_VOXEL_SIZE": "1.8", "Z_OFFSET": "2048"},
        SpimstitchEnv(step_um=1.28, pitch_um=1.8, z_offset_frames=2048),
    ),
    "negative": ({"NEGATIVE_Y": "1"}, SpimstitchEnv(is_y_negative=True)),
    "negative in words": ({"NEGATIVE_Y": "negative-y"}, SpimstitchEnv(is_y_negative=True)),
    "positive": ({"NEGATIVE_Y": "positive-y"}, SpimstitchEnv(is_y_negative=False)),
    "flip": ({"FLIP_Y_SWITCH": "--flip-ud"}, SpimstitchEnv(flip_ud=True)),
    "both numbers of workers": ({"WORKERS": "8", "N_WORKERS": "8"}, SpimstitchEnv(workers=8)),
    "wavelets": (
        {"USE_WAVELETS": "1", "BACKGROUND": "100"},
        SpimstitchEnv(destripe="wavelet", background=100),
    ),
    "light sheet": (
        {"ILLUM_CORR": "/f.tiff"}, SpimstitchEnv(destripe="lightsheet", flat="/f.tiff"),
    ),
    "files": ({"ALIGN_FILE": "a.json"}, SpimstitchEnv(align_file="a.json")),
    "without an effect": ({"ALIGN_XZ": "1", "NGFF": "1", "PSNR": "0"}, SpimstitchEnv()),
}  # fmt: skip


@pytest.mark.parametrize(("environment", "wanted"), ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_variables_of_scripts(environment, wanted):
    assert read_environment(environment) == wanted


def test_what_follows_from_variables():
    found = read_environment({"Z_OFFSET": "1844", "NEGATIVE_Y": "1"})
    assert found.z_pitch_um(1.28) == pytest.approx(2360.32)
    assert found.reversed_axes == "y"
    assert read_environment({}).z_pitch_um(1.28) is None
    assert read_environment({}).reversed_axes is None


def test_impossible_and_contradictory_variables_are_told_at_once():
    wrong = {
        "X_STEP_SIZE": "0", "Y_VOXEL_SIZE": "inf", "WORKERS": "4", "N_WORKERS": "8",
        "NEGATIVE_Y": "maybe", "BACKGROUND": "-1",
    }  # fmt: skip
    with pytest.raises(EnvironmentRefusedError) as refused:
        read_environment(wrong)
    lines = sorted(str(refused.value).splitlines())
    assert [line.partition(" is ")[0] for line in lines] == [
        *("BACKGROUND", "NEGATIVE_Y", "N_WORKERS", "X_STEP_SIZE", "Y_VOXEL_SIZE"),
    ]
    assert "N_WORKERS is '8', but WORKERS is '4'; unset one" in lines


def test_each_variable_of_the_scripts_is_read_or_explained():
    """The names are those in the scripts of spimstitch (`scripts/*.sh`, MIT)."""
    of_options = {
        "ILLUM_CORR", "BACKGROUND", "USE_WAVELETS", "ALIGN_FILE", "NEGATIVE_Y", "WORKERS",
        "N_WORKERS",
    }  # fmt: skip
    idle = {
        "X_STEP_SIZE", "Y_VOXEL_SIZE", "Z_OFFSET", "FLIP_Y_SWITCH", "ALIGN_XZ", "NGFF", "PSNR",
        "SUBJECT", "TEMPLATE", "JP2K_ROOT", "DANDI_ROOT", "DONT_CLEANUP_INTERMEDIATES",
    }  # fmt: skip
    every = dict.fromkeys(of_options | idle, "1")
    assert {line.partition(": ")[0] for line in explain_idle(every)} == idle
    assert explain_idle({"PSNR": " ", "HOME": "/home/a"}) == []


def test_i19_22_the_matrix_of_a_deskewed_tile():
    tiles = tile_set((11.0, 22.0, 33.0))
    sidecar = compose_transform(tile_matrix(tiles, 0))
    down = 1.8 / math.sqrt(2)
    wanted = [[down, 0, 0, 11], [0, 1.8, 0, 22], [0, 0, 1.28, 33], [0, 0, 0, 1]]
    assert np.allclose(sidecar["ChunkTransformationMatrix"], wanted)
    assert sidecar["ChunkTransformationMatrixAxis"] == ["Z", "Y", "X"]
    assert np.allclose(read_transform(json.loads(json.dumps(sidecar))), wanted)


def test_i19_22_matrices_of_spimstitch():
    rows = [[2.4, 0, 0, 100], [0, 3.625, 0, 200], [0, 0, 2.5, 300], [0, 0, 0, 1]]
    old = {"ChunkTransformMatrix": rows, "ChunkTransformMatrixAxis": ["Z", "Y", "X"]}
    with pytest.raises(TransformRefusedError, match="in voxels or in µm"):
        read_transform(old)
    assert np.allclose(read_transform(old, "um"), rows)
    assert [row[3] for row in read_transform(old, "voxels")[:3]] == [240, 725, 750]
    other = {
        "ChunkTransformationMatrix": [rows[2], rows[1], rows[0], rows[3]],
        "ChunkTransformationMatrixAxis": ["X", "Y", "Z"],
    }
    other["ChunkTransformationMatrix"] = [
        [2.5, 0, 0, 300], [0, 3.625, 0, 200], [0, 0, 2.4, 100], [0, 0, 0, 1],
    ]  # fmt: skip
    assert np.allclose(read_transform(other), rows)


@pytest.mark.parametrize(
    "sidecar",
    [
        {},
        {"ChunkTransformationMatrix": [[1, 0, 0, 0]] * 3},
        {"ChunkTransformationMatrix": [[1, 0, 0, "a"]] * 4},
        {"ChunkTransformationMatrix": [[1, 0, 0, 0]] * 4},
        {
            "ChunkTransformationMatrix": [[1, 0, 0, 0]] * 4,
            "ChunkTransformationMatrixAxis": ["Z", "Z", "X"],
        },
    ],
)
def test_sidecars_without_a_matrix(sidecar):
    with pytest.raises(TransformRefusedError, match="ChunkTransformationMatrix"):
        read_transform(sidecar)


def test_i19_22_the_session_of_a_recording_is_that_of_spimstitch():
    labels = {"subject": "01", "session": session_of_folder("20220215_17_05_59_brain")}
    labels |= {"sample": "slab03", "stain": "NeuN", "run": "1", "chunk": "2"}
    assert labels["session"] == "20220215h17m05s59"
    # The name that spimstitch gives, by the entities that packaging builds paths of.
    assert stem(labels) == (
        "sub-01_ses-20220215h17m05s59_sample-slab03_stain-NeuN_run-1_chunk-2_SPIM"
    )


@pytest.mark.parametrize("name", ["brain", "2022_17_05_59", "20220215_17_05", "20220215_17_05_591"])
def test_folders_without_a_time(name):
    with pytest.raises(ValueError, match="does not begin with date and time"):
        session_of_folder(name)


def test_i19_s1_a_measured_distance_of_pixels_is_taken_over(tmp_path):
    """Places stay in µm, so samples are counted by the new distance: 365.4 µm are 200 rows."""
    path = write(tmp_path / "align.json", RIGHT, voxel_size=1.827)
    found = read_align_file(path, TILES)
    assert found.geometry.pitch_um == 1.827
    assert np.allclose(
        [tile.place_frc for tile in found.tiles], [(0, 0, 0), (0, 200, 0), (0, 400, 0)]
    )


@pytest.mark.parametrize("value", [0, -1.8, 2.5, "1.8", True, [1.8], float("nan")])
def test_i19_s1_an_impossible_distance_of_pixels_is_refused(tmp_path, value):
    path = write(tmp_path / "align.json", RIGHT, voxel_size=value)
    with pytest.raises(TilesRefusedError, match="voxel_size is"):
        read_align_file(path, TILES)
