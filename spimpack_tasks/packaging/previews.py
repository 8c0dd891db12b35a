"""Recognises the pictures beside images.

The origin of a picture is written into it, so it is known again when the state is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.files.regular import open_regular

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Output

_BEGINNING = 4096
"""Bytes of a picture in which its origin stands."""
KEY = "made_from"
"""The keyword of a text in the picture: what it was drawn from."""


def is_preview(_image: str, output: Output, path: str) -> bool:
    """Tell whether a file is the picture that was drawn of an image as it is."""
    with open_regular(path) as file:
        beginning = file.read(_BEGINNING)
    return f"{KEY}\0{output.fingerprint}".encode() in beginning
