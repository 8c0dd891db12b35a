"""`spimpack stream`: writes frames that come, or picks up those of a program that has died.

Each action has arguments, and help, of its own.
"""

from __future__ import annotations

import argparse
import os
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.cli.parser import PlainParser
from spimpack_tasks.cli.progress_line import ProgressLine
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from spimpack_tasks.streams.result import StreamResult
    from spimpack_tasks.streams.stream import Stream


class _Action(NamedTuple):
    """Texts on an action."""

    help: str
    example: str


_ACTIONS = {
    "write": _Action(
        "make an image of frames, also while they come",
        "spimpack stream write settings.yml planes --quiet 60",
    ),
    "finish": _Action(
        "make an unfinished image whole, with the frames that are safe",
        "spimpack stream finish image.ome.zarr",
    ),
    "resume": _Action(
        "append frames to an unfinished image, or print which frame comes next",
        "spimpack stream resume image.ome.zarr --frames rest.npy",
    ),
}
_write = Deferred("spimpack_tasks.streams.write_frames:write_frames")
_read_settings = Deferred("spimpack_tasks.streams.reading:read_settings")
_end_rule = Deferred("spimpack_tasks.streams.frame_source:EndRule")
_finish = Deferred("spimpack_tasks.streams.opening:finish_stream")
_append = Deferred("spimpack_tasks.streams.more_frames:append_files")
_resume = Deferred("spimpack_tasks.streams.opening:resume_stream")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=PlainParser
    )
    parsers = {
        name: actions.add_parser(
            name,
            help=action.help,
            description=action.help,
            epilog=f"example: {action.example}",
            allow_abbrev=False,
        )
        for name, action in _ACTIONS.items()
    }
    _add_write(parsers["write"])
    for name in ("finish", "resume"):
        parsers[name].add_argument(
            "path",
            metavar="PATH",
            help="the image that was to be written, or the folder PATH.part beside it",
        )
    parsers["resume"].add_argument(
        "--frames",
        metavar="FILE",
        action="append",
        default=[],
        help="an array of numpy (.npy) whose planes are appended in their order; the image is "
        "finished when all announced frames are there",
    )


def _add_write(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "settings",
        metavar="SETTINGS",
        help="the file with the settings of the image, in YAML or JSON",
    )
    parser.add_argument(
        "source",
        metavar="FRAMES",
        help="a folder of planes (TIFF or raw), a file of planes (.npy or raw), or "
        "module:function, which yields frames",
    )
    parser.add_argument(
        "--until-file",
        default="",
        metavar="NAME",
        help="the file that appears in the folder after its last plane",
    )
    parser.add_argument(
        "--quiet",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="the source has ended when it has not changed for so long",
    )
    parser.add_argument(
        "--settle",
        type=_seconds,
        default=0.5,
        metavar="SECONDS",
        help="how long a file must stay as it is before it is read (default: 0.5)",
    )


def _seconds(text: str) -> float:
    """Return a time from an option."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not (isfinite(seconds) and seconds >= 0):
        message = f"{text!r} is not a number of seconds, 0 or more"
        raise argparse.ArgumentTypeError(message)
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """Write, or pick up what is unfinished, and print what became of it."""
    if arguments.action == "write":
        return _run_write(arguments)
    if arguments.action == "finish":
        _print_result(_finish(arguments.path))
        return ExitCode.OK
    stream: Stream = _resume(arguments.path)
    try:
        if arguments.frames:
            _append(stream, arguments.frames)
        is_whole = stream.next_frame == stream.settings.num_frames
        if is_whole:
            _print_result(stream.close(allow_incomplete=True))
        else:
            _print_state(stream)
    finally:
        stream.abandon(is_quiet=True)
    return ExitCode.OK


def _run_write(arguments: argparse.Namespace) -> int:
    """Write the frames of a source, with a line that shows how far they are."""
    example = _ACTIONS["write"].example
    if os.path.isdir(arguments.settings) and os.path.isfile(arguments.source):
        message = "SETTINGS is a folder and FRAMES a file: the settings come first"
        raise UsageError(message, example)
    reached: list[int | None] = [0, None]

    def advance(done: int, total: int | None) -> None:
        reached[:] = [done, total]

    def compose() -> tuple[float, str]:
        done, total = reached
        if total is None:
            return 0.0, f"{done or 0:,} frames"
        return (done or 0) / total, f"{done or 0:,} of {total:,} frames"

    settings = _read_settings(arguments.settings)
    rule = _end_rule(arguments.until_file, arguments.quiet, arguments.settle)
    with ProgressLine(compose):
        result = _write(settings, arguments.source, rule, advance)
    _print_result(result)
    return ExitCode.OK


def _print_result(result: StreamResult) -> None:
    print("\n".join(result.lines()))


def _print_state(stream: Stream) -> None:
    total = stream.settings.num_frames
    announced = "" if total is None else f" of {total:,}"
    print(f"next frame: {stream.next_frame}{announced}")
    print(f"lost frames: {len(stream.lost):,}")
