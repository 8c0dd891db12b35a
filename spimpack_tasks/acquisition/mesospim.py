"""Files `<image>_meta.txt` of mesoSPIM-control.

Facts: `mesoSPIM_ImageWriter.write_metadata` and `ImageWriterApi` of mesoSPIM-control 1.20: lines
`[key] value` in sections, each behind an empty line; early versions write `Pixelsize_in_um`.
Lengths are in micrometres, angles in degrees. A file of an OME-Zarr that holds several tiles has
the name of the tile behind that of the store.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.acquisition.facts import AcquisitionFacts, AcquisitionFileError, Value
from spimpack_tasks.acquisition.reading import Reader, read_text
from spimpack_tasks.model.quantities import positive_number

if TYPE_CHECKING:
    from collections.abc import Callable

ENDING = "_meta.txt"
_LINE = re.compile(r"\[([^\]]*)\] ?(.*)")
_LASER = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?nm")
_TEXTS = {
    "StationName": ("microscope_parameters", "name"),
    "InstitutionName": ("microscope_parameters", "institution"),
    "DeviceSerialNumber": ("microscope_parameters", "instrument_id"),
    "Immersion": ("objective", "immersion_medium"),
}
_NUMBERS = {
    "NumericalAperture": ("objective", "numerical_aperture"),
    "Magnification": ("objective", "magnification"),
}


def find_file(path: str, names: Callable[[str], frozenset[str]]) -> str:
    """Return the file that tells about an image, empty where there is none."""
    folder, name = os.path.split(path)
    if f"{name}{ENDING}" in names(folder):
        return f"{path}{ENDING}"
    outer, store = os.path.split(folder)  # a tile in a store of several
    if store.lower().endswith(".zarr") and f"{store}_{name}{ENDING}" in names(outer):
        return f"{folder}_{name}{ENDING}"
    return ""


def read(path: str, image: str) -> AcquisitionFacts:  # noqa: ARG001 - all programs are asked alike
    """Return what a file tells.

    Raises
    ------
    AcquisitionFileError
        It is not such a file, or describes several images.
    """
    sections = _sections(read_text(path))
    settings, place = sections.get("cfg", {}), sections.get("position", {})
    camera = sections.get("camera_parameters", {})
    if "laser" not in settings and "z_stepsize" not in place:
        raise AcquisitionFileError(
            "has neither [CFG] with [Laser] nor [POSITION] with [z_stepsize]"
        )
    reader = Reader()
    pixel = reader.length_um("Pixelsize in um", settings.get("pixelsize_in_um"))
    step = reader.length_um("z_stepsize", place.get("z_stepsize"))
    reader.set(
        ("laser", settings.get("laser")),
        ("intensity in %", settings.get("intensity_(%)")),
        ("zoom", settings.get("zoom")),
        ("filter", settings.get("filter")),
        ("shutter", settings.get("shutter")),
        ("stage x in um", place.get("x_pos")),
        ("stage y in um", place.get("y_pos")),
        ("stage z in um from", place.get("z_start")),
        ("to", place.get("z_end")),
        ("step in um", place.get("z_stepsize")),
        ("rotation in degrees", place.get("rot")),
        ("exposure in s", camera.get("camera_exposure")),
    )
    sidecar: dict[str, Value] = {"SoftwareVersions": "mesoSPIM-control"}
    laser = _LASER.fullmatch(settings.get("laser", ""))
    if laser:
        sidecar["ExcitationWavelengths"] = [float(laser[1])]
    for key, (section, name) in _TEXTS.items():
        if text := sections.get(section, {}).get(name, ""):
            sidecar[key] = text
    for key, (section, name) in _NUMBERS.items():
        number = positive_number(sections.get(section, {}).get(name, ""))
        if number is not None:
            sidecar[key] = number
    planes = reader.whole_number("z_planes", place.get("z_planes"))
    if planes:
        sidecar |= {"ImageFrames": float(planes), "AcquisitionDirection": "Z"}
    return AcquisitionFacts(
        spacing_um_xyz=(pixel, pixel, step),
        planes=planes,
        sidecar=sidecar,
        settings=tuple(reader.settings),
        doubts=tuple(reader.doubts),
    )


@dataclass(frozen=True, slots=True)
class StackPlace:
    """Where the stage was when a stack was recorded, in micrometres."""

    x_um: float
    y_um: float
    z_start_um: float
    """Of the first plane."""
    direction: int
    """1 where z rises from plane to plane, -1 where it falls."""
    pitch_um: float | None
    step_um: float | None


def read_place(path: str) -> StackPlace:
    """Return where the stack of a file was recorded.

    Raises
    ------
    AcquisitionFileError
        It is no such file, describes several images, or lacks a place.
    """
    sections = _sections(read_text(path))
    place, reader = sections.get("position", {}), Reader()
    numbers: dict[str, float] = {}
    for key in ("x_pos", "y_pos", "z_start", "z_end"):
        try:
            numbers[key] = float(place.get(key, ""))
        except ValueError:
            numbers[key] = float("nan")
    missing = [key for key, number in numbers.items() if not abs(number) < 1e9]
    if missing:
        raise AcquisitionFileError(f"tells no place in µm for {', '.join(missing)}")
    step = reader.length_um("z_stepsize", place.get("z_stepsize"))
    pixel = sections.get("cfg", {}).get("pixelsize_in_um")
    return StackPlace(
        x_um=numbers["x_pos"],
        y_um=numbers["y_pos"],
        z_start_um=numbers["z_start"],
        direction=-1 if numbers["z_end"] < numbers["z_start"] else 1,
        pitch_um=reader.length_um("Pixelsize in um", pixel),
        step_um=step,
    )


def _sections(text: str) -> dict[str, dict[str, str]]:
    """Return the values of each section by their keys, in lower case with underscores."""
    sections: dict[str, dict[str, str]] = {}
    section, begins = sections.setdefault("", {}), True
    for line in text.splitlines():
        found = _LINE.fullmatch(line.strip())
        if not line.strip():
            begins = True
        elif found:
            key, value = found[1].strip().lower().replace(" ", "_"), found[2].strip()
            if begins and not value:
                name = "objective" if key == "objective_parameters" else key
                section = sections.setdefault(name, {})
            elif section.setdefault(key, value) != value and section is sections.get("position"):
                raise AcquisitionFileError(
                    f"tells {found[1]!r} twice, so it describes several images"
                )
            begins = False
    return sections
