"""Sentences on what a look at a location has found beside the work to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.errors import count_of, printable
from spimpack_tasks.publishing.look import MANY_OBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.publishing.look import Look

_MOST_NAMES = 10
"""Names shown of many: they tell what kind of files it is."""


def notes_of(found: Look) -> list[str]:
    """Return the notes: objects of others, images of very many objects, files that are not sent.

    Names of objects stand below their note, on lines of their own.
    """
    replaced = f"replaces another dataset that is published there: {printable(found.replaced)}"
    return [*([replaced] if found.replaced else []), *_on_others(found), *_on_images(found)]


def _on_others(found: Look) -> Iterator[str]:
    for names, what in (
        (found.blocked, "not of ours, inside of an image, so nothing can be published"),
        (found.occupied, "not of ours, in place of one of ours, so nothing can be published"),
        (found.edited, "of an earlier publication, and changed since: left as they are"),
        (found.foreign, "not of ours: left as they are"),
    ):
        if names:
            lines = [f"{count_of(len(names), 'object')} {what}:"]
            lines += [f"  {name}" for name in names[:_MOST_NAMES]]
            if len(names) > _MOST_NAMES:
                lines.append(f"  and {len(names) - _MOST_NAMES:,} more")
            yield "\n".join(lines)


def _on_images(found: Look) -> Iterator[str]:
    for name, count in found.crowded.items():
        yield (
            f"{name} has {count:,} objects, and each is a request; package it with shards "
            f"(--backend ome-zarr, ngff=0.5), which take far fewer than {MANY_OBJECTS:,}"
        )
    if found.others:
        yield (
            f"not of spimpack and not sent: {', '.join(found.others[:_MOST_NAMES])}; "
            "--include PATH sends one as well"
        )
