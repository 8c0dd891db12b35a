"""Facts about a stream that are written into its images."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from spimpack_tasks.streams.frame_log import (
    FRAMES,
    LARGEST_ATTRIBUTES,
    lines_by_image,
    parse_frames,
)
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.streams.result import Ranges
    from spimpack_tasks.streams.settings import AcquisitionSettings
    from spimpack_tasks.streams.values import Channel, Position


def compose_facts(
    settings: AcquisitionSettings, log: str, missing: Ranges, attributes: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the facts for each image.

    Parameters
    ----------
    settings
        The settings.
    log
        The file of metadata of frames.
    missing
        Frames that are not there.
    attributes
        Facts that the user gave, by namespace.
    """
    common: dict[str, Any] = {"version": __version__}
    if missing:
        common["missing_frames"] = [list(each) for each in missing]
    if settings.channels:
        common["channels"] = [_known(channel) for channel in settings.channels]
    if attributes:
        common["metadata"] = dict(attributes)
    facts = []
    logs = lines_by_image(log, len(settings.positions))
    for position, lines in zip(settings.positions, logs, strict=True):
        told = common | ({"position": _known(position)} if position.name else {})
        facts.append(told | _frames(lines))
    return facts


def _known(value: Channel | Position) -> dict[str, Any]:
    """Return the values that are known."""
    return {key: each for key, each in asdict(value).items() if each not in (None, "")}


def _frames(lines: list[str]) -> dict[str, Any]:
    """Return the metadata of frames, or the name of the file where these are long."""
    if not lines:
        return {}
    if sum(map(len, lines)) > LARGEST_ATTRIBUTES:
        return {"frame_metadata_file": f"0/{FRAMES}"}
    return {"frame_metadata": parse_frames(lines)}
