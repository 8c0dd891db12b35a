"""A small dataset to package: tests change one thing in it, run, and look at the tree."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tiny_images import write_tiny_image

from spimpack_tasks.packaging.backends.registry import BACKENDS
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.packaging.outcome import Outcome
from spimpack_tasks.pipelines import package

STATE = ".spimpack"
AS_THEY_ARE = [name for name, backend in BACKENDS.items() if not backend.makes]
"""The backends that change no image."""

SHARED = {
    "sample": "brain",
    "orientation_string_xyz": "RPI",
    "sample_staining": "YoPro;Abeta",
    "PixelSize": "1.8;1.8;4",
    "PixelSizeUnits": "um",
}


def change_backend(monkeypatch: pytest.MonkeyPatch, name: str, **changes: Any) -> None:
    """Give a backend other functions or flags for the time of a test."""
    monkeypatch.setitem(BACKENDS, name, replace(BACKENDS[name], **changes))


@dataclass
class Workspace:
    """Sources, manifest and tables in one folder, with `out` beside them."""

    root: Path
    rows: list[dict[str, str]] = field(default_factory=list)
    description: dict[str, Any] = field(
        default_factory=lambda: {
            "Name": "Test",
            "BIDSVersion": "1.10.0",
            "DatasetType": "raw",
            "License": "CC0",
            "Authors": ["A One", "B Two"],
        }
    )
    participants: list[dict[str, str]] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.yml"

    def add_source(self, name: str) -> Path:
        """Make a tiny image of the format that its name tells."""
        return write_tiny_image(self.root / "raw" / name, ("YoPro", "Abeta"))

    def add_row(self, source: str, **cells: str) -> None:
        self.add_source(source)
        self.rows.append({"spim_path": f"raw/{source}", **SHARED, **cells})

    def write(self) -> None:
        data = {"dataset_description": self.description, "scans_tsv": "scans.tsv"}
        self.manifest.write_text(json.dumps(data))  # JSON is YAML
        write_table(self.root / "scans.tsv", self.rows)
        if self.participants:
            write_table(self.root / "participants.tsv", self.participants)

    def options(self, **changes: Any) -> Options:
        return Options(**{"manifest": str(self.manifest), "output_dir": str(self.out)} | changes)

    def run(self, workers: int = 1, *, checksum: bool = False, **changes: Any) -> Outcome:
        self.write()
        return package(self.options(checksum=checksum or None, **changes), workers)

    def tree(self) -> dict[str, tuple[str, str]]:
        return tree_of(self.out)

    def stamps(self) -> dict[str, tuple[Any, ...]]:
        """What shows that a path was rewritten, even with equal bytes."""
        return {
            path: (*what, os.lstat(self.out / path).st_mtime_ns, os.lstat(self.out / path).st_ino)
            for path, what in self.tree().items()
            if what[0] != "directory"
        }


def small_workspace(root: Path) -> Workspace:
    """Return three images of three formats, one of which BIDS does not hold."""
    workspace = Workspace(root)
    workspace.add_row("a.ims", subject="01", acquisition="4x", Species="mouse")
    workspace.add_row("b.ome.zarr", subject="02", acquisition="4x", Species="mouse")
    workspace.add_row("c.ome.tif", subject="03", acquisition="4x", Species="rat")
    workspace.participants = [
        {"participant_id": "sub-01", "genotype": "wt"},
        {"participant_id": "02", "genotype": ""},
        {"participant_id": "sub-03", "genotype": "5xFAD"},
    ]
    return workspace


def write_table(path: Path, rows: list[dict[str, str]]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [columns, *([row.get(column, "") for column in columns] for row in rows)]
    path.write_text("".join("\t".join(line) + "\n" for line in lines))


def tree_of(root: Path) -> dict[str, tuple[str, str]]:
    """Return every path below `root` but our state: what it is, and what is in it."""
    found = {}
    for folder, directories, files in os.walk(root):
        if Path(folder) == root and STATE in directories:
            directories.remove(STATE)
        for name in directories + files:
            path = Path(folder, name)
            relative = str(path.relative_to(root))
            if path.is_symlink():
                found[relative] = ("link", str(path.readlink()))
            elif path.is_dir():
                found[relative] = ("directory", "")
            else:
                found[relative] = ("file", path.read_bytes().decode("latin-1"))
    return found


def leftovers(out: Path) -> list[str]:
    """Return the temporary files that lie about; an empty folder may stay after a kill."""
    return sorted(str(path) for path in (out / STATE / "tmp").rglob("*") if not path.is_dir())
