"""Plain models of streams: arrays of numpy that know no chunks, and pyramids by the definition."""

import itertools

import numpy as np

from spimpack_tasks.streams import AcquisitionSettings, dims_from_standard_axes


def make_settings(path, sizes, *, chunks=None, shards=None, **more):
    """Return settings by the sizes of axes, the slowest first."""
    dims = dims_from_standard_axes(sizes, chunk_shapes=chunks, shard_shapes=shards)
    return AcquisitionSettings(str(path), dims, **more)


def make_frames(counts, dtype="uint16", seed=0):
    """Return the frames of an acquisition along its axes, none of them zero."""
    numbers = np.random.default_rng(seed).integers(1, 255, counts)
    return numbers.astype(dtype)


def images_of(frames, axes):
    """Return the images of an acquisition along t, c, z, y, x, one for each position.

    Parameters
    ----------
    frames
        Along the axes of the acquisition.
    axes
        Letters of these axes; y and x are the last.
    """
    missing = [axis for axis in "ptczyx" if axis not in axes]
    whole = frames[(None,) * len(missing)]
    order = [*missing, *axes]
    return [*np.transpose(whole, [order.index(axis) for axis in "ptczyx"])]


def halve_plainly(image, shape):
    """Return the next level of an image, along t, c, z, y, x: the floor of the mean."""
    for_each = [2 if n > m else 1 for n, m in zip(image.shape, shape, strict=True)]
    cut = image[tuple(slice(m * k) for m, k in zip(shape, for_each, strict=True))]
    split = cut.reshape([n for m, k in zip(shape, for_each, strict=True) for n in (m, k)])
    total = split.sum(axis=(1, 3, 5, 7, 9), dtype="float64" if image.dtype.kind == "f" else "int64")
    count = int(np.prod(for_each))
    return (total / count if image.dtype.kind == "f" else total // count).astype(image.dtype)


def append_all(stream, frames, metadata=None):
    """Append all frames, each from a buffer that is overwritten at once, like that of a camera."""
    buffer = np.empty(frames.shape[-2:], frames.dtype)
    for number, place in enumerate(itertools.product(*map(range, frames.shape[:-2]))):
        buffer[:] = frames[place]
        stream.append(buffer, metadata(number) if metadata else None)
        buffer[:] = 0
