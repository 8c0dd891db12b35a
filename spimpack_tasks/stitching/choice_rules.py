"""Refuses choices of a stitching that are impossible, all at once, before any work."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.codec_table import CODEC_NAMES
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, MissingExtraError, SpimpackError, joined, suggestion
from spimpack_tasks.stitching.names import (
    ALIGNERS,
    DESTRIPES,
    ESTIMATED_FLAT,
    INTERPOLATIONS,
    NO_FLAT,
    SIGNS,
)
from spimpack_tasks.volumes.formats import NGFF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.stitching.chain import Choices
    from spimpack_tasks.stitching.tiles import TileSet

_missing_plugins = Deferred("spimpack_tasks.stitching.plugins:missing_plugins")
LARGEST_MAGNIFICATION = 10.0
"""Of a second camera, which differs by some percent; a larger factor is a slip of the pen."""


class ChoiceRefusedError(SpimpackError):
    """Choices of a user do not fit; the message has a line for each."""

    exit_code = ExitCode.BAD_INPUT


def check_choices(choices: Choices) -> None:
    """Refuse choices that do not fit, all at once.

    Raises
    ------
    ChoiceRefusedError
        A line for each.
    MissingExtraError
        PyWavelets is chosen, but not installed.
    """
    wrong = [*_wrong_names(choices), *_wrong_files(choices), *_wrong_numbers(choices)]
    wrong += _missing_plugins({"align": choices.align, "destripe": choices.corrections.destripe})
    if choices.corrections.destripe == "wavelet":
        wrong += _wrong_wavelets(choices.corrections.wavelet.wavelet)
    if wrong:
        raise ChoiceRefusedError("\n".join(wrong))


def require_one_size(path: str, tiles: TileSet) -> None:
    """Refuse a flat for tiles whose frames differ in size: one flat cannot fit all of them.

    Raises
    ------
    ChoiceRefusedError
        They differ; the message names each tile that differs from the first.
    """
    first = tiles.tiles[0].shape_frc[1:]
    sizes = ((tile.path, tile.shape_frc[1:]) for tile in tiles.tiles)
    others = [f"{name} has {size}" for name, size in sizes if size != first]
    if others:
        message = f"{path}: a flat needs frames of one size; those of the first tile have {first}"
        raise ChoiceRefusedError(f"{message} (rows, columns), but {', '.join(others)}")


def _wrong_names(choices: Choices) -> Iterator[str]:
    for key, value, known in (
        ("align", choices.align, ALIGNERS),
        ("destripe", choices.corrections.destripe, DESTRIPES),
        ("align_signs", choices.align_signs, SIGNS),
        ("fuse", choices.interpolation, INTERPOLATIONS),
        ("ngff", choices.ngff, NGFF),
        ("codec", choices.codec, CODEC_NAMES),
    ):
        if value not in known:
            yield f"{key} is {value!r}; choose {', '.join(known)}"
    if not set(choices.align_reversed) <= set("xyz"):
        yield f"align_reversed is {choices.align_reversed!r}; write axes, such as y or xz"
    if choices.align_signs != SIGNS[0] and choices.align != "file":
        yield f"align_signs is for a given file, but align is {choices.align!r}"


def _wrong_files(choices: Choices) -> Iterator[str]:
    if choices.align == "file" and not os.path.isfile(choices.align_file):
        yield f"align_file is {choices.align_file!r}, which is no file; align has chosen it"
    if choices.align != "file" and choices.align_file:
        yield f"align_file is given, but align is {choices.align!r}; choose file"
    is_path = choices.flat not in {NO_FLAT, ESTIMATED_FLAT}
    if is_path and not os.path.isfile(choices.flat):
        yield f"flat is {choices.flat!r}; choose none, estimate, or the path of a TIFF"


def _wrong_numbers(choices: Choices) -> Iterator[str]:
    corrections = choices.corrections
    for key, value in (
        ("dark", corrections.dark),
        ("background", choices.flat_settings.background),
        ("sigma_bright", corrections.wavelet.sigma_bright),
        ("sigma_dark", corrections.wavelet.sigma_dark),
    ):
        if not 0 <= value < math.inf:
            yield f"{key} is {value}; write a number from 0 on"
    if not 0 < choices.search.search_um < math.inf:
        yield f"search_um is {choices.search.search_um}; write a number above 0, such as 20"
    factor = corrections.magnification.factor
    if not 1 / LARGEST_MAGNIFICATION <= factor <= LARGEST_MAGNIFICATION:
        least = 1 / LARGEST_MAGNIFICATION
        known = f"a number from {least} to {LARGEST_MAGNIFICATION}, such as 1.02"
        yield f"magnification is {factor}; write {known}"
    if not all(map(math.isfinite, corrections.magnification.centre_rc)):
        centre = ",".join(map(str, corrections.magnification.centre_rc))
        yield f"the plane centre is {centre!r}; write row and column, such as 1024,1024"


def _wrong_wavelets(name: str) -> Iterator[str]:
    try:
        import pywt
    except ImportError as error:
        raise MissingExtraError("PyWavelets", "stitch") from error
    known = pywt.wavelist(kind="discrete")
    if name not in known:
        message = f"wavelet is {name!r}, which PyWavelets does not have"
        yield joined(message, suggestion(name, known))
