"""How often Python looks for cyclic garbage in this process.

A hundred thousand rows make millions of objects, and no cycle among them. Python would look at all
of them again and again.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_RARELY = 50_000, 20, 20
"""More objects than usual between two looks, and more looks until older objects are looked at."""


def collect_rarely() -> None:
    """Let Python look for garbage less often until the process ends."""
    gc.set_threshold(*_RARELY)


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Let Python look for garbage less often."""
    before = gc.get_threshold()
    collect_rarely()
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def not_collecting() -> Iterator[None]:
    """Let Python not look for garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
