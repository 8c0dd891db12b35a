"""One symbolic link for each image: no space, no time, and the source stays where it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.files.filesystems import NO_LINKS
from spimpack_tasks.files.store_files import StoreFiles
from spimpack_tasks.packaging.backends.base import Backend, link_text
from spimpack_tasks.volumes.formats import FORMATS

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Output

NAMES_LOOKED_AT = 10_000
"""Of a source among which there is no link. A store has links in all of its folders, or in none,
and looking at the names of a million chunks would take longer than all the rest."""


FOLDERS = frozenset(form.name for form in FORMATS if form.directory)
"""The names of the formats of which an image is a folder."""


def make_link(output: Output, path: str) -> None:
    """Make a link; a source that is put together from links must be whole."""
    # The format tells what the source is; whether it still is that is looked at afterwards.
    if output.format in FOLDERS and os.path.isdir(output.source):
        StoreFiles(output.source).check(most_without_links=NAMES_LOOKED_AT)
    os.symlink(output.target, path)


def is_link(output: Output, path: str) -> bool:
    """Tell whether a path is a link with the text of the plan."""
    return os.path.islink(path) and os.readlink(path) == output.target


SYMLINK = Backend(
    name="symlink",
    task="SymlinkAssets",
    summary="links to the images",
    recipe=link_text,
    make=make_link,
    matches=is_link,
    makes_symlinks=True,
    impossible_on=NO_LINKS,
)
