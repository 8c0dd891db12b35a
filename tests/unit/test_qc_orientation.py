"""A phantom with eight corners that differ, under each of the 48 codes.

What is stored is turned by nibabel, which had no part in ours.
"""

import itertools

import nibabel
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, axcodes2ornt, ornt_transform
from PIL import Image

from spimpack_tasks.model.orientation import (
    OPPOSITES,
    ORIENTATION_CODES,
    describe_orientation,
    place_axes,
)
from spimpack_tasks.qc.pictures import STRIP_SIDE, draw_slice, draw_strip, pixel_size
from spimpack_tasks.qc.preview import Preview, PreviewChannel
from spimpack_tasks.qc.slices import VIEWS, cut_slice, size_um, to_canonical
from spimpack_tasks.qc.volume import read_volume

CODES = sorted(ORIENTATION_CODES)
SIZES_RAS = (8, 6, 4)
SPACING_RAS = (1.0, 2.0, 3.0)
CORNERS = {"".join(c): 30 * n for n, c in enumerate(itertools.product("LR", "PA", "IS"), start=1)}
"""Value of the corner that lies at three sides, such as `LPI`."""
each_code = pytest.mark.parametrize("code", CODES)


def make_phantom():
    """Return the phantom in the order right, anterior, superior."""
    phantom = np.zeros(SIZES_RAS, "uint8")
    for corner, value in CORNERS.items():
        place = tuple(slice(-2, None) if side in "RAS" else slice(0, 2) for side in corner)
        phantom[place] = value
    return phantom


def turn(array_ras, code):
    """Return an array as it is stored under a code, in the order x, y, z."""
    change = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(tuple(code)))
    return apply_orientation(array_ras, change)


def preview_of(code):
    stored = turn(make_phantom(), code)
    spacing = tuple(SPACING_RAS["RLAPSI".index(letter) // 2] for letter in code)
    channel = PreviewChannel("one", "#ffffff", 0, 255, 255)
    return Preview(stored.transpose(2, 1, 0)[None], spacing, (channel,))


def test_there_are_48_codes():
    assert len(CODES) == 48


@each_code
def test_the_phantom_comes_out_as_it_is(code):
    turned = to_canonical(preview_of(code).voxels, code)
    assert np.array_equal(turned[0], make_phantom())


@each_code
def test_the_axes_are_placed_as_nibabel_has_them(code):
    expected = axcodes2ornt(tuple(code))
    for axis, (target, direction) in enumerate(expected):
        assert place_axes(code)[int(target)] == (axis, direction < 0)


EDGES = {
    "axial": {"left": "L", "right": "R", "top": "A", "bottom": "P", "first": "I", "last": "S"},
    "coronal": {"left": "L", "right": "R", "top": "S", "bottom": "I", "first": "P", "last": "A"},
    "sagittal": {"left": "P", "right": "A", "top": "S", "bottom": "I", "first": "L", "last": "R"},
}


@each_code
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_each_corner_stands_where_the_letters_say(code, view):
    preview = preview_of(code)
    edges = EDGES[view.name]
    told = {"left": view.left, "right": view.right, "top": view.top, "bottom": view.bottom}
    assert told.items() <= edges.items()
    canonical = to_canonical(preview.voxels, code)
    for position, through in ((0, edges["first"]), (-1, edges["last"])):
        pixels = cut_slice(canonical, view, position)[0]
        picture = draw_slice(preview, code, view, 120, position)
        for vertical, horizontal in itertools.product(("top", "bottom"), ("left", "right")):
            sides = {edges[vertical], edges[horizontal], through}
            value = next(v for corner, v in CORNERS.items() if set(corner) == sides)
            row, column = vertical == "bottom", horizontal == "right"
            assert pixels[-row, -column] == value
            corner = (column * (picture.width - 1), row * (picture.height - 1))
            assert picture.getpixel(corner) == (value, value, value)


@each_code
def test_the_proportions_are_those_of_the_specimen(code):
    extent = [n * s for n, s in zip(SIZES_RAS, SPACING_RAS, strict=True)]
    preview = preview_of(code)
    for view in VIEWS:
        assert size_um(preview, code, view) == (extent[view.across], extent[view.up])
        width, height = pixel_size(preview, code, view, 120)
        assert (width, height) == (extent[view.across] * 10, extent[view.up] * 10)


@each_code
def test_a_file_that_knows_its_orientation_is_turned_by_it(code, tmp_path):
    """Through the reader: NIfTI, whose affine nibabel makes."""
    path = tmp_path / "phantom.nii"
    canonical = nibabel.Nifti1Image(make_phantom(), np.diag([*SPACING_RAS, 1]))
    change = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(tuple(code)))
    stored = canonical.as_reoriented(change)
    stored.header.set_xyzt_units("micron")
    nibabel.save(stored, path)
    volume = read_volume(str(path))
    assert volume.header.orientation_xyz == code
    assert np.array_equal(to_canonical(volume.voxels, code)[0], make_phantom())
    placed = [volume.spacing_um_xyz[place.axis] for place in place_axes(code)]
    assert placed == pytest.approx(SPACING_RAS)


def test_letters_have_words_and_opposites():
    assert describe_orientation("RPI") == (
        "x runs to the right, y to the posterior, z to the inferior side"
    )
    assert all(OPPOSITES[OPPOSITES[letter]] == letter for letter in "RLAPSI")


def test_a_strip_has_the_three_slices_and_their_letters(tmp_path):
    path = tmp_path / "strip.jpg"
    preview = preview_of("LPI")
    path.write_bytes(draw_strip(preview, "LPI"))
    with Image.open(path) as strip:
        brightness = np.asarray(strip.convert("L")).astype(int)
    assert len(path.read_bytes()) < 8000
    centre, width = brightness.shape[0] // 2, brightness.shape[0]
    step = (brightness.shape[1] - width) // 2
    for number, view in enumerate(VIEWS):
        part = brightness[:, number * step : number * step + width]
        half_width, half_height = (n // 2 for n in pixel_size(preview, "LPI", view, STRIP_SIDE))
        for frame in (
            part[centre - 6 : centre + 6, : centre - half_width],
            part[centre - 6 : centre + 6, centre + half_width :],
            part[: centre - half_height, centre - 6 : centre + 6],
            part[centre + half_height :, centre - 6 : centre + 6],
        ):
            assert frame.max() > 150
