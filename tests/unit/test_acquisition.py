"""The files that acquisition programs write beside their images are read right, or not at all."""

from __future__ import annotations

from pathlib import Path

import acquisition_files as written
import h5py
import numpy as np
import pytest
import tifffile

from spimpack_tasks.acquisition.facts import AcquisitionFacts
from spimpack_tasks.acquisition.programs import FileFinder
from spimpack_tasks.demo.images import DemoImage, write_imaris
from spimpack_tasks.volumes.read_header import read_header


def facts_beside(image: Path) -> tuple[str, AcquisitionFacts] | None:
    found = FileFinder().find(str(image))
    return (found.program.name, found.read(str(image))) if found else None


def put(root: Path, name: str, content: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


MESOSPIM = ("mesoSPIM-control", (6.55, 6.55, 5.0), 5)
SMARTSPIM = ("SmartSPIM", (1.8, 1.8, 2.0), None)
COLUMNS = ("SmartSPIM", (3.456, 3.456, 2.444), None)
MICROMANAGER = ("Micro-Manager", (0.65, 0.65, 1.5), None)
STITCHED = "s/Ex_561_Ch1_stitched"
RAW = "s/Ex_488_Em_525/046560/046560_-136000"

FOUND = {
    "beside a tiff": ("a.tif", "a.tif_meta.txt", written.mesospim(), MESOSPIM),
    "beside a raw": (
        "a.raw",
        "a.raw_meta.txt",
        written.EARLY_MESOSPIM,
        ("mesoSPIM-control", (6.55, 6.55, 1.0), 1100),
    ),
    "of a tile in a store": (
        "w.ome.zarr/Mag1_Tile0_Ch561.ome.zarr",
        "w.ome.zarr_Mag1_Tile0_Ch561.ome.zarr_meta.txt",
        written.mesospim(),
        MESOSPIM,
    ),
    "json above a stitched channel": (
        STITCHED,
        "s/metadata_9.json",
        written.smartspim(),
        SMARTSPIM,
    ),
    "json above a column and a place": (RAW, "s/metadata.json", written.smartspim(), SMARTSPIM),
    "text in Latin-1": (
        RAW,
        "s/metadata.txt",
        written.SMARTSPIM_COLUMNS.encode("latin-1"),
        COLUMNS,
    ),
    "text in UTF-8": (RAW, "s/metadata.txt", written.SMARTSPIM_COLUMNS, COLUMNS),
    "beside a stack": (
        "d/a_MMStack_Pos0.ome.tif",
        "d/a_MMStack_Pos0_metadata.txt",
        written.micro_manager(),
        MICROMANAGER,
    ),
    "in a folder": (
        "d/img_channel000_position000_time000000000_z000.tif",
        "d/metadata.txt",
        written.micro_manager(),
        MICROMANAGER,
    ),
    "in an ndtiff": (
        "d/a_NDTiffStack_1.tif",
        "d/a_NDTiffStack_1.tif",
        written.ndtiff_head(),
        ("Micro-Manager", (0.325, 0.325, 1.5), None),
    ),
}


@pytest.mark.parametrize("case", FOUND)
def test_i16_6_sizes_are_those_of_the_file(tmp_path: Path, case: str) -> None:
    image, name, content, expected = FOUND[case]
    put(tmp_path, name, content)
    found = facts_beside(tmp_path / image)
    assert found is not None
    program, facts = found
    assert (program, facts.spacing_um_xyz, facts.planes) == expected
    assert facts.doubts == ()


NOT_FOUND = {
    "of another image": ("b.tif", "a.tif_meta.txt", written.mesospim()),
    "a table of the user's": ("a.tif", "metadata.txt", "any text"),
    "two of one microscope": (STITCHED, "s/metadata_9.json", written.smartspim()),
}


@pytest.mark.parametrize("case", NOT_FOUND)
def test_i16_6_no_file_is_taken_for_that_of_another_image(tmp_path: Path, case: str) -> None:
    image, name, content = NOT_FOUND[case]
    put(tmp_path, name, content)
    put(tmp_path, "s/metadata_10.json", written.smartspim())
    assert facts_beside(tmp_path / image) is None


def test_i16_6_mesospim_tells_laser_lens_and_place(tmp_path: Path) -> None:
    put(tmp_path, "a.tif_meta.txt", written.mesospim())
    found = facts_beside(tmp_path / "a.tif")
    assert found is not None
    assert found[1].sidecar == {
        "SoftwareVersions": "mesoSPIM-control",
        "ExcitationWavelengths": [561.0],
        "StationName": "Benchtop 2",
        "InstitutionName": "University of Demo",
        "DeviceSerialNumber": "DEMO-001",
        "Immersion": "air",
        "NumericalAperture": 0.14,
        "Magnification": 5.0,
        "ImageFrames": 5.0,
        "AcquisitionDirection": "Z",
    }
    assert found[1].settings == (
        "laser 561 nm",
        "intensity in % 24",
        "zoom 1x",
        "filter 561LP",
        "shutter Left",
        "stage x in um 2500.5",
        "stage y in um 52987.74",
        "stage z in um from 22009.29",
        "to 20909.09",
        "step in um -5",
        "rotation in degrees 0",
        "exposure in s 0.02",
    )


def test_i16_6_smartspim_tells_laser_lens_and_time(tmp_path: Path) -> None:
    put(tmp_path, "s/metadata.json", written.smartspim(NA="0.2"))
    found = facts_beside(tmp_path / RAW)
    assert found is not None
    assert found[1].acquired_at == "2024-05-16T11:26:14"
    assert found[1].sidecar == {
        "Manufacturer": "LifeCanvas",
        "ManufacturersModelName": "SmartSPIM",
        "SoftwareVersions": "SmartSPIM 5.0.0.67",
        "Magnification": 3.6,
        "NumericalAperture": 0.2,
        "ExcitationWavelengths": [488.0],
    }
    assert found[1].settings == (
        "objective LCT 3.6x",
        "refractive index of immersion 1.52+",
        "scanning Fast",
        "power of laser 488 nm, left 20",
        "power of laser 488 nm, right 25",
    )


def test_i16_6_micromanager_tells_version_and_time(tmp_path: Path) -> None:
    put(tmp_path, "d/a_metadata.txt", written.micro_manager())
    found = facts_beside(tmp_path / "d/a.ome.tif")
    assert found is not None
    assert found[1].sidecar == {"SoftwareVersions": "Micro-Manager 2.0.3"}
    assert found[1].acquired_at == "2024-05-16T11:26:14.12-04:00"
    assert found[1].settings == ()


BROKEN = {
    "no section": ("a.tif", "a.tif_meta.txt", "some notes", "has neither [CFG] with [Laser]"),
    "two images": (
        "a.tif",
        "a.tif_meta.txt",
        written.mesospim() + "\n" + written.mesospim(step="7"),
        "tells 'z_stepsize' twice",
    ),
    "a size in words": (
        "a.tif",
        "a.tif_meta.txt",
        written.mesospim(pixel="fine"),
        "Pixelsize in um",
    ),
    "planes in words": ("a.tif", "a.tif_meta.txt", written.mesospim(planes="many"), "z_planes"),
    "no json": (STITCHED, "s/metadata.json", b"{'a': 1", "is no JSON"),
    "a list": (STITCHED, "s/metadata.json", b"[1]", "no object"),
    "deeply nested": (STITCHED, "s/metadata.json", b"[" * 100_000, "is no JSON"),
    "no session": (STITCHED, "s/metadata.json", b"{}", "has no session_config"),
    "no sizes": (STITCHED, "s/metadata.json", b'{"session_config": {"a": 1}}', "neither um/pix"),
    "one row": (STITCHED, "s/metadata.txt", b"Obj\tRes", "has no row of values"),
    "cut": ("d/a.ome.tif", "d/a_metadata.txt", '{"Summary": {"a', "no JSON"),
    "no summary": ("d/a.ome.tif", "d/a_metadata.txt", "{}", 'has no "Summary"'),
    "ndtiff without a mark": ("a_NDTiffStack.tif", "a_NDTiffStack.tif", b"II*\0" * 20, "NDTiff"),
    "ndtiff of a few bytes": ("a_NDTiffStack.tif", "a_NDTiffStack.tif", b"II*\0", "NDTiff"),
    "binary": ("a.tif", "a.tif_meta.txt", bytes(range(256)) * 9, "has neither [CFG] with [Laser]"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_i16_6_of_a_broken_file_the_reason_is_told(tmp_path: Path, case: str) -> None:
    image, name, content, reason = BROKEN[case]
    put(tmp_path, name, content)
    if name != image:
        put(tmp_path, image if "Ex_" not in image else f"{image}/000000.tif", b"")
    if "NDTiff" in image:
        name = image
    found = facts_beside(tmp_path / image)
    assert found is not None
    assert any(reason in doubt for doubt in found[1].doubts)
    assert None in found[1].spacing_um_xyz or "planes" in case


@pytest.mark.parametrize("text", ["0", "0.0", "", " "])
def test_i16_6_a_size_of_nothing_is_unknown(tmp_path: Path, text: str) -> None:
    put(tmp_path, "a.tif_meta.txt", written.mesospim(pixel=text))
    found = facts_beside(tmp_path / "a.tif")
    assert found is not None
    assert found[1].spacing_um_xyz == (None, None, 5.0)
    assert found[1].doubts == ()


def test_i16_6_a_pipe_is_no_file_of_metadata(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "a.tif_meta.txt")
    found = facts_beside(tmp_path / "a.tif")
    assert found is not None
    assert found[1].doubts == ("cannot be read: is not a regular file",)


def write_ome(path: Path, *lasers: str, unit: str = "nm") -> None:
    """Write an OME-TIFF of a channel for each laser; one without a wavelength is empty."""
    names = [f"c{number}" for number in range(len(lasers))]
    options = {"axes": "CYX", "Channel": {"Name": names}}
    pixels = np.zeros((len(lasers), 8, 8), "u2")
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata=options)
    with tifffile.TiffFile(path) as file:
        text = file.ome_metadata or ""
    for name, laser in zip(names, lasers, strict=True):
        told = f'ExcitationWavelength="{laser}" ExcitationWavelengthUnit="{unit}" ' if laser else ""
        text = text.replace(f'Name="{name}"', f'{told}Name="{name}"')
    tifffile.tiffcomment(path, text.encode())


def write_ims(path: Path, *lasers: str) -> None:
    """Write an Imaris file of a channel for each laser."""
    write_imaris(path, DemoImage(tuple("ab"[: len(lasers)]), (2, 8, 8), (4.0, 1.0, 1.0), levels=1))
    with h5py.File(path, "r+") as file:
        for number, laser in enumerate(lasers):
            text = np.frombuffer(laser.encode(), "S1")
            file[f"DataSetInfo/Channel {number}"].attrs["LSMExcitationWavelength"] = text


WAVELENGTHS = {
    "ome": (write_ome, ("488", "561.5"), (488.0, 561.5)),
    "ome, one of two": (write_ome, ("488", ""), ()),
    "ome, none": (write_ome, ("", ""), ()),
    "imaris": (write_ims, ("488 nm", "561"), (488.0, 561.0)),
    "imaris, unit twice": (write_ims, ("488 nm nm", "561 nm nm"), (488.0, 561.0)),
    "imaris, unknown": (write_ims, ("0", "561"), ()),
    "imaris, words": (write_ims, ("blue", "561"), ()),
    "imaris, a length": (write_ims, ("488000", "561"), ()),
}


@pytest.mark.parametrize("case", WAVELENGTHS)
def test_i16_6_lasers_are_those_of_the_header(tmp_path: Path, case: str) -> None:
    write, lasers, expected = WAVELENGTHS[case]
    path = tmp_path / ("a.ome.tif" if write is write_ome else "a.ims")
    write(path, *lasers)
    assert read_header(str(path), str(path)).excitation_nm == expected


def test_i16_6_a_laser_in_another_unit_is_unknown(tmp_path: Path) -> None:
    write_ome(tmp_path / "a.ome.tif", "0.488", "0.561", unit="µm")
    assert read_header(str(tmp_path / "a.ome.tif"), "a.ome.tif").excitation_nm == ()
