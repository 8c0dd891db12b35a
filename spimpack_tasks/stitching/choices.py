"""The choices of a volume, of parameters by name as tasks and command line have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.stitching.chain import Chain, Choices
from spimpack_tasks.stitching.correct import Corrections, Magnification
from spimpack_tasks.stitching.destripe import WaveletSettings
from spimpack_tasks.stitching.flat import FlatSettings
from spimpack_tasks.stitching.pairs import SearchSettings

if TYPE_CHECKING:
    from collections.abc import Mapping


def checked_chain(values: Mapping[str, Any]) -> Chain:
    """Return the steps of some choices, when all of them are right.

    Raises
    ------
    SpimpackError
        The file of tiles or a choice is wrong.
    """
    chain = Chain(choices_of(values))
    _ = chain.volume_id
    return chain


def choices_of(values: Mapping[str, Any]) -> Choices:
    """Return the choices of a task's parameters.

    Raises
    ------
    SpimpackError
        The plane centre is not two numbers.
    """
    return Choices(
        tiles=values["tiles"],
        output=values["image"],
        work_dir=values["work_dir"],
        flat=values["flat"],
        flat_settings=FlatSettings(dark=values["dark"], background=values["background"]),
        corrections=Corrections(
            destripe=values["destripe"],
            wavelet=WaveletSettings(
                values["sigma_bright"], values["sigma_dark"], values["wavelet"]
            ),
            dark=values["dark"],
            magnification=Magnification(
                values["magnification"], _parse_centre(values["plane_centre"])
            ),
        ),
        align=values["align"],
        align_file=values["align_file"],
        align_signs=values["align_signs"],
        align_reversed=values["align_reversed"],
        search=SearchSettings(search_um=values["search_um"]),
        interpolation=values["fuse"],
        ngff=values["ngff"],
        codec=values["codec"],
        name=values["image_name"],
        channel_name=values["channel_name"],
    )


def _parse_centre(text: str) -> tuple[float, float]:
    """Return row and column of a text such as `1024,1024`."""
    try:
        row, column = map(float, text.split(","))
    except ValueError as error:
        message = f"the plane centre is {text!r}; write row and column, such as 1024,1024"
        raise CentreRefusedError(message) from error
    return row, column


class CentreRefusedError(SpimpackError):
    """The plane centre is not two numbers."""

    exit_code = ExitCode.BAD_INPUT
