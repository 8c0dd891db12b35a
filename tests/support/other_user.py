"""Commands as another user of the machine, who may read the programs, and little else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from markdown_blocks import ROOT

UID = 65534
PROGRAMS = {
    "luigi": ["-c", "from luigi.cmdline import luigi_run; luigi_run()"],
    "spimpack": ["-m", "spimpack_tasks.cli.main"],
}


class OtherUser:
    """A user without rights, with a folder of all users for what tests write."""

    def __init__(self, folder: Path) -> None:
        """Make a Python that the user can reach, should this one lie in somebody's home."""
        folder.chmod(0o755)
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.temporary.chmod(0o1777)
        library = Path(sysconfig.get_path("stdlib"))
        inside = library.relative_to(sys.base_prefix)
        shutil.copytree(
            library,
            folder / "python" / inside,
            copy_function=_link,
            ignore=shutil.ignore_patterns("site-packages", "test", "config-*"),
        )
        self.python = folder / "python" / "bin" / "python3"
        self.python.parent.mkdir()
        shutil.copy2(Path(sys.executable).resolve(), self.python)
        # The validator's own script names a Python that the user may not reach.
        validator = self.python.with_name("bids-validator-deno")
        code = "import sys; from bids_validator_deno import cli; sys.exit(cli())"
        validator.write_text(f"#!/bin/sh\nexec {self.python} -c '{code}' \"$@\"\n")
        validator.chmod(0o755)
        _link(str(Path(sys.executable).with_name("deno")), str(self.python.with_name("deno")))

    def run(
        self, *command: str | Path, cwd: Path, uid: int = UID, **environment: str | None
    ) -> subprocess.CompletedProcess[str]:
        """Run `spimpack` or `luigi`; a variable that is `None` is not set."""
        program, *arguments = command
        variables = {
            "PYTHONHOME": str(self.folder / "python"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}/usr/bin{os.pathsep}/bin",
            "TMPDIR": str(self.temporary),
            **_locale(),
            **environment,
        }
        return subprocess.run(
            [self.python, *PROGRAMS[str(program)], *arguments],
            cwd=cwd,
            env={name: value for name, value in variables.items() if value is not None},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            user=uid,
            group=UID,
            extra_groups=[],
        )


def _locale() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if name in {"LANG", "LC_ALL"}}


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
