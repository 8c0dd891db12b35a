"""Files `metadata*.json` and `metadata.txt` of LifeCanvas' SmartSPIM.

Facts: files published by users of the program, version 5 (JSON, with a sign `µ` in Latin-1) and
before (text in columns). Folders are named `Ex_488_Em_525` or `Ex_488_Ch1_stitched`, and lie beside
the file or one below the other; the laser's power has no unit that is told.
"""

from __future__ import annotations

import os
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from spimpack_tasks.acquisition.facts import AcquisitionFacts, AcquisitionFileError, Value
from spimpack_tasks.acquisition.reading import Reader, first_of, json_object, read_text
from spimpack_tasks.model.quantities import iso_time, positive_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CHANNEL = re.compile(r"Ex_([0-9]{3,4})_(?:Em|Ch)_?([0-9]+)(?:_stitched)?", re.IGNORECASE)
_FURTHEST = 4
"""Folders between an image and the file: channel, column, place, and the image itself."""
_PIXEL = ("um/pix",)
_STEP = ("z_step_um", "z step (um)", "x/z step (um)", "z_step (um)")
_MODEL = ("microscope_model", "microscope", "system_model", "model", "instrument")
_SERIAL = ("microscope_serial", "serial_number", "machine_id", "system_serial", "instrument_serial")
_TIME = ("acquisition_date", "date", "start_time", "acquisition_start", "session_start")
_TIME_FORMATS = ("%Y_%m_%d_%H%M%S", "%Y%m%d_%H%M%S", "%Y/%m/%d %H:%M:%S")
_MAGNIFICATION = ("obj_magnification", "objective_magnification", "magnification")
_APERTURE = ("na", "numerical_aperture", "obj_na", "objective_na")
_OBJECTIVE = ("obj_name", "objective_name", "objective_model", "obj")
_IMMERSION = ("immersion", "objective_immersion", "immersion_medium")


def find_file(path: str, names: Callable[[str], frozenset[str]]) -> str:
    """Return the file that tells about an image, empty where there is none, or more than one."""
    folders, folder = [path], path
    for _ in range(_FURTHEST):
        folder = os.path.dirname(folder)
        folders.append(folder)
    channel = next((n for n, each in enumerate(folders) if _channel_of(each)), None)
    for folder in folders[channel + 1 : channel + 2] if channel is not None else ():
        found = names(folder)
        data = [name for name in found if name.lower().endswith(".json")]
        texts = [name for name in found if name.lower() == "metadata.txt"]
        chosen = data or texts
        if len(chosen) == 1:
            return os.path.join(folder, chosen[0])
    return ""


def _channel_of(folder: str) -> re.Match[str] | None:
    return _CHANNEL.fullmatch(os.path.basename(folder))


def read(path: str, image: str) -> AcquisitionFacts:
    """Return what a file tells about the image at a path below it.

    Raises
    ------
    AcquisitionFileError
        It is not such a file.
    """
    text = read_text(path)
    is_json = path.lower().endswith(".json")
    session, others, lasers = _of_json(text) if is_json else _of_columns(text)
    if not first_of([session], _PIXEL) and not first_of([session], _STEP):
        raise AcquisitionFileError("tells neither um/pix nor a step along z")
    reader, told = Reader(), [session, others]
    pixel = reader.length_um("um/pix", first_of([session], _PIXEL))
    step = reader.length_um("step along z", first_of([session], _STEP))
    sidecar: dict[str, Value] = {"Manufacturer": "LifeCanvas"}
    version = session.get("version", "")
    sidecar["SoftwareVersions"] = f"SmartSPIM {version}".strip()
    sidecar["ManufacturersModelName"] = first_of(told, _MODEL) or "SmartSPIM"
    if serial := first_of(told, _SERIAL):
        sidecar["DeviceSerialNumber"] = serial
    if magnification := positive_number(first_of(told, _MAGNIFICATION)):
        sidecar["Magnification"] = magnification
    if aperture := positive_number(first_of(told, _APERTURE)):
        sidecar["NumericalAperture"] = aperture
    immersion = first_of(told, _IMMERSION)
    if immersion and not immersion[0].isdecimal():
        sidecar["Immersion"] = immersion
        immersion = ""
    laser = _laser_of(image)
    if laser:
        sidecar["ExcitationWavelengths"] = [float(laser)]
    reader.set(
        ("objective", first_of(told, _OBJECTIVE)),
        ("refractive index of immersion", immersion),
        ("scanning", session.get("scanning")),
        *((f"power of laser {laser} nm, {side}", power) for side, power in lasers.get(laser, ())),
    )
    return AcquisitionFacts(
        spacing_um_xyz=(pixel, pixel, step),
        acquired_at=_time_of(first_of(told, _TIME)),
        sidecar=sidecar,
        settings=tuple(reader.settings),
        doubts=tuple(reader.doubts),
    )


def _laser_of(image: str) -> str:
    folders = (_CHANNEL.fullmatch(each) for each in reversed(image.split(os.sep)))
    found = next(filter(None, folders), None)
    return found[1] if found else ""


Lasers = dict[str, list[tuple[str, Any]]]


def _plain(key: str) -> str:
    """Return a name as the lists above have it: both signs for micro, of Latin-1 read as UTF-8."""
    return re.sub("Â?[µ\u03bc]", "u", key).strip().lower()


def _of_json(text: str) -> tuple[Mapping[str, Any], Mapping[str, Any], Lasers]:
    data = json_object(text)
    session = data.get("session_config")
    if not isinstance(session, dict):
        raise AcquisitionFileError("has no session_config")
    lasers: Lasers = {}
    told = data.get("wavelength_config")
    for laser, values in told.items() if isinstance(told, dict) else ():
        if isinstance(values, dict):
            sides = (("left", values.get("power_left")), ("right", values.get("power_right")))
            lasers[str(laser)] = [pair for pair in sides if pair[1] is not None]
    others = {_plain(str(key)): value for key, value in data.items()}
    return {_plain(str(key)): value for key, value in session.items()}, others, lasers


def _of_columns(text: str) -> tuple[Mapping[str, Any], Mapping[str, Any], Lasers]:
    """Return what the first rows tell: names, values, and the power of each laser."""
    rows = [[cell.strip() for cell in line.split("\t")] for line in text.splitlines()]
    if len(rows) < 2:
        raise AcquisitionFileError("has no row of values")
    session = {_plain(key): value for key, value in zip(rows[0], rows[1], strict=False) if key}
    lasers: Lasers = {}
    for row in rows[3:] if len(rows) > 2 and rows[2][0].lower() == "power" else ():
        if not row[0].isdecimal() or len(row[0]) > 4:
            break
        lasers[row[0]] = [(s.lower(), p) for s, p in zip(rows[2][1:], row[1:], strict=False) if p]
    return session, {}, lasers


def _time_of(text: str) -> str | None:
    for form in _TIME_FORMATS:
        try:
            return datetime.strptime(text, form).isoformat()  # noqa: DTZ007 - no zone is told
        except ValueError:
            continue
    return iso_time(text)
