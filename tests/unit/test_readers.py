"""Each header, held against a reader of the format that had no part in it."""

import json
import math
import os
import random
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from decimal import Decimal
from functools import partial

import h5py
import ngff_zarr
import nibabel
import numpy as np
import pytest
import tifffile
import zarr
from cases.bad_headers import CASES, DOUBTFUL
from ome_types.model import UnitsLength

from spimpack_tasks.demo.images import (
    DemoImage,
    write_imaris,
    write_ome_tiff,
    write_ome_zarr,
    write_ozx,
)
from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.model import quantities
from spimpack_tasks.model.orientation import ORIENTATION_CODES
from spimpack_tasks.model.selection import Selection
from spimpack_tasks.volumes.errors import HeaderError, SourceRefusedError
from spimpack_tasks.volumes.formats import FORMATS, format_of
from spimpack_tasks.volumes.ome_zarr.header import RFC4_LETTERS
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.tiff.ome_xml import parse_ome_xml

NAMES = ("autof", "β & <b>")
IMAGE = DemoImage(NAMES, (13, 50, 70), (4.0, 2.6, 0.3467), levels=3)
SHAPES = ((2, 13, 50, 70), (2, 6, 25, 35), (2, 3, 12, 17))
SPACING = (0.3467, 2.6, 4.0)


def write_imagej(path, _, unit="um", **options):
    tifffile.imwrite(
        path,
        np.zeros((2, 3, 8, 9), "uint16"),
        imagej=True,
        resolution=(1 / 0.3467, 1 / 2.6),
        metadata={"unit": unit, "spacing": 4.0, "axes": "ZCYX"},
        **options,
    )


def write_plain(path, _, **options):
    # As fractions: of numbers with a point, versions of tifffile make different ones.
    resolution = ((100_000_000, 3467), (100_000, 26))
    given = {"resolution": resolution, "resolutionunit": "CENTIMETER"} | options
    pixels = np.zeros((5, 8, 9), "float32")
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata=None, **given)


