"""OME-TIFF as programs write it: planes in any order, in several files, with metadata elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import conversions
import numpy as np
import pytest
import tifffile
import zarr
from ome_sets import (
    IMAGEJ,
    Xml,
    binary_only,
    in_order,
    piece,
    stack,
    uuid,
    write,
    write_micro_manager,
)
from ome_types import from_xml

from spimpack_tasks.conversion.convert_file import (
    ConversionRefusedError,
    compare_file,
    convert_file,
)
from spimpack_tasks.files.held_folders import TargetTakenError
from spimpack_tasks.model.selection import Selection
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.source_errors import UNCONVERTIBLE
from spimpack_tasks.volumes.tiff import levels as tiff_source
from spimpack_tasks.volumes.tiff.ome_levels import find_ome_planes
from spimpack_tasks.volumes.volume import open_levels, open_volume

VOXELS = stack(2, 2, 3)
ONE = VOXELS[:1]
Made = tuple[Path, np.ndarray]


def one_file(order: str, pieces: str = "", second: str = "") -> Callable[[Path], Made]:
    """Return what makes a file of planes in the order that its OME-XML tells."""

    def make(folder: Path) -> Made:
        path = folder / "image.ome.tif"
        write(
            path,
            in_order(VOXELS, order),
            Xml(VOXELS, order, pieces).text("image.ome.tif"),
            second,
        )
        return path, VOXELS

    return make


def backwards(folder: Path) -> Made:
    """Planes that lie in the file in the opposite order."""
    order = [(t, c, z) for t in range(2) for c in range(2) for z in range(3)]
    pieces = [
        piece(IFD=number, FirstT=t, FirstC=c, FirstZ=z)
        for number, (t, c, z) in enumerate(reversed(order))
    ]
    path = folder / "image.ome.tif"
    write(path, in_order(VOXELS, "XYZCT")[::-1], Xml(VOXELS, tiff_data="".join(pieces)).text())
    return path, VOXELS


def renamed(folder: Path) -> Made:
    """A file whose OME-XML has the name that it was written under."""
    xml = Xml(VOXELS, tiff_data=piece("before.ome.tif", "urn:uuid:1", IFD=0, PlaneCount=12))
    write(folder / "after.ome.tif", in_order(VOXELS, "XYZCT"), xml.text())
    return folder / "after.ome.tif", VOXELS


def channels_apart(asked: int, *, wholly: bool = True) -> Callable[[Path], Made]:
    """Return what makes a set with a file for each channel, and asks for one of them."""

    def make(folder: Path) -> Made:
        names = ["c0.ome.tif", "c1.ome.tif"]
        pieces = "".join(piece(name, IFD=0, PlaneCount=6, FirstC=n) for n, name in enumerate(names))
        xml = Xml(VOXELS, "XYZTC", pieces)
        for number, name in enumerate(names):
            planes = in_order(VOXELS[:, number : number + 1], "XYZTC")
            write(folder / name, planes, xml.text(name) if wholly else _binary(folder, xml, name))
        return folder / names[asked], VOXELS

    return make


def _binary(folder: Path, xml: Xml, name: str) -> str:
    (folder / "set.companion.ome").write_text(xml.text("set.companion.ome"))
    return binary_only("set.companion.ome", name)


def each_plane_a_file(folder: Path) -> Made:
    """A set of as many files as planes, named without numbers of planes."""
    pieces = [
        piece(f"t{t}c{c}z{z}.ome.tif", FirstT=t, FirstC=c, FirstZ=z)
        for t, c, z in np.ndindex(2, 2, 3)
    ]
    xml = Xml(VOXELS, tiff_data="".join(pieces))
    for t, c, z in np.ndindex(2, 2, 3):
        name = f"t{t}c{c}z{z}.ome.tif"
        write(folder / name, [VOXELS[t, c, z]], xml.text(name))
    return folder / "t1c0z2.ome.tif", VOXELS


def companion_of_one(pieces: str) -> Callable[[Path], Made]:
    """Return what makes metadata of a set that has one file."""

    def make(folder: Path) -> Made:
        write(
            folder / "only.ome.tif",
            in_order(VOXELS, "XYCZT"),
            _binary(folder, Xml(VOXELS, "XYCZT", pieces), "only.ome.tif"),
        )
        return folder / "only.ome.tif", VOXELS

    return make


def companion_of_two_images(folder: Path) -> Made:
    """One companion for two images, of which the second is asked for."""
    other = stack(1, 1, 4, seed=5)
    xml = Xml(other, tiff_data=piece("other.ome.tif", IFD=0, PlaneCount=4))
    xml.others = [Xml(VOXELS, tiff_data=piece("image.ome.tif", IFD=0, PlaneCount=12))]
    write(folder / "other.ome.tif", in_order(other, "XYZCT"), _binary(folder, xml, "other.ome.tif"))
    text = binary_only("set.companion.ome", "image.ome.tif")
    write(folder / "image.ome.tif", in_order(VOXELS, "XYZCT"), text)
    return folder / "image.ome.tif", VOXELS


def micro_manager(position: int) -> Callable[[Path], Made]:
    """Return what makes three positions, and asks for one of them."""

    def make(folder: Path) -> Made:
        voxels = [stack(2, 2, 3, seed) for seed in range(3)]
        return write_micro_manager(folder, "exp_1", voxels)[position], voxels[position]

    return make


def micro_manager_in_one_file(folder: Path) -> tuple[Path, list[np.ndarray]]:
    """Three positions in one file, and the voxels of each."""
    voxels = [stack(1, 2, 3, seed) for seed in range(3)]
    name, planes = "exp_MMStack.ome.tif", []
    images = []
    for position in voxels:
        pieces = []
        for t, z, c in np.ndindex(1, 3, 2):
            pieces.append(piece(name, IFD=len(planes), PlaneCount=1, FirstT=t, FirstC=c, FirstZ=z))
            planes.append(position[t, c, z])
        images.append(Xml(position, "XYCZT", "".join(pieces), f"Pos{len(images)}"))
    images[0].others = images[1:]
    write(folder / name, planes, images[0].text(name), IMAGEJ.format(n=len(planes)))
    return folder / name, voxels


ORDERS = ("XYZCT", "XYZTC", "XYCZT", "XYCTZ", "XYTZC", "XYTCZ")
SOUND = {
    **{f"b4-no-tiffdata-{order}": one_file(order) for order in ORDERS},
    "b4-empty-tiffdata": one_file("XYCTZ", piece()),
    "b4-number-of-planes": one_file("XYTZC", piece(IFD=0, PlaneCount=12)),
    "b4-old-word": one_file("XYTZC", piece(NumPlanes=12)),
    "b4-names-itself": one_file("XYCZT", piece("image.ome.tif")),
    "b4-backwards": backwards,
    "b4-renamed": renamed,
    "b4-set-of-one": companion_of_one(piece("only.ome.tif", IFD=0, PlaneCount=12)),
    "b4-set-of-one-without-tiffdata": companion_of_one(""),
    "b2-first-of-a-set": channels_apart(0),
    "b2-second-of-a-set": channels_apart(1),
    "b2-companion-set": channels_apart(1, wholly=False),
    "b2-each-plane-a-file": each_plane_a_file,
    "b2-companion-of-two": companion_of_two_images,
    "c2-first-position": micro_manager(0),
    "c2-second-position": micro_manager(1),
    "c2-last-position": micro_manager(2),
    "c2-imagej-first": one_file("XYCZT", second="<OME/>"),
}  # fmt: skip


@pytest.fixture(params=SOUND)
def sound(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    """A sound file, and the voxels of its image along t, c, z, y, x."""
    return SOUND[request.param](tmp_path)


def read_all(path: Path) -> np.ndarray:
    with open_volume(str(path)) as volume:
        level = volume.levels[0]
        return level.read(tuple(slice(0, n) for n in level.shape))


def faults(source: Path, target: Path) -> list[str]:
    return list(conversions.compare(source, target))


def test_each_plane_is_where_the_specification_has_it(sound: Made) -> None:
    path, voxels = sound
    header = read_header(str(path), "OME-TIFF")
    sizes = dict(zip(header.axes, header.shapes[0], strict=True))
    assert tuple(sizes[axis] for axis in "tczyx") == voxels.shape
    assert header.spacing_um_xyz == (0.5, 0.5, 2.0)
    np.testing.assert_array_equal(read_all(path), voxels)


@pytest.mark.parametrize("ending", [".ome.zarr", ".ome.tif"])
def test_a_set_is_converted_whole(sound: Made, tmp_path: Path, ending: str) -> None:
    path, voxels = sound
    target = tmp_path / f"made{ending}"
    assert convert_file(str(path), str(target), Request(codec="", ngff=""), 1, lambda _: None)
    if ending == ".ome.tif":
        made = tifffile.imread(target)
    else:
        made = zarr.open_array(target / "0", mode="r")[:]
    np.testing.assert_array_equal(made.reshape(voxels.shape), voxels)
    assert faults(path, target) == []


def test_b4_the_generator_writes_what_ome_types_reads() -> None:
    pixels = (
        from_xml(Xml(VOXELS, "XYCZT", piece("a.ome.tif", IFD=3, FirstC=1)).text("b"))
        .images[0]
        .pixels
    )
    assert (pixels.dimension_order.value, pixels.size_c, pixels.size_z) == ("XYCZT", 2, 3)
    [block] = pixels.tiff_data_blocks
    assert (block.ifd, block.first_c, block.uuid.file_name) == (3, 1, "a.ome.tif")


def test_b4_comparison_takes_another_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds planes for a conversion is wrong, and the comparison finds it."""
    path, _ = one_file("XYCZT")(tmp_path)

    def wrong(source: str, scene: str) -> object:
        planes = find_ome_planes(source, scene)
        assert planes is not None
        return replace(planes, places=(planes.places[1], planes.places[0], *planes.places[2:]))

    monkeypatch.setattr(tiff_source, "find_ome_planes", wrong)
    target = tmp_path / "made.ome.zarr"
    convert_file(str(path), str(target), Request(codec="", ngff=""), 1, lambda _: None)
    assert any("differ" in fault for fault in faults(path, target))


