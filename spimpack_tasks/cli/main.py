"""The entry point of `spimpack`."""

from __future__ import annotations

import logging
import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

from spimpack_tasks.cli.parser import build_parser
from spimpack_tasks.errors import ExitCode, HintedError, InputError, SpimpackError, in_flags, joined
from spimpack_tasks.interrupts import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run `spimpack` and return its exit code."""
    # Our own message reports damage that tifffile finds in a file.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character must not end a run.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    verbose = False
    try:
        arguments = build_parser().parse_args(words)
        verbose = getattr(arguments, "verbose", False)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except InputError as error:
        print("\n".join(error.report.lines(verbose=verbose)), file=sys.stderr)
        return error.exit_code
    except SpimpackError as error:
        print(f"spimpack: {_message_of(error, words[:1])}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader, such as head, has closed the pipe; no message can reach it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"spimpack: {where}{error.strerror or error}", file=sys.stderr)
        return ExitCode.FAILED
    except KeyboardInterrupt:
        print(f"spimpack: {INTERRUPTED}", file=sys.stderr)
        return 130
    return code


_AXES = {"convert": "--source-axes", "rechunk": "spimpack convert --source-axes"}
"""The option for the axes of a source, by the subcommands that have another one than `--axes`."""


def _message_of(error: SpimpackError, command: list[str]) -> str:
    """Return the message of an error, with its remedy in options of a command."""
    if not isinstance(error, HintedError):
        return str(error)
    axes = _AXES.get(command[0] if command else "", "--axes")
    return joined(error.message, in_flags(error.hint, axes))


if __name__ == "__main__":
    sys.exit(main())
