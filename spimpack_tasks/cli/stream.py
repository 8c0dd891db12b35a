"""`spimpack stream`: writes frames that come, or picks up those of a program that has died."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.cli.progress_line import ProgressLine
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import argparse

    from spimpack_tasks.streams.result import StreamResult
    from spimpack_tasks.streams.stream import Stream

_ACTIONS = ("write", "finish", "resume")
_write = Deferred("spimpack_tasks.streams.write_frames:write_frames")
_read_settings = Deferred("spimpack_tasks.streams.reading:read_settings")
_end_rule = Deferred("spimpack_tasks.streams.frame_source:EndRule")
_finish = Deferred("spimpack_tasks.streams.opening:finish_stream")
_append = Deferred("spimpack_tasks.streams.more_frames:append_files")
_resume = Deferred("spimpack_tasks.streams.opening:resume_stream")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "action",
        choices=_ACTIONS,
        help="write: make an image of frames, also while they come; finish: make the image whole "
        "with the frames that are safe; resume: append frames behind them, or print which frame "
        "comes next",
    )
    parser.add_argument(
        "path",
        metavar="PATH",
        help="the image, or the folder PATH.part beside it; with write, the file with the settings",
    )
    parser.add_argument(
        "source",
        metavar="FRAMES",
        nargs="?",
        default="",
        help="with write: a folder of planes (TIFF or raw), a file of planes (.npy or raw), or "
        "module:function, which yields frames",
    )
    parser.add_argument(
        "--until-file",
        default="",
        metavar="NAME",
        help="with write: the file that appears in the folder after its last plane",
    )
    parser.add_argument(
        "--quiet",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="with write: the source has ended when it has not changed for so long",
    )
    parser.add_argument(
        "--settle",
        type=float,
        default=0.5,
        metavar="SECONDS",
        help="with write: how long a file must stay as it is before it is read (default: 0.5)",
    )
    parser.add_argument(
        "--frames",
        metavar="FILE",
        action="append",
        default=[],
        help="with resume: an array of numpy (.npy) whose planes are appended in their order; the "
        "image is finished when all announced frames are there",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write, or pick up what is unfinished, and print what became of it."""
    if arguments.action == "write":
        return _run_write(arguments)
    if arguments.source:
        message = "a source of frames is for write"
        raise UsageError(message, "spimpack stream write settings.yml planes")
    if arguments.action == "finish":
        if arguments.frames:
            message = "--frames is for resume"
            raise UsageError(message, "spimpack stream resume image.ome.zarr --frames rest.npy")
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
    if not arguments.source:
        message = "write needs the settings and a source of frames"
        raise UsageError(message, "spimpack stream write settings.yml planes --quiet 60")
    reached: list[int | None] = [0, None]

    def advance(done: int, total: int | None) -> None:
        reached[:] = [done, total]

    def compose() -> tuple[float, str]:
        done, total = reached
        if total is None:
            return 0.0, f"{done or 0:,} frames"
        return (done or 0) / total, f"{done or 0:,} of {total:,} frames"

    try:
        settings = _read_settings(arguments.path)
    except FileNotFoundError as error:
        message = f"there is no file with settings {arguments.path}"
        raise UsageError(message, "spimpack stream write settings.yml planes") from error
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
