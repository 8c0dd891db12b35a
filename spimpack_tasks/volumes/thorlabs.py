"""Headers and voxels of Thorlabs RAW files, whose facts lie beside them.

A RAW file has voxels alone, in the order t, z, c, y, x, little endian. ThorImage writes an
`Experiment.xml` into its folder; where there is none, a YAML file tells the sizes. The sizes must
fit the bytes of the file. Facts: the attributes of ThorImage's `Experiment.xml`; a pixel of more
than 8 bits has two bytes, and one of 32 bits is a floating-point number.
"""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Report
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.files.yaml_marks import load_yaml
from spimpack_tasks.model.quantities import Doubts, iso_time, length_in_um, time_in_s
from spimpack_tasks.volumes.errors import HeaderError, UnreadableHeaderError
from spimpack_tasks.volumes.header import Header, load_library, open_for_reading, read_start
from spimpack_tasks.volumes.metadata_texts import Texts, read_text
from spimpack_tasks.volumes.rows import flat_index, level_of_rows
from spimpack_tasks.volumes.xml_facts import parse_xml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from xml.etree.ElementTree import Element

    from spimpack_tasks.volumes.levels import StoredLevel

_AXES = ("t", "z", "c", "y", "x")
_LARGEST = 4 * 2**20
"""Bytes of a file with facts; ThorImage writes some 20 kB."""
_MOST_NAMES = 4
"""Files that a message lists."""
_LONGEST = 18
"""Digits of a size that is sure to have 64 bits at the most."""
_TEMPLATE = """\
# Facts about {name}, which has {size} bytes.
# T * Z * C * Y * X * bytes of a voxel must be that: 1 byte for 8 bits, 2 up to 16, 4 for 32.
T:
Z:
C:
Y:
X:
bits: 16
# Distance of voxels in micrometres, and of time points in seconds, if they are known.
# PhysicalSizeX: 1.8
# PhysicalSizeY: 1.8
# PhysicalSizeZ: 4
# TimeIncrement: 0.5
"""
_KEYS = ("T", "Z", "C", "Y", "X", "bits")
"""Keys that the YAML file must have."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """Facts about the voxels, from a file beside them."""

    file: str
    sizes: tuple[int, ...]
    """Along t, z, c, y, x."""
    bits: int
    lengths_um: Mapping[str, str]
    """Distance of voxels as it is written, by axis."""
    interval_s: str = ""
    names: tuple[str, ...] = ()
    acquired_at: str = ""

    @property
    def dtype(self) -> str:
        """Data type as numpy names it."""
        return "float32" if self.bits == 32 else "uint16" if self.bits > 8 else "uint8"

    @property
    def size_bytes(self) -> int:
        """Bytes of all voxels."""
        return math.prod(self.sizes) * {"float32": 4, "uint16": 2, "uint8": 1}[self.dtype]


def read_header(path: str) -> Header:
    """Return the header of a RAW file."""
    facts = _find_facts(path)
    _check_size(path, facts)
    doubts = Doubts()
    lengths = [
        doubts.ask(f"the size along {axis}", length_in_um, facts.lengths_um[axis], "um")
        if axis in facts.lengths_um
        else None
        for axis in "xyz"
    ]
    return Header(
        axes=_AXES,
        shapes=(facts.sizes,),
        dtype=facts.dtype,
        spacing_um_xyz=(lengths[0], lengths[1], lengths[2]),
        time_step_s=time_in_s(facts.interval_s, "s") if facts.interval_s else None,
        channel_count=facts.sizes[2],
        channel_names=facts.names if len(facts.names) == facts.sizes[2] else (),
        acquired_at=iso_time(facts.acquired_at),
        doubts=doubts.told,
        metadata_file=facts.file,
    )


@contextmanager
def open_levels(path: str) -> Iterator[Sequence[StoredLevel]]:
    """Open the voxels of a RAW file."""
    facts = _find_facts(path)
    _check_size(path, facts)
    dtype = load_library("numpy").dtype(facts.dtype).newbyteorder("<")
    plane_bytes = facts.sizes[3] * facts.sizes[4] * dtype.itemsize

    def offset_of(plane: tuple[int, ...]) -> int:
        return flat_index(plane, facts.sizes[:3]) * int(plane_bytes)

    with open_regular(path) as file:
        yield [level_of_rows(file, _AXES, facts.sizes, dtype, offset_of)]


def _check_size(path: str, facts: _Facts) -> None:
    try:
        descriptor, size = open_for_reading(path)
    except OSError as error:
        raise UnreadableHeaderError(path, error) from error
    os.close(descriptor)
    if size != facts.size_bytes:
        shown = " x ".join(map(str, facts.sizes))
        name = os.path.basename(facts.file)
        what = f"has {size} bytes, but {shown} voxels (t, z, c, y, x) of {facts.dtype} "
        hint = "correct the sizes, or take the file that belongs to it"
        raise HeaderError(path, f"{what}have {facts.size_bytes}, by {name!r}", hint)


def _find_facts(path: str) -> _Facts:
    """Return the facts by ThorImage, or by a YAML file where these are not there or broken."""
    folder, name = os.path.split(path)
    try:
        names = sorted(each for each in os.listdir(folder or ".") if not each.startswith("."))
    except OSError as error:
        raise UnreadableHeaderError(path, error) from error
    files = [os.path.join(folder, each) for each in names]
    broken = []
    experiments = []
    for file in (each for each in files if each.lower().endswith(".xml")):
        try:
            root = parse_xml(_read(file))
        except ValueError as error:
            broken.append(f"{os.path.basename(file)!r} has metadata {error}")
        else:
            if root.find("LSM[@pixelX]") is not None:
                experiments.append((file, root))
    if len(experiments) > 1:
        raise HeaderError(
            path, f"has several files with facts: {_listed(f for f, _ in experiments)}"
        )
    if experiments:
        return _of_experiment(path, *experiments[0])
    chosen = _choose_yaml(path, os.path.splitext(name)[0], files)
    if not chosen:
        why = f"; {broken[0]}" if broken else ""
        what = f"has no Experiment.xml of ThorImage beside it{why}"
        hint = f"write its sizes to a file that this makes: spimpack init --facts {quote(path)}"
        raise HeaderError(path, what, hint)
    return _of_yaml(path, chosen)


def write_template(path: str) -> str:
    """Write a YAML file with the keys to fill in beside a RAW file; return its path.

    Raises
    ------
    FileExistsError
        There is a file of this name, which may hold facts.
    OSError
        The RAW file cannot be opened, or the folder cannot be written to.
    """
    descriptor, size = open_for_reading(path)
    os.close(descriptor)
    template = f"{os.path.splitext(path)[0]}.yaml"
    with open(template, "x", encoding="utf-8") as file:
        file.write(_TEMPLATE.format(name=os.path.basename(path), size=size))
    return template


def _listed(files: Any) -> str:
    names = [os.path.basename(file) for file in files]
    return ", ".join(names[:_MOST_NAMES]) + (" ..." if names[_MOST_NAMES:] else "")


def _read(file: str) -> bytes:
    try:
        return read_start(file, _LARGEST)
    except OSError as error:
        raise UnreadableHeaderError(file, error) from error


def _of_experiment(path: str, file: str, root: Element) -> _Facts:
    """Return the facts of ThorImage."""
    streams = _attribute(root, "Streaming", "enable") == "1"
    if streams and _attribute(root, "Streaming", "zFastEnable") == "1":
        what = "was recorded by streaming with a fast stage, whose flyback planes are not told"
        raise HeaderError(path, what, "write its sizes to a YAML file, without the XML beside it")
    has_stack = _attribute(root, "ZStage", "enable") == "1" and not streams
    channels = [one.get("name", "") for one in root.iterfind("Wavelengths/Wavelength")]

    def size(element: str, name: str) -> int:
        text = _attribute(root, element, name)
        return _size(path, f"{name!r} of {element} in {os.path.basename(file)!r}", text)

    times = size("Streaming", "frames") if streams else size("Timelapse", "timepoints")
    pixel = _attribute(root, "LSM", "pixelSizeUM")
    lengths = {
        "x": pixel,
        "y": pixel,
        "z": _attribute(root, "ZStage", "stepSizeUM") if has_stack else "",
    }
    return _Facts(
        file=file,
        sizes=(
            times,
            size("ZStage", "steps") if has_stack else 1,
            max(len(channels), 1),
            size("LSM", "pixelY"),
            size("LSM", "pixelX"),
        ),
        bits=_bits(path, _attribute(root, "Camera", "bitsPerPixel") or "16"),
        lengths_um={axis: text for axis, text in lengths.items() if text and text.strip("0.")},
        interval_s="" if streams else _attribute(root, "Timelapse", "intervalSec"),
        names=tuple(channels),
    )


def _attribute(root: Element, element: str, name: str) -> str:
    found = root.find(element)
    return "" if found is None else found.get(name, "").strip()


def _size(path: str, what: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST and int(text)):
        raise HeaderError(path, f"has {text[:20]!r} for {what}, not a number from 1 on")
    return int(text)


def _bits(path: str, text: str) -> int:
    bits = _size(path, "the bits of a pixel", text)
    if bits > 16 and bits != 32:
        raise HeaderError(path, f"has pixels of {bits} bits")
    return bits


def _choose_yaml(path: str, stem: str, files: list[str]) -> str:
    """Return the YAML file with the facts: the one with the name of the image, or the only one."""
    found = [file for file in files if file.lower().endswith((".yaml", ".yml"))]
    own = [file for file in found if os.path.splitext(os.path.basename(file))[0] == stem]
    chosen = own or found
    if len(chosen) > 1:
        hint = f"name the one that belongs to it {stem}.yaml"
        raise HeaderError(path, f"has several files with facts: {_listed(chosen)}", hint)
    return chosen[0] if chosen else ""


def _of_yaml(path: str, file: str) -> _Facts:
    """Return the facts that a user has written."""
    name, report = os.path.basename(file), Report()
    data = load_yaml(_read(file).decode("utf-8", "replace"), name, report).data
    if report.errors or not isinstance(data, dict):
        why = str(report.errors[0]) if report.errors else f"{name}: must hold keys and values"
        raise HeaderError(path, f"has facts that cannot be read: {why}")
    missing = [key for key in _KEYS if key not in data]
    if missing:
        raise HeaderError(path, f"has facts in {name!r} without {', '.join(missing)}")
    empty = [key for key in _KEYS if data[key] is None]
    if empty:
        what = f"has facts in {name!r}, of which {', '.join(empty)} "
        raise HeaderError(path, f"{what}{'are' if empty[1:] else 'is'} not filled in", "fill it in")
    sizes = [_size(path, f"{key} in {name!r}", str(data[key])) for key in _KEYS[:-1]]
    lengths = {axis: data.get(f"PhysicalSize{axis.upper()}") for axis in "xyz"}
    return _Facts(
        file=file,
        sizes=tuple(sizes),
        bits=_bits(path, str(data["bits"])),
        lengths_um={axis: str(value) for axis, value in lengths.items() if value is not None},
        interval_s=str(data.get("TimeIncrement") or ""),
    )


def read_original(path: str) -> Texts:
    """Return the facts beside a RAW file."""
    facts = read_header(path).metadata_file
    return {os.path.basename(facts): read_text(facts)}
