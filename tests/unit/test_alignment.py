"""Grids, transformations, tables and states of the alignment, compared with closed forms."""

import errno
import gzip
import json
import re
from collections import Counter
from dataclasses import replace
from itertools import permutations, product
from tempfile import gettempdir

import nibabel
import numpy as np
import pandas as pd
import pytest
import SimpleITK
from alignment_root import (
    ASSET,
    CHANNELS,
    LABELS,
    MOUSE,
    base_frame,
    ccf_index,
    ccf_value,
    direction,
    label_at,
    make_root,
    pipeline_frame,
    write_annotation,
    write_zarr,
)

from spimpack_tasks.alignment import isotropic, warps
from spimpack_tasks.alignment.atlas import AtlasLabels, read_atlas_labels
from spimpack_tasks.alignment.brain import _levels_of
from spimpack_tasks.alignment.chain import Chain, checked_chain
from spimpack_tasks.alignment.checks import check_atlas, check_registrations
from spimpack_tasks.alignment.fields import open_field
from spimpack_tasks.alignment.geometry import (
    Grid,
    LevelSize,
    base_grid,
    choose_level,
    direction_of,
    parse_version,
    pipeline_grid,
)
from spimpack_tasks.alignment.machine import (
    check_dataset,
    check_disk,
    check_folder,
    check_memory,
    check_owner,
    needed_memory,
)
from spimpack_tasks.alignment.manifest import parse_manifest
from spimpack_tasks.alignment.names import ants_names
from spimpack_tasks.alignment.neuroglancer import AnnotationError, image_sources, layer_points
from spimpack_tasks.alignment.nrrd import read_planes, write_nrrd
from spimpack_tasks.alignment.picks import (
    ccf_to_bregma_um,
    compose_fcsv,
    compose_picks,
    image_to_ras_um,
)
from spimpack_tasks.alignment.registrations import pair_in
from spimpack_tasks.alignment.track_checks import check_places
from spimpack_tasks.alignment.transforms import (
    AtlasFileError,
    grid_of,
    image_on,
    read_image,
    turned_grid,
)
from spimpack_tasks.alignment.volumes import ImageSource, _turned, open_output, warp_labels
from spimpack_tasks.alignment.warps import Transformation, image_map, point_map, warp
from spimpack_tasks.errors import Report

