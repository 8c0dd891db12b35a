"""Runs of `spimpack publish` that pages start, watch and stop; found by their dataset."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.publishing.progress import BytesBrought
from spimpack_tasks.publishing.target import Target, make_location
from spimpack_tasks.running.supervised import RunsByFolder, SupervisedRun, command_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """Request for a publication."""

    dataset: str
    url: str
    endpoint_url: str = ""
    profile: str = ""
    limit_rate: int = 0
    """Bytes a second, 0 for no limit."""

    def target(self) -> Target:
        """The dataset and the location, with the service that the environment names.

        Raises
        ------
        SpimpackError
            The address is wrong, or the configuration cannot be read.
        """
        location = make_location(self.url, self.endpoint_url, self.profile)
        target = Target(self.dataset, str(location), location.endpoint_url, location.profile)
        return target.with_included()

    def arguments(self) -> list[str]:
        """Return the arguments of `spimpack`."""
        return [
            *("publish", self.dataset, self.url),
            *([f"--endpoint-url={self.endpoint_url}"] if self.endpoint_url else []),
            *([f"--profile={self.profile}"] if self.profile else []),
            *([f"--limit-rate={self.limit_rate}"] if self.limit_rate else []),
        ]

    def line(self) -> str:
        """Return the command as a user would type it."""
        return shlex.join(["spimpack", *self.arguments()])


class PublishingRun(SupervisedRun):
    """One run of `spimpack publish`, started by the constructor.

    Parameters
    ----------
    request
        The dataset and the location.
    bytes_to_send
        As the look at the location has found it.
    environment
        Environment variables of the process; credentials are among them.
    """

    def __init__(
        self,
        request: PublishRequest,
        bytes_to_send: int,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.request = request
        publication = request.target().publication()
        self._brought = BytesBrought(publication, bytes_to_send)
        publication.begin_progress()
        super().__init__(command_of(request.arguments()), (), environment)

    def progress(self) -> tuple[float, str]:
        """Return the share from 0 to 1, and bytes, rate and time left as a line."""
        with self._lock:
            return self._brought.tell(is_going_on=self.is_going_on)


class Publications(RunsByFolder[PublishingRun]):
    """The publications of this process, by their dataset."""

    def start(self, request: PublishRequest, bytes_to_send: int) -> PublishingRun:
        """Start a publication.

        Parameters
        ----------
        request
            The dataset and the location.
        bytes_to_send
            As the look at the location has found it.

        Raises
        ------
        RunningError
            One of the same dataset is going on.
        """
        refusal = f"{request.dataset} is being published already"
        return self.begin(request.dataset, lambda: PublishingRun(request, bytes_to_send), refusal)


PUBLICATIONS = Publications()
"""Those of all pages that this process serves."""
