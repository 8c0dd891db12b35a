"""The metadata of sources: retrieved as they are, kept in the images that are made, listed."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import nd2
import numpy as np
import pytest
import tifffile
from czi_sources import Czi, write_czi
from lif_sources import Lif, write_lif
from lsm_sources import Lsm, write_lsm
from nd2_sources import Nd2, write_nd2
from ome_sets import Xml, in_order, stack, write
from ome_types import from_xml
from plane_sources import write_imaris, write_nifti
from pylibCZIrw import czi
from thorlabs_sources import Raw, write_raw

from spimpack_tasks.api import open_image, probe_image
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode

VOXELS = stack(1, 2, 3)
FACTS = {"who": "Ada <ä&b>", "wo": "\N{MICRO SIGN}m"}
ANNOTATIONS = (
    "<StructuredAnnotations>"
    '<MapAnnotation ID="Annotation:7" Namespace="lab.example/one"><Value>'
    '<M K="who">Ada &lt;ä&amp;b&gt;</M><M K="wo">µm</M></Value></MapAnnotation>'
    '<XMLAnnotation ID="Annotation:8" Namespace="lab.example/two"><Value>'
    '<t:stage xmlns:t="urn:stage" x="1.5">left</t:stage></Value></XMLAnnotation>'
    "</StructuredAnnotations>"
)
ROI = '<ROI ID="ROI:0"><Union><Point ID="Shape:0" X="1" Y="1"/></Union></ROI>'


def write_ome(path: Path) -> Path:
    text = Xml(VOXELS).text().replace("</OME>", f"{ANNOTATIONS}{ROI}</OME>")
    assert ROI in text
    write(path, in_order(VOXELS, "XYZCT"), text)
    return path


def text_of_czi(path: Path) -> str:
    with czi.open_czi(str(path)) as document:
        return str(document.raw_metadata)


def text_of_tiff(path: Path) -> str:
    with tifffile.TiffFile(path) as file:
        return str(file.pages[0].tags["ImageDescription"].value).strip()


def write_imagej(path: Path) -> Path:
    tifffile.imwrite(path, VOXELS[0].transpose(1, 0, 2, 3), imagej=True)
    return path


def beside(path: Path) -> str:
    return (path.parent / "Experiment.xml").read_text()


TEXTS = {
    "a.ome.tif": (write_ome, "OME-XML", text_of_tiff),
    "a.tif": (write_imagej, "ImageJ", text_of_tiff),
    "a.czi": (lambda path: write_czi(path, Czi()), "CZI", text_of_czi),
    "a.raw": (lambda path: write_raw(path, Raw()), "Experiment.xml", beside),
}
KEYS = {
    "a.lsm": (lambda path: write_lsm(path, Lsm()), "CZ_LSMINFO", ("VoxelSizeX",), 1.0378e-6),
    "a.nii": (lambda path: write_nifti(path, VOXELS), "NIfTI", ("sizeof_hdr",), 348),
    "a.ims": (lambda path: write_imaris(path, VOXELS), "Imaris", ("Image", "Unit"), "um"),
    "a.nd2": (
        lambda path: write_nd2(path, Nd2()),
        "ND2",
        ("ImageAttributesLV", "SLxImageAttributes", "Width"),
        17,
    ),
}


@pytest.mark.parametrize("name", TEXTS, ids=[f"o26-{name}" for name in TEXTS])
def test_texts_are_as_in_the_file(tmp_path, name):
    make, key, expected = TEXTS[name]
    make(tmp_path / name)
    wanted = expected(tmp_path / name)
    assert probe_image(tmp_path / name).original == {key: wanted}
    with open_image(tmp_path / name) as image:
        assert image.original[key] == wanted


@pytest.mark.parametrize("name", KEYS, ids=[f"o26-{name}" for name in KEYS])
def test_structures_are_json(tmp_path, name):
    make, key, place, wanted = KEYS[name]
    make(tmp_path / name)
    found = json.loads(probe_image(tmp_path / name).original[key])
    for step in place:
        found = found[step]
    assert found == (pytest.approx(wanted) if isinstance(wanted, float) else wanted)


def test_o26_the_xml_of_a_lif(tmp_path):
    path = write_lif(tmp_path / "a.lif", [Lif()])
    text = probe_image(path).original["LIF"]
    assert text.encode("utf-16-le") in path.read_bytes()
    assert text.endswith("</LMSDataContainerHeader>")


def test_o26_nd2_agrees_with_the_library(tmp_path):
    path = write_nd2(tmp_path / "a.nd2", Nd2())
    with nd2.ND2File(path) as file:
        wanted = json.loads(json.dumps(file.unstructured_metadata()))
    assert json.loads(probe_image(path).original["ND2"]) == wanted


def convert(source: Path, target: Path, *options: str) -> Path:
    assert main(["convert", str(source), str(target), *options]) == ExitCode.OK
    return target


@pytest.mark.parametrize("first", [".ome.tif", ".ome.zarr"])
@pytest.mark.parametrize("second", [".ome.tif", ".ome.zarr"])
@pytest.mark.parametrize("name", ["a.czi", "a.tif", "a.ome.tif"], ids=lambda name: f"o28-{name}")
def test_a_second_conversion_keeps_those_of_the_first_source(tmp_path, name, first, second):
    make, key, expected = TEXTS[name]
    make(tmp_path / name)
    wanted = expected(tmp_path / name)
    one = convert(tmp_path / name, tmp_path / f"one{first}")
    assert probe_image(one).original[key] == wanted
    two = convert(one, tmp_path / f"two{second}")
    assert probe_image(two).original[key] == wanted
    assert str(tmp_path) not in probe_image(two).original[key]


def annotations_of(path: Path) -> tuple[dict[str, dict[str, str]], ET.Element]:
    """Return the maps of an OME-TIFF by namespace, and its annotation of XML, by ElementTree."""
    root = ET.fromstring(text_of_tiff(path))
    maps = {
        each.get("Namespace", ""): {
            m.get("K", ""): m.text or "" for m in each.iter() if m.tag.endswith("}M")
        }
        for each in root.iterfind("{*}StructuredAnnotations/{*}MapAnnotation")
    }
    [xml] = root.findall("{*}StructuredAnnotations/{*}XMLAnnotation")
    return maps, xml


@pytest.mark.parametrize("between", [".ome.tif", ".ome.zarr"])
def test_o44_each_namespace_survives_two_conversions(tmp_path, between):
    source = write_ome(tmp_path / "a.ome.tif")
    one = convert(source, tmp_path / f"one{between}")
    two = convert(one, tmp_path / "two.ome.tif")
    maps, xml = annotations_of(two)
    assert maps["lab.example/one"] == FACTS
    assert maps.keys() == {"lab.example/one", "spimpack_tasks", "spimpack_tasks/original"}
    assert xml.get("Namespace") == "lab.example/two"
    [stage] = xml.iter("{urn:stage}stage")
    assert (stage.get("x"), stage.text) == ("1.5", "left")
    made = from_xml(text_of_tiff(two), validate=True)
    assert len(made.images[0].annotation_refs) == 4
    with open_image(two) as image:
        assert np.array_equal(image.levels[0][...], VOXELS.transpose(0, 2, 1, 3, 4))


def test_o29_parts_that_are_not_used_are_listed(tmp_path, capsys):
    path = write_ome(tmp_path / "a.ome.tif")
    assert main(["info", str(path)]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "not used    ROI (1)" in shown
    assert "annotation 'lab.example/one'" in shown
    assert main(["info", "--original", "--format", "json", str(path)]) == ExitCode.OK
    [told] = json.loads(capsys.readouterr().out)
    assert told["original"] == {"OME-XML": text_of_tiff(path)}
    assert told["not_used"][0] == "ROI (1)"
    assert main(["info", "--original", str(path)]) == ExitCode.OK
    assert text_of_tiff(path)[:60] in capsys.readouterr().out


@pytest.mark.parametrize("ending", [".ome.tif", ".ome.zarr"])
def test_they_are_left_out_on_request(tmp_path, ending):
    path = write_czi(tmp_path / "a.czi", Czi())
    made = convert(path, tmp_path / f"a{ending}", "--drop-original")
    assert "CZI" not in probe_image(made).original


def test_texts_that_are_too_long_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr("spimpack_tasks.volumes.originals.MOST_KEPT", 100)
    made = convert(write_czi(tmp_path / "a.czi", Czi()), tmp_path / "a.ome.zarr")
    told = json.loads((made / "zarr.json").read_text())["attributes"]["spimpack_tasks"]
    assert "original" not in told
    assert told["left_out"].startswith("metadata 'CZI' of ")


def test_files_that_are_merged_keep_the_texts_of_each(tmp_path):
    for name in ("t1.tif", "t2.tif"):
        write_imagej(tmp_path / name)
    words = ["convert", str(tmp_path / "t1.tif"), str(tmp_path / "t2.tif"), "--merge", "T"]
    assert main([*words, str(tmp_path / "a.ome.zarr")]) == ExitCode.OK
    original = probe_image(tmp_path / "a.ome.zarr").original
    for name in ("t1.tif", "t2.tif"):
        assert original[f"ImageJ of {name}"] == text_of_tiff(tmp_path / name)