ALIGNMENT_CODES = {
    *("alignment.asset", "alignment.atlas", "alignment.ephys", "alignment.manifest"),
    *("alignment.machine", "alignment.row", "alignment.transform"),
}
"""Found by these tests and those of test_align_tasks.py."""
CODES = [
    "".join(letters) for axes in permutations(("LR", "AP", "SI")) for letters in product(*axes)
]
VERSIONS = ["0.0.10", "0.0.18", "0.0.25", "0.0.31", "0.0.32", "0.0.33", "0.0.34", "0.1.0"]
SIZE = (96, 64, 48)
SPACING = np.array([0.0018, 0.002, 0.0019])
LEVELS = [
    LevelSize(tuple(n // 2**k for n in SIZE), tuple(float(s) * 2**k for s in SPACING))
    for k in range(4)
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("alignment"))


@pytest.fixture(scope="module")
def chain(root):
    return checked_chain({"data_root": root.folder, "results_root": root.folder / "out"})


@pytest.fixture(scope="module")
def coarse(root):
    """Return the steps for volumes of the second level."""
    values = {"data_root": root.folder, "results_root": root.folder / "out"}
    return checked_chain(values | {"desired_voxel_size_um": 160.0})


@pytest.mark.parametrize("version", VERSIONS)
def test_i20_07_frames_of_the_pipeline_in_48_orientations(version):
    numbers = parse_version(version)
    for code in CODES:
        assert np.array_equal(np.reshape(direction_of(code), (3, 3)), direction(code))
        for level in range(4):
            grid = pipeline_grid(LEVELS, level, code, numbers)
            spacing, origin = pipeline_frame(level, code, SPACING, SIZE, numbers)
            assert np.abs(np.subtract(grid.spacing_mm_xyz, spacing)).max() < 1e-12
            assert np.abs(np.subtract(grid.origin_mm_lps, origin)).max() < 1e-12
            base = base_grid(LEVELS, level, code)
            spacing, origin = base_frame(level, code, SPACING)
            assert np.abs(np.subtract(base.origin_mm_lps, origin)).max() < 1e-12
            index = (3.25, 7.0, -1.5)
            assert base.index(base.place(index)) == pytest.approx(index)


def test_a_short_pyramid_has_no_frame_of_the_pipeline():
    with pytest.raises(ValueError, match="has 3 levels"):
        pipeline_grid(LEVELS[:3], 0, "RPI", (0, 0, 34))


@pytest.mark.parametrize(("wanted", "level"), [(25, 1), (35, 1), (11, 0), (96, 3), (24, 1)])
@pytest.mark.parametrize("axes", ["zyx", "czyx", "tczyx"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_i20_13_u8_levels_are_chosen_by_names_of_axes(tmp_path, axes, zarr_format, wanted, level):
    voxels = np.zeros((8, 8, 8), np.uint8)
    write_zarr(tmp_path / "a.zarr", voxels, (12, 12, 12), axes=axes, zarr_format=zarr_format)
    levels = _levels_of(str(tmp_path / "a.zarr"))
    assert choose_level(levels, wanted) == level


@pytest.mark.parametrize("track", ["a", "b1", "b2"])
def test_i20_02_points_follow_the_closed_form(root, chain, track):
    brain, points = chain.brain, root.tracks_zyx[track]
    places = [brain.registered(0).place(zyx[::-1]) for zyx in points]
    with point_map(brain.pairs) as to_ccf, point_map(brain.pairs[:1]) as to_template:
        found, template = to_ccf.points(places), to_template.points(places)
    wanted = root.bregma_um(points)
    assert np.abs(np.subtract(ccf_to_bregma_um(found), wanted)).max() < 0.01
    assert np.abs(template - root.template(points)).max() < 1e-5
    spim = [brain.base(0).place(zyx[::-1]) for zyx in points]
    assert np.abs(np.subtract(image_to_ras_um(spim), root.image_ras_um(points))).max() < 0.001


def test_bregma_has_the_published_place():
    """Bregma of the Allen CCF lies at 5739, 5400 and 332 µm (IBL)."""
    assert np.allclose(ccf_to_bregma_um([(-5.739, 5.4, -0.332)]), 0)
    assert np.allclose(ccf_to_bregma_um([(0, 0, 0)]), [[-5739, 5400, 332]])


def test_i20_05_template_and_labels_on_the_grid_of_the_image(root, coarse):
    chain, brain = coarse, coarse.brain
    grid = turned_grid(brain.registered())
    values = whole(read_image(chain.choices.ccf_template), grid, brain.pairs)
    found = whole_labels(chain.choices, grid, brain.pairs)
    k, j, i = np.indices(found.shape)
    places = (
        np.array(grid.origin_mm_lps)
        + (np.stack([i, j, k], -1) * grid.spacing_mm_xyz) @ np.reshape(grid.direction, (3, 3)).T
    )
    index = ccf_index(root.second.point(root.first.point(places.reshape(-1, 3))))
    index = index.reshape(*found.shape, 3)
    inside = ((index > 0.01) & (index < np.array([113, 131, 79]) - 0.01)).all(-1)
    outside = ((index < -0.6) | (index > np.array([113, 131, 79]) + 0.6)).any(-1)
    assert inside.mean() > 0.3
    assert outside.mean() > 0.005
    assert values.dtype == np.uint16
    difference = values[inside] - np.floor(ccf_value(index[inside]) + 1e-6)
    assert np.abs(difference).max() <= 1
    assert (difference != 0).mean() < 1e-3
    assert not values[outside].any()
    nearest = np.rint(index).astype(int)
    far = np.abs(index[..., 1] % 27 - 26.5) > 1.2
    far &= (np.abs(index[..., 0] - 57.0) > 1.2) & inside
    assert np.array_equal(found[far], label_at(nearest[far]))


def test_i20_09_u2_labels_outside_of_their_volume_are_0(coarse, tmp_path):
    chain, path = coarse, tmp_path / "cropped.nrrd"
    SimpleITK.WriteImage(read_image(chain.choices.ccf_labels)[20:80, 30:100, 10:60], str(path))
    grid = turned_grid(chain.brain.registered())
    counts = [
        dict(zip(*np.unique(made, return_counts=True), strict=True))
        for made in (
            whole_labels(replace(chain.choices, ccf_labels=labels), grid, chain.brain.pairs)
            for labels in (chain.choices.ccf_labels, str(path))
        )
    ]
    assert counts[1][0] > counts[0][0]
    assert all(n <= counts[0][label] for label, n in counts[1].items() if label)


@pytest.mark.parametrize("ids", [(-7, -5, 0), None], ids=["list", "labels"])
def test_labels_without_a_0_get_one_outside(ids):
    image = SimpleITK.Image([4, 4, 4], SimpleITK.sitkUInt8) + 1
    grid = grid_of(SimpleITK.Image([8, 4, 4], SimpleITK.sitkUInt8))
    counts = Counter()
    (found,) = warp_labels(AtlasLabels(image, "", ids), grid, Transformation(()), counts)
    label = -5 if ids else 1
    assert set(found[..., :4].ravel()) == {label}
    assert set(found[..., 5:].ravel()) == {0}
    assert counts == {label: (found == label).sum(), 0: (found == 0).sum()}


# Volumes in parts


def whole(image, grid, pairs):
    """Return a volume on another grid, all of it, by our code."""
    with point_map(pairs) as transformation:
        return np.concatenate([*warp(ImageSource(image), grid, transformation, warps.LINEAR)])


def whole_labels(choices, grid, pairs):
    labels = read_atlas_labels(choices.ccf_labels, choices.label_ids)
    with point_map(pairs) as transformation:
        return np.concatenate([*warp_labels(labels, grid, transformation, Counter())])


def by_itk(image, grid, pairs, interpolator=SimpleITK.sitkLinear, *, is_back=False, outside=0.0):
    """Return the same by SimpleITK at once, from the same files."""
    steps = []
    for pair in pairs[::-1] if is_back else pairs:
        affine = SimpleITK.ReadTransform(pair.affine)
        field = SimpleITK.ReadImage(
            pair.warp if is_back else pair.inverse_warp, SimpleITK.sitkVectorFloat64
        )
        field = SimpleITK.DisplacementFieldTransform(field)
        steps += [field, affine] if is_back else [affine.GetInverse(), field]
    composite = SimpleITK.CompositeTransform(3)
    for each in steps[::-1]:
        composite.AddTransform(each)
    place = (grid.origin_mm_lps, grid.spacing_mm_xyz, grid.direction)
    size = grid.size_xyz
    made = SimpleITK.Resample(
        image, size, composite, interpolator, *place, outside, image.GetPixelID()
    )
    return SimpleITK.GetArrayFromImage(made)


@pytest.fixture
def _small_parts(monkeypatch):
    """Make parts so small that a small volume has many of them, and that some are halved."""
    monkeypatch.setattr(warps, "LINEAR", replace(warps.LINEAR, tile=7))
    monkeypatch.setattr(warps, "_LABEL_TILE", 7)
    monkeypatch.setattr(warps, "_MOST_MOVING", 9000)
    monkeypatch.setattr(warps, "_PIECE_VOXELS", 1000)


@pytest.mark.usefixtures("_small_parts")
def test_i20_05_parts_of_a_volume_are_those_of_the_whole(coarse):
    brain, choices = coarse.brain, coarse.choices
    grid = turned_grid(brain.registered(3))
    template = read_image(choices.ccf_template)
    noise = np.random.default_rng(3).integers(0, 60000, template.GetSize()[::-1], np.uint16)
    noisy = image_on(grid_of(template), noise)
    found = whole(noisy, grid, brain.pairs)
    assert found.any()
    assert np.array_equal(found, by_itk(noisy, grid, brain.pairs))
    places = read_image(choices.ccf_labels)
    wanted = LABELS[by_itk(places, grid, brain.pairs, SimpleITK.sitkLabelLinear, outside=5)]
    assert np.array_equal(whole_labels(choices, grid, brain.pairs), wanted)


@pytest.mark.usefixtures("_small_parts")
def test_i20_06_parts_of_a_channel_are_those_of_the_whole(root, coarse):
    brain = coarse.brain
    voxels = root.voxels[CHANNELS[0]][::4, ::4, ::4]
    image = image_on(brain.registered(2), voxels)
    ccf = coarse.atlas_grid
    grid = turned_grid(Grid((28, 33, 20), (0.4, 0.4, 0.4), ccf.origin_mm_lps, ccf.direction))
    with image_map(brain.pairs) as transformation:
        found = np.concatenate([*warp(ImageSource(image), grid, transformation, warps.LINEAR)])
    assert found.any()
    assert np.array_equal(found, by_itk(image, grid, brain.pairs, is_back=True))


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize("wanted_um", [120.0, 95.0])
def test_i20_05_channels_with_voxels_of_equal_sides_are_those_of_itk(
    root, chain, monkeypatch, wanted_um
):
    """Of its filters on the whole image, in the order of its axes."""
    monkeypatch.setattr(isotropic, "_SLAB_VOXELS", 50_000)
    brain = replace(chain.brain, output_voxel_size_um=wanted_um)
    grid, side = brain.base(0), wanted_um / 1000
    image = image_on(grid, root.voxels[CHANNELS[0]].astype(np.float32))
    for axis, old in enumerate(grid.spacing_mm_xyz):
        if side > old:
            image = SimpleITK.RecursiveGaussian(image, sigma=side / 2, direction=axis)
    size = [
        round(n * old / side) for n, old in zip(grid.size_xyz, grid.spacing_mm_xyz, strict=True)
    ]
    wanted = SimpleITK.Resample(
        image, size, SimpleITK.Transform(3, SimpleITK.sitkIdentity), SimpleITK.sitkLinear,
        grid.origin_mm_lps, [side] * 3, grid.direction,
    )  # fmt: skip
    with open_output(brain, brain.channels[0], brain.registered()) as source:
        assert source.grid == brain.registered()
        x, y, z = source.grid.size_xyz
        found = source.read((0, 0, 0), (x, y, z))
        part = source.read((3, 5, 7), (9, 8, 30))
    assert found.dtype == np.uint16
    difference = found - SimpleITK.GetArrayFromImage(wanted).astype(np.uint16).astype(int)
    # Digits are cut off, so that the last bit of a place may decide.
    assert np.abs(difference).max() <= 1
    assert (difference != 0).mean() < 1e-4
    assert np.array_equal(part, found[7:30, 5:8, 3:9])
    assert (x, y, z) == tuple(size)
    # The middle of the image has the same place in both frames of its voxels.
    middle = (np.array(brain.registered(0).size_xyz) - 1) / 2
    scale = np.array(grid.spacing_mm_xyz) / side
    here, there = brain.registered(0).place(middle), brain.registered().place(middle * scale)
    assert here == pytest.approx(there, abs=1e-9)


def test_voxels_of_equal_sides_are_not_finer_than_all_of_the_image(chain):
    for wanted_um in (0.0, 30.0, 80.0):
        brain = replace(chain.brain, output_voxel_size_um=wanted_um)
        assert brain.base() == brain.base(0)
        assert brain.registered() == brain.registered(0)


@pytest.mark.parametrize("size", [(3, 4, 5), (10, 11, 3), (40, 3, 2)], ids=str)
def test_pieces_follow_one_another_and_are_small(monkeypatch, size):
    monkeypatch.setattr(warps, "_PIECE_VOXELS", 36)
    x, y, _ = size
    end = 0
    for low, high in warps.pieces_of(size):
        assert low[0] + x * (low[1] + y * low[2]) == end
        sides = np.subtract(high, low)
        assert sides.prod() <= max(36, x)
        assert sides[2] == 1 or sides[1] == y
        end += sides.prod()
    assert end == np.prod(size)


@pytest.mark.parametrize("intent", [1006, 1007])
@pytest.mark.parametrize(("ending", "dtype"), [("nii", "<f4"), ("nii.gz", ">f8")])
def test_displacements_are_those_that_itk_reads(tmp_path, intent, ending, dtype):
    values = np.random.default_rng(1).normal(size=(5, 6, 7, 1, 3)).astype(dtype)
    affine = np.diag([-0.1, 0.2, -0.3, 1])
    affine[:3, 3] = [1, 2, 3]
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_intent(intent)
    path = str(tmp_path / f"field.{ending}")
    image.to_filename(path)
    wanted = SimpleITK.ReadImage(path, SimpleITK.sitkVectorFloat64)
    field = open_field(path)
    with field.file:
        part = field.part((1, 2, 0), (4, 6, 3))
    assert np.array_equal(
        SimpleITK.GetArrayFromImage(part), SimpleITK.GetArrayFromImage(wanted)[0:3, 2:6, 1:4]
    )
    place = wanted.TransformIndexToPhysicalPoint((1, 2, 0))
    assert part.GetOrigin() == pytest.approx(place, abs=1e-12)


def harmed_field(tmp_path, harm):
    values = np.zeros((5, 6, 7, 1, 3), "f4")
    if harm == "nan":
        values[2, 2, 2, 0, 1] = np.nan
    image = nibabel.Nifti1Image(values[..., :2] if harm == "two" else values, np.eye(4))
    image.header.set_intent(1007)
    path = tmp_path / "field.nii.gz"
    image.to_filename(path)
    if harm == "short":
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:700]))
    elif harm == "torn":
        path.write_bytes(path.read_bytes()[:-9])
    return str(path)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("nan", "has displacements that are no finite numbers"),
        ("two", "not a field of three displacements"),
        ("short", "ends too early"),
        ("torn", "cannot be unpacked"),
    ],
)
def test_damaged_displacements_are_named(tmp_path, harm, said):
    path = harmed_field(tmp_path, harm)

    def use():
        field = open_field(path)
        with field.file:
            field.part((0, 0, 0), field.grid.size_xyz)

    with pytest.raises(AtlasFileError, match=said):
        use()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32"])
