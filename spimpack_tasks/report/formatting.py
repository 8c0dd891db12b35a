"""Durations and times as people read them."""

from __future__ import annotations

from datetime import datetime


def duration_in_words(seconds: float) -> str:
    """Return a duration with the two units that matter."""
    if seconds < 0.95:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"


def time_in_words(seconds: float) -> str:
    """Return a time since 1970 as local time, with its offset from UTC."""
    return _local(seconds).strftime("%Y-%m-%d %H:%M:%S (UTC%z)")


def time_as_iso(seconds: float) -> str:
    """Return a time since 1970 as RFC 3339 has it, to the second."""
    return _local(seconds).isoformat(timespec="seconds")


def _local(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds).astimezone()
