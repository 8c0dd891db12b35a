"""Reads texts and numbers in the files of acquisition programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spimpack_tasks.acquisition.facts import AcquisitionFileError
from spimpack_tasks.files.limits import LARGEST_METADATA, REMEDY, allowed, as_size
from spimpack_tasks.files.regular import open_descriptor
from spimpack_tasks.model.quantities import QuantityError, length_in_um

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Reader:
    """Collects facts from texts, and doubts from texts that make no sense."""

    def __init__(self) -> None:
        self.doubts: list[str] = []
        self.settings: list[str] = []

    def length_um(self, name: str, text: object) -> float | None:
        """Return a length in micrometres; 0 and an empty text are no length."""
        written = str(text).strip() if text is not None else ""
        if not written or written.strip("0.") == "":
            return None
        try:
            return length_in_um(written.lstrip("-+"), "um")
        except QuantityError as error:
            self.doubts.append(f"{name}: {error}")
            return None

    def whole_number(self, name: str, text: object) -> int | None:
        """Return a number from 1 on, such as that of `1100.00`."""
        written = str(text).strip() if text is not None else ""
        whole, _, decimals = written.partition(".")
        if whole.isascii() and whole.isdecimal() and not decimals.strip("0") and len(whole) < 10:
            return int(whole) or None
        if written:
            self.doubts.append(f"{name}: {written[:20]!r} is no number of planes or pixels")
        return None

    def set(self, *pairs: tuple[str, object]) -> None:
        """Note settings that have a value, such as `zoom` and `1x`."""
        self.settings += [f"{name} {text}" for name, text in pairs if str(text or "").strip()]


def read_text(path: str, most: int = LARGEST_METADATA) -> str:
    """Return the text of a small file, in UTF-8 or else in Latin-1, as programs on Windows write.

    Raises
    ------
    AcquisitionFileError
        It cannot be opened, or is too large.
    """
    data, size = read_beginning(path, allowed(most))
    if size > len(data):
        raise AcquisitionFileError(f"has {as_size(size)}; {REMEDY}")
    return decoded(data)


def read_beginning(path: str, most: int) -> tuple[bytes, int]:
    """Return the first bytes of a regular file, and its size.

    Raises
    ------
    AcquisitionFileError
        It cannot be read.
    """
    try:
        descriptor, status = open_descriptor(path)
        with open(descriptor, "rb") as file:
            return file.read(most), status.st_size
    except OSError as error:
        raise AcquisitionFileError(f"cannot be read: {error.strerror or error}") from error


def decoded(data: bytes) -> str:
    """Return a text by its bytes; every byte is a character of Latin-1."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object that a text is.

    Raises
    ------
    AcquisitionFileError
        It is none.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AcquisitionFileError(f"is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise AcquisitionFileError("is JSON, but no object")
    return found


def first_of(sources: Iterable[Mapping[str, Any]], names: Iterable[str]) -> str:
    """Return the first text or number under one of several names, empty where there is none."""
    for source in sources:
        for name in names:
            value = source.get(name)
            if isinstance(value, str | int | float) and str(value).strip():
                return str(value).strip()
    return ""