def test_volumes_in_pieces_are_read_by_itk(tmp_path, dtype):
    voxels = np.arange(4 * 5 * 6).reshape(4, 5, 6).astype(dtype)
    grid = base_grid([LevelSize((6, 5, 4), (0.1, 0.2, 0.3))], 0, "LAS")
    path = tmp_path / "new" / "a.nrrd"
    write_nrrd(str(path), grid, iter([voxels[:1], voxels[1:3], voxels[3:]]))
    image = SimpleITK.ReadImage(str(path))
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), voxels)
    assert grid_of(image) == grid
    assert np.array_equal(np.stack([*read_planes(str(path))]), voxels)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(AtlasFileError, match=r"ends after|cannot be unpacked"):
        [*read_planes(str(path))]


@pytest.mark.parametrize("code", CODES)
def test_turned_grids_are_those_of_turned_images(code):
    grid = base_grid(LEVELS, 3, code)
    voxels = np.random.default_rng(2).integers(0, 255, grid.size_xyz[::-1], np.uint8)
    image = SimpleITK.DICOMOrient(image_on(grid, voxels), "IRP")
    found = turned_grid(grid)
    pieces = np.concatenate([*_turned(ImageSource(image_on(grid, voxels)))])
    assert np.array_equal(pieces, SimpleITK.GetArrayFromImage(image))
    assert found.size_xyz == image.GetSize()
    assert found.origin_mm_lps == pytest.approx(image.GetOrigin(), abs=1e-12)
    assert found.spacing_mm_xyz == pytest.approx(image.GetSpacing())
    assert found.direction == pytest.approx(image.GetDirection())


