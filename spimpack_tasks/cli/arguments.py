"""Arguments that several subcommands share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.packaging.options import Options
from spimpack_tasks.registry import BACKENDS

if TYPE_CHECKING:
    import argparse


def add_inputs(parser: argparse.ArgumentParser, *, output: bool) -> None:
    """Add the manifest, the output directory and what concerns both."""
    parser.add_argument("--manifest", required=True, metavar="FILE", help="YAML manifest")
    parser.add_argument(
        "--output-dir",
        required=output,
        default="",
        metavar="DIR",
        help="directory of the BIDS dataset; made if it is not there",
    )
    parser.add_argument(
        "--backend",
        default="symlink",
        metavar="NAME",
        help=f"how images get into the dataset: {', '.join(BACKENDS)} (default: symlink)",
    )
    parser.add_argument(
        "--relative-symlinks",
        action="store_true",
        help="make relative symbolic links instead of absolute ones",
    )
    parser.add_argument("--strict", action="store_true", help="treat warnings as errors")


def options_of(arguments: argparse.Namespace) -> Options:
    """Return the options that the arguments give."""
    return Options(
        manifest=_absolute(arguments.manifest),
        output_dir=_absolute(arguments.output_dir),
        backend=arguments.backend,
        relative_symlinks=arguments.relative_symlinks,
        overwrite=getattr(arguments, "overwrite", False),
        strict=arguments.strict,
        writes=bool(arguments.output_dir),
    )


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path)) if path else ""
