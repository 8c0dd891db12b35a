"""Proves that the images of a dataset that were converted have the voxels of their sources.

The plan lists the converted images and their sources. Equal images are logged in
`.spimpack/verify-pixels`, so an interrupted verification does not read them again, unless a file of
the image or its source has changed since.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.errors import count_of
from spimpack_tasks.files.file_traces import trace_files
from spimpack_tasks.files.regular import open_regular_text
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.files.store_files import is_elsewhere
from spimpack_tasks.files.trees import files_below
from spimpack_tasks.model.plan import Kind
from spimpack_tasks.state.receipts import sources_of
from spimpack_tasks.verification.verify import Deviation, Fault, receipts_in_order
from spimpack_tasks.volumes.compare import can_be_compared, compare_with_source
from spimpack_tasks.volumes.convert import count_bytes
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.merged.form import find_format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.files.file_traces import FileTrace
    from spimpack_tasks.model.plan import Output
    from spimpack_tasks.state.store import Store

LOG = "verify-pixels"
MOST_LISTED = 100
"""Number of faults that are listed for one image; the others are counted."""


def verify_pixels(store: Store, on_read: Callable[[int], None]) -> Iterator[Deviation]:
    """Yield the differences between images and sources, and each image that was not converted.

    Parameters
    ----------
    store
        The state directory of the dataset.
    on_read
        Receives the number of bytes of voxels after each piece that was compared.
    """
    log = EqualImages(store.path(LOG))
    for output, is_converted in find_images(store):
        if is_converted and is_elsewhere(f"{store.output_dir}/{output.path}"):
            on_read(_size(output))
            yield Deviation(output.path, Fault.ELSEWHERE)
        elif is_converted:
            yield from compare_image(store.output_dir, output, log, on_read)
        else:
            yield Deviation(output.path, Fault.AS_IT_IS)
    log.forget()


def count_pixels(store: Store) -> int:
    """Return the number of bytes that `verify_pixels` will report."""
    return sum(_size(output) for output, is_converted in find_images(store) if is_converted)


def find_images(store: Store) -> Iterator[tuple[Output, bool]]:
    """Yield the images that are on record, and whether each was converted."""
    receipts = receipts_in_order(store)
    plan = store.load_plan(store.current_plan_id())
    images = (output for output in plan.outputs if output.kind is Kind.IMAGE)
    for output in sorted(images, key=lambda output: output.path):
        receipt = receipts.get(output.path)
        if receipt is not None and receipt.fingerprint == output.fingerprint:
            yield output, output.is_converted and can_be_compared(output.path)


def _size(output: Output) -> int:
    try:
        return count_bytes(output.source, find_format(output.format), output.selection)
    except (OSError, HeaderError):  # reported by the comparison
        return 0


def compare_image(
    root: str, output: Output, log: EqualImages, on_read: Callable[[int], None]
) -> Iterator[Deviation]:
    """Yield the differences between an image that was converted and its sources."""
    path = f"{root}/{output.path}"
    if not os.path.lexists(path):  # reported as missing already
        return
    changed = [
        (source, stamp) for source, stamp in sources_of(output) if stamp_text(source) != stamp
    ]
    for source, _ in changed:
        fault = Fault.SOURCE_CHANGED if stamp_text(source) else Fault.SOURCE_GONE
        yield Deviation(output.path, fault, source)
    if changed:
        return
    try:
        traces = {source: trace_files(source) for source, _ in sources_of(output)}
        before = _trace_both(output, path, traces)
        if before in log:
            on_read(_size(output))
            return
        is_equal = True
        for deviation in _differences(output, path, on_read):
            is_equal = False
            yield deviation
        for source, trace in traces.items():
            if trace_files(source).shows_change_since(trace):
                is_equal = False
                detail = f"{source}, while it was compared"
                yield Deviation(output.path, Fault.SOURCE_CHANGED, detail)
        if is_equal:
            log.note(before)
    except OSError as error:
        yield Deviation(output.path, Fault.UNREADABLE, error.strerror or str(error))


def _differences(output: Output, path: str, on_read: Callable[[int], None]) -> Iterator[Deviation]:
    """Yield the first differences of an image from its source, and the number of the others."""
    count = 0
    for detail in compare_with_source(
        output.source, find_format(output.format), path, on_read, output.selection
    ):
        count += 1
        if count <= MOST_LISTED:
            yield Deviation(output.path, Fault.PIXELS, detail)
    if count > MOST_LISTED:
        more = f"and {count_of(count - MOST_LISTED, 'more fault')}"
        yield Deviation(output.path, Fault.PIXELS, more)


def trace_image(output: Output, path: str) -> str:
    """Return a digest that changes when a file of an image, or what it is made from, does."""
    digest = blake2b(f"{output.path}\0{output.fingerprint}\0".encode(), digest_size=16)
    is_directory = os.path.isdir(path)
    for name in files_below(path) if is_directory else [""]:
        status = os.stat(f"{path}/{name}" if is_directory else path)
        numbers = status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
        digest.update(f"{name}\0{numbers}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _trace_both(output: Output, path: str, traces: dict[str, FileTrace]) -> str:
    """Return a digest that changes when a file of an image or of its sources does."""
    text = f"{trace_image(output, path)} {traces}"
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


class EqualImages:
    """Remembers the traces of images that were equal to their sources, where that can be kept."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._known: set[str] = set()
        with suppress(OSError, ValueError), open_regular_text(path, "ascii") as file:
            self._known = set(file.read().split())

    def __contains__(self, trace: str) -> bool:
        """Tell whether an image was equal, by its digest of `trace_image`."""
        return trace in self._known

    def note(self, trace: str) -> None:
        """Remember an image."""
        with suppress(OSError), open(self.path, "a", encoding="ascii") as file:
            file.write(f"{trace}\n")

    def forget(self) -> None:
        """Delete the log: all that it was for is done."""
        with suppress(OSError):
            os.unlink(self.path)