def test_b2_the_members_of_a_set_are_told(tmp_path: Path) -> None:
    path, _ = channels_apart(0)(tmp_path)
    assert read_header(str(path), "OME-TIFF").other_files == (str(tmp_path / "c1.ome.tif"),)
    assert read_header(str(renamed(tmp_path)[0]), "OME-TIFF").files_needed == ()
    paths = write_micro_manager(tmp_path, "mm", [VOXELS, VOXELS])
    header = read_header(str(paths[1]), "OME-TIFF")
    assert (header.other_files, header.metadata_file) == ((), str(paths[0]))
    assert header.files_needed == (str(paths[0]),)
    assert read_header(str(paths[0]), "OME-TIFF").files_needed == ()


def test_b5_the_images_of_a_file_are_listed(tmp_path: Path) -> None:
    path, _ = micro_manager_in_one_file(tmp_path)
    for asked, says in (("", "has 3 scenes: 0 'Pos0' of"), ("Pos3", "none that is 'Pos3'")):
        with pytest.raises(HeaderError, match=says) as refused:
            read_header(str(path), "OME-TIFF", Selection(asked))
        assert refused.value.code == "source.scene"
    path, _ = micro_manager(1)(tmp_path)
    assert read_header(str(path), "OME-TIFF").scenes == ()


