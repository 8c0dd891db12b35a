"""Composes our block of `.bidsignore`: what BIDS cannot hold, so that validators pass over it.

An image that is not valid in BIDS takes its sidecar along, which would have no image otherwise
(the validator's SIDECAR_WITHOUT_DATAFILE). Paths are written one by one: a broad pattern would
also hide the sidecars of valid images. A pattern never ends in a slash, which the validator does
not apply to the directory itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.files.blocks import make_block

if TYPE_CHECKING:
    from collections.abc import Iterable


def compose_bidsignore(ignored: Iterable[tuple[str, ...]]) -> str | None:
    """Return the block for groups of paths, such as image and sidecar; `None` for no group."""
    lines = [f"/{path}" for group in sorted(ignored) for path in group]
    return make_block(lines) if lines else None
