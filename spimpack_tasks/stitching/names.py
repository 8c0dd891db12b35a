"""Names of the methods of stitching that users choose, and the number of its parts."""

from __future__ import annotations

from typing import Literal, TypeAlias

ALIGNERS = ("native", "stage", "file", "multiview")
"""`native` measures overlaps, `stage` trusts the stage, `file` takes an earlier alignment, and
`multiview` has overlaps measured by multiview-stitcher."""
Signs: TypeAlias = Literal["positions", "mirrored"]
SIGNS: tuple[Signs, ...] = ("positions", "mirrored")
"""Meanings of the places in a file of spimstitch: right, or moved the wrong way."""
NO_FLAT, ESTIMATED_FLAT = "none", "estimate"
"""Choices of a flat besides the path of a TIFF."""
DESTRIPES = ("none", "wavelet", "lightsheet", "zarrnii")
"""Ways to take out stripes, see `correct.DESTRIPERS`."""
Interpolation: TypeAlias = Literal["cubic", "linear", "nearest"]
INTERPOLATIONS: tuple[Interpolation, ...] = ("cubic", "linear", "nearest")
