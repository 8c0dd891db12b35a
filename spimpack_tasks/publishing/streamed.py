"""Images that lie in the store already: they were written there when they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.publishing.journal import entry_of
from spimpack_tasks.remote.elsewhere import read_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spimpack_tasks.publishing.journal import Entries
    from spimpack_tasks.publishing.objects import Item, LocalObject
    from spimpack_tasks.publishing.publication import Publication


class LostImageError(SpimpackError):
    """An image that was written to the store is not there, or another location is published to."""

    exit_code = ExitCode.CONFLICT


def require_one_place(publication: Publication, items: Iterable[Item]) -> None:
    """Refuse to publish to another place than that where images lie already.

    Raises
    ------
    LostImageError
        An image lies elsewhere.
    """
    for item in items:
        folder = f"{publication.store.output_dir}/{item.name}"
        image = read_record(folder) if item.is_store else None
        if image is not None and image.url != str(publication.location):
            message = f"{item.name} lies at {image.url}; publish the dataset there"
            raise LostImageError(message)


def note_what_lies_there(
    items: Iterable[Item],
    locals_: Mapping[str, list[LocalObject]],
    listed: Mapping[str, tuple[int, str]],
    journals: Mapping[str, Entries],
) -> None:
    """Note objects that were written when their image was made.

    Raises
    ------
    LostImageError
        One is not there as it was written.
    """
    for item in items:
        for local in locals_[item.name]:
            if local.found is None:
                continue
            if listed.get(local.name) != (local.found.size, local.found.etag):
                message = (
                    f"{local.name} is not in the store as it was written; remove "
                    f"{item.name} from the dataset and package it again, which makes it once more"
                )
                raise LostImageError(message)
            journals[item.bucket][local.name] = entry_of(local, *local.found[1:])
