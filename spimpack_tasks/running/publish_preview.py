"""Preview of a publication: what a run would send, and what stands against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.files.roots import check_within
from spimpack_tasks.publishing.estimate import estimate
from spimpack_tasks.publishing.look_notes import notes_of
from spimpack_tasks.publishing.publish import look
from spimpack_tasks.remote.credentials import find_credentials

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spimpack_tasks.publishing.estimate import Estimate
    from spimpack_tasks.publishing.objects import Item
    from spimpack_tasks.running.publishing import PublishRequest


@dataclass(frozen=True, slots=True)
class PublishPreview:
    """The work of a publication."""

    location: str
    objects: int
    """Objects of the dataset."""
    bytes: int
    planned: Estimate
    bytes_to_send: int
    """Bytes that progress is measured by, with those of objects that may be there already."""
    notes: tuple[str, ...]
    """Objects of others, images of very many objects, files that are not sent."""
    is_blocked: bool
    """Whether an object that is not ours stops a run."""
    is_current: bool
    """Whether nothing is to be done."""


def preview_publication(request: PublishRequest, roots: Sequence[str]) -> PublishPreview:
    """Return what a run would do; nothing is written, here or there.

    Parameters
    ----------
    request
        The dataset and the location.
    roots
        Folders that may be read; all if there are none.

    Raises
    ------
    SpimpackError
        There are no credentials, the dataset is not as it was packaged, or the service refuses.
    OSError
        A file cannot be read.
    """
    target = request.target()
    items = target.items()
    require_items_within(request.dataset, items, roots)
    location = target.publication().location
    find_credentials(location)
    found = look(target)
    return PublishPreview(
        str(location),
        found.wanted,
        found.size,
        estimate(items, found),
        found.bytes_to_send,
        tuple(notes_of(found)),
        bool(found.blocked or found.occupied),
        found.is_current,
    )


def require_items_within(dataset: str, items: Iterable[Item], roots: Sequence[str]) -> None:
    """Refuse a dataset with links that lead out of the folders that may be read.

    Raises
    ------
    OutsideRootsError
        There is one; its content would be published.
    """
    for item in items if roots else ():
        check_within(f"{dataset}/{item.name}", roots)
