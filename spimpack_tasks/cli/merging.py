"""Options that merge several files into one image, of `spimpack convert` and `spimpack info`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import UsageError
from spimpack_tasks.volumes.merged.request import AXES, POLICIES, Policies
from spimpack_tasks.volumes.merged.sources import examine_merge

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from spimpack_tasks.volumes.examine import Source

_HELP = {
    "shape": "where files differ in sizes along the other axes: refuse them, or pad the smaller "
    "ones with zeros at the high end",
    "dtype": "where voxels differ in type: refuse, or promote to a type that holds all values",
    "spacing": "where files differ in size of voxels, time step, position, orientation or names "
    "of channels: refuse, or take those of the first",
    "channels": "where merged channels have one name: refuse, or number the names",
    "gaps": "where a number is missing among those of files along z: refuse, or accept it",
    "order": "natural, by the numbers in the paths, or table, as they are given",
}


def add_merge(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--merge",
        choices=AXES,
        default="",
        help="make one image of several files, one behind the other along time, channels or z",
    )
    for name, choices in POLICIES.items():
        parser.add_argument(
            f"--merge-{name}",
            choices=choices,
            default="",
            help=f"with --merge: {_HELP[name]} (default: {_default_of(name)})",
        )


def _default_of(policy: str) -> str:
    is_order = policy == "order"
    return "table, but natural of an alphabetical list" if is_order else POLICIES[policy][0]


def merge_given(arguments: argparse.Namespace, paths: Sequence[str], axes: str) -> Source:
    """Return the files of a command line as one source; `axes` are those of each file.

    Raises
    ------
    SourceRefusedError
        They cannot be read, or are no files of one image.
    """
    given = {name: getattr(arguments, f"merge_{name}") for name in POLICIES}
    policies = Policies(**{name: value for name, value in given.items() if value})
    whole = [os.path.abspath(os.path.expanduser(path)) for path in paths]
    return examine_merge(whole, arguments.merge, policies, axes)


def check_merge(arguments: argparse.Namespace, example: str) -> None:
    """Refuse policies where nothing is merged, and a choice in one file where several are.

    Raises
    ------
    UsageError
        They do not fit together.
    """
    for name in POLICIES:
        if getattr(arguments, f"merge_{name}") and not arguments.merge:
            message = f"--merge-{name} says how files are merged, but --merge is not given"
            raise UsageError(message, example)
    if arguments.merge and arguments.scene:
        message = "--scene chooses an image of one file, and --merge joins several files"
        raise UsageError(message, example)
    if arguments.merge and arguments.reader:
        message = "--reader reads one file, and --merge joins several files"
        raise UsageError(message, example)
