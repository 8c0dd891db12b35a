"""What a pyramid is, in the plainest words of numpy, for tests to compare with."""

import numpy as np


def halve_plainly(voxels, steps):
    """Return the floor of the mean of neighbours along the last three axes, odd rests dropped."""
    sizes = [n // step for n, step in zip(voxels.shape[-3:], steps, strict=True)]
    children = [
        voxels[
            ...,
            slice(z, sizes[0] * steps[0], steps[0]),
            slice(y, sizes[1] * steps[1], steps[1]),
            slice(x, sizes[2] * steps[2], steps[2]),
        ]
        for z in range(steps[0])
        for y in range(steps[1])
        for x in range(steps[2])
    ]
    if voxels.dtype.kind == "f":
        return np.mean([child.astype("float64") for child in children], axis=0).astype(voxels.dtype)
    # Integers of Python never overflow.
    return (sum(child.astype(object) for child in children) // len(children)).astype(voxels.dtype)


def plain_pyramid(voxels, sizes):
    """Return the levels of an image in the order t, c, z, y, x, that have the given sizes."""
    levels = [voxels]
    for size in sizes[1:]:
        before = levels[-1]
        pairs = zip(before.shape[2:], size, strict=True)
        levels.append(halve_plainly(before, [2 if m < n else 1 for n, m in pairs]))
    return levels
