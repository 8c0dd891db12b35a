"""Callbacks that learn how far an acquisition is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.streams.settings import AcquisitionSettings

EVENTS = ("coords_expanded", "coords_changed")
"""Names of events, as users of ome-writers know them."""


class Events:
    """The callbacks of a stream."""

    def __init__(self, settings: AcquisitionSettings) -> None:
        loops = settings.dimensions[:-2]
        self._names = [each.name for each in loops]
        self._counts = [each.count for each in loops]
        self._highest = dict.fromkeys(self._names, -1)
        self._callbacks: dict[str, list[Callable[..., Any]]] = {event: [] for event in EVENTS}
        self.is_heard = False
        """Whether there is a callback."""

    def on(self, event: str, callback: Callable[..., Any]) -> None:
        """Add a callback.

        Raises
        ------
        ValueError
            There is no such event.
        """
        if event not in self._callbacks:
            message = f"there is no event {event!r}; choose {' or '.join(EVENTS)}"
            raise ValueError(message)
        self._callbacks[event].append(callback)
        self.is_heard = True

    def tell(self, frame: int) -> None:
        """Tell that a frame was appended."""
        steps: dict[str, int] = {}
        rest = frame
        for name, count in zip(reversed(self._names), reversed(self._counts), strict=True):
            rest, steps[name] = divmod(rest, count) if count else (0, rest)
        reached = {name: max(self._highest[name], steps[name]) for name in self._names}
        if reached != self._highest:
            self._highest = reached
            for callback in self._callbacks["coords_expanded"]:
                callback(dict(reached))
        for callback in self._callbacks["coords_changed"]:
            callback({name: steps[name] for name in self._names})
