"""Arguments that several subcommands share."""

from __future__ import annotations

import argparse
import os
from typing import Any

from spimpack_tasks.cli.parser import COMMANDS, QUOTING
from spimpack_tasks.errors import UsageError
from spimpack_tasks.packaging.consumers import CONSUMERS
from spimpack_tasks.packaging.options import FLAGS, OPEN_FLAGS, Options
from spimpack_tasks.remote.location import is_remote
from spimpack_tasks.volumes.formats import READERS


class LateHelpOption(argparse.Action):
    """An option whose help takes time, such as to find plug-ins; it is composed when it is read."""

    @property
    def help(self) -> str:
        """The help text."""
        return self.compose_help()

    @help.setter  # noqa: A003  # argparse has the name
    def help(self, text: str | None) -> None:
        """Ignore the value that argparse sets."""

    def compose_help(self) -> str:
        """Return the help text."""
        raise NotImplementedError


class BackendOption(LateHelpOption):
    """The option `--backend`; its help lists the backends that are installed."""

    def compose_help(self) -> str:
        """Return the help text."""
        from spimpack_tasks.packaging.backends.registry import backend_names  # noqa: PLC0415

        return (
            f"how images get into the dataset: {', '.join(backend_names())}; settings stand "
            "behind, as in ome-zarr:codec=blosc (default: as the manifest or the last run has it, "
            "at first symlink)"
        )

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Take the value."""
        del parser, option_string
        setattr(namespace, self.dest, values)


def add_inputs(parser: argparse.ArgumentParser, *, output: bool, verbose: str = "") -> None:
    """Add the manifest, the output directory and the options that concern both.

    Parameters
    ----------
    parser
        Gets the arguments.
    output
        Whether an output directory must be given.
    verbose
        What `--verbose` shows besides each problem.
    """
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="the manifest and the directory of the dataset, in place of the next two options",
    )
    parser.add_argument("--manifest", default="", metavar="FILE", help="YAML manifest")
    parser.add_argument(
        "--output-dir",
        default="",
        metavar="DIR",
        help="directory of the BIDS dataset; made if it is not there",
    )
    parser.set_defaults(needs_output=output)
    parser.add_argument(
        "--backend",
        default="",
        metavar="NAME",
        action=BackendOption,
    )
    parser.add_argument(
        "--subject",
        dest="subjects",
        nargs="+",
        action="extend",
        default=[],
        metavar="LABEL",
        help="add the images of these subjects only; images that are in the dataset stay in it, "
        "others wait",
    )
    parser.add_argument(
        "--image",
        dest="images",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="add these images only, by their names in the dataset or in the table",
    )
    for name, text in FLAGS.items():
        add_flag(parser, name, text)
    shown = "show each problem on a line of its own"
    parser.add_argument("--verbose", action="store_true", help=f"{shown}{verbose}")


def add_flag(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    """Add an option that is on or off; open ones can be set to off against the manifest."""
    option = f"--{name.replace('_', '-')}"
    if name in OPEN_FLAGS:
        action = argparse.BooleanOptionalAction
        parser.add_argument(option, action=action, default=None, help=text)
    else:
        parser.add_argument(option, action="store_true", help=text)


def add_consumers(parser: argparse.ArgumentParser) -> None:
    """Add the choice of programs whose notes are wanted."""
    names = ", ".join(consumer.shown for consumer in CONSUMERS.values())
    parser.add_argument(
        "--for",
        dest="consumers",
        action="append",
        choices=sorted(CONSUMERS),
        default=[],
        help=f"add notes on what a program wants of datasets ({names}); never part of --strict",
    )


def add_format(
    parser: argparse.ArgumentParser, json_form: str = "one JSON object per line"
) -> None:
    """Add the choice between text and JSON."""
    parser.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help=f"text for people (default), or {json_form}",
    )


def positive(text: str) -> int:
    """Return a whole number above 0, for argparse."""
    if not text.isdecimal() or int(text) == 0:
        message = f"{text!r} is not a whole number above 0"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def options_of(arguments: argparse.Namespace, *, writes: bool = True) -> Options:
    """Return the options that the arguments give, of a command that writes the dataset or not.

    Raises
    ------
    UsageError
        Manifest or output directory are missing, or given twice.
    """
    _take_paths(arguments)
    return Options(
        manifest=_absolute(arguments.manifest),
        output_dir=_absolute(arguments.output_dir),
        backend=arguments.backend,
        **{name: getattr(arguments, name) for name in FLAGS},
        checksum=getattr(arguments, "checksum", None),
        subjects=tuple(dict.fromkeys(arguments.subjects)),
        images=tuple(dict.fromkeys(arguments.images)),
        writes=writes and bool(arguments.output_dir),
        consumers=tuple(dict.fromkeys(getattr(arguments, "consumers", ()))),
    )


def _take_paths(arguments: argparse.Namespace) -> None:
    """Let paths without an option be the manifest and the output directory, in this order."""
    names = {"manifest": "the manifest", "output_dir": "the directory of the dataset"}
    empty = [name for name in names if not getattr(arguments, name)]
    paths = list(arguments.paths)
    while paths and empty:
        setattr(arguments, empty.pop(0), paths.pop(0))
    missing = [names[name] for name in empty if name == "manifest" or arguments.needs_output]
    if _is_manifest(arguments.output_dir) and not _is_manifest(arguments.manifest):
        message = "the manifest comes first, then the directory of the dataset"
    elif paths:
        message = f"{paths[0]!r} is one path too many: manifest and directory are given already"
        message += f" ({QUOTING})"
    elif missing == [names["output_dir"]] and os.path.isdir(arguments.manifest):
        message = f"{arguments.manifest!r} is a directory; give the manifest before it"
    elif missing:
        message = f"give {' and '.join(missing)}"
    else:
        return
    raise UsageError(message, COMMANDS[arguments.command].example)


def _is_manifest(path: str) -> bool:
    return path.endswith((".yml", ".yaml"))


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path)) if path else ""


def absolute_path(text: str) -> str:
    """Return the absolute path of an image on this machine.

    Raises
    ------
    UsageError
        It is the address of an object store.
    """
    if is_remote(text):
        message = f"{text!r} is an address, and this command works on files of this machine"
        raise UsageError(message, "copy the image here first")
    return os.path.abspath(os.path.expanduser(text)).rstrip("/")


def add_scene(parser: argparse.ArgumentParser) -> None:
    """Declare which image of a file is meant."""
    parser.add_argument(
        "--scene",
        default="",
        metavar="SCENE",
        help="the image of a file that holds several: its number from 0, or its name; of an "
        "OME-Zarr the path of its folder",
    )


def add_reader(parser: argparse.ArgumentParser) -> None:
    """Declare which library reads a file."""
    parser.add_argument(
        "--reader",
        choices=tuple(READERS),
        default="",
        help="read the file, with any name, by the plug-ins of bioio that are installed "
        "(default: the readers of this program)",
    )


def add_axes(parser: argparse.ArgumentParser, flag: str = "--axes") -> None:
    """Declare what the axes of an image are."""
    parser.add_argument(
        flag,
        default="",
        metavar="AXES",
        help="what its axes are as they are stored, such as ZYX, where the file does not say it or "
        "is wrong",
    )


def add_location(parser: argparse.ArgumentParser) -> None:
    """Declare how the service is reached."""
    parser.add_argument(
        "--endpoint-url",
        default="",
        metavar="URL",
        help="address of the service, for look-alikes of S3 (default: AWS_ENDPOINT_URL, or Amazon)",
    )
    parser.add_argument(
        "--profile",
        default="",
        metavar="NAME",
        help="profile of the AWS configuration that has the credentials",
    )
