"""Estimates the bytes of a run before it begins, from stamps and headers that were read already."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from spimpack_tasks.model.plan import Step
from spimpack_tasks.state.checksums import size_of_stamp
from spimpack_tasks.state.run_progress import UNKNOWN, Work

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from spimpack_tasks.model.plan import Asset, Output
    from spimpack_tasks.packaging.prepared_run import PreparedRun


def expect_work(
    prepared: PreparedRun, images: Collection[str], unread: Collection[str] = ()
) -> Work:
    """Return the work of a run, given the keys of the images to make and to read."""
    is_slow = prepared.choice is not None and prepared.choice.backend.is_slow
    if not is_slow and not unread:
        return Work(dict.fromkeys(images, 0), {})
    assets = {asset.key: asset for asset in prepared.dataset.assets} if prepared.dataset else {}
    wanted = set(images) | set(unread)
    outputs = {
        output.asset: output
        for output in prepared.plan().outputs
        if output.step is Step.ASSETS and output.asset in wanted
    }
    return Work(
        {key: _bytes_to_make(outputs[key], assets, is_slow=is_slow) for key in images},
        {key: _bytes_to_read(outputs[key]) for key in unread},
    )


def _bytes_to_make(output: Output, assets: Mapping[str, Asset], *, is_slow: bool) -> int:
    """Return the bytes that making an image will report, 0 for a link."""
    if not is_slow or (output.target and not output.is_converted):
        return 0
    asset = assets.get(output.asset)
    if output.is_converted and asset is not None and asset.shape_nyx:
        return prod(asset.shape_nyx) * asset.itemsize or UNKNOWN
    return UNKNOWN if output.is_converted else _bytes_to_read(output)


def _bytes_to_read(output: Output) -> int:
    """Return the bytes of the source; nobody has looked into a folder."""
    return size_of_stamp(output) or UNKNOWN
