"""The environment variables of spimstitch's scripts, as defaults of our parameters.

Facts: the scripts of spimstitch (MIT). A pure function turns an environment into a mapping; it
reads nothing else. A variable that is not set leaves its parameter to the files of the recording.
An empty text counts as not set, as in the scripts. Unknown values and contradictions are refused,
all of them at once. Variables that have no effect here are not read: `options.explain_idle` names
them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import ExitCode, SpimpackError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LARGEST = 1e9
"""No number of a script is larger."""


class EnvironmentRefusedError(SpimpackError):
    """Variables of the environment have impossible or contradictory values."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True)
class SpimstitchEnv:
    """Our parameters by the variables of the scripts; `None` where nothing is said."""

    step_um: float | None = None
    """X_STEP_SIZE."""
    pitch_um: float | None = None
    """Y_VOXEL_SIZE."""
    z_offset_frames: float | None = None
    """Z_OFFSET: frames between neighbouring layers of tiles."""
    background: float | None = None
    """BACKGROUND: counts of the dark camera."""
    workers: int | None = None
    """WORKERS or N_WORKERS."""
    flat: str | None = None
    """ILLUM_CORR: path of the flat image."""
    destripe: str | None = None
    """USE_WAVELETS: `wavelet`, otherwise `lightsheet`, as the scripts have it."""
    align_file: str | None = None
    """ALIGN_FILE: path of the alignment of another channel."""
    is_y_negative: bool | None = None
    """NEGATIVE_Y."""
    flip_ud: bool | None = None
    """FLIP_Y_SWITCH."""

    @property
    def reversed_axes(self) -> str | None:
        """Axes along which the stage falls while pixels rise."""
        return None if self.is_y_negative is None else "y" if self.is_y_negative else ""

    def z_pitch_um(self, step_um: float) -> float | None:
        """Return the distance of layers of tiles, by the distance of frames."""
        return None if self.z_offset_frames is None else self.z_offset_frames * step_um


def read_environment(environment: Mapping[str, str]) -> SpimstitchEnv:
    """Return parameters by the variables of an environment.

    Raises
    ------
    EnvironmentRefusedError
        Values are impossible or contradict one another; the message has a line for each.
    """
    problems: list[str] = []
    found: dict[str, Any] = {}
    set_by: dict[str, str] = {}
    for name, (key, read) in _VARIABLES.items():
        text = environment.get(name, "").strip()
        if not text:
            continue
        try:
            value = read(text)
        except ValueError as error:
            problems.append(f"{name} is {text!r}, but must be {error}")
            continue
        if key in found and found[key] != value:
            other = set_by[key]
            problems.append(f"{name} is {text!r}, but {other} is {environment[other]!r}; unset one")
        found[key], set_by[key] = value, name
    if "destripe" not in found and any(environment.get(name) for name in _OF_PIPELINES):
        found["destripe"] = "lightsheet"
    if problems:
        raise EnvironmentRefusedError("\n".join(problems))
    return SpimstitchEnv(**found)


def _positive(text: str) -> float:
    number = _number(text)
    if number <= 0:
        raise ValueError(_A_LENGTH)
    return number


_A_LENGTH = "a number above 0"
_A_NUMBER = "a number from 0 on"


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(_A_NUMBER) from None
    if not 0 <= number <= _LARGEST:
        raise ValueError(_A_NUMBER)
    return number


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= _LARGEST):
        message = "a whole number from 1 on"
        raise ValueError(message)
    return int(text)


def _path(text: str) -> str:
    if "\0" in text:
        message = "a path"
        raise ValueError(message)
    return os.path.expanduser(text)


def _choice(**known: bool) -> Callable[[str], bool]:
    """Return a reader of a text that stands for yes or no."""

    def read(text: str) -> bool:
        if text.lower() not in known:
            message = " or ".join(name for name in known)
            raise ValueError(message)
        return known[text.lower()]

    return read


_yes = _choice(**{"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False})


def _wavelets(text: str) -> str:
    return "wavelet" if _yes(text) else "lightsheet"


_VARIABLES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "X_STEP_SIZE": ("step_um", _positive),
    "Y_VOXEL_SIZE": ("pitch_um", _positive),
    "Z_OFFSET": ("z_offset_frames", _positive),
    "BACKGROUND": ("background", _number),
    "WORKERS": ("workers", _count),
    "N_WORKERS": ("workers", _count),
    "ILLUM_CORR": ("flat", _path),
    "USE_WAVELETS": ("destripe", _wavelets),
    "ALIGN_FILE": ("align_file", _path),
    "NEGATIVE_Y": (
        "is_y_negative",
        _choice(**{"1": True, "negative-y": True, "0": False, "positive-y": False}),
    ),
    "FLIP_Y_SWITCH": (
        "flip_ud",
        _choice(
            **{"--flip-ud": True, "flip-y": True, "1": True, "do-not-flip-y": False, "0": False}
        ),
    ),
}
"""Our parameter, and the function that reads the value, by the name of the variable."""
_OF_PIPELINES = ("ILLUM_CORR", "BACKGROUND")
"""Variables of scripts that destripe always: by the light sheet, unless wavelets are asked for."""
