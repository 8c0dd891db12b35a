"""Several files as one image: `merge_files`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import suggestion
from spimpack_tasks.volumes.merged.request import (
    POLICIES,
    Policies,
    PolicyNameError,
    UnknownChoiceError,
)
from spimpack_tasks.volumes.merged.sources import examine_merge

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from spimpack_tasks.volumes.examine import Source

    Path: TypeAlias = str | os.PathLike[str]


def merge_files(
    paths: Path | Iterable[Path],
    axis: str,
    *,
    axes: str = "",
    **policies: str,
) -> Source:
    """Return several files as one image; `open_image`, `probe_image` and `convert` take it.

    Whether they fit together is checked there.

    Parameters
    ----------
    paths
        The files, in their order; one path is one file. Alphabetical ones, as `sorted` gives them,
        are sorted by their numbers along T and Z, unless `order` is given: `t2` before `t10`.
    axis
        `T`, `C` or `Z`: along which they lie one behind the other.
    axes
        What the axes of each file are as they are stored, such as `"ZYX"`, where it does not say
        it or is wrong.
    policies
        How files are merged that differ; any difference is refused if none is given.
        `shape="pad"` adds zeros at the high end of smaller files. `dtype="promote"` chooses the
        smallest type that holds all values. `spacing="first"` takes size of voxels, time step,
        position, orientation and names of channels from the first file. `channels="number"`
        numbers names of merged channels that come twice. `gaps="accept"` takes files along Z among
        whose numbers one is missing. `order="natural"` sorts by the numbers in the paths, and
        `order="table"` keeps the order.

    Raises
    ------
    SourceRefusedError
        A file cannot be read, or is given twice.
    UnknownChoiceError
        The axis or a policy is none of those that there are, there is no file, or the files are a
        set. It is a `SpimpackError` and a `ValueError`.
    PolicyNameError
        There is no policy of that name. It is a `SpimpackError` and a `TypeError`.
    """
    if isinstance(paths, set | frozenset):
        message = "a set of files has no order; give them as a list"
        raise UnknownChoiceError(message)
    several = [paths] if isinstance(paths, str | os.PathLike) else paths
    for name in policies.keys() - POLICIES.keys():
        hint = suggestion(name, POLICIES) or f"there are {', '.join(POLICIES)}"
        raise PolicyNameError(f"{name!r} is no policy of a merge; {hint}")
    return examine_merge([*map(os.path.abspath, several)], axis, Policies(**policies), axes)
