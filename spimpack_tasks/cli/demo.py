"""`spimpack demo`: the whole way on small generated images."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import positive
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.demo.dataset import write_demo_inputs
from spimpack_tasks.demo.study import write_study
from spimpack_tasks.demo.tree import draw_tree
from spimpack_tasks.errors import ExitCode, OccupiedError, UsageError
from spimpack_tasks.packaging.backends.registry import BACKENDS
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.pipelines import package
from spimpack_tasks.validation.validate import validate

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_make_demo_study = Deferred("spimpack_tasks.cli.demo_study:make_demo_study")
_BACKEND = "symlink"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("directory", metavar="DIR", help="where; made if it is not there")
    parser.add_argument(
        "--backend",
        default=_BACKEND,
        choices=tuple(BACKENDS),
        help=f"how images get into the dataset (default: {_BACKEND})",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--study",
        action="store_true",
        help="make a study of one oblique brain: stitch it, package it, align it with an atlas, "
        "validate it, and publish it to an object store on this machine",
    )
    kind.add_argument(
        "--inputs",
        action="store_true",
        help="only write the manifest, tables and images that the how-to pages work on",
    )
    parser.add_argument(
        "--workers",
        type=positive,
        default=1,
        metavar="N",
        help="with --study: number of processes (default: 1)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the demo, and print its messages."""
    directory = Path(arguments.directory)
    if (arguments.study or arguments.inputs) and arguments.backend != _BACKEND:
        message = "--backend is for the demo without --study and --inputs"
        raise UsageError(message, "spimpack demo demo --backend copy")
    if arguments.study:
        code: int = _make_demo_study(directory, arguments.workers)
        return code
    if arguments.inputs:
        _require_free_folder(directory)
        write_study(directory)
        print(f"Manifest, tables and images of the pages: {directory}")
        print(f"Then run: cd {shlex.quote(str(directory))} && spimpack validate manifest.yml")
        return ExitCode.OK
    for line in _make_demo(directory, arguments.backend):
        print(line, flush=True)
    return ExitCode.OK


def _require_free_folder(directory: Path) -> None:
    is_taken = directory.exists() and any(directory.iterdir())
    if is_taken and not (directory / "manifest.yml").exists():
        message = f"{directory} is not empty and holds no demo; choose another directory"
        raise OccupiedError(message)


def _make_demo(directory: Path, backend: str) -> Iterator[str]:
    """Make the demo's inputs, package them, and yield messages for the user on the way.

    The dataset goes to `bids` in `directory`. If the demo exists already, only missing parts are
    made.

    Raises
    ------
    OccupiedError
        The directory holds other things.
    SpimpackError
        An extra is missing, or packaging failed.
    """
    _require_free_folder(directory)
    manifest = write_demo_inputs(directory)
    yield f"Images, manifest and tables: {directory}"
    output = directory / "bids"
    options = Options(str(manifest.absolute()), str(output.absolute()), backend)
    outcome = package(options)
    yield from outcome.lines(str(output))
    yield from draw_tree(output)
    yield from validate(options.output_dir).verdict.lines()