# Tables of probes

HEAD = "mouseid,sorted_recording,probe_file,probe_id,probe_name,annotation_format,probe_shank\n"


def parse(text):
    report = Report()
    return parse_manifest(text, "manifest.csv", report), [str(p) for p in report.sorted()]


def test_i20_10_u1_u4_cells_stay_texts():
    rows, problems = parse(HEAD + "000001,r_sorted_x,f,t,P,,\n000001,r_sorted_x,f,t,Q,,1.0\n")
    assert problems == []
    assert [row.mouse_id for row in rows] == [MOUSE] * 2
    assert [row.annotation_format for row in rows] == ["json"] * 2
    assert [row.histology_shank for row in rows] == [None, 1]
    assert [row.shank_suffix for row in rows] == ["", "_shank2"]
    assert rows[0].recording_id == "r"


def test_both_vocabularies_of_columns_are_read():
    new = "mouseid,sorted_recording,probe_file,histology_track_id,ephys_collection,histology_shank"
    rows, problems = parse(new + ",ephys_shank\n1,r,f,t,P,0,2\n")
    assert problems == []
    assert (rows[0].track_id, rows[0].collection) == ("t", "P")
    assert (rows[0].histology_shank, rows[0].ephys_shank) == (0, 2)
    assert rows[0].logical_probe == "P"


