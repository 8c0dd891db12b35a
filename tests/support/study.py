"""A small valid manifest with its tables and sources, for tests to change one thing in it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tiny_images import write_tiny_image

from spimpack_tasks.packaging.options import Options
from spimpack_tasks.packaging.prepare import prepare_run

# Line numbers of these texts stand in tests/support/cases: add lines at the end only.
MANIFEST = """\
dataset_description:
  Name: Demo
  BIDSVersion: "1.10.0"
  DatasetType: raw
  License: CC0
  Authors:
    - Ada Lovelace
    - Santiago Ramón y Cajal
scans_tsv: scans.tsv
participants_tsv: participants.tsv
"""

INLINE_MANIFEST = """\
dataset_description:
  Name: Demo
  BIDSVersion: "1.10.0"
  DatasetType: raw
  License: CC0
datasets:
  - dataset_id: study
    assets:
      - subject: "01"
        sample: brain
        spim_path: raw/one.ome.zarr
        orientation_string_xyz: RPI
        sample_staining: [Abeta, YoPro]
        metadata:
          PixelSize: [1.8, 1.8, 4]
          PixelSizeUnits: um
      - subject: "02"
        sample: brain
        spim_path: raw/two.ims
        orientation_string_xyz: RPI
        sample_staining: [Abeta, YoPro]
"""

COLUMNS = (
    "subject",
    "sample",
    "spim_path",
    "orientation_string_xyz",
    "sample_staining",
    "session",
    "PixelSize",
    "PixelSizeUnits",
    "Magnification",
)
COMMON = ("RPI", "Abeta;YoPro", "1", "1.8;1.8;4", "um", "4x")
SCANS = [
    ["01", "brain", "raw/one.ome.zarr", *COMMON],
    ["02", "brain", "raw/two.ims", *COMMON],
    ["03", "brain", "raw/three.ome.tif", *COMMON],
]
PARTICIPANTS = """\
participant_id\tage\tsex\tgenotype
sub-01\t12.5\tF\twt
sub-02\t11\tM\twt
sub-03\t10\tn/a\twt
"""


class Study:
    """A folder with a manifest, tables and sources; `out` beside them does not exist."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.columns = list(COLUMNS)
        self.rows = [list(row) for row in SCANS]
        self.options = {}
        self.cleanup: list[Path] = []
        """Folders elsewhere, to be removed after the test."""
        for name in ("one.ome.zarr", "two.ims", "three.ome.tif"):
            self.add_source(f"raw/{name}")
        self.write("manifest.yml", MANIFEST)
        self.write("participants.tsv", PARTICIPANTS)
        self.write_scans()

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def path(self, name: str) -> Path:
        return self.folder / name

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file as it is given, no line end converted."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def write_scans(self) -> None:
        lines = ["\t".join(cells) for cells in (self.columns, *self.rows)]
        self.write("scans.tsv", "\n".join(lines) + "\n")

    def add_source(self, name: str) -> Path:
        """Make a tiny image of the format that its name tells."""
        return write_tiny_image(self.path(name))

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace the one occurrence of a text in a file."""
        text = self.path(name).read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        self.write(name, text.replace(old, new))

    def cell(self, line: int, column: str, text: str) -> None:
        """Set a cell of scans.tsv by line number and column; the column is added if need be."""
        if column not in self.columns:
            self.columns.append(column)
            for row in self.rows:
                row.append("")
        self.rows[line - 2][self.columns.index(column)] = text
        self.write_scans()

    def column(self, name: str, text: str) -> None:
        """Set a column of scans.tsv in all rows."""
        for line in range(2, len(self.rows) + 2):
            self.cell(line, name, text)

    def rename(self, old: str, new: str) -> None:
        """Rename a column of scans.tsv."""
        self.columns[self.columns.index(old)] = new
        self.write_scans()

    def drop(self, *names: str) -> None:
        """Take columns out of scans.tsv."""
        for name in names:
            index = self.columns.index(name)
            for cells in (self.columns, *self.rows):
                del cells[index]
        self.write_scans()

    def drop_formats(self) -> None:
        """Make all images Imaris files, so that nothing is said of a mixture."""
        for line, name in ((2, "one"), (4, "three")):
            self.add_source(f"raw/{name}.ims")
            self.cell(line, "spim_path", f"raw/{name}.ims")

    def add_row(self, **cells: str) -> None:
        """Append a row to scans.tsv: the first one, with some cells changed."""
        first = dict(zip(self.columns, self.rows[0], strict=True))
        self.rows.append([(first | cells)[name] for name in self.columns])
        self.write_scans()

    def inline(self, text: str = INLINE_MANIFEST) -> None:
        """Give the assets in the manifest instead of in tables."""
        self.path("scans.tsv").unlink()
        self.path("participants.tsv").unlink()
        self.write("manifest.yml", text)

    def inline_subject(self, text: str) -> None:
        """Give one asset in the manifest, with a YAML text for its subject."""
        whole = INLINE_MANIFEST[: INLINE_MANIFEST.index('      - subject: "02"')]
        self.write("manifest.yml", whole.replace('"01"', text))

    def make_options(self) -> Options:
        given = {"manifest": self.path("manifest.yml"), "output_dir": self.out} | self.options
        paths = ("manifest", "output_dir")
        return Options(**{k: str(v) if k in paths else v for k, v in given.items()})

    def draft(self):
        return prepare_run(self.make_options())

    def command(self) -> list[str]:
        """Return the options as arguments of a command."""
        given = {"manifest": self.path("manifest.yml"), "output_dir": self.out} | self.options
        arguments = []
        for key, value in given.items():
            flag = "--" + key.replace("_", "-")
            arguments += [flag] if value is True else [flag, str(value)]
        return arguments


def fingerprint(path: Path) -> dict[str, tuple[object, ...]]:
    """Return all that is below a path: kind, time, and content or link target."""
    if not os.path.lexists(path):
        return {}
    found = {}
    for entry in [path, *sorted(path.rglob("*"))]:
        status = entry.lstat()
        content = ""
        if entry.is_symlink():
            content = os.readlink(entry)
        elif entry.is_file():
            content = hashlib.sha256(entry.read_bytes()).hexdigest()
        found[str(entry)] = (status.st_mode, status.st_ino, status.st_mtime_ns, content)
    return found