@pytest.mark.parametrize("ending", [".ome.zarr", ".ome.tif"])
@pytest.mark.parametrize("scene", ["0", "1", "Pos2"], ids=lambda scene: f"o06-{scene}")
def test_an_image_of_several_is_converted(tmp_path: Path, scene: str, ending: str) -> None:
    path, positions = micro_manager_in_one_file(tmp_path)
    chosen = Selection(scene)
    header = read_header(str(path), "OME-TIFF", chosen)
    assert [one.name for one in header.scenes] == ["Pos0", "Pos1", "Pos2"]
    assert header.scenes[header.scene].name == f"Pos{header.scene}"
    target = tmp_path / f"made{ending}"
    request = Request(codec="", ngff="", scene=scene)
    assert convert_file(str(path), str(target), request, 1, lambda _: None)
    made = read_all(target)
    np.testing.assert_array_equal(made, positions[int(scene[-1])])
    assert list(compare_file(str(path), str(target), lambda _: None, chosen)) == []
    other = Selection("0" if scene != "0" else "1")
    assert list(compare_file(str(path), str(target), lambda _: None, other))
    assert not convert_file(str(path), str(target), request, 1, lambda _: None)
    other_request = replace(request, scene=other.scene)
    with pytest.raises(TargetTakenError):
        convert_file(str(path), str(target), other_request, 1, lambda _: None)