BROKEN = {
    "empty": ("", "manifest.csv: is empty"),
    "header only": (HEAD, "manifest.csv: has no row"),
    "semicolons": (HEAD.replace(",", ";") + "1;r;f;t;P;;\n", "separates its cells by semicolons"),
    "tabs": (HEAD.replace(",", "\t"), "separates its cells by tabs"),
    "missing column": (HEAD.replace("probe_id", "probeid"), "probe_id: is missing; 'probeid' may"),
    "doubled column": (HEAD.replace("probe_shank", "probe_id"), "is the name of two columns"),
    "empty cell": (HEAD + "1,r,,t,P,,\n", "manifest.csv:2: probe_file: is empty"),
    "swc": (HEAD + "1,r,f,t,P,swc,\n", "annotation_format: 'swc' is not read"),
    "shank": (HEAD + "1,r,f,t,P,,one\n", "'one' is no number of a shank"),
    "ragged": (HEAD + "1,r,f,t\n", "manifest.csv:2: has 4 cells, the header has 7"),
    "two mice": (HEAD + "1,r,f,t,P,,\n2,r,f,u,Q,,\n", "manifest.csv:3: mouseid: is '2', but '1'"),
    "same track": (HEAD + "1,r,f,t,P,,\n1,s,f,t,Q,,\n", "is the same track as in line 2"),
    "same shank": (HEAD + "1,r,f,t,P,,0\n1,r,f,u,P,,0\n", "the same histology_shank as in line 2"),
    "same key": (HEAD + "1,r,f,q.r,P,,\n1,r,f,r,P.q,,\n", "the same files 'r.P.q.r' as line 2"),
    "same names": (
        HEAD + "1,r,f,B,P,,0\n1,r,f,B_shank1,Q,,\n",
        "manifest.csv:3: probe_id: makes the same files 'B_shank1' as line 2",
    ),
    "near column": (
        HEAD.replace("probe_shank", "probe_shnk") + "1,r,f,t,P,,0\n",
        "manifest.csv:1: probe_shnk: is no column that is read; write 'probe_shank', or",
    ),
    "near case": (
        HEAD.replace("probe_shank", "Surface_Finding") + "1,r,f,t,P,,\n",
        "Surface_Finding: is no column that is read; write 'surface_finding', or",
    ),
    "folder above": (HEAD + "../x,r,f,t,P,,\n", "'../x' is no name of a folder"),
}


