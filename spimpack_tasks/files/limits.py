"""Limits on the memory that a file may demand; a larger demand is refused before it is met.

A few bytes can unpack to gigabytes, and a header can name any size. So decoded blocks and metadata
have limits, which real files stay far below. A user with a sound file beyond a limit raises all of
them together: `SPIMPACK_LIMIT_FACTOR=4` allows four times as much. It is not a key of the manifest,
since a manifest may come from the same source as the images.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from functools import cache

from spimpack_tasks.errors import ExitCode, SpimpackError

VARIABLE = "SPIMPACK_LIMIT_FACTOR"
REMEDY = f"if the file is sound, allow ten times as much by {VARIABLE}=10"

LARGEST_BLOCK = 2**30
"""Bytes of voxels that are stored together: a chunk, tile, strip or plane."""
LARGEST_IMAGE = 2**46
"""Bytes of all voxels of a level: 64 TiB."""
MOST_CHANNELS = 65_536
"""Each has a name, a colour and a window, which are held in memory."""
MOST_BLOCKS = 2**20
"""Each takes some hundred bytes until it is written; of 64 MiB each they hold 64 TiB."""
LARGEST_METADATA = 16 * 2**20
"""Bytes of a metadata file of Zarr; consolidated ones of a plate reach some MiB."""
LARGEST_XML = 64 * 2**20
"""Bytes of the OME-XML of an image; it has some 300 for each plane."""
LARGEST_ELEMENT = 2**20
"""Bytes of one tag of XML with its attributes; real ones have some hundred."""
MOST_CHUNKS_OF_SHARD = 2**22
"""Their index takes 16 bytes for each."""


class LimitFactorError(SpimpackError):
    """The variable of the environment has no sound value."""

    exit_code = ExitCode.BAD_INPUT


def allowed(limit: int) -> int:
    """Return a limit as the user has it.

    Raises
    ------
    LimitFactorError
        The user's factor is no number from 1 on.
    """
    return int(limit * _read_factor(os.environ.get(VARIABLE, "1")))


@cache
def _read_factor(given: str) -> float:
    factor = float(given) if given.replace(".", "", 1).isdecimal() else 0
    if not factor >= 1:
        raise LimitFactorError(f"{VARIABLE} is {given!r}; write a number from 1 on, such as 10")
    return min(factor, 2**20)


def as_size(count: int) -> str:
    """Return a number of bytes for people."""
    names = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    power = min((max(count, 1).bit_length() - 1) // 10, len(names) - 1)
    return f"{count / 1024**power:,.1f}".removesuffix(".0") + f" {names[power]}"


def memory_at_most() -> int:
    """Return the bytes of memory that machine, control group and limits allow this process."""
    known = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError), open(f"/sys/fs/cgroup/{name}", "rb") as file:
            known.append(int(file.read()))
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        known.append(soft)
    return min(known)


def free_memory() -> int:
    """Return the bytes of memory that this process may still take, as far as the system tells."""
    known = [memory_at_most()]
    with suppress(OSError, ValueError, KeyError), open("/proc/meminfo", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
        known.append(int(lines["MemAvailable"].split()[0]) * 1024)
    return min(known)
