"""Takes planes from a folder into which another program still writes.

A plane is taken when its file has stayed as it is for a while and can be read whole. Planes are
taken in the order of the number in their names, see `plane_order`. One that is not there yet is
waited for; when later ones are there and it does not come, it counts as missing. Where several
numbers count, places are known only when all planes are there, and they are taken then.
"""

from __future__ import annotations

import logging
import os
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.streams.errors import SourceError
from spimpack_tasks.streams.frame_source import POLL_S, EndRule, SourceFrame, frame_shape
from spimpack_tasks.streams.plane_files import ENDINGS, IncompletePlaneError, read_plane_file
from spimpack_tasks.streams.plane_order import PlaneOrder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.streams.settings import AcquisitionSettings

_logger = logging.getLogger(__name__)
_TEMPORARY = re.compile(r"^[.~]|~$|(^|[._-])(tmp|temp|part|partial)([._-]|$)", re.IGNORECASE)
PATIENCE_S = 30.0
"""Seconds that a plane is waited for when later ones are there, unless a quiet time is given."""
_TELL_S = 5.0
"""Seconds of waiting for a plane before its name is told."""


class _Seen(NamedTuple):
    size: int
    changed_ns: int
    since: float
    """When the file was first seen like that."""


class GrowingFolder:
    """A folder of planes.

    Parameters
    ----------
    path
        The folder; it is only read.
    settings
        Have shape, type and number of frames.
    rule
        When it has ended.

    Raises
    ------
    SourceError
        Nothing would ever end the stream.
    """

    def __init__(self, path: str, settings: AcquisitionSettings, rule: EndRule) -> None:
        if settings.is_unbounded and not rule.is_given:
            message = (
                f"{path} may grow for ever: name the file that ends it (--until-file), or the "
                "seconds without a new plane (--quiet)"
            )
            raise SourceError(message)
        self._path, self._rule, self._total = path, rule, settings.num_frames
        self._shape, self._dtype = frame_shape(settings), settings.dtype
        self._patience_s = rule.quiet_s or PATIENCE_S
        self._seen: dict[str, _Seen] = {}
        self._changed = time.monotonic()
        self._dimensions = settings.dimensions[:-2]
        self._order = PlaneOrder([])
        self._taken: dict[int, str] = {}
        self._late = self._awaited_since = 0.0
        self._is_whole = False

    def remember(self, names: Mapping[int, str]) -> None:
        """Learn the names of planes that an earlier run has taken, by their places."""
        self._taken.update(names)

    def frames(self, first: int) -> Iterator[SourceFrame]:
        """Yield planes from a number on, see `FrameSource.frames`."""
        number, is_ended = first, self._look()
        self._check_places(is_ended=is_ended)
        while self._total is None or number < self._total:
            name = self._name_of(number, is_ended=is_ended)
            is_missing = name is None and self._is_missing(number, is_ended=is_ended)
            pixels = self._read_settled(name, is_ended=is_ended) if name else None
            if pixels is not None:
                self._taken[number] = name or ""
                self._awaited_since = 0.0
                yield SourceFrame(number, pixels, name=name or "")
                number += 1
            elif is_missing:
                _logger.warning("%s has no plane %s", self._path, self._order.expected(number))
                yield SourceFrame(number, None)
                number += 1
            elif is_ended and name is None and not self._has_later(number):
                return
            else:
                self._tell_awaited(number)
                time.sleep(min(POLL_S, self._rule.settle_s))
                is_ended = self._look()
                self._check_places(is_ended=is_ended)
        more = len(self._seen) - len(self._taken) if not first else 0
        if more > 0:
            _logger.warning("%s has further planes than announced: %s", self._path, more)

    def read(self, number: int) -> Voxels | None:
        """Return an earlier plane once more."""
        if not self._seen:
            self._is_whole = self._look()
            if not self._is_whole and not self._order.is_known:
                time.sleep(self._rule.settle_s)
                self._is_whole = self._look()
            self._check_places(is_ended=self._is_whole)
        name = self._name_of(number, is_ended=self._is_whole)
        return self._read(name) if name in self._seen else None

    def _look(self) -> bool:
        """Look at the files, and tell whether no other can come."""
        now = time.monotonic()
        seen: dict[str, _Seen] = {}
        with os.scandir(self._path) as entries:
            for entry in entries:
                if not entry.name.lower().endswith(ENDINGS) or _TEMPORARY.search(entry.name):
                    continue
                if entry.name == self._rule.marker or not entry.is_file():
                    continue
                status = entry.stat()
                size, changed_ns = status.st_size, status.st_mtime_ns
                before = self._seen.get(entry.name)
                if before and before[:2] == (size, changed_ns):
                    seen[entry.name] = before
                else:
                    seen[entry.name] = _Seen(size, changed_ns, now)
                    self._changed = now
        if seen.keys() != self._seen.keys():
            # Planes that were taken keep their places when they are moved away.
            self._order = PlaneOrder({*seen, *self._taken.values()}, self._dimensions)
        self._seen = seen
        marker = os.path.join(self._path, self._rule.marker) if self._rule.marker else ""
        is_marked = bool(marker) and os.path.exists(marker)
        is_quiet = 0 < self._rule.quiet_s <= now - self._changed
        names = {*seen, *self._taken.values()}
        is_full = self._total is not None and len(names) >= self._total
        settled = all(now - each.since >= self._rule.settle_s for each in seen.values())
        return (is_marked or is_quiet or is_full) and settled

    def _name_of(self, number: int, *, is_ended: bool) -> str | None:
        """Return the name of a plane, `None` while it is not there, or the order is not known."""
        if not is_ended and not self._order.is_known:
            return None
        return self._order.by_index.get(number)

    def _has_later(self, number: int) -> bool:
        return any(index > number for index in self._order.by_index)

    def _is_missing(self, number: int, *, is_ended: bool) -> bool:
        """Tell whether a plane never comes, although later ones are there."""
        is_open = not is_ended and not self._order.is_known
        if is_open or number in self._order.by_index or not self._has_later(number):
            self._late = 0.0
            return False
        now = time.monotonic()
        self._late = self._late or now
        if not is_ended and now - self._late < self._patience_s:
            return False
        self._late = 0.0
        return True

    def _check_places(self, *, is_ended: bool) -> None:
        """Refuse names that give no places, or others than those where planes were taken.

        Raises
        ------
        SourceError
            There are some.
        """
        if is_ended and self._order.fault:
            message = f"{self._path}: {self._order.fault}"
            raise SourceError(message)
        if not is_ended and not self._order.is_known:
            return
        for number, name in self._taken.items():
            other = self._order.by_index.get(number, "")
            if other != name:
                what = f"{other} belongs" if other else "no plane belongs, by its name,"
                message = (
                    f"{self._path}: {what} where {name} was taken before all were there; the "
                    "frames so far are kept"
                )
                raise SourceError(message)

    def _tell_awaited(self, number: int) -> None:
        """Name the plane that is waited for, once, after some seconds."""
        now = time.monotonic()
        if not self._awaited_since:
            self._awaited_since = now
        elif 0 < self._awaited_since <= now - _TELL_S:
            self._awaited_since = float("inf")
            awaited = self._order.expected(number)
            _logger.warning("%s: plane %s is waited for", self._path, awaited)

    def _read_settled(self, name: str, *, is_ended: bool) -> Voxels | None:
        """Return a plane, `None` while it may still be written."""
        if time.monotonic() - self._seen[name].since < self._rule.settle_s:
            return None
        try:
            return self._read(name)
        except IncompletePlaneError as error:
            if is_ended:
                message = f"{self._path}/{name} cannot be read: {error}"
                raise SourceError(message) from error
            return None

    def _read(self, name: str) -> Voxels:
        return read_plane_file(f"{self._path}/{name}", self._shape, self._dtype)
