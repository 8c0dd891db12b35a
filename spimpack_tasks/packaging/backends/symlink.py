"""One symbolic link for each image: no space, no time, and the source stays where it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.files.filesystems import NO_LINKS
from spimpack_tasks.files.store_files import StoreFiles
from spimpack_tasks.packaging.tasks.writing import LinkAssets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.model.plan import Asset, Output

NAMES_LOOKED_AT = 10_000
"""Of a source among which there is no link. A store has links in all of its folders, or in none,
and looking at the names of a million chunks would take longer than all the rest."""


class SymlinkAssets(LinkAssets):
    """Link each image, absolutely or, with relative_symlinks, relatively."""

    name = "symlink"
    makes_symlinks = True
    impossible_on = NO_LINKS

    @classmethod
    def describe_target(
        cls, asset: Asset, relative_to: str | None, settings: Mapping[str, str]
    ) -> str:
        """Return the text of the link."""
        del settings
        return os.path.relpath(asset.source, relative_to) if relative_to else asset.source

    @classmethod
    def make(cls, output: Output, path: str) -> None:
        """Make the link; a source that is put together from links must be whole."""
        if os.path.isdir(output.source):
            StoreFiles(output.source).check(most_without_links=NAMES_LOOKED_AT)
        os.symlink(output.target, path)

    @classmethod
    def matches(cls, output: Output, path: str) -> bool:
        """Tell whether `path` is a link with the text of the plan."""
        return os.path.islink(path) and os.readlink(path) == output.target
