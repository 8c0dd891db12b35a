"""The backends of this program as tasks, by which the `luigi` command knows them."""

from __future__ import annotations

from spimpack_tasks.packaging.backends.copy import COPY
from spimpack_tasks.packaging.backends.hardlink import HARDLINK
from spimpack_tasks.packaging.backends.ome_tiff import OME_TIFF
from spimpack_tasks.packaging.backends.ome_zarr import OME_ZARR
from spimpack_tasks.packaging.backends.symlink import SYMLINK
from spimpack_tasks.packaging.backends.symlink_tree import SYMLINK_TREE
from spimpack_tasks.packaging.tasks.making import MakeAssets
from spimpack_tasks.packaging.tasks.writing import LinkAssets


class SymlinkAssets(LinkAssets):
    """Link each image, absolutely or, with relative_symlinks, relatively."""

    definition = SYMLINK


class SymlinkTreeAssets(LinkAssets):
    """Make a directory of links for an OME-Zarr, and a link for any other image."""

    definition = SYMLINK_TREE


class HardlinkAssets(LinkAssets):
    """Make a hard link for each file of an image."""

    definition = HARDLINK


class CopyAssets(MakeAssets):
    """Copy each image."""

    definition = COPY


class OmeZarrAssets(MakeAssets):
    """Convert each image to OME-Zarr, or link or copy it where BIDS takes it as it is."""

    definition = OME_ZARR


class OmeTiffAssets(MakeAssets):
    """Convert each image to OME-TIFF, or link or copy it where BIDS takes it as it is."""

    definition = OME_TIFF
