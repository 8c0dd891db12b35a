"""Decides whether an image may be read from outside its source.

A link in an image could lead to any file that the user can read, and the output would contain its
bytes. So a link out of a source is refused, unless the user allows its target:
`SPIMPACK_ALLOW_EXTERNAL` names folders, with `:` between them. It is not a key of the manifest,
since a manifest may come from the same source as the images.
"""

from __future__ import annotations

import os

VARIABLE = "SPIMPACK_ALLOW_EXTERNAL"
REMEDY = f"put what it leads to in its place, or name its folder in {VARIABLE}"


def is_allowed(path: str) -> bool:
    """Tell whether the user allows that images are read from a place; links count as resolved."""
    real = os.path.realpath(path)
    folders = [each for each in os.environ.get(VARIABLE, "").split(os.pathsep) if each]
    return any(is_within(real, os.path.realpath(os.path.expanduser(each))) for each in folders)


def is_within(path: str, folder: str) -> bool:
    """Tell whether a path is a folder, or lies in it; both are absolute, with links resolved."""
    return os.path.commonpath([path, folder]) == folder
