"""Opens streams: a new one, or one whose process has died."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spimpack_tasks.streams.bids_rows import check_rows, write_rows
from spimpack_tasks.streams.errors import StreamClosedError
from spimpack_tasks.streams.foreign_settings import settings_of
from spimpack_tasks.streams.journal import read_journal
from spimpack_tasks.streams.part import Part
from spimpack_tasks.streams.result import StreamResult
from spimpack_tasks.streams.settings import AcquisitionSettings
from spimpack_tasks.streams.stream import Stream
from spimpack_tasks.streams.tiff_output import TiffOutput
from spimpack_tasks.streams.watch import count_in_files
from spimpack_tasks.streams.zarr_output import ZarrOutput

if TYPE_CHECKING:
    from os import PathLike

    from spimpack_tasks.streams.output import Output
    from spimpack_tasks.streams.router import Router
    from spimpack_tasks.streams.work import Work


def create_stream(settings: AcquisitionSettings | Any, **more: Any) -> Stream:
    """Begin to write an acquisition.

    Parameters
    ----------
    settings, more
        The settings, or what `settings_of` takes: a plan of useq-schema, or settings of
        ome-writers.

    Raises
    ------
    InputError
        Another image of the dataset has its entities, or there is no manifest.
    OccupiedError
        There is an image or an unfinished stream at its path.
    OSError
        The disk does not take it.
    """
    if more or not isinstance(settings, AcquisitionSettings):
        settings = settings_of(settings, **more)
    check_rows(settings)
    part = Part(settings.root_path)
    part.create(settings)
    return Stream(settings, part, _make_output, write_rows, count_in_files)


def resume_stream(path: str | PathLike[str], settings: AcquisitionSettings | None = None) -> Stream:
    """Take up a stream whose process has died, behind the last of its frames that are safe.

    `Stream.next_frame` is the number of the frame that comes next, `Stream.lost` the numbers of
    those before it that did not reach the disk.

    Parameters
    ----------
    path
        Path of the image, or of the unfinished folder beside it.
    settings
        Settings that differ from the earlier ones only in memory and the like.

    Raises
    ------
    StreamClosedError
        There is no unfinished stream, or another process is writing it.
    """
    part = Part(path)
    kept = part.settings()
    settings = settings or kept
    recorded = read_journal(part.journal)
    if is_published(part):
        message = f"all frames are in {part.final}; end its stream with: spimpack stream finish"
        raise StreamClosedError(f"{message} {part.final}")
    stream = Stream(settings, part, _make_output, write_rows, count_in_files)
    stream.restore(recorded)
    return stream


def finish_stream(path: str | PathLike[str]) -> StreamResult:
    """Finish the image of a stream whose process has died, with the frames that are safe.

    Parameters
    ----------
    path
        Path of the image, or of the unfinished folder beside it.

    Raises
    ------
    StreamClosedError
        There is no unfinished stream, another process is writing it, or no frame is safe.
    """
    part = Part(path)
    settings = part.settings()
    if not is_published(part):
        return resume_stream(path).close(allow_incomplete=True)
    # The process died when the image was in its place: only its row was not written.
    done = read_journal(part.journal).finished
    write_rows(settings, part.frames)
    part.discard()
    frames, missing = done or (0, ())
    return StreamResult(part.final, frames, tuple((first, last) for first, last in missing))


def is_published(part: Part) -> bool:
    """Tell whether the image is at its final path, but its process died before the very end."""
    return part.holds_no_image() and read_journal(part.journal).finished is not None


def _make_output(part: Part, settings: AcquisitionSettings, router: Router, work: Work) -> Output:
    """Return the images of a stream in the format of its settings."""
    t, c, z = router.sizes
    if settings.format == "ome-tiff":
        return TiffOutput(part, settings, router, work)
    return ZarrOutput(part, settings, (t, c, z), work)
