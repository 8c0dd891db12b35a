"""Finds the version for a build: that of the last release.

Hatch runs this (`[tool.hatch.version]` in `pyproject.toml`) and writes the version into
`spimpack_tasks/VERSION`, so that a run asks neither git nor the metadata of packages.

Only a release changes the version, since it is part of plans and receipts: if each commit did, the
next run would write all files of a dataset again. `docs/explanation/decisions` has the reasons.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent
TAG = re.compile(r"v(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)")
CITED = re.compile(r"^version: (\S+)$", re.MULTILINE)


def find_release() -> str:
    """Return the version of the last tag, or that of `CITATION.cff` where there is no tag.

    An archive and a checkout without tags have only the latter. RELEASING.md sets it with each tag.

    Raises
    ------
    ValueError
        This commit has a tag, and `CITATION.cff` another version.
    """
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    (cited,) = CITED.findall(text)
    tagged = _last_version("HEAD")
    if _last_version("--exact-match") not in {"", cited}:
        message = f"this commit is tagged v{tagged}, but CITATION.cff has version {cited}"
        raise ValueError(f"{message}; write the same version there, commit, and tag again")
    return tagged or cited


def _last_version(where: str) -> str:
    """Return the version of the nearest tag, empty if there is none or this is no checkout."""
    if not (ROOT / ".git").exists():  # a folder above may be a checkout of something else
        return ""
    command = ["git", "describe", "--tags", "--abbrev=0", "--match=v[0-9]*.[0-9]*.[0-9]*", where]
    try:
        done = subprocess.run(  # noqa: S603 - its words are constants
            command, cwd=ROOT, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    found = TAG.fullmatch(done.stdout.strip())
    return found[1] if found else ""
