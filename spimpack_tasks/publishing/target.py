"""A dataset and where it is published; what a user or a task asks for."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError, count_of
from spimpack_tasks.publishing.objects import Item, find_items, find_users_files, require_packaged
from spimpack_tasks.publishing.publication import Publication
from spimpack_tasks.remote.credentials import find_endpoint
from spimpack_tasks.remote.location import Location
from spimpack_tasks.state.receipts import read_all_receipts
from spimpack_tasks.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self


class NotADatasetError(SpimpackError):
    """There is no dataset that was packaged."""

    exit_code = ExitCode.BAD_INPUT


class ForgottenFilesError(SpimpackError):
    """A run would delete what an earlier one has included, and nothing tells if it should."""

    exit_code = ExitCode.CONFLICT


@dataclass(frozen=True, slots=True)
class Target:
    """A dataset and where it is published."""

    dataset: str
    """Absolute path."""
    url: str
    endpoint_url: str = ""
    profile: str = ""
    include: tuple[str, ...] = ()
    """Further files and folders of the user's to send, relative to the dataset."""
    sources: bool = False
    """Whether the originals of converted images are sent as well."""
    replace_dataset: bool = False
    """Whether another dataset that is published there is replaced."""
    no_include: bool = field(default=False, compare=False)
    """Whether the user wants nothing beside the outputs to be sent."""
    limit_rate: int = field(default=0, compare=False)
    """Bytes a second that a process sends at most, 0 for no limit."""

    def publication(self) -> Publication:
        """Return the local records.

        Raises
        ------
        LocationError
            The address is wrong.
        """
        location = Location.parse(self.url, self.endpoint_url, self.profile)
        return Publication(Store(self.dataset), location)

    def included(self) -> tuple[tuple[str, ...], bool]:
        """Return what the last run has sent beside the outputs: files, and whether originals."""
        known = self.publication().read("included")
        include = known.get("include")
        names = tuple(map(str, include)) if isinstance(include, list) else ()
        return names, bool(known.get("sources"))

    def with_included(self) -> Self:
        """Return the target with what the last run has sent beside the outputs, by default."""
        if self.include or self.sources or self.no_include:
            return self
        include, sources = self.included()
        return replace(self, include=include, sources=sources)

    def keep_included(self) -> None:
        """Make what is sent beside the outputs the default of later runs."""
        values = {"include": list(self.include), "sources": self.sources}
        if self.publication().read("included") != values:
            self.publication().write("included", values)

    def require_choice(self, stale: Iterable[str]) -> None:
        """Refuse to delete objects of files that the dataset has, where no choice is known.

        Parameters
        ----------
        stale
            The objects that a run would delete.

        Raises
        ------
        ForgottenFilesError
            There are some, and the record of what is sent beside the outputs is lost.
        """
        if self.include or self.sources or self.no_include or self.publication().read("included"):
            return
        names = [name for name in stale if os.path.isfile(f"{self.dataset}/{name}")]
        if names:
            message = (
                f"{count_of(len(names), 'object')} there, such as {names[0]}, came with --include "
                "or --with-sources, and the dataset still has the files; give the option again, or "
                "--no-include to delete them there"
            )
            raise ForgottenFilesError(message)

    def items(self) -> list[Item]:
        """Return the outputs to send, whether they are as they were packaged or not.

        Raises
        ------
        SpimpackError
            There is no dataset, or no file that is to be included.
        """
        store = Store(self.dataset)
        if not store.current_plan_id():
            message = f"{self.dataset} holds no dataset that was packaged; give its directory"
            raise NotADatasetError(message)
        return find_items(store, self.include, sources=self.sources)

    def sound_items(self) -> list[Item]:
        """Return the outputs to send.

        Raises
        ------
        UnpackagedError
            The dataset is not as it was packaged.
        SpimpackError
            As of `items`.
        """
        items = self.items()
        require_packaged(Store(self.dataset))
        return items


def make_location(url: str, endpoint_url: str = "", profile: str = "") -> Location:
    """Return a location whose service is named, if only the environment or a profile names it.

    Raises
    ------
    SpimpackError
        The address is wrong, or the configuration cannot be read.
    """
    location = Location.parse(url, endpoint_url, profile)
    return Location.parse(str(location), find_endpoint(location), profile)


def identify(target: Target) -> str:
    """Return the identity of a publication: a digest of the state of the dataset and the target.

    It reads the records, and no image.
    """
    store = Store(target.dataset)
    digest = blake2b(digest_size=16)
    digest.update(repr((target.url, target.endpoint_url, target.include, target.sources)).encode())
    for part, receipts in sorted(read_all_receipts(store).items()):
        for name, receipt in sorted(receipts.items()):
            values = (part, name, receipt.fingerprint, receipt.evidence, receipt.stamp)
            digest.update(repr(values).encode())
    for name in [*find_users_files(target.dataset), *target.include]:
        try:
            status = os.stat(f"{target.dataset}/{name}")
        except OSError:
            continue
        digest.update(repr((name, status.st_size, status.st_mtime_ns)).encode())
    return digest.hexdigest()