AWAY = piece("../secret.ome.tif", "urn:uuid:9", IFD=0, PlaneCount=12)


def lacks_a_file(folder: Path) -> Path:
    path, _ = channels_apart(0)(folder)
    (folder / "c1.ome.tif").unlink()
    return path


def names(name: str) -> Callable[[Path], Path]:
    """Return what makes a file that has half of its planes elsewhere, in a file that is there."""

    def make(folder: Path) -> Path:
        inner = folder / "inner"
        inner.mkdir()
        write(folder / "secret.ome.tif", in_order(VOXELS, "XYZCT"), Xml(VOXELS).text())
        shown = name.replace("ABS", str(folder))
        pieces = piece(IFD=0, PlaneCount=6) + piece(
            shown, "urn:uuid:9", IFD=0, PlaneCount=6, FirstT=1
        )
        write(
            inner / "image.ome.tif",
            in_order(VOXELS[:1], "XYZCT"),
            Xml(VOXELS, tiff_data=pieces).text(),
        )
        (inner / "link.ome.tif").symlink_to(folder / "secret.ome.tif")
        (inner / "folder").symlink_to(folder)
        return inner / "image.ome.tif"

    return make


def pipe(folder: Path) -> Path:
    path, _ = channels_apart(0)(folder)
    (folder / "c1.ome.tif").unlink()
    os.mkfifo(folder / "c1.ome.tif")
    return path


def with_xml(text: str, planes: int = 12) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write(folder / "image.ome.tif", in_order(VOXELS, "XYZCT")[:planes], text)
        return folder / "image.ome.tif"

    return make


def of(pieces: str) -> Callable[[Path], Path]:
    return with_xml(Xml(VOXELS, tiff_data=pieces).text())


def read_otherwise(text: str) -> Callable[[Path], Path]:
    """Return what makes a file whose OME-XML is no description to us, and one to tifffile."""

    def make(folder: Path) -> Path:
        xml = f"<!-- {'x' * 5000} -->{text.partition('?>')[2]}"
        inner = names("../secret.ome.tif")(folder)
        write(inner, in_order(ONE, "XYZCT"), xml)
        return inner

    return make


