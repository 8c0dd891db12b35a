"""Files as acquisition programs write them beside images; composed from their documents."""

from __future__ import annotations

import json
import struct
from typing import Any

MESOSPIM = """[Metadata for file] D:/data/{name}

[CFG]\x20
[Laser] 561 nm
[Intensity (%)] 24
[Zoom] 1x
[Pixelsize in um] {pixel}
[Filter] 561LP
[Shutter] Left

[POSITION]\x20
[x_pos] 2500.5
[y_pos] 52987.74
[z_start] 22009.29
[z_end] 20909.09
[z_stepsize] {step}
[z_planes] {planes}
[rot] 0

[ETL PARAMETERS]\x20
[ETL CFG File] config/etl.csv

[CAMERA PARAMETERS]\x20
[camera_exposure] 0.02
[x_pixels] 2048

[MICROSCOPE PARAMETERS]\x20
[name] Benchtop 2
[institution] University of Demo
[instrument_id] DEMO-001

[OBJECTIVE_PARAMETERS]\x20
[magnification] 5x
[numerical_aperture] 0.14
[immersion_medium] air

[IMAGE PROCESSORS]\x20
[Processor count] 2
[Processor 1] denoise
[width] 1
[Processor 2] denoise
[width] 2
"""
EARLY_MESOSPIM = """[Metadata for file] D://thalamus.raw
[z_stepsize] 1.00
[z_planes] 1100.00

[CFG]
[Laser] 488 nm
[Zoom] 1x
[Pixelsize_in_um] 6.55
[Filter] Empty-Alignment
[Shutter] Right

[POSITION]
[z_stepsize] 1
[z_planes] 1100
"""
SMARTSPIM_COLUMNS = (
    "Obj\tRes\tµm/pix\tX/Z Step (µm)\tNoOffset\t\nTL 2x\t2048\t3.456\t2.444\t\t\n"
    "Power\tLeft\tRight\t\t\t\n488\t20\t25\t\t\t\n561\t30\t30\t\t\t\n"
    "X\tY\tZ\tLaser\tSide\tExposure\n046560\t-136000\t-1444\t1\t0\t2\n"
)


def mesospim(
    name: str = "a.tif", *, pixel: str = "6.55", step: str = "-5", planes: str = "5"
) -> str:
    """Return a file of mesoSPIM-control 1.20."""
    return MESOSPIM.format(name=name, pixel=pixel, step=step, planes=planes)


def smartspim(**further: Any) -> bytes:
    """Return a file of SmartSPIM 5, in Latin-1 as the program writes it."""
    session = {
        "Immersion": "1.52+",
        "Version": "5.0.0.67",
        "obj_magnification": "3.600000",
        "obj_name": "LCT 3.6x",
        "scanning": "Fast",
        "z_step_um": "2.00",
        "µm/pix": "1.800",
    }
    lasers = {"488": {"power_left": "20", "power_right": "25"}}
    whole = {"session_config": session | further, "wavelength_config": lasers}
    return json.dumps(whole | {"date": "2024_05_16_112614"}, ensure_ascii=False).encode("latin-1")


SUMMARY = {
    "PixelSize_um": 0,
    "z-step_um": -1.5,
    "MicroManagerVersion": "2.0.3",
    "StartTime": "2024-05-16 11:26:14.120 -0400",
    "Interval_ms": 0,
    "ChNames": ["GFP"],
}


def micro_manager() -> str:
    """Return a file of metadata of Micro-Manager 2, of which planes follow the summary."""
    plane = {"PixelSizeUm": 0.65, "Exposure-ms": 10}
    return json.dumps({"Summary": SUMMARY, "Metadata-Default/a_0.ome.tif": plane}, indent=1)


def ndtiff_head() -> bytes:
    """Return the first bytes of an NDTiff file."""
    text = json.dumps(SUMMARY | {"PixelSize_um": 0.325}).encode()
    marks = struct.pack("<IIIII", 483_729, 3, 1, 2_355_492, len(text))
    return b"II*\0" + struct.pack("<I", 28 + len(text)) + marks + text
