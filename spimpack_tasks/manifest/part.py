"""A part of the rows: those of a few subjects or images, and those of images that are there."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.manifest.records import Record
    from spimpack_tasks.model.plan import Asset

_SUBJECT = re.compile(r"sub-([A-Za-z0-9]+)_")


@dataclass(frozen=True)
class Part:
    """Subjects and images that a user wants, and images that stay in the dataset.

    Without any wish, all rows belong to it.
    """

    subjects: frozenset[str] = frozenset()
    """Labels."""
    images: frozenset[str] = frozenset()
    """Names in the dataset, paths as the table has them, or names of source files."""
    kept: frozenset[str] = frozenset()
    """Keys of the images in the dataset."""

    @property
    def is_all(self) -> bool:
        """Whether all rows belong to it."""
        return not self.subjects and not self.images

    @cached_property
    def _keys(self) -> frozenset[str]:
        return frozenset(os.path.basename(name).partition(".")[0] for name in self.images)

    @cached_property
    def _all_subjects(self) -> frozenset[str]:
        """Labels of all subjects of which an image may belong to it."""
        found = (_SUBJECT.match(key) for key in (*self.kept, *self._keys))
        return self.subjects | {match[1] for match in found if match}

    def may_hold(self, record: Record) -> bool:
        """Tell whether the image of a row that is not understood yet may belong to the part."""
        return self.is_all or _subject(record) in self._all_subjects or self._names(record)

    def holds(self, record: Record, asset: Asset) -> bool:
        """Tell whether an image belongs to the part."""
        return (
            self.is_all
            or asset.subject_label in self.subjects
            or asset.key in self.kept
            or asset.key in self._keys
            or self._names(record)
        )

    def _names(self, record: Record) -> bool:
        path = record.cell("spim_path")
        return isinstance(path, str) and bool({path, os.path.basename(path)} & self.images)

    def problems(self, records: Iterable[Record], keys: set[str]) -> Iterator[Problem]:
        """Yield what of the wishes no row has; `keys` are those of the images of the part."""
        records = list(records)
        line = Place("command line")
        known = sorted({_subject(record) for record in records})
        for label in sorted(self.subjects.difference(known)):
            message, hint = f"no row has the subject {label!r}", suggestion(label, known)
            yield Problem("option.part", line, "--subject", message, hint)
        paths = [str(record.cell("spim_path") or "") for record in records]
        names = {name for path in paths for name in (path, os.path.basename(path))}
        for name in sorted(self.images - names):
            if os.path.basename(name).partition(".")[0] not in keys:
                message, hint = f"no row has the image {name!r}", suggestion(name, sorted(names))
                yield Problem("option.part", line, "--image", message, hint)


ALL = Part()


def _subject(record: Record) -> str:
    return str(record.cell("subject") or "").strip().removeprefix("sub-")
