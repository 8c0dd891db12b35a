"""Finds things in an HDF5 file, and reads short values, without ever leaving the file.

HDF5 lets a name stand for something in another file (external and user-defined links), and a
dataset keep its values there (external storage, virtual datasets). HDF5 would follow them to any
file that the user can read. Here names are followed step by step: soft links lead on inside the
file, external links to where the user allows it (see `files.outside`), and what else leads out of
the file is refused. References lead nowhere: they are no values that a header can have. Facts: HDF5
User Guide, chapters on groups, datasets and attributes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.outside import VARIABLE, is_allowed
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.header import check_regular, load_library

if TYPE_CHECKING:
    from contextlib import ExitStack

LONGEST_TEXT = 2**16
"""HDF5 keeps attributes up to 64 KiB in an object header."""
MOST_LINKS = 16
"""Soft links that may follow each other, as HDF5 itself has it."""
_MOST_NUMBERS = 16
"""Numbers of an attribute that are read; real ones have a few."""
_REMEDY = "make a file that holds all of its data"
_REMEDY_OF_LINK = f"{_REMEDY}, or name the folder of the other one in {VARIABLE}"


class Hdf5File:
    """An open file. It uses the lower of h5py's two interfaces, which takes a third of the time."""

    def __init__(self, path: str, file: Any, opened: ExitStack) -> None:
        self.h5py, self.numpy = load_library("h5py"), load_library("numpy")
        self.path = path
        self._opened = opened
        """Closes other files as well."""
        self._others: dict[str, Hdf5File] = {}
        self._root = self.h5py.h5g.open(file, b"/")

    def find(self, name: str, owner: Any = None, most_links: int = MOST_LINKS) -> Any:
        """Return a group or dataset, `None` where it is not there.

        Parameters
        ----------
        name
            Its path, from the owner on.
        owner
            A group; that of the whole file, unless given.
        most_links
            How many links may be followed.

        Raises
        ------
        HeaderError
            The name leads into another file.
        """
        return self._follow(owner or self._root, os.fsencode(name), most_links)

    def _follow(self, owner: Any, name: bytes, most_links: int) -> Any:
        here = owner
        for part in name.split(b"/"):
            if not isinstance(here, self.h5py.h5g.GroupID):
                return None
            if part not in {b"", b"."}:
                here = self._step(here, part, most_links)
        return here

    def _step(self, group: Any, name: bytes, most_links: int) -> Any:
        """Return a member of a group."""
        if not group.links.exists(name):
            return None
        kind = group.links.get_info(name).type
        if kind == self.h5py.h5l.TYPE_HARD:
            return self.h5py.h5o.open(group, name)
        shown = name.decode("utf-8", "replace")
        if not most_links:
            raise HeaderError(self.path, f"has a link {shown!r} that leads back to itself")
        if kind != self.h5py.h5l.TYPE_SOFT:
            return self._leave(group, name, kind, most_links - 1)
        target: bytes = group.links.get_val(name)
        start = self._root if target.startswith(b"/") else group
        return self._follow(start, target, most_links - 1)

    def _leave(self, group: Any, name: bytes, kind: int, most_links: int) -> Any:
        """Return what a link leads to in another file, where the user allows that."""
        path = ""
        if kind == self.h5py.h5l.TYPE_EXTERNAL:
            told, inner = group.links.get_val(name)
            # HDF5 begins at the folder of the file.
            folder = os.path.dirname(os.path.realpath(self.path))
            path = os.path.realpath(os.path.join(folder, os.fsdecode(told)))
        if not path or not is_allowed(path):
            shown = name.decode("utf-8", "replace")
            what = f"has a link {shown!r} out of the file, which is not followed"
            raise HeaderError(self.path, what, _REMEDY_OF_LINK)
        if path not in self._others:
            check_regular(path)
            other = self._opened.enter_context(
                self.h5py.File(path, "r", swmr=False, locking="best-effort")
            )
            self._others[path] = Hdf5File(path, other.id, self._opened)
        return self._others[path].find(os.fsdecode(inner), most_links=most_links)

    def is_group(self, found: Any) -> bool:
        """Tell whether what was found is a group."""
        return isinstance(found, self.h5py.h5g.GroupID)

    def is_dataset(self, found: Any, name: str) -> bool:
        """Tell whether what was found is a dataset, and make sure that the file holds its values.

        Raises
        ------
        HeaderError
            Its values lie elsewhere, or are put together from other datasets.
        """
        if not isinstance(found, self.h5py.h5d.DatasetID):
            return False
        creation = found.get_create_plist()
        if creation.get_layout() == self.h5py.h5d.VIRTUAL:
            what = f"has a dataset {name!r} that is put together from others, which is not followed"
            raise HeaderError(self.path, what, _REMEDY)
        if creation.get_external_count():
            what = f"has a dataset {name!r} whose values lie in another file, which is not followed"
            raise HeaderError(self.path, what, _REMEDY)
        return True

    def text(self, section: Any, name: str) -> str:
        """Return an attribute, or a dataset of its name, as text; empty where it is not there.

        It may be an array of characters, a text, several texts, or numbers; of several the text
        has one behind the other, with blanks between them. Text longer than `LONGEST_TEXT`, or
        of any other type, is no text.
        """
        if section is None:
            return ""
        is_attribute = self.h5py.h5a.exists(section, name.encode())
        if is_attribute:
            source = self.h5py.h5a.open(section, name.encode())
        else:
            source = self.find(name, section)
            if not self.is_dataset(source, name):
                return ""
        if not 0 < source.get_space().get_simple_extent_npoints() <= LONGEST_TEXT:
            return ""
        if source.get_storage_size() > 8 * LONGEST_TEXT:
            return ""
        return self._as_text(self._value(section, name, source, is_attribute=is_attribute))

    def _value(self, section: Any, name: str, source: Any, *, is_attribute: bool) -> Any:
        try:
            dtype = source.dtype
            if is_attribute and dtype.kind == "S":
                # Imaris has these.
                characters = self.numpy.empty(source.shape, dtype)
                source.read(characters)
                return characters
            if is_attribute:
                return self.h5py.Group(section).attrs[name]
            return self.h5py.Dataset(source)[()]
        except (TypeError, ValueError):  # a type that numpy has not, or nothing at all
            return b""

    def _as_text(self, value: Any) -> str:
        array = self.numpy.asarray(value) if not isinstance(value, (bytes, str)) else None
        if array is None:
            text = _decoded(value)
        elif array.dtype.kind == "S" and array.dtype.itemsize == 1:
            text = _decoded(array.tobytes())
        elif _is_characters(array):
            text = _decoded(array.astype("u1").tobytes())
        elif array.dtype.kind in "SUO":
            items = array.ravel()[:_MOST_NUMBERS].tolist()
            known = all(isinstance(item, (bytes, str)) for item in items)
            text = " ".join(_decoded(item).strip("\0 ") for item in items) if known else ""
        elif array.dtype.kind in "iuf":
            # `str` of a number in single precision has no more digits than that holds.
            text = " ".join(str(item) for item in array.ravel()[:_MOST_NUMBERS])
        else:
            text = ""
        return text if len(text) <= LONGEST_TEXT else ""


def _is_characters(array: Any) -> bool:
    """Tell whether an array of numbers is a text, as C has it: signed bytes, all printable."""
    if array.dtype.kind != "i" or array.dtype.itemsize != 1 or array.size < 2:
        return False
    return bool(((array >= 32) | (array == 0)).all() and array.any())


def _decoded(value: bytes | str) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
