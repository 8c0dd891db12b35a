"""The demo's inputs: four real images in the formats that labs have, a manifest and two tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.demo.images import DemoImage, write_imaris, write_ome_tiff, write_ome_zarr

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANIFEST = """\
# The demo's manifest: what to package. See docs/reference/manifest.md for all keys.
dataset_description:
  Name: spimpack demo
  BIDSVersion: 1.10.0
  HEDVersion: 8.3.0
  DatasetType: raw
  License: CC0
  Authors:
    - Ada Example
    - Ben Example
  SourceDatasets:
    - URL: ../microscope
scans_tsv: scans.tsv
participants_tsv: participants.tsv
# What all images share; a column of the same name in scans.tsv wins.
sidecar_defaults:
  Magnification: 4
  NumericalAperture: 0.28
  Manufacturer: Example Optics
  ManufacturersModelName: Sheet 3000
  DeviceSerialNumber: "0001"
  StationName: spim1
  SoftwareVersions: 1.2.3
  InstitutionName: Example University
  InstitutionAddress: 1 Example Road
  InstitutionalDepartmentName: Microscopy
  BodyPart: BRAIN
  BodyPartDetails: left hemisphere
  SampleEnvironment: ex vivo
  SamplePrimaryAntibody: n/a
  SampleSecondaryAntibody: n/a
"""

PARTICIPANTS = """\
participant_id	species	age	sex	genotype
sub-01	mus musculus	0.4	F	wt
sub-02	mus musculus	0.4	M	wt
sub-03	mus musculus	0.5	F	5xFAD
sub-04	mus musculus	0.5	M	5xFAD
"""

# Columns that are the same in each row of the demo.
_SHARED = {
    "sample": "brain",
    "acquisition": "4x",
    "orientation_string_xyz": "RPI",
    "PixelSizeUnits": "um",
}

_IMAGE = DemoImage(
    channels=("YoPro", "Abeta"),
    shape_zyx=(16, 64, 96),
    spacing_um_zyx=(4.0, 1.8, 1.8),
)

_SOURCES: dict[str, Callable[[Path], None]] = {
    "mouse A.ome.zarr": lambda path: write_ome_zarr(path, _IMAGE, ngff="0.4"),
    "mouse B.ome.zarr": lambda path: write_ome_zarr(path, _IMAGE, ngff="0.5"),
    "mouse C.ome.tif": lambda path: write_ome_tiff(path, _IMAGE),
    "mouse D.ims": lambda path: write_imaris(path, _IMAGE),
}


def write_demo_inputs(directory: Path) -> Path:
    """Write the images and tables that are not there yet, and return the manifest's path.

    Raises
    ------
    MissingExtraError
        A library that writes images is not installed.
    """
    microscope = directory / "microscope"
    microscope.mkdir(parents=True, exist_ok=True)
    for name, write in _SOURCES.items():
        if not (microscope / name).exists():
            write(microscope / name)
    texts = {
        "manifest.yml": MANIFEST,
        "participants.tsv": PARTICIPANTS,
        "scans.tsv": compose_scans(),
    }
    for name, text in texts.items():
        if not (directory / name).exists():
            (directory / name).write_text(text, encoding="utf-8")
    return directory / "manifest.yml"


def compose_scans() -> str:
    """Return the demo's scans table."""
    columns = ["subject", "spim_path", "sample_staining", "PixelSize", "acq_time", *_SHARED]
    z, y, x = _IMAGE.spacing_um_zyx
    rows = [
        [
            f"{number:02}",
            f"microscope/{name}",
            ";".join(_IMAGE.channels),
            f"{x:g};{y:g};{z:g}",
            f"2026-03-0{number}T10:00:00",
            *_SHARED.values(),
        ]
        for number, name in enumerate(_SOURCES, start=1)
    ]
    return "".join("\t".join(line) + "\n" for line in [columns, *rows])