@pytest.mark.parametrize(("text", "said"), BROKEN.values(), ids=BROKEN)
def test_i20_12_u6_broken_tables_are_told(text, said):
    _, problems = parse(text)
    assert any(said in line for line in problems), problems


def test_columns_of_other_programs_are_passed_over():
    head = HEAD.replace("\n", ",probe_type,depth_um,notes,shank_count\n")
    rows, problems = parse(head + "1,r,f,t,P,,0,NP2,3,x,4\n")
    assert (len(rows), problems) == (1, [])


def test_a_missing_column_that_is_mistyped_is_told_once():
    _, problems = parse(HEAD.replace("probe_name", "probe_nam") + "1,r,f,t,P,,0\n")
    (told,) = problems
    assert "probe_name: is missing; 'probe_nam' may be it" in told


# States of Neuroglancer


@pytest.mark.parametrize(
    "source",
    [
        "zarr://s3://b/a/c.zarr",
        {"url": "zarr://s3://b/a/c.zarr"},
        [{"url": "s3://b/a/c.zarr/|zarr2:"}, "other"],
    ],
    ids=str,
)
def test_u12_sources_are_texts_objects_and_lists(source):
    state = {"layers": [{"type": "annotation"}, {"type": "image", "source": source}]}
    assert image_sources(state)[0] == "s3://b/a/c.zarr"


@pytest.mark.parametrize("state", [None, [], {}, {"layers": {}}, {"layers": [7]}], ids=str)
def test_states_without_layers(state):
    assert image_sources(state) == []
    with pytest.raises(AnnotationError, match="has no annotation layer 'a'"):
        layer_points(state, "a")


def layer(annotations, order="zyx"):
    source = {"url": "", "transform": {"outputDimensions": {axis: [1, "m"] for axis in order}}}
    return {
        "layers": [
            {"type": "annotation", "name": "a", "source": source, "annotations": annotations}
        ]
    }


POINTS = [{"type": "point", "point": [1, 2, number]} for number in range(2)]


def test_u12_lines_count_as_their_ends():
    lines = [
        {"type": "line", "pointA": [1, 2, 3], "pointB": [4, 5, 6]},
        {"type": "line", "pointA": [4, 5, 6], "pointB": [7, 8, 9]},
    ]
    assert layer_points(layer(lines), "a").index_zyx == ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    assert layer_points(layer(lines, "xyz"), "a").index_zyx[0] == (3, 2, 1)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (layer([]), "has 0 points"),
        (layer([{"type": "point", "point": [1, 2, 3]}] * 2), "has 1 points"),
        (layer([{"type": "point", "point": [1, 2]}]), "with 2 numbers"),
        (layer([{"type": "point", "point": [1, 2, "x"]}]), "is no place"),
        (layer([{"type": "point", "point": [1, 2, float("nan")]}]), "is no place"),
        (layer([], "zy"), "without a dimension 'x'"),
        *(
            (layer([*POINTS, {"type": kind, "point": [1, 2, 3]}]), f"has a {kind} (annotation 3)")
            for kind in ("polyline", "ellipsoid", "axis_aligned_bounding_box")
        ),
        (layer([*POINTS, None]), "has a NoneType (annotation 3) in layer 'a'"),
        ({"layers": 2 * layer(POINTS)["layers"]}, "has 2 annotation layers 'a'"),
        (layer([]) | {"layers": [{"type": "annotation", "name": "A"}]}, "did you mean 'A'?"),
    ],
)
def test_u5_layers_that_make_no_track(state, said):
    with pytest.raises(AnnotationError, match=re.escape(said)):
        layer_points(state, "a")


# Files of tracks


