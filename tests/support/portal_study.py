"""The demo, packaged, with a full publication block in its manifest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from spimpack_tasks.demo.dataset import write_demo_inputs
from spimpack_tasks.publishing.records.portals import PORTALS

ALL = ",".join(PORTALS)
LICENCE = "  License: CC0\n"
BLOCK = """\
publication:
  title: Light-sheet images of four mouse brains
  description: Whole brains of four mice, cleared, stained and imaged in a light sheet.
  version: "1.0.0"
  publisher: Example University
  published: 2026-03-31
  language: en
  contributors:
    - name: Example, Ada
      orcid: 0000-0002-1825-0097
      email: ada@example.org
      roles: [author, contact, project-leader]
      affiliation: {name: Example University, ror: https://ror.org/05dxps055}
    - name: Example, Ben
      orcid: 0000-0002-1694-233X
      email: ben@example.org
      roles: [author, data-curator]
      affiliation: {name: Example University, ror: https://ror.org/05dxps055}
  funders:
    - name: Example Foundation
      ror: https://ror.org/01cwqze88
      award: EX-0001
      award_title: Amyloid in whole brains
  keywords: [light-sheet microscopy, amyloid]
  terms:
    species:
      mus musculus: {id: "NCBITaxon:10090", name: Mus musculus}
    anatomy:
      BRAIN: {id: "UBERON:0000955", name: brain}
    stains:
      YoPro: {id: "CHEBI:52293", target: nucleus}
      Abeta: {id: "RRID:AB_2797642", target: amyloid beta}
  ethics:
    - {authority: Animal Care Committee, number: AUP-0001, country: CA, jurisdiction: US}
  related:
    - {doi: 10.1234/example.5678, relation: IsDescribedBy, title: Amyloid in whole brains}
  protocols:
    growth: Mice were kept in groups of four.
    preparation: Brains were fixed, cleared and stained.
    acquisition: Brains were imaged from one side in steps of 4 micrometres.
  ages: {category: adult}
"""


def run_spimpack(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program, and return what it said."""
    command = [sys.executable, "-m", "spimpack_tasks.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


class PortalStudy:
    """A folder with the inputs of the demo, and the dataset `bids` made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = write_demo_inputs(folder)
        self.bids = folder / "bids"
        self.plain = self.manifest.read_text()
        doi = f"{LICENCE}  DatasetDOI: doi:10.5281/zenodo.1234567\n"
        self.text = self.plain.replace(LICENCE, doi) + BLOCK
        self.manifest.write_text(self.text)
        self.package()

    def package(self) -> subprocess.CompletedProcess[str]:
        """Package the dataset."""
        done = run_spimpack("package", self.manifest, self.bids)
        assert done.returncode == 0, done.stderr
        return done

    def other(self, name: str, text: str) -> Path:
        """Write another manifest beside the first one."""
        path = self.folder / name
        path.write_text(text)
        return path

    def changed(self, old: str, new: str) -> Path:
        """Write another manifest in which one text is replaced."""
        assert self.text.count(old) == 1, f"{old!r} stands {self.text.count(old)} times"
        return self.other("changed.yml", self.text.replace(old, new))

    def line_of(self, text: str, manifest: str = "") -> int:
        """Return the number of the line that begins with a text, blanks aside."""
        lines = (manifest or self.text).splitlines()
        return next(n for n, line in enumerate(lines, 1) if line.strip().startswith(text))

    def records(self, portals: str, folder: Path, *more: str | Path) -> Path:
        """Write records, which must succeed."""
        done = run_spimpack("records", self.bids, "--for", portals, "-o", folder, *more)
        assert done.returncode == 0, done.stderr
        return folder

    def problems(self, portals: str, *more: str | Path) -> list[dict[str, object]]:
        """Return the problems with records, which must be refused with exit code 2."""
        words = ("--for", portals, "-o", self.folder / "refused", "--format", "json", *more)
        done = run_spimpack("records", self.bids, *words, cwd=self.folder)
        assert done.returncode == 2, (done.stdout, done.stderr)
        assert not (self.folder / "refused").exists()
        return [json.loads(line) for line in done.stdout.splitlines()]

    def crate(self, folder: Path, record: Path) -> Path:
        """Copy the dataset without links and state, and put the files of a record into it."""
        return self.crate_of(self.bids, folder, record)

    @staticmethod
    def crate_of(bids: Path, folder: Path, record: Path) -> Path:
        """Copy a dataset without links and state, and put the files of a record into it."""
        shutil.copytree(bids, folder, ignore=shutil.ignore_patterns(".spimpack"))
        for file in record.iterdir():
            shutil.copy(file, folder)
        return folder


def every_file(folder: Path) -> dict[str, bytes]:
    """Return the content of all files below a folder by their relative paths."""
    paths = [Path(top) / name for top, _, names in os.walk(folder) for name in names]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(paths)}
