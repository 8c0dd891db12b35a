"""What a user asks for besides the inputs."""

from __future__ import annotations

from dataclasses import dataclass, field

from spimpack_tasks.files.roots import roots_of_environment


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one run; paths are absolute, or empty where they were not given."""

    manifest: str
    output_dir: str
    backend: str = "symlink"
    relative_symlinks: bool = False
    keep_source_links: bool = False
    """Link the original of each converted image below `sourcedata/`."""
    overwrite: bool = False
    """Replace what stands in the way of an output."""
    replace: bool = False
    """Remove what another manifest made, and last copies of data that are no longer wanted."""
    strict: bool = False
    """Treat warnings as errors."""
    roots: tuple[str, ...] = field(default_factory=roots_of_environment)
    """Folders outside of which no source is looked at; none where there is no such limit."""
    writes: bool = True
    """Whether anything is to be written; checking alone needs no output directory."""
