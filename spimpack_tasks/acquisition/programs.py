"""The acquisition programs whose files are read.

A new program is a module with `find_file` and `read`, and a row of `PROGRAMS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.acquisition.facts import AcquisitionFacts, AcquisitionFileError
from spimpack_tasks.acquisition.names import NDTIFF, list_metadata
from spimpack_tasks.deferred import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable


class Program(NamedTuple):
    """One acquisition program."""

    name: str
    find_file: Callable[[str, Callable[[str], frozenset[str]]], str]
    """Returns the file that tells about an image, by the path of the image and a function that
    returns the names of the files of metadata in a folder."""
    read: Callable[[str, str], AcquisitionFacts]
    """Returns what the file tells, by its path and that of the image."""


_HERE = "spimpack_tasks.acquisition"


def _program(name: str, module: str) -> Program:
    """Return the record of a program, whose module is imported when it is needed."""
    return Program(name, Deferred(f"{module}:find_file"), Deferred(f"{module}:read"))


PROGRAMS = (
    _program("mesoSPIM-control", f"{_HERE}.mesospim"),
    # Its file looks like that of SmartSPIM, and tells about DCIMG files alone.
    _program("oSPIM", f"{_HERE}.ospim"),
    _program("SmartSPIM", f"{_HERE}.smartspim"),
    _program("Micro-Manager", f"{_HERE}.micromanager"),
)


class AcquisitionFile(NamedTuple):
    """A file that tells about an image, and the program that wrote it."""

    path: str
    program: Program

    def read(self, image: str) -> AcquisitionFacts:
        """Return what it tells about an image; of a broken file, why nothing is known by it."""
        try:
            return self.program.read(self.path, image)
        except AcquisitionFileError as error:
            return AcquisitionFacts(doubts=(str(error),))


def _is_inner(image: str) -> bool:
    """Tell whether a file about an image may lie further out than in its own folder."""
    return "/ex_" in image.lower() or ".zarr/" in image.lower()


class FileFinder:
    """Finds the files about images; each folder is listed once."""

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}
        self._may_hold: dict[str, bool] = {}

    def find(self, image: str) -> AcquisitionFile | None:
        """Return the file that tells about the image at an absolute path."""
        folder = image.rpartition("/")[0]
        may_hold = self._may_hold.get(folder)
        if may_hold is None:
            may_hold = self._may_hold[folder] = bool(self.names(folder)) or _is_inner(image)
        if not may_hold and NDTIFF not in image:
            return None  # most folders hold no such file, and a hundred thousand images
        for program in PROGRAMS:
            found = program.find_file(image, self.names)
            if found:
                return AcquisitionFile(found, program)
        return None

    def names(self, folder: str) -> frozenset[str]:
        """Return the names of the files of metadata in a folder."""
        found = self._names.get(folder)
        if found is None:
            found = self._names[folder] = list_metadata(folder)
        return found

    @property
    def listed(self) -> dict[str, frozenset[str]]:
        """Names of the files of metadata by the folder that was listed."""
        return self._names