MODULO = (
    '<StructuredAnnotations><XMLAnnotation ID="Annotation:0" Namespace="openmicroscopy.org/omero/'
    'dimension/modulo"><Value><Modulo><ModuloAlongZ Type="phase" Start="0" End="2"/></Modulo>'
    "</Value></XMLAnnotation></StructuredAnnotations></OME>"
)
REFUSED = {
    "b4-modulo": (with_xml(Xml(VOXELS).text().replace("</OME>", MODULO)), "hold several ones"),
    "f6-hidden": (read_otherwise(Xml(VOXELS, tiff_data=AWAY).text()), "holds no OME-XML"),
    "b2-lacks-a-file": (lacks_a_file, "lacks 6 of its planes: 'c1.ome.tif' should be beside it"),
    "f5-pipe": (pipe, "is not a regular file"),
    "f6-up": (names("../secret.ome.tif"), "is not in its folder"),
    "f6-absolute": (names("ABS/secret.ome.tif"), "is not in its folder"),
    "f6-link": (names("link.ome.tif"), "is not in its folder"),
    "f6-linked-folder": (names("folder/secret.ome.tif"), "is not in its folder"),
    "f6-nul": (names("a\ufffdb"), "lacks 6 of its planes"),
    "f6-companion-up": (with_xml(binary_only("../a.ome", "image.ome.tif")), "is not in its folder"),
    "b4-twice": (of(piece(IFD=0) + piece(IFD=1)), "names plane 0 twice"),
    "b4-beyond": (of(piece(IFD=0, FirstC=2)), "a plane at c = 2, of a size of 2"),
    "b4-too-many": (of(piece(IFD=0, PlaneCount=13)), "12 planes, but names 13"),
    "b4-no-number": (of(piece(IFD=0, PlaneCount="x")), "a PlaneCount of 'x'"),
    "b4-pages-lack": (with_xml(Xml(VOXELS).text(), 7), "lacks 5 of its planes"),
    "b4-no-such-page": (of(piece(IFD=2, PlaneCount=12)), "lacks 2 of"),
    "b4-pages-without-place": (with_xml(Xml(VOXELS[:1]).text()), "6 planes, but names 12"),
    "b4-two-images": (with_xml(Xml(ONE, others=[Xml(ONE)]).text()), "has 2 scenes"),
    "b4-no-name": (of(f"<TiffData><UUID>{uuid('x')}</UUID></TiffData>"), "a file without a name"),
    "b2-no-companion": (with_xml(binary_only("a.ome", "image.ome.tif")), "which is not there"),
}  # fmt: skip


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize(("make", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_whole_is_refused(
    tmp_path: Path, make: Callable[[Path], Path], says: str
) -> None:
    path = make(tmp_path)
    with pytest.raises(UNCONVERTIBLE, match=says), open_volume(str(path)):
        pass
    target = tmp_path / "made.ome.zarr"
    with pytest.raises(ConversionRefusedError, match=says):
        convert_file(str(path), str(target), Request(codec="", ngff=""), 1, lambda _: None)
    assert not target.exists()


ZSTD, RAW = {"compression": "zstd"}, {"compression": None}
FORMS = {
    "predictor": (ZSTD, ZSTD | {"predictor": True}, "unlike"),
    "compression of one": (RAW, ZSTD, "unlike"),
    "none of one": (ZSTD, RAW, "unlike"),
    "strips": (ZSTD | {"rowsperstrip": 4}, ZSTD | {"rowsperstrip": 8}, "unlike"),
    "tiles": (RAW, RAW | {"tile": (16, 16)}, "unlike"),
    "one strip, told by two numbers": (RAW | {"rowsperstrip": 2**20}, RAW, "alike"),
    "alike": (ZSTD, ZSTD, "alike"),
}


@pytest.mark.parametrize("name", ["pages.ome.tif", "pages.tif"])
@pytest.mark.parametrize(("usual", "odd", "verdict"), FORMS.values(), ids=FORMS)
def test_a_page_that_is_stored_in_another_way_is_read_right_or_refused(
    usual: dict[str, object], odd: dict[str, object], verdict: str, name: str, tmp_path: Path
) -> None:
    voxels = np.random.default_rng(3).integers(0, 999, (1, 1, 9, 32, 48), "u2")
    path, is_ome = tmp_path / name, ".ome" in name
    told = {"description": Xml(voxels).text()} if is_ome else {}
    with tifffile.TiffWriter(path) as file:
        for number, plane in enumerate(voxels[0, 0]):
            form = odd if number == 5 else usual
            first = told if number == 0 else {}
            file.write(plane, metadata=None, contiguous=False, **form, **first)
    with tifffile.TiffFile(path) as file:
        pages = [page.aspage().asarray() for page in file.pages]
    assert np.array_equal(pages, voxels[0, 0])

    def read() -> np.ndarray:
        selection = Selection(axes="" if is_ome else "zyx")
        with open_volume(str(path), selection=selection) as volume:
            level = volume.levels[0]
            return np.asarray(level.read(tuple(slice(0, n) for n in level.shape)))

    if verdict == "alike":
        assert np.array_equal(read(), voxels)
    else:
        with pytest.raises(UNCONVERTIBLE, match=r"not as the first|incompatible keyframe"):
            read()


def test_b2_a_companion_that_names_the_file_for_none(tmp_path: Path) -> None:
    companion_of_two_images(tmp_path)
    path = tmp_path / "third.ome.tif"
    write(path, in_order(VOXELS, "XYZCT"), binary_only("set.companion.ome", path.name))
    with pytest.raises(HeaderError, match="describes 2 images and names it for none"):
        read_header(str(path), "OME-TIFF")


def test_b4_pyramid_of_a_set(tmp_path: Path) -> None:
    """Smaller versions of planes are found by the planes, in whatever order those are."""
    shape = (2, 3, 64, 80)
    voxels = np.arange(np.prod(shape)).reshape(shape).astype("uint16")
    path = tmp_path / "pyramid.ome.tif"
    text = Xml(voxels[None], "XYCZT").text()
    with tifffile.TiffWriter(path, ome=False) as tiff:
        for z, c in np.ndindex(3, 2):
            options = {"metadata": None, "photometric": "minisblack", "tile": (16, 16)}
            tiff.write(voxels[c, z], subifds=1, description=text.encode() or None, **options)
            tiff.write(voxels[c, z, ::2, ::2], subfiletype=1, **options)
            text = ""
    with open_levels(str(path), "OME-TIFF") as levels:
        for step, level in enumerate(levels, 1):
            found = level.read(tuple(slice(0, n) for n in level.shape))
            assert level.axes == ("z", "c", "y", "x")
            np.testing.assert_array_equal(found.swapaxes(0, 1), voxels[..., ::step, ::step])


def test_b4_colours_are_channels(tmp_path: Path) -> None:
    voxels = np.arange(3 * 2 * 6 * 7).reshape(2, 6, 7, 3).astype("uint8")
    xml = Xml(voxels.transpose(3, 0, 1, 2)[None], channels='<Channel ID="c" SamplesPerPixel="3"/>')
    path = tmp_path / "colours.ome.tif"
    with tifffile.TiffWriter(path, ome=False) as tiff:
        for plane, text in zip(voxels, (xml.text().encode(), None), strict=True):
            tiff.write(plane, description=text, metadata=None, photometric="rgb")
    np.testing.assert_array_equal(read_all(path)[0], voxels.transpose(3, 0, 1, 2))
    target = tmp_path / "made.ome.zarr"
    convert_file(str(path), str(target), Request(codec="", ngff=""), 1, lambda _: None)
    assert faults(path, target) == []


def test_f6_a_plain_tiff_reads_no_other_file(tmp_path: Path) -> None:
    """OME-XML that is far behind, and files of Micro-Manager without any, beside a link away."""
    hidden = read_otherwise(Xml(VOXELS, tiff_data=AWAY).text())(tmp_path)
    path = hidden.with_name("plain.tif")
    hidden.rename(path)
    with open_volume(str(path), selection=Selection(axes="zyx")) as volume:
        voxels = volume.levels[0].read((slice(0, 1), slice(0, 1), *[slice(None)] * 3))
    np.testing.assert_array_equal(voxels[0, 0], in_order(ONE, "XYZCT"))


def test_b2_a_large_set(tmp_path: Path) -> None:
    """The file that is asked for is named behind thousands of others."""
    others = "".join(piece(f"n{n}.ome.tif", IFD=0, FirstZ=n) for n in range(5000))
    voxels = np.zeros((1, 1, 5001, 6, 7), "uint16")
    xml = Xml(ONE[:, :1], tiff_data=piece("a.ome.tif", IFD=0, PlaneCount=3))
    xml.others = [Xml(voxels, tiff_data=others + piece("own.ome.tif", IFD=0, FirstZ=5000))]
    write(tmp_path / "own.ome.tif", voxels[0, 0, :1], xml.text("own.ome.tif"))
    header = read_header(str(tmp_path / "own.ome.tif"), "OME-TIFF")
    assert header.shapes[0] == (1, 1, 5001, 6, 7)
    says = r"lacks 5000 of its planes: .* and 4997 more"
    with pytest.raises(UNCONVERTIBLE, match=says), open_volume(str(tmp_path / "own.ome.tif")):
        pass


@pytest.mark.parametrize("make", [one_file("XYZCT"), renamed, channels_apart(0)])
def test_14_a_folder_of_many_images_is_not_listed_for_each_of_them(
    make: Callable[[Path], Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = make(tmp_path)
    listed: list[str] = []
    monkeypatch.setattr(os, "listdir", lambda folder: listed.append(folder) or [])
    header = read_header(str(path), "OME-TIFF")
    assert header.shapes
    assert listed == []


def test_14_files_that_begin_alike_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    """A header is known from a file with the same bytes, unless it names other files."""
    path, _ = channels_apart(0)(tmp_path)
    (tmp_path / "copy").mkdir()
    copy = tmp_path / "copy" / path.name
    copy.write_bytes(path.read_bytes())
    for place in (path, copy):
        others = read_header(str(place), "OME-TIFF").other_files
        assert others == (str(place.parent / "c1.ome.tif"),)


def test_14_a_file_that_begins_alike_and_is_cut_off_is_refused(tmp_path: Path) -> None:
    whole, part = tmp_path / "whole.ome.tif", tmp_path / "part.ome.tif"
    tifffile.imwrite(whole, np.zeros((64, 64), "uint16"), ome=True)
    assert read_header(str(whole), "OME-TIFF").shapes == ((1, 1, 1, 64, 64),)
    part.write_bytes(whole.read_bytes()[:5000])
    with pytest.raises(HeaderError, match="cut off"):
        read_header(str(part), "OME-TIFF")