def test_i20_03_points_for_slicer_and_the_gui():
    lines = compose_fcsv([(1, 2.5, -3.1234567)], 'a,"b"').splitlines()
    assert [line[0] for line in lines[:3]] == ["#"] * 3
    assert lines[1] == "# CoordinateSystem = LPS"
    assert lines[3] == "1,1.000000,2.500000,-3.123457,0,0,0,1,1,1,0,ab-1,,vtkMRMLScalarVolumeNode1"
    assert len(lines[3].split(",")) == len(lines[2].split("=")[1].split(",")) == 14
    assert json.loads(compose_picks([(1, 2, 3)])) == {"xyz_picks": [[1, 2, 3]]}


def test_the_root_is_found_with_all_channels(chain):
    brain = chain.brain
    assert [channel.name for channel in brain.channels] == list(CHANNELS)
    assert (brain.code_xyz, brain.level, brain.version) == ("RPI", 0, (0, 0, 34))
    assert chain.full_report.problems == []


# Doubts


@pytest.mark.parametrize("check", [check_disk, check_memory])
@pytest.mark.parametrize(
    ("free", "severity"), [(99, "error"), (100, "warning"), (199, "warning"), (200, None)]
)
def test_i20_12_space_on_the_disk_and_in_memory(check, free, severity):
    found = [*check(free, 100, "/results")]
    assert [str(problem.severity) for problem in found] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("size", "registrar", "needed"),
    [
        ((456, 528, 320), "none", 708_183_040),  # the Allen CCF at 25 µm
        ((1140, 1320, 800), "none", 5_215_360_000),  # at 10 µm
        ((114, 132, 80), "none", 404_815_360),
        ((114, 132, 80), "simpleitk", 1_000_000_000),
    ],
)
def test_i20_12_memory_follows_the_atlas(chain, size, registrar, needed):
    other = Chain(replace(chain.choices, registrar=registrar))
    vars(other)["atlas_grid"] = Grid(size, (1, 1, 1), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    assert needed_memory(other) == needed


def test_i20_12_u11_a_folder_of_results_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "away").symlink_to("nowhere")
    for name in ("file", "file/below", "away/below"):
        (problem,) = check_folder(str(tmp_path / name))
        assert problem.code == "alignment.machine"
        assert "is no folder" in problem.message
    assert [*check_folder(str(tmp_path / "new" / "results"))] == []


def test_a_folder_of_a_brain_that_is_not_ours_is_kept(tmp_path):
    assert [*check_owner(str(tmp_path / "away"))] == []
    assert [*check_owner(str(tmp_path))] == []
    (tmp_path / "datapackage.json").touch()
    (problem,) = check_owner(str(tmp_path))
    assert "holds 'datapackage.json' and no _state" in problem.message
    (tmp_path / "_state").mkdir()
    assert [*check_owner(str(tmp_path))] == []


DESCRIPTIONS = {
    "none": (None, 0),
    "ours": ({"DatasetType": "derivative", "GeneratedBy": [{"Name": "spimpack_tasks"}]}, 0),
    "raw of ours": ({"DatasetType": "raw", "GeneratedBy": [{"Name": "spimpack_tasks"}]}, 1),
    "other": ({"DatasetType": "derivative", "GeneratedBy": [{"Name": "brainreg"}]}, 1),
    "odd": ({"GeneratedBy": "spimpack_tasks"}, 1),
}


@pytest.mark.parametrize(("content", "count"), DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_a_description_of_another_dataset_is_kept(tmp_path, content, count):
    path = tmp_path / "dataset_description.json"
    if content is not None:
        path.write_text(json.dumps(content))
    assert len([*check_dataset(str(path))]) == count


def test_i20_12_an_atlas_with_wrong_signs_is_refused(chain, tmp_path):
    assert [*check_atlas(chain.choices.ccf_template, "ccf_template")] == []
    image = read_image(chain.choices.ccf_template)[::8, ::8, ::8]
    image.SetDirection((1, 0, 0, 0, 1, 0, 0, 0, -1))
    path = tmp_path / "ccf.nrrd"
    SimpleITK.WriteImage(image, str(path))
    (problem,) = check_atlas(str(path), "ccf_template")
    assert "lies at 0.00 to 11.20 mm along L, the Allen CCF at -11.5 to 0.1" in problem.message
    path.write_bytes(b"no volume")
    (problem,) = check_atlas(str(path), "ccf_template")
    assert "is no volume that can be read" in problem.message


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ([(-5, 6, -1), (-5, 6, -3)], None),
        ([(-5, 6, -1), (-5, 6, -9)], "1 of 2 points of 'probe A' lie outside of the atlas: 2"),
        ([(-5, 6, -1), (-5, 6, -31)], "'probe A' has a point 30.7 mm from bregma"),
        ([(5, 6, -1), (5, 6, -3)], "no point of 'probe A' lies in "),
    ],
    ids=str,
)
def test_places_of_tracks_off_the_atlas(chain, places, said):
    found = [*check_places(chain, chain.rows[0], places)]
    assert len(found) == bool(said)
    assert all(problem.message.startswith(said) for problem in found)


