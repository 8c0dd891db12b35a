"""Request of a page to run `spimpack package`, and its command line."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.packaging.options import OPEN_FLAGS
from spimpack_tasks.running.supervised import command_of

if TYPE_CHECKING:
    from spimpack_tasks.packaging.options import Options


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Request for a run."""

    options: Options
    workers: int = 1
    validates: bool = False
    """Whether the official BIDS validator checks the dataset afterwards."""

    def arguments(self) -> list[str]:
        """Return the arguments of `spimpack`."""
        options = self.options
        open_flags = [name.replace("_", "-") for name in OPEN_FLAGS]
        flags = options.flags() | {
            "--checksum": options.checksum,
            "--bids-validator": self.validates,
        }
        refused = [f"--{name}" for name in open_flags if flags.get(f"--{name}") is False]
        return [
            "package",
            f"--manifest={options.manifest}",
            f"--output-dir={options.output_dir}",
            *([f"--backend={options.backend}"] if options.backend else []),
            *_listed("--subject", options.subjects),
            *_listed("--image", options.images),
            *([f"--workers={self.workers}"] if self.workers > 1 else []),
            *(flag for flag, is_set in flags.items() if is_set),
            *(f"--no-{flag[2:]}" for flag in refused),
        ]

    def command(self) -> list[str]:
        """Return the command of the process."""
        return command_of(self.arguments())

    def line(self) -> str:
        """Return the command as a user would type it."""
        return shlex.join(["spimpack", *self.arguments()])


def _listed(option: str, values: tuple[str, ...]) -> list[str]:
    return [option, *values] if values else []
