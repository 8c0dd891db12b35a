"""The layouts of tiles that are known, and the search for the tiles of a folder or a file.

A new layout is a module with two functions, and a row of `LAYOUTS`: one tells whether a path looks
like it, the other finds the tiles. Distances are in micrometres. Nothing is opened for writing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import InputError, Place, Problem, Report, suggestion
from spimpack_tasks.stitching.discovery.complete import complete
from spimpack_tasks.stitching.discovery.found import LAYOUT, Found, TileChoices

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.stitching.tiles import TileSet

_HERE = "spimpack_tasks.stitching.discovery"


@dataclass(frozen=True, eq=False, slots=True)
class TileLayout:
    """One way in which the tiles of a recording lie on a disk, and where their places stand."""

    name: str
    about: str
    """For people: names, units and signs."""
    fits: Callable[[str], bool]
    """Tells whether an absolute path looks like it, by names and first bytes alone."""
    find: Callable[[str, TileChoices, Report], Found | None]
    """Returns the tiles at a path, `None` after a problem that leaves none."""


def _layout(name: str, module: str, about: str) -> TileLayout:
    fits, find = Deferred(f"{_HERE}.{module}:fits"), Deferred(f"{_HERE}.{module}:find")
    return TileLayout(name, about, fits, find)


# More particular layouts stand before those that they might be taken for.
LAYOUTS = (
    _layout(
        "terastitcher",
        "terastitcher",
        "the XML file of TeraStitcher or Dragonfly, with Imaris files or planes: places in pixels "
        "(ABS_V, ABS_H, ABS_D) times voxel_dims",
    ),
    _layout(
        "bigstitcher",
        "bigstitcher",
        "the XML file of BigStitcher or BigDataViewer, with files that are read: the product of "
        "the transformations of each view",
    ),
    _layout(
        "table",
        "table",
        "a table (.tsv or .csv) with the columns path, x, y and z in µm, and optionally name, "
        "format, time and channel",
    ),
    _layout(
        "mesospim",
        "mesospim",
        "files of mesoSPIM-control with Tile<n> in their names and _meta.txt beside them: stage "
        "in µm, which falls along x and y while pixels rise, as in the program's own default",
    ),
    _layout(
        "smartspim",
        "smartspim",
        "folders of planes <x>/<x>_<y>/<z>.tif of SmartSPIM, in tenths of a micrometre",
    ),
    _layout(
        "stage-tree",
        "stage_tree",
        "files <channel>/<x>/<x>_<y>/<z>.dcimg of an oblique microscope, in tenths of a "
        "micrometre, with metadata.txt beside the channels",
    ),
)


def find_layout(path: str, name: str = "") -> TileLayout:
    """Return the layout of a path, or one by its name.

    Raises
    ------
    InputError
        There is none.
    """
    names = [layout.name for layout in LAYOUTS]
    if name:
        named = next((layout for layout in LAYOUTS if layout.name == name), None)
        message, hint = f"{name!r} is no layout of tiles", suggestion(name, names)
    else:
        named = next((layout for layout in LAYOUTS if layout.fits(path)), None)
        message, hint = "holds no tiles in a layout that is known", ""
    if named is not None:
        return named
    report = Report()
    hint = hint or f"known are {', '.join(names)}; a table of tiles suits any others"
    report.add(Problem(LAYOUT, Place(path), "", message, hint))
    raise InputError(report)


def discover_tiles(path: str, choices: TileChoices | None = None) -> TileSet:
    """Return the tiles of a folder or file.

    Parameters
    ----------
    path
        A folder, an XML file, or a table.
    choices
        Choices of the user, which count more than the files.

    Raises
    ------
    InputError
        Something is wrong or not known; the report has all of it, with file and line.
    """
    choices = choices or TileChoices()
    place = os.path.abspath(path)
    layout = find_layout(place, choices.layout)
    report = Report()
    found = layout.find(place, choices, report)
    if found is not None and not found.tiles and not report.errors:
        report.add(Problem(LAYOUT, found.where, "", "holds no tile"))
    tiles = complete(found, choices, report) if found is not None and found.tiles else None
    if tiles is None or report.errors:
        raise InputError(report)
    return tiles
