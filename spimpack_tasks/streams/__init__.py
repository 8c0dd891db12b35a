"""Streams of frames: images that are written while they are acquired, frame by frame.

Names are imported when they are asked for, so that settings cost little.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spimpack_tasks.streams.bids import BidsPlace
    from spimpack_tasks.streams.errors import (
        FrameError,
        IncompleteStreamError,
        StreamBehindError,
        StreamClosedError,
        TooManyFramesError,
    )
    from spimpack_tasks.streams.foreign_settings import (
        dims_from_useq,
        event_metadata,
        settings_of,
    )
    from spimpack_tasks.streams.napari_view import show_stream
    from spimpack_tasks.streams.opening import create_stream, finish_stream, resume_stream
    from spimpack_tasks.streams.reading import parse_settings, read_settings
    from spimpack_tasks.streams.result import StreamResult
    from spimpack_tasks.streams.settings import AcquisitionSettings
    from spimpack_tasks.streams.stream import Stream
    from spimpack_tasks.streams.values import (
        Channel,
        Dimension,
        Plate,
        Position,
        dims_from_standard_axes,
    )
    from spimpack_tasks.streams.watch import StreamWatch

__all__ = [
    "AcquisitionSettings",
    "BidsPlace",
    "Channel",
    "Dimension",
    "FrameError",
    "IncompleteStreamError",
    "Plate",
    "Position",
    "Stream",
    "StreamBehindError",
    "StreamClosedError",
    "StreamResult",
    "StreamWatch",
    "TooManyFramesError",
    "create_stream",
    "dims_from_standard_axes",
    "dims_from_useq",
    "event_metadata",
    "finish_stream",
    "parse_settings",
    "read_settings",
    "resume_stream",
    "settings_of",
    "show_stream",
]
_MODULES = {
    "bids": ["BidsPlace"],
    "errors": [name for name in __all__ if name.endswith("Error")],
    "foreign_settings": ["dims_from_useq", "event_metadata", "settings_of"],
    "napari_view": ["show_stream"],
    "opening": ["create_stream", "finish_stream", "resume_stream"],
    "reading": ["parse_settings", "read_settings"],
    "result": ["StreamResult"],
    "settings": ["AcquisitionSettings"],
    "stream": ["Stream"],
    "values": ["Channel", "Dimension", "Plate", "Position", "dims_from_standard_axes"],
    "watch": ["StreamWatch"],
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a name when it is asked for."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
