"""Files `metadata.txt` of the oblique microscopes of LifeCanvas, beside trees of DCIMG files.

Facts: spimstitch (MIT). A file has columns between tabs, in Latin-1. The first line names columns,
and its last column may be the version, as `v2.1`; the second line has the values. From version 2.1
on, the first line ends with the name of the microscope and the version, and `NoOffset…` stands in
the second line, before in the first. The text `NoOffset…` means that the stage moves along y
against the rows of frames. Which camera sees a channel, and so whether rows are turned round,
follows from the laser: that of 488 nm has the first camera.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.acquisition.facts import AcquisitionFacts, AcquisitionFileError, Value
from spimpack_tasks.acquisition.reading import read_text

if TYPE_CHECKING:
    from collections.abc import Callable

METADATA = "metadata.txt"

_VERSION = re.compile(r"v([0-9]+(?:\.[0-9]+)*)")
_WITHOUT_VERSION = (1, 0)
_NAMED_MACHINE = (2, 1)
"""Version from which on the microscope is named."""
KNOWN_VERSIONS = (_WITHOUT_VERSION, (2, 0), _NAMED_MACHINE)
FIRST_MACHINE = "oSPIM1"
"""The microscope of files that name none."""
_LASERS_NM = {488: True, 561: False, 642: False}
"""Whether rows of the camera of a laser are turned round."""
_EXCITATION = re.compile(r"(?:.*_)?Ex_?([0-9]{3,4})(?:_.*)?", re.IGNORECASE)
_PITCH, _STEP = "um/pix", "x/z step (um)"


def find_file(path: str, names: Callable[[str], frozenset[str]]) -> str:
    """Return the file that tells about a stack of frames, empty where there is none.

    It lies beside the channels: `<channel>/<x>/<x>_<y>/<z>.dcimg`.
    """
    if not path.lower().endswith(".dcimg"):
        return ""
    channel = os.path.dirname(os.path.dirname(os.path.dirname(path)))
    folder = os.path.dirname(channel)
    is_channel = _EXCITATION.fullmatch(os.path.basename(channel)) is not None
    return f"{folder}/{METADATA}" if is_channel and METADATA in names(folder) else ""


def read(path: str, image: str) -> AcquisitionFacts:
    """Return what a file tells about a stack of frames.

    The distance of frames along z stays unknown: the step lies along x, across a tilted sheet.

    Raises
    ------
    AcquisitionFileError
        It is no such file.
    """
    found = read_oblique(path)
    sidecar: dict[str, Value] = {"ManufacturersModelName": found.machine}
    channel = os.path.basename(os.path.dirname(os.path.dirname(os.path.dirname(image))))
    laser = _EXCITATION.fullmatch(channel)
    if laser:
        sidecar["ExcitationWavelengths"] = [float(laser[1])]
    return AcquisitionFacts(
        spacing_um_xyz=(found.pitch_um, found.pitch_um, None),
        sidecar=sidecar,
        settings=("oblique light sheet", f"step along x in um {found.step_um:g}"),
    )


@dataclass(frozen=True, slots=True)
class ObliqueMetadata:
    """The geometry of a recording."""

    version: tuple[int, ...]
    pitch_um: float
    """Distance of pixels in the sample."""
    step_um: float
    """Distance of frames along x."""
    is_y_negative: bool
    """Whether places along y fall while rows rise."""
    machine: str
    """Name of the microscope."""

    def flips_rows(self, channel: str) -> bool:
        """Tell whether the rows of a channel's frames are turned round.

        Parameters
        ----------
        channel
            Name with the wavelength of the laser, such as `Ex_488_Em_1`.

        Raises
        ------
        AcquisitionFileError
            The name has no wavelength.
        """
        if self.version < _NAMED_MACHINE:
            return True
        found = _EXCITATION.fullmatch(channel)
        if found is None:
            message = f"the channel {channel!r} has no wavelength in its name, as Ex_488_Em_1 has"
            raise AcquisitionFileError(message)
        # At the same distance of two lasers the shorter wavelength counts.
        nearest = min(_LASERS_NM, key=lambda laser: (abs(laser - int(found[1])), laser))
        return _LASERS_NM[nearest]


def read_oblique(path: str) -> ObliqueMetadata:
    """Return the geometry that a file tells.

    Raises
    ------
    AcquisitionFileError
        It is no such file, or of an unknown version; the message has a line for each mistake.
    """
    rows = [line.rstrip("\r").split("\t") for line in read_text(path).split("\n")]
    rows = [[cell.strip() for cell in row] for row in rows]
    if len(rows) < 2:
        raise AcquisitionFileError(f"{path}:1: has no line of values behind the names of columns")
    names = [_plain(name) for name in rows[0]]
    problems: list[str] = []
    version = _version_of(rows[0], problems)
    pitch = _length(names, rows[1], _PITCH, problems)
    step = _length(names, rows[1], _STEP, problems)
    is_named = version >= _NAMED_MACHINE
    marks = [_is_marked(rows[0]), _is_marked(rows[1])]
    if marks[not is_named] and version in KNOWN_VERSIONS:
        line, other = (1, 2) if is_named else (2, 1)
        what = f"{line}: 'NoOffset…' stands here, but in such a version belongs into line {other}"
        problems.append(f"{what}; say yourself whether y is negative")
    machine = _machine_of(rows[0]) if is_named else FIRST_MACHINE
    if not machine and version in KNOWN_VERSIONS:
        problems.append("1: the microscope has no name before the version")
    if problems:
        raise AcquisitionFileError("\n".join(f"{path}:{problem}" for problem in problems))
    return ObliqueMetadata(version, pitch, step, marks[is_named], machine)


def _plain(name: str) -> str:
    """Return the name of a column with `u` for both signs of micro, also misread ones."""
    return re.sub("Â?[µ\u03bc]", "u", name).lower()


def _filled(row: list[str]) -> list[str]:
    return [cell for cell in row if cell]


def _version_of(names: list[str], problems: list[str]) -> tuple[int, ...]:
    last = (_filled(names) or [""])[-1]
    if not re.match("v[0-9]", last):
        return _WITHOUT_VERSION
    found = _VERSION.fullmatch(last)
    version = tuple(map(int, found[1].split("."))) if found else ()
    if version not in KNOWN_VERSIONS:
        known = ", ".join(f"v{'.'.join(map(str, each))}" for each in KNOWN_VERSIONS[1:])
        what = f"1: is of version {last!r}; known are {known} and files without one"
        problems.append(f"{what}; give the step, the size of pixels and the turns yourself")
    return version


def _length(names: list[str], values: list[str], name: str, problems: list[str]) -> float:
    """Return the length in a column, in micrometres."""
    if name not in names:
        problems.append(f"1: has no column {name!r}")
        return 0.0
    column = names.index(name)
    text = values[column] if column < len(values) else ""
    try:
        length = float(text)
    except ValueError:
        length = 0.0
    if not 0 < length < 1e6:
        problems.append(f"2: has {text[:20]!r} for {name!r}, which is no length in µm")
    return length


def _is_marked(row: list[str]) -> bool:
    return any(cell.startswith("NoOffset") for cell in row)


def _machine_of(names: list[str]) -> str:
    """Return the name before the version; a column of values is none."""
    before = _filled(names)[-2:-1]
    return before[0] if before and _plain(before[0]) not in {_PITCH, _STEP} else ""