def write_nifti(path, _):
    affine = np.array([[0, 0.0026, 0, 0], [-0.0003467, 0, 0, 0], [0, 0, 0.004, 0], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(np.zeros((7, 5, 4), "uint16"), affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


WRITERS = {
    "v04.ome.zarr": partial(write_ome_zarr, ngff="0.4"),
    "v05.ome.zarr": partial(write_ome_zarr, ngff="0.5"),
    "zipped.ozx": write_ozx,
    "imaris.ims": write_imaris,
    "classic.ome.tif": write_ome_tiff,
    "big.ome.btf": partial(write_ome_tiff, bigtiff=True),
    "imagej.tif": write_imagej,
    "plain.tif": write_plain,
    "nifti.nii": write_nifti,
    "nifti.nii.gz": write_nifti,
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """One sound file of each format."""
    folder = tmp_path_factory.mktemp("images")
    for name, write in WRITERS.items():
        write(folder / name, IMAGE)
    return folder


@pytest.fixture
def copy(images, tmp_path):
    """Copies of the sound files, to be spoilt."""

    def make(name):
        source, target = images / name, tmp_path / name
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        return target

    return make


def header_of(path):
    return read_header(str(path), path.name)


def message_of(path):
    """Return what is told of a source, its path where nothing is wrong."""
    try:
        header_of(path)
    except HeaderError as error:
        return str(error)
    return str(path)


def change_json(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_each_format_names_functions_that_are_there(form):
    for function in (form.header, form.levels, form.chunks):
        assert function is None or callable(function.load())
    assert form.header
    assert form.levels


@pytest.mark.parametrize("name", WRITERS)
def test_a_format_is_told_in_three_ways(images, name):
    form = format_of(name)
    path = str(images / name)
    assert read_header(path, form) == read_header(path, form.name) == read_header(path, name)


def test_an_unknown_format_is_a_mistake_of_the_caller(images):
    with pytest.raises(ValueError, match=r"'.oib' is no format"):
        read_header(str(images / "imaris.ims"), ".oib")


@pytest.mark.parametrize("name", ["v04.ome.zarr", "v05.ome.zarr", "zipped.ozx"])
def test_ome_zarr_agrees_with_zarr_and_ngff_zarr(images, name):
    header = header_of(images / name)
    store = zarr.storage.ZipStore(images / name, mode="r") if ".ozx" in name else images / name
    group = zarr.open_group(store, mode="r")
    assert header.shapes == tuple(group[str(level)].shape for level in range(3)) == SHAPES
    assert header.dtype == group["0"].dtype.name
    if ".ozx" in name:
        store.close()
    first = ngff_zarr.from_ngff_zarr(str(images / name), validate=True).images[0]
    assert header.axes == first.dims == ("c", "z", "y", "x")
    assert set(first.axes_units.values()) <= {"micrometer", None}
    assert header.spacing_um_xyz == tuple(first.scale[axis] for axis in "xyz") == SPACING
    assert (header.channel_count, header.channel_names) == (2, NAMES)
    assert header.orientation_xyz is None  # zarrnii would say RAS


def test_imaris_agrees_with_a_walk_through_the_file(images):
    header = header_of(images / "imaris.ims")
    found = {}
    with h5py.File(images / "imaris.ims") as file:
        file.visititems(
            lambda name, thing: found.update(
                {(name, key): value.tobytes().decode() for key, value in thing.attrs.items()}
            )
        )
        dtype = file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data"].dtype
    info = {key: text for (name, key), text in found.items() if name == "DataSetInfo/Image"}
    sizes = {
        name[:25]: tuple(int(found[name, f"ImageSize{axis}"]) for axis in "ZYX")
        for name, key in found
        if key == "ImageSizeX"
    }
    assert header.axes == ("t", "c", "z", "y", "x")
    assert header.shapes == tuple((1, 2, *sizes[key]) for key in sorted(sizes))
    assert header.dtype == dtype.name
    assert header.spacing_um_xyz == SPACING
    for spacing, extent, n in zip(header.spacing_um_xyz, "012", "XYZ", strict=True):
        width = float(info[f"ExtMax{extent}"]) - float(info[f"ExtMin{extent}"])
        assert spacing == pytest.approx(width / int(info[n]), rel=1e-7)
    assert header.channel_names == NAMES
    assert header.acquired_at == info["RecordingDate"].replace(" ", "T").removesuffix(".000")
    assert header.instrument == {"SoftwareVersions": "spimpack demo 1.0"}


@pytest.mark.parametrize("name", ["classic.ome.tif", "big.ome.btf"])
def test_ome_tiff_agrees_with_tifffile(images, name):
    header = header_of(images / name)
    with tifffile.TiffFile(images / name) as tiff:
        series = tiff.series[0]
        told = tifffile.xml2dict(tiff.ome_metadata)["OME"]
        axes, shape, dtype = series.axes, series.shape, series.dtype.name
    squeezed = [(a.upper(), n) for a, n in zip(header.axes, header.shapes[0], strict=True) if n > 1]
    assert squeezed == list(zip(axes, shape, strict=True))
    assert header.dtype == dtype
    pixels = told["Image"]["Pixels"]
    assert header.spacing_um_xyz == tuple(pixels[f"PhysicalSize{axis}"] for axis in "XYZ")
    assert header.channel_names == tuple(channel["Name"] for channel in pixels["Channel"])
    assert header.instrument == {"SoftwareVersions": told["Creator"]}


def test_imagej_agrees_with_tifffile(images):
    header = header_of(images / "imagej.tif")
    with tifffile.TiffFile(images / "imagej.tif") as tiff:
        assert header.shapes == (tiff.series[0].shape,)
        assert "".join(header.axes).upper() == tiff.series[0].axes
        told = tiff.imagej_metadata
    assert header.spacing_um_xyz == (0.3467, 2.6, told["spacing"])
    assert header.instrument["SoftwareVersions"] == f"ImageJ {told['ImageJ']}"


@pytest.mark.parametrize("name", ["nifti.nii", "nifti.nii.gz"])
def test_nifti_agrees_with_nibabel(images, name):
    header = header_of(images / name)
    image = nibabel.load(images / name)
    assert (header.shapes, header.dtype) == ((image.shape,), image.get_data_dtype().name)
    assert header.orientation_xyz == "".join(nibabel.aff2axcodes(image.affine)) == "PRS"
    assert header.spacing_um_xyz == (0.3467, 2.6, 4.0)


UNITS = [
    ("0.3467", "um", 0.3467),
    ("0.3467", "µm", 0.3467),
    ("0.3467", "μm", 0.3467),
    ("0.3467", "micron", 0.3467),
    ("0.3467", "micrometer", 0.3467),
    ("0.0003467", "mm", 0.3467),
    ("0.0003467", "millimeter", 0.3467),
    (0.0003467, "mm", 0.3467),
    ("346.7", "nm", 0.3467),
    ("3467", "Å", 0.3467),
    ("3467", "angstrom", 0.3467),
    ("3.467e-7", "m", 0.3467),
    ("3.467E-5", "cm", 0.3467),
    ("0.00001", "inch", 0.254),
    ("7", "pixel", None),
    ("7", "reference frame", None),
    ("7", "", None),
]


@pytest.mark.parametrize(("value", "unit", "um"), UNITS)
def test_lengths_are_converted_exactly(value, unit, um):
    assert quantities.length_in_um(value, unit) == um


def test_the_decimal_context_of_the_caller_does_not_count():
    code = (
        "import decimal; decimal.getcontext().prec = 2\n"
        "from spimpack_tasks.model import header_values, quantities\n"
        "print(header_values.convert_length(0.34671, 'mm', 'um'))\n"
        "print(*(quantities.length_in_um('2.345', each) for each in ('mm', 'mile', 'ft', 'dam')))\n"
        "print(quantities.extent_per_voxel('-234.369', '0', 676))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # 2.345 miles of 1760 yards of 0.9144 m, and feet of 0.3048 m
    assert done.stdout.split() == [
        "346.71",
        "2345.0",
        "3773911680.0",
        "714756.0",
        "23450000.0",
        "0.3467",
    ]


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0", "", "x", "1_0x", True, None, "9" * 99])
def test_what_is_no_length_is_refused(value):
    with pytest.raises(quantities.QuantityError):
        quantities.length_in_um(value, "um")


@pytest.mark.parametrize(
    ("low", "high", "count", "spacing"),
    [
        ("0", "24.269000000", 70, "0.3467"),
        ("0", "24.269001007", 70, "0.3467"),  # 70 times 0.3467 in single precision
        ("0", "234.369", 676, "0.3467"),  # 0.34669970..., but that is what three digits leave
        ("100", "334.3692", 676, "0.3467"),
        ("0", "665", 1024, "0.6494140625"),  # short: not rounded
        ("0", "0.024269", 70, "0.0003467"),
        ("-12.1345", "12.1345", 70, "0.3467"),
        ("0", "10.000000", 3, "3.333333"),
    ],
)
def test_an_extent_gives_the_voxel_size_that_was_meant(low, high, count, spacing):
    assert quantities.extent_per_voxel(low, high, count) == Decimal(spacing)


@pytest.mark.parametrize("spacing", [0.3467, 0.65, 1 / 3, 1.8, 0.0325, 2.03125, 0.1612903])
@pytest.mark.parametrize("digits", ["{:.9f}", "{:.6f}", "{}"])
def test_an_extent_is_never_off_by_more_than_its_digits(spacing, digits):
    found = float(quantities.extent_per_voxel("0", digits.format(2000 * spacing), 2000))
    assert found == pytest.approx(spacing, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "number"),
    [("4x", 4), ("4X", 4), ("0.63", 0.63), ("0,63", 0.63), ("20 x", 20), ("", None), ("0", None),
     ("n/a", None), ("Plan 4x/0.1", None), ("1e999", None)],
)  # fmt: skip
def test_numbers_of_lenses(text, number):
    assert quantities.positive_number(text) == number


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2024-01-31 12:30:05.250", "2024-01-31T12:30:05.25"),
        ("2024-01-31T12:30:05", "2024-01-31T12:30:05"),
        ("2024-01-31T12:30:05+00:00", "2024-01-31T12:30:05Z"),
        ("2024-01-31T12:30:05Z", "2024-01-31T12:30:05Z"),
        ("2024-01-31T12:30:05.5+02:00", "2024-01-31T12:30:05.5+02:00"),
        ("1970-01-01 00:00:00.000", None),
        ("2024-01-31", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times(text, iso):
    assert quantities.iso_time(text) == iso


def test_mm_and_um_give_the_same_pixel_size(copy):
    path = copy("v05.ome.zarr")
    before = header_of(path)

    def to_mm(data):
        multiscale = data["attributes"]["ome"]["multiscales"][0]
        for axis in multiscale["axes"][1:]:
            axis["unit"] = "millimeter"
        first = multiscale["datasets"][0]["coordinateTransformations"][0]
        first["scale"] = [1, 0.004, 0.0026, 0.0003467]

    change_json(path / "zarr.json", to_mm)
    assert header_of(path) == before


def set_texts(path, group, **texts):
    with h5py.File(path, "r+") as file:
        for name, text in texts.items():
            file[group].attrs[name] = np.frombuffer(text.encode() or b"\0", "S1")


def test_imaris_in_mm(copy):
    path = copy("imaris.ims")
    extents = {"ExtMax0": "0.024269", "ExtMax1": "0.13", "ExtMax2": "0.052"}
    set_texts(path, "DataSetInfo/Image", Unit="mm", **extents)
    assert header_of(path).spacing_um_xyz == SPACING


@pytest.mark.parametrize("unit", ["", "pixel"])
def test_imaris_without_a_unit_has_no_spacing(copy, unit):
    path = copy("imaris.ims")
    set_texts(path, "DataSetInfo/Image", Unit=unit)
    assert header_of(path).spacing_um_xyz == (None, None, None)


def test_imaris_instrument_and_placeholders(copy):
    path = copy("imaris.ims")
    set_texts(path, "DataSetInfo/Image", LensPower="4x", NumericalAperture="0.28", RecordingDate="")
    set_texts(path, "DataSetInfo/Channel 0", Name="(name not specified)")
    header = header_of(path)
    assert header.instrument["Magnification"] == 4
    assert header.instrument["NumericalAperture"] == 0.28
    assert header.channel_names == ("", "β & <b>")
    assert header.acquired_at == "2024-01-01T00:00:00"  # of the first time point
    set_texts(path, "DataSetInfo/Channel 1", Name="")
    assert header_of(path).channel_names == ()


def test_imaris_values_as_datasets_and_as_plain_texts(copy):
    path = copy("imaris.ims")
    name = "n" * 2000
    with h5py.File(path, "r+") as file:
        first, second = file["DataSetInfo/Channel 0"], file["DataSetInfo/Channel 1"]
        del first.attrs["Name"]
        first["Name"] = np.frombuffer(name.encode(), "S1")
        second.attrs["Name"] = "variable ü"
        file["DataSetInfo/Image"].attrs["Unit"] = np.bytes_("um")
    header = header_of(path)
    assert header.channel_names == (name, "variable ü")
    assert header.spacing_um_xyz == SPACING


def test_imaris_is_read_while_it_is_open_elsewhere(copy):
    path = copy("imaris.ims")
    with h5py.File(path, "r"):
        assert header_of(path).channel_names == NAMES


def set_multiscale(path, **values):
    change_json(
        path / "zarr.json", lambda data: data["attributes"]["ome"]["multiscales"][0].update(values)
    )


def test_ome_zarr_scale_of_all_levels_multiplies(copy):
    path = copy("v05.ome.zarr")
    transformation = {"type": "scale", "scale": [1, 0.5, 0.5, 0.1]}
    set_multiscale(path, coordinateTransformations=[transformation])
    assert header_of(path).spacing_um_xyz == (0.03467, 1.3, 2.0)


def test_ome_zarr_without_unit_has_no_spacing(copy):
    path = copy("v05.ome.zarr")
    set_multiscale(path, axes=[{"name": axis} for axis in "czyx"])
    header = header_of(path)
    assert header.spacing_um_xyz == (None, None, None)
    # A scale that cannot be used is told; one of 1 says nothing.
    assert len(header.doubts) == 3
    assert all(doubt.endswith("has no unit") for doubt in header.doubts)
    set_multiscale(path, axes=list("czyx"))
    assert header_of(path).spacing_um_xyz == (None, None, None)


def test_ome_zarr_labels_of_other_channels_are_no_names(copy):
    path = copy("v05.ome.zarr")
    change_json(path / "zarr.json", lambda data: data["attributes"]["ome"]["omero"].clear())
    assert header_of(path).channel_names == ()
    assert header_of(path).channel_count == 2


@pytest.mark.parametrize("name", ["v04.ome.zarr", "v05.ome.zarr"])
def test_bioformats2raw_layout_with_one_series(copy, name):
    inner = copy(name)
    outer = inner.parent / "outer.ome.zarr"
    outer.mkdir()
    inner.rename(outer / "0")
    layout = {"bioformats2raw.layout": 3}
    if "04" in name:
        (outer / ".zattrs").write_text(json.dumps(layout))
    else:
        data = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": layout}}
        (outer / "zarr.json").write_text(json.dumps(data))
    assert header_of(outer).shapes == SHAPES
    shutil.copytree(outer / "0", outer / "1")
    with pytest.raises(HeaderError, match="holds several images"):
        header_of(outer)


@pytest.mark.parametrize("folder", ["", "brain.ome.zarr/", "a/b/"])
@pytest.mark.parametrize("name", ["v04.ome.zarr", "v05.ome.zarr"])
def test_zip_with_a_leading_folder(images, tmp_path, folder, name):
    path = tmp_path / "image.ome.zarr.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((images / name).rglob("*")):
            archive.write(file, folder + str(file.relative_to(images / name)))
    assert header_of(path) == header_of(images / name)


@pytest.mark.parametrize("code", sorted(ORIENTATION_CODES))
def test_orientation_round_trip(copy, code):
    """RFC-4, zarrnii's attribute, and zarrnii's old attribute, which runs z, y, x."""
    path = copy("v05.ome.zarr")
    words = {letter: word for word, letter in RFC4_LETTERS.items()}
    space = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    for axis, letter in zip(space, code[::-1], strict=True):
        axis["orientation"] = {"type": "anatomical", "value": words[letter]}
    set_multiscale(path, axes=[{"name": "c", "type": "channel"}, *space])
    assert header_of(path).orientation_xyz == code
    old = copy("v04.ome.zarr")
    attributes = json.loads((old / ".zattrs").read_text())
    for key, text in {"xyz_orientation": code, "orientation": code[::-1]}.items():
        (old / ".zattrs").write_text(json.dumps(attributes | {key: text}))
        assert header_of(old).orientation_xyz == code


def test_orientation_that_is_told_twice_must_agree(copy):
    path = copy("v05.ome.zarr")
    axes = [{"name": "c"}, *({"name": a, "type": "space"} for a in "zyx")]
    words = ["inferior-to-superior", "posterior-to-anterior", "left-to-right"]
    for axis, word in zip(axes[1:], words, strict=True):
        axis["orientation"] = {"type": "anatomical", "value": word}
    set_multiscale(path, axes=axes)
    change_json(path / "zarr.json", lambda d: d["attributes"].update(xyz_orientation="RAS"))
    assert header_of(path).orientation_xyz == "RAS"
    change_json(path / "zarr.json", lambda d: d["attributes"].update(xyz_orientation="LPS"))
    with pytest.raises(HeaderError, match="RAS by its axes, LPS by the attribute"):
        header_of(path)


def test_an_orientation_without_letters_is_unknown(copy):
    path = copy("v05.ome.zarr")
    axes = [{"name": "c"}, *({"name": a, "type": "space"} for a in "zyx")]
    for axis in axes[1:]:
        axis["orientation"] = {"type": "anatomical", "value": "dorsal-to-ventral"}
    set_multiscale(path, axes=axes)
    assert header_of(path).orientation_xyz is None


OME = """<?xml version="1.0"?><o:OME xmlns:o="http://www.openmicroscopy.org/Schemas/OME/2016-06"
 Creator="Scope 1.2"><o:Instrument ID="I:0"><o:Microscope Manufacturer="Maker" Model="Sheet"
 SerialNumber="42"/><o:Objective ID="O:0" LensNA="0.1" NominalMagnification="4" Immersion="Other"/>
 <o:Objective ID="O:1" LensNA="0.28" NominalMagnification="10" Immersion="Oil"/></o:Instrument>
 <o:Image ID="Image:0"><o:AcquisitionDate>2024-01-31T12:30:05</o:AcquisitionDate>
 <o:InstrumentRef ID="I:0"/><o:ObjectiveSettings ID="O:1"/><o:Pixels DimensionOrder="XYCZT"
 Type="uint16" SizeX="9" SizeY="8" SizeZ="5" SizeC="1" SizeT="1" PhysicalSizeX="346.7"
 PhysicalSizeXUnit="nm" PhysicalSizeY="0.0026" PhysicalSizeYUnit="mm" PhysicalSizeZ="4">
 <o:Channel ID="Channel:0" SamplesPerPixel="1"/></o:Pixels></o:Image>{more}</o:OME>"""
SECOND = """<o:Image ID="Image:1"><o:Pixels DimensionOrder="XYZCT" Type="uint8" SizeX="1"
 SizeY="1" SizeZ="1" SizeC="1" SizeT="1"><o:Channel Name="macro"/></o:Pixels></o:Image>"""


def write_xml(path, text, **options):
    tifffile.imwrite(
        path,
        np.zeros((5, 8, 9), "uint16"),
        photometric="minisblack",
        metadata=None,
        description=text.encode(),
        **options,
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("ending", [".ome.tif", ".tif"])
def test_ome_xml_of_a_microscope(tmp_path, order, ending):
    path = tmp_path / f"image{ending}"
    write_xml(path, OME.format(more=SECOND), byteorder=order)
    with pytest.raises(HeaderError, match="has 2 scenes"):
        header_of(path)
    header = read_header(str(path), path.name, Selection("0"))
    assert (header.axes, header.shapes) == (("t", "z", "c", "y", "x"), ((1, 5, 1, 8, 9),))
    assert header.spacing_um_xyz == SPACING
    assert header.channel_names == ()
    assert header.acquired_at == "2024-01-31T12:30:05"
    assert header.instrument == {
        "Manufacturer": "Maker",
        "ManufacturersModelName": "Sheet",
        "DeviceSerialNumber": "42",
        "SoftwareVersions": "Scope 1.2",
        "NumericalAperture": 0.28,
        "Magnification": 10.0,
        "Immersion": "Oil",
    }


def test_ome_xml_in_pieces_of_any_size():
    text = OME.format(more=SECOND).encode()
    whole = parse_ome_xml([text])
    assert parse_ome_xml(bytes([byte]) for byte in text) == whole
    assert whole.images == 2


def test_ome_tiff_with_a_companion(tmp_path):
    path = tmp_path / "image.ome.tif"
    write_xml(path, '<OME><BinaryOnly MetadataFile="set.companion.ome" UUID="urn:uuid:1"/></OME>')
    (tmp_path / "set.companion.ome").write_text(OME.format(more=""))
    assert header_of(path).spacing_um_xyz == SPACING
    (tmp_path / "set.companion.ome").write_text(OME.format(more=SECOND))
    with pytest.raises(HeaderError, match="describes 2 images"):
        header_of(path)


def test_ome_tiff_pyramid(tmp_path):
    path = tmp_path / "pyramid.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        options = {"photometric": "minisblack", "tile": (16, 16)}
        tiff.write(np.zeros((3, 64, 80), "u1"), subifds=2, metadata={"axes": "ZYX"}, **options)
        tiff.write(np.zeros((3, 32, 40), "u1"), subfiletype=1, **options)
        tiff.write(np.zeros((3, 16, 20), "u1"), subfiletype=1, **options)
    with tifffile.TiffFile(path) as tiff:
        shapes = [level.shape for level in tiff.series[0].levels]
    header = header_of(path)
    assert [tuple(n for n in shape if n > 1) for shape in header.shapes] == shapes
    assert header.spacing_um_xyz == (None, None, None)


@pytest.mark.parametrize(
    ("unit", "options", "spacing"),
    [
        ("micron", {}, SPACING),
        ("\\u00B5m", {}, SPACING),
        ("nm", {}, (0.0003467, 0.0026, 0.004)),
        ("mm", {}, (346.7, 2600.0, 4000.0)),
        ("cm", {"resolutionunit": "CENTIMETER"}, (3467.0, 26000.0, 40000.0)),
        ("inch", {"resolutionunit": "INCH"}, (8806.18, 66040.0, 101600.0)),
        ("um", {"resolutionunit": "INCH"}, (None, None, 4.0)),
        ("pixel", {}, (None, None, None)),
    ],
)
def test_imagej_units(tmp_path, unit, options, spacing):
    path = tmp_path / "imagej.tif"
    write_imagej(path, None, unit, **options)
    assert header_of(path).spacing_um_xyz == spacing


def test_plain_tiff(images, tmp_path):
    header = header_of(images / "plain.tif")
    assert (header.axes, header.shapes) == (("page", "y", "x"), ((5, 8, 9),))
    assert (header.dtype, header.spacing_um_xyz) == ("float32", (0.3467, 2.6, None))
    assert header.acquired_at is None
    path = tmp_path / "inch.tif"
    write_plain(path, None, resolution=(72, 72), resolutionunit="INCH")
    assert header_of(path).spacing_um_xyz == (None, None, None)
    tifffile.imwrite(path, np.zeros((8, 9, 3), "u1"), photometric="rgb", metadata=None)
    assert (header_of(path).axes, header_of(path).channel_count) == (("y", "x", "c"), 3)


def test_nifti_without_orientation_or_unit(tmp_path):
    path = tmp_path / "bare.nii"
    image = nibabel.Nifti1Image(np.zeros((7, 5), "int16"), None)
    nibabel.save(image, path)
    header = header_of(path)
    assert (header.orientation_xyz, header.spacing_um_xyz) == (None, (None, None, None))
    assert (header.axes, header.shapes, header.dtype) == (("x", "y"), ((7, 5),), "int16")


def test_a_large_image_costs_no_memory(copy):
    path = copy("v05.ome.zarr")
    shape = [2, 10**4, 10**4, 10**4]
    change_json(path / "0" / "zarr.json", lambda data: data.update(shape=shape))
    assert math.prod(header_of(path).shapes[0]) == 2 * 10**12


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_damaged_source_is_told(copy, case):
    path = copy(case.name)
    case.spoil(path)
    with pytest.raises(HeaderError) as raised:
        header_of(path)
    assert case.says in str(raised.value)
    assert str(path) in raised.value.message
    expected = "source.unreadable" if "not a regular" in case.says else "source.content"
    assert (raised.value.code, isinstance(raised.value, SourceRefusedError)) == (expected, True)


@pytest.mark.parametrize("case", DOUBTFUL, ids=lambda case: case.id)
def test_a_size_that_cannot_be_is_unknown(copy, case):
    path = copy(case.name)
    before = header_of(path)
    case.spoil(path)
    header = header_of(path)
    axes, says = case.says.split(": ", 1)
    assert any(says in doubt for doubt in header.doubts)
    unknown = [None if axis in axes else 1 for axis in "xyz"]
    assert [size and 1 for size in header.spacing_um_xyz] == unknown
    assert header.shapes[0] == before.shapes[0]  # a case of OME-Zarr has one level left
    same = {"spacing_um_xyz": before.spacing_um_xyz, "shapes": before.shapes, "doubts": ()}
    assert replace(header, **same, ome_sizes=None) == replace(before, ome_sizes=None)
    assert before.doubts == ()


UNITS = {
    "Ym": 1e30, "Zm": 1e27, "Em": 1e24, "Pm": 1e21, "Tm": 1e18, "Gm": 1e15, "Mm": 1e12, "km": 1e9,
    "hm": 1e8, "dam": 1e7, "m": 1e6, "dm": 1e5, "cm": 1e4, "mm": 1e3, "\u00b5m": 1, "nm": 1e-3,
    "pm": 1e-6, "fm": 1e-9, "am": 1e-12, "zm": 1e-15, "ym": 1e-18, "\u00c5": 1e-4,
    "thou": 25.4, "li": 2116.6666666667, "in": 25400, "ft": 304800, "yd": 914400,
    "mi": 1.609344e9, "ua": 1.495978707e17, "ly": 9.4607304725808e21, "pc": 3.0856775814914e22,
    "pt": 352.77777777778, "pixel": None, "reference frame": None,
}  # fmt: skip
"""Micrometres by the symbols of the OME schema: SI, the international inch, and the IAU."""


def test_c1_units_of_the_schema_are_known():
    assert {unit.value for unit in UnitsLength} == set(UNITS)
    for unit, wanted in UNITS.items():
        found = quantities.unit_in_um(unit)
        assert (found is None) == (wanted is None), unit
        assert wanted is None or float(found) == pytest.approx(wanted, rel=1e-12)
    assert quantities.unit_in_um("MM") == quantities.unit_in_um("millimetres") == 1000


@pytest.mark.parametrize("name", WRITERS)
def test_an_empty_or_absent_source_is_told(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(HeaderError, match=name):
        header_of(path)
    path.mkdir() if format_of(name).directory else path.touch()
    with pytest.raises(HeaderError, match=name):
        header_of(path)


@pytest.mark.parametrize("name", [name for name in WRITERS if not name.endswith(".zarr")])
def test_no_byte_makes_a_traceback(copy, name):
    path = copy(name)
    sound, chance = path.read_bytes(), random.Random(name)
    for _ in range(150):
        damaged = bytearray(sound[: chance.choice([len(sound), chance.randrange(len(sound))])])
        for _ in range(chance.choice([0, 1, 4, 64])):
            within = min(len(damaged), chance.choice([400, 4096, len(sound)]))
            if within:
                damaged[chance.randrange(within)] = chance.randrange(256)
        path.write_bytes(damaged)
        assert str(path) in message_of(path)


VALUES = (None, True, 0, -1, 1.5, 1e308, math.nan, "", "x", "..", [], {}, [1], {"a": 1}, 10**400)


def places_in(data, place=()):
    yield place
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from places_in(value, (*place, key))
        else:
            yield (*place, key)


@pytest.mark.parametrize(
    "file", ["v05.ome.zarr/zarr.json", "v04.ome.zarr/.zattrs", "v04.ome.zarr/0/.zarray"]
)
def test_no_json_makes_a_traceback(copy, file):
    root, _, inner = file.partition("/")
    path = copy(root)
    text = (path / inner).read_text()
    chance = random.Random(file)
    for place in places_in(json.loads(text)):
        if place:
            data = json.loads(text)
            owner = data
            for key in place[:-1]:
                owner = owner[key]
            owner[place[-1]] = chance.choice(VALUES)
            (path / inner).write_text(json.dumps(data))
            assert str(path) in message_of(path)


@pytest.mark.parametrize(
    ("name", "library"), [("imaris.ims", "h5py"), ("nifti.nii", "nibabel"), ("nifti.nii", "numpy")]
)
def test_missing_library_says_what_to_install(images, monkeypatch, name, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"{library} .*spimpack_tasks\[images\]"):
        header_of(images / name)


HEAVY = {"zarr", "dask", "zarrnii", "tifffile", "ngff_zarr", "pandas", "luigi"}


def test_common_formats_load_no_heavy_library(images):
    names = [name for name in WRITERS if ".nii" not in name]
    code = (
        "import sys\nfrom spimpack_tasks.volumes.read_header import read_header\n"
        f"for name in {names!r}:\n"
        f"    read_header({str(images)!r} + '/' + name, name)\n"
        "    print(name, *{m.partition('.')[0] for m in sys.modules})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {line.split()[0]: set(line.split()[1:]) for line in done.stdout.splitlines()}
    luigi_of_the_package = {"luigi"}  # by `import spimpack_tasks` itself
    for name, modules in loaded.items():
        assert not modules & (HEAVY - luigi_of_the_package), name
    assert "numpy" not in loaded["zipped.ozx"]


def test_nothing_is_written(images):
    before = {p: p.stat() for p in sorted(images.rglob("*"))}
    for name in WRITERS:
        header_of(images / name)
    after = {p: p.stat() for p in sorted(images.rglob("*"))}
    strip = lambda status: (status.st_size, status.st_mtime_ns, status.st_ino)  # noqa: E731
    assert {p: strip(s) for p, s in before.items()} == {p: strip(s) for p, s in after.items()}


def test_no_file_stays_open(images):
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for name in WRITERS:
        header_of(images / name)
        with pytest.raises(HeaderError):
            read_header(str(images / "plain.tif"), "OME-TIFF")
    assert (len(os.listdir("/proc/self/fd")) if before else 0) <= before


@pytest.mark.parametrize("form", [form.name for form in FORMATS])
def test_a_name_that_no_file_has_is_told(tmp_path, form):
    for name in ("nul\0.x", "lone\ud800.x", "x" * 300):
        with pytest.raises(HeaderError):
            read_header(str(tmp_path / name), form)


def test_a_name_that_is_not_utf8(images, tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff.ims"
    shutil.copyfile(images / "imaris.ims", path)
    assert read_header(os.fsdecode(path), ".ims").channel_names == NAMES


def test_a_header_can_be_compared_and_changed(images):
    header = header_of(images / "imaris.ims")
    assert replace(header, channel_count=3) != header == header_of(images / "imaris.ims")
