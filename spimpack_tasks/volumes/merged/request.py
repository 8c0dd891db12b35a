"""Merges: several image files that become one image along an axis, and the policies of that.

A merge is written as one text, which names its files. Plans and requests hold that text, so an
image is made again when a file or a policy of it is another one.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.model.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Sequence

AXES = ("T", "C", "Z")
"""Axes along which images can be joined; a mosaic along X or Y needs to be stitched."""
POLICIES = MappingProxyType(
    {
        "shape": ("error", "pad"),
        "dtype": ("error", "promote"),
        "spacing": ("error", "first"),
        "channels": ("error", "number"),
        "gaps": ("error", "accept"),
        "order": ("natural", "table"),
    }
)
"""Choices of each policy, the default first, which is the strict one; `order` has no default."""
_BEGINNING = '{"merge": '


class PolicyNameError(SpimpackError, TypeError):
    """A policy that there is not."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True)
class Policies:
    """How files are merged that differ; the defaults refuse all differences."""

    shape: str = "error"
    """`pad` fills smaller files up with zeros at the high end of an axis."""
    dtype: str = "error"
    """`promote` chooses the smallest type that holds all values of all files."""
    spacing: str = "error"
    """`first` takes sizes of voxels, time step, origin, orientation and names of channels from the
    first file."""
    channels: str = "error"
    """`number` numbers names that come twice, where channels are merged."""
    gaps: str = "error"
    """`accept` takes files along Z among whose numbers one is missing."""
    order: str = ""
    """`natural` sorts files by the numbers in their paths; `table` keeps them as they are given, as
    nothing does. Of a merge it is which of both its order is."""

    def as_dict(self) -> dict[str, str]:
        """Return the policies by name; that of gaps, which came later, where it allows them."""
        found = asdict(self)
        return found if self.gaps != "error" else {k: v for k, v in found.items() if k != "gaps"}


@dataclass(frozen=True, slots=True)
class Merge:
    """Files that become one image."""

    axis: str
    """One of `AXES`."""
    members: tuple[tuple[str, str], ...]
    """Absolute path and name of the format of each file, in their order along the axis."""
    policies: Policies = Policies()
    axes: str = ""
    """Names of the axes of each file as they are stored, in lower case; nothing for its own."""
    written: tuple[str, ...] = ()
    """Absolute path of each file as it is given, where links lead to files of other names."""

    @property
    def text(self) -> str:
        """The text that plans and requests hold."""
        data = {"merge": self.axis, "files": self.members, **self.policies.as_dict()}
        data |= {"axes": self.axes} if self.axes else {}
        data |= {"written": self.written} if self.written else {}
        return json.dumps(data)

    @property
    def selection(self) -> Selection:
        """The choice of the user in each file."""
        return Selection(axes=self.axes)

    @property
    def paths(self) -> tuple[str, ...]:
        """Absolute paths of the files as they are given."""
        return self.written or tuple(path for path, _ in self.members)

    @property
    def names(self) -> list[str]:
        """Paths of the files below the folder that holds them all, as they are given."""
        return names_below(self.paths)


def names_below(paths: Sequence[str]) -> list[str]:
    """Return the paths of files below the folder that holds them all."""
    root = os.path.commonpath([os.path.dirname(path) for path in paths])
    return [os.path.relpath(path, root) for path in paths]


class UnknownChoiceError(SpimpackError, ValueError):
    """An axis or a policy is none of those that there are."""

    exit_code = ExitCode.BAD_INPUT


def check_choices(axis: str, policies: Policies) -> None:
    """Refuse an axis or a policy that there is not.

    Raises
    ------
    UnknownChoiceError
        One is such.
    """
    given = {"axis": axis, **asdict(policies)}
    for name, choices in {"axis": AXES, **POLICIES}.items():
        if given[name] not in choices and (name, given[name]) != ("order", ""):
            message = f"{given[name]!r} is no {name} of a merge; choose {' or '.join(choices)}"
            raise UnknownChoiceError(message)


def is_merge(text: str) -> bool:
    """Tell whether a text, such as the name of a format, is a merge."""
    return text.startswith(_BEGINNING)


def merge_of_text(text: str) -> Merge:
    """Return the merge that a text is."""
    data = json.loads(text)
    axis, members = data.pop("merge"), tuple(map(tuple, data.pop("files")))
    axes, written = data.pop("axes", ""), tuple(data.pop("written", ()))
    return Merge(axis, members, Policies(**data), axes, written)
