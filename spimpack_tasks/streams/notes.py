"""The notes of a stream beside its frames: global metadata, names of files and callbacks."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from spimpack_tasks.streams.errors import StreamClosedError
from spimpack_tasks.streams.events import Events
from spimpack_tasks.streams.frame_log import encode_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spimpack_tasks.streams.journal import Journal
    from spimpack_tasks.streams.settings import AcquisitionSettings


class StreamNotes:
    """The part of a stream that knows no frames.

    Parameters
    ----------
    settings
        The settings.
    journal
        The journal.
    """

    def __init__(self, settings: AcquisitionSettings, journal: Journal) -> None:
        self._journal = journal
        self._path = settings.root_path
        self._process = os.getpid()
        self._is_open = True
        self._attributes: dict[str, Any] = {}
        self._events = Events(settings)

    @property
    def is_here(self) -> bool:
        """Whether this process opened the stream; one that was forked has none of its threads."""
        return os.getpid() == self._process

    @property
    def closed(self) -> bool:
        """Whether the stream takes no further frame."""
        return not self._is_open

    def require_here(self) -> None:
        """Refuse to be used after a fork.

        Raises
        ------
        StreamClosedError
            Another process opened the stream, of which this one is a fork.
        """
        if not self.is_here:
            message = (
                f"the stream to {self._path} belongs to process {self._process}, of which this one "
                f"({os.getpid()}) is a fork: append frames there, or open the stream here"
            )
            raise StreamClosedError(message)

    def require_open(self) -> None:
        """Refuse to be used after the end, or after a fork.

        Raises
        ------
        StreamClosedError
            See `require_here`; or the stream is closed.
        """
        self.require_here()
        if not self._is_open:
            message = f"the stream to {self._path} is closed"
            raise StreamClosedError(message)

    def set_global_metadata(self, namespace: str, metadata: Mapping[str, Any]) -> None:
        """Set facts about the whole acquisition, which JSON can hold, by a namespace.

        Raises
        ------
        FrameError
            JSON cannot hold them; nothing is set.
        StreamClosedError
            The stream is closed, or belongs to the process that this one is a fork of.
        """
        self.require_open()
        facts = json.loads(encode_metadata(metadata) or b"{}")
        self._journal.note({"attributes": {namespace: facts}})
        self._attributes[namespace] = facts

    def get_metadata(self) -> dict[str, Any]:
        """Return the facts about the whole acquisition, by namespace."""
        return {name: dict(facts) for name, facts in self._attributes.items()}

    def update_metadata(self, metadata: Mapping[str, Mapping[str, Any]]) -> None:
        """Add to the facts about the whole acquisition, by namespace."""
        for namespace, facts in metadata.items():
            self.set_global_metadata(namespace, {**self._attributes.get(namespace, {}), **facts})

    def on(self, event: str, callback: Callable[..., Any]) -> None:
        """Have a function called in the thread of `append`.

        Parameters
        ----------
        event
            `coords_expanded`: an axis has reached a step for the first time. `coords_changed`: a
            frame was appended.
        callback
            Gets the highest step, or the step, of each axis by its name.

        Raises
        ------
        ValueError
            There is no such event.
        """
        self._events.on(event, callback)

    def note_name(self, number: int, name: str) -> None:
        """Note the name of the file from which a frame is taken next, for a later run."""
        self.require_open()
        self._journal.note({"taken": [number, name]})
