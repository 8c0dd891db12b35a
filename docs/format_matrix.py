"""The table of what can be done with an image of each format, made of the records of the program.

A cell comes from `Format` and `Backend` records alone. `tests/run/test_format_matrix.py` does what
each cell says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from spimpack_tasks.model.plan import Asset
from spimpack_tasks.packaging.backends.registry import BACKENDS
from spimpack_tasks.volumes.formats import FORMATS, OME_ZARR, Format, Transfer

if TYPE_CHECKING:
    from spimpack_tasks.packaging.backends.base import Backend

Cell: TypeAlias = Callable[[Format], str]

WAYS = {
    Transfer.VOXELS: "new chunks",
    Transfer.LEVELS: "own chunks",
    Transfer.FILES: "own files",
}
"""How an image becomes an OME-Zarr, in two words."""


def rows() -> Iterator[list[str]]:
    """Yield the header and the rows: an ability, and a cell for each format."""
    yield ["", *(form.name for form in FORMATS)]
    for ability, cell in abilities().items():
        yield [ability, *map(cell, FORMATS)]


def abilities() -> dict[str, Cell]:
    """Return what gives the cell of a format, by ability."""
    return {
        "`init --scan` finds it": lambda form: _yes(bool(form.extensions) or form.directory),
        "BIDS allows it": lambda form: _yes(form.valid_in_bids),
        "the header completes the row": lambda form: _yes(form.header is not None),
        **dict(_packaging()),
        "`convert` to OME-Zarr": lambda form: WAYS[form.transfer] if form.levels else "no",
        "`convert` to OME-TIFF": _has_voxels,
        "`convert` to planes": _has_voxels,
        "`verify --pixels` compares what was made": _has_voxels,
        "`qc` shows it": _has_voxels,
        "`view` in napari": _has_voxels,
        "`view --neuroglancer`": lambda form: _yes(form is OME_ZARR),
    }


def _has_voxels(form: Format) -> str:
    return _yes(form.levels is not None)


def _packaging() -> Iterator[tuple[str, Cell]]:
    """Yield the abilities of all backends; those that convert have one more setting."""
    for name, backend in BACKENDS.items():
        yield f"`--backend {name}`", _result_of(backend, {})
        if "convert" in backend.settings:
            yield f"`--backend {name}:convert=all`", _result_of(backend, {"convert": "all"})


def _result_of(backend: Backend, settings: Mapping[str, str]) -> Cell:
    def cell(form: Format) -> str:
        if backend.describe_conversion(_asset(form), settings):
            return "converted"
        if not form.extensions:
            return "no"
        if form.has_facts_beside and not backend.makes_symlinks:
            return "not alone"
        return "linked" if backend.makes else "yes"

    return cell


def _asset(form: Format) -> Asset:
    """Return an image of a format, as a row of a table has it."""
    extension = next(iter(form.extensions.values()), "")
    return Asset(
        key="sub-01_SPIM",
        dataset_id="",
        source=f"/image{extension}",
        stamp="0 0",
        extension=extension,
        valid_in_bids=form.valid_in_bids,
        sidecar={},
        format=form.name,
    )


def _yes(answer: bool) -> str:  # noqa: FBT001 - it is all that it says
    return "yes" if answer else "no"