def test_tracks_that_go_up_are_told(root, tmp_path):
    write_annotation(root, tmp_path / "notes" / "up.json", "up", "a")
    state = json.loads((tmp_path / "notes" / "up.json").read_text())
    values = {"data_root": tmp_path, "results_root": tmp_path / "out"}
    names = ("neuroglancer", "ccf_template", "ccf_labels", "label_ids", "template_to_ccf_dir")
    known = checked_chain({"data_root": root.folder, "results_root": ""}).choices
    values |= {name: getattr(known, name) for name in names}
    (tmp_path / ASSET).symlink_to(root.folder / ASSET)
    (tmp_path / "manifest.csv").write_text(HEAD + "1,r,up,up,P,,\n")
    found = [*check_registrations(checked_chain(values))]
    assert found == []
    state["layers"][0]["annotations"].reverse()
    (tmp_path / "notes" / "up.json").write_text(json.dumps(state))
    (problem,) = check_registrations(checked_chain(values))
    assert "do not go down from the surface" in problem.message
    assert problem.place.line == 2


def test_a_full_disk_of_temporary_files_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = harmed_field(tmp_path, "")
    monkeypatch.setattr("shutil.copyfileobj", refuse)
    with pytest.raises(OSError, match=gettempdir()):
        open_field(path)


@pytest.mark.slow
def test_i20_08_a_registration_of_ants_is_applied_as_ants_does(tmp_path):
    ants = pytest.importorskip("ants")
    random = np.random.default_rng(8)
    x, y, z = np.indices((48, 48, 48)) - 24.0
    shades = [
        (((x - a) / 15) ** 2 + ((y + a) / 12) ** 2 + (z / (17 - a)) ** 2 < 1) * 900.0 + 60
        for a in (0, 2)
    ]
    place = {"origin": (1.0, -2.0, 3.0), "spacing": (0.2, 0.25, 0.3)}
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    fixed = ants.smooth_image(ants.from_numpy(shades[0].astype("f4"), **place), 0.5)
    moving = ants.from_numpy(shades[1].astype("f4"), direction=turn, **place)
    moving = ants.smooth_image(moving, 0.5)
    made = ants.registration(fixed, moving, "SyN", outprefix=f"{tmp_path}/")
    pair = pair_in(str(tmp_path), ants_names(""))
    inside = random.uniform(-8, 8, (50, 3)) * place["spacing"]
    middle = np.array(place["origin"]) + turn @ (24 * np.array(place["spacing"]))
    points = middle + inside @ turn.T
    table = pd.DataFrame(points, columns=["x", "y", "z"])
    wanted = ants.apply_transforms_to_points(3, table, made["invtransforms"], [True, False])
    with point_map([pair]) as transformation:
        found = transformation.points(points)
    assert 1000 * np.abs(found - wanted[["x", "y", "z"]].to_numpy()).max() <= 5
    grid = Grid((48, 48, 48), place["spacing"], place["origin"], tuple(turn.ravel()))
    voxels = np.round(fixed.numpy()).astype(np.uint16).transpose(2, 1, 0)
    like = Grid((48, 48, 48), place["spacing"], place["origin"], (1, 0, 0, 0, 1, 0, 0, 0, 1))
    ours = whole(image_on(like, voxels.astype(np.float32)), grid, [pair])
    theirs = ants.apply_transforms(
        moving, ants.from_numpy(voxels.transpose(2, 1, 0).astype("f4"), **place),
        made["invtransforms"], whichtoinvert=[True, False],
    )  # fmt: skip
    assert np.abs(ours - theirs.numpy().transpose(2, 1, 0)).max() < 0.01
    regions = (np.arange(48)[:, None, None] // 6 + 0 * voxels).astype(np.uint16)
    labels = AtlasLabels(image_on(like, regions), "", None)
    with point_map([pair]) as transformation:
        ours = np.concatenate([*warp_labels(labels, grid, transformation, Counter())])
    theirs = ants.apply_transforms(
        moving, ants.from_numpy(regions.transpose(2, 1, 0).astype("f4"), **place),
        made["invtransforms"], interpolator="genericLabel", whichtoinvert=[True, False],
    )  # fmt: skip
    assert not (ours != theirs.numpy().transpose(2, 1, 0)).sum()
