"""The options that a user gives besides the inputs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from spimpack_tasks.files.roots import roots_of_environment

FLAGS = {
    "relative_symlinks": "make relative symbolic links instead of absolute ones",
    "keep_source_links": "link the original of each image that is converted below sourcedata/",
    "previews": "draw a small picture of each image beside it, hidden from BIDS validators",
    "overwrite": "replace what stands in the way of an output, but never a source",
    "replace": "remove images that another manifest made, or whose sources are gone, where the "
    "tables no longer have them",
    "strict": "treat warnings as errors",
}
"""The effect of each option that is on or off, by its name, in the order of the help."""

CHECKSUM = "read all images and record their checksums, for verify --checksum full"
"""The effect of the option `checksum`, which commands have that write images."""

OPEN_FLAGS = ("relative_symlinks", "keep_source_links", "previews", "strict", "checksum")
"""Options that are on or off, and that a manifest may choose where the command line does not."""


def flag_help(name: str) -> str:
    """Return what an option that is on or off does, as a sentence."""
    text = CHECKSUM if name == "checksum" else FLAGS[name]
    return f"{text[0].upper()}{text[1:]}."


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one run; paths are absolute, or empty where they were not given.

    The manifest decides what is left open (an empty backend, `None`), and after it the last run of
    the dataset. `resolve_options` returns options of which nothing is open.
    """

    manifest: str
    """Path of the manifest."""
    output_dir: str
    """Folder of the dataset."""
    backend: str = ""
    """Name and settings, as after `--backend`: `ome-zarr:codec=blosc`."""
    relative_symlinks: bool | None = None
    """Make relative symbolic links instead of absolute ones."""
    keep_source_links: bool | None = None
    """Link the original of each converted image below `sourcedata/`."""
    overwrite: bool = False
    """Replace what stands in the way of an output."""
    replace: bool = False
    """Remove what another manifest made, and last copies of data that are no longer wanted."""
    strict: bool | None = None
    """Treat warnings as errors."""
    roots: tuple[str, ...] = field(default_factory=roots_of_environment)
    """Folders outside of which no source is looked at; none where there is no such limit."""
    writes: bool = True
    """Whether anything is to be written; checking alone needs no output directory."""
    previews: bool | None = None
    """Draw a small picture of each image beside it."""
    consumers: tuple[str, ...] = ()
    """Programs whose notes are wanted, by their names in `CONSUMERS`."""
    subjects: tuple[str, ...] = ()
    """Labels of the subjects that are wanted now; all, if neither these nor images are given."""
    images: tuple[str, ...] = ()
    """Images that are wanted now, by their names in the dataset or as the table has their paths."""
    checksum: bool | None = field(default=None, compare=False)
    """Read all images and record their checksums. The plan is the same with and without, and most
    tasks know nothing of it."""

    def flags(self) -> dict[str, bool | None]:
        """Return the options that are on, off or open, by the spelling of the command line."""
        return {f"--{name.replace('_', '-')}": getattr(self, name) for name in FLAGS}

    def parameters(self) -> dict[str, Any]:
        """Return the options that the tasks of a run have as parameters."""
        of_process = {"roots", "writes", "consumers"}
        names = (each.name for each in fields(self) if each.name not in of_process)
        return {name: getattr(self, name) for name in names}

    def as_json(self) -> dict[str, Any]:
        """Return the options that decide what a dataset is; a later one only if it is set."""
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        del values["checksum"]  # it is asked for in each run, and changes no other output
        return {name: value for name, value in values.items() if value or name not in _LATER}


_LATER = frozenset({"previews", "consumers", "subjects", "images"})
"""Options that datasets of earlier versions know nothing of."""
