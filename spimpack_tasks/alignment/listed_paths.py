"""Finds the paths of results in `datapackage.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment.ephys import CHANNEL_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATHS = frozenset({"ccf", "ephys", "image_space", "additional_channels", "registration", "labels"})
PATHS |= {"registration_pipeline_geometry", "ccf_template", *CHANNEL_TABLE}
"""Keys of `datapackage.json` whose texts are paths."""


def local_paths(value: Any) -> Iterator[str]:
    """Yield the paths of results that a list of results names."""
    data: Mapping[str, Any] = {key: value[key] for key in ("histology", "probes")}
    stack: list[tuple[str, Any]] = [("", data)]
    while stack:
        key, each = stack.pop()
        if isinstance(each, dict) and "path" in each:
            yield each["path"]
        elif isinstance(each, dict):
            stack += each.items()
        elif isinstance(each, list):
            stack += [(key, item) for item in each]
        elif isinstance(each, str) and key in PATHS:
            yield each
