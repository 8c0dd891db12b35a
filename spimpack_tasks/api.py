"""The names that Python users and plug-ins may rely on. Every other module is internal.

Programs that acquire images find names of their own in `spimpack_tasks.streams`.

Paths may be relative, and text or `pathlib.Path`. Errors that are meant for a user are
`SpimpackError`; an input that is refused raises its subclass `InputError`, whose `report` has all
problems. See `docs/how-to/use-from-python.md` for examples.

`package` runs Luigi's local scheduler in this process. A flow of your own requires the task
`spimpack_tasks.PackageDataset` instead.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.parallel import WorkPool, count_threads
from spimpack_tasks.conversion.convert_file import convert_file
from spimpack_tasks.errors import Problem, SpimpackError
from spimpack_tasks.files.held_folders import TargetTakenError
from spimpack_tasks.files.places import LocalPlace, Place
from spimpack_tasks.images.image import Image, open_image
from spimpack_tasks.images.info import ImageInfo, find_image, probe_image
from spimpack_tasks.images.merge import merge_files
from spimpack_tasks.packaging.backends.base import Backend
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.packaging.prepare import look, prepare_run
from spimpack_tasks.pipelines import package as package_dataset
from spimpack_tasks.verification.pixels import verify_pixels
from spimpack_tasks.verification.recorded import recorded_store
from spimpack_tasks.verification.verify import verify_fast, verify_full
from spimpack_tasks.volumes import copy
from spimpack_tasks.volumes import read_header as headers
from spimpack_tasks.volumes import volume as volumes
from spimpack_tasks.volumes import writer as writers
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.examine import Source
from spimpack_tasks.volumes.formats import Format
from spimpack_tasks.volumes.header import Header
from spimpack_tasks.volumes.spec import VolumeSpec
from spimpack_tasks.volumes.volume import Volume
from spimpack_tasks.volumes.writer import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from spimpack_tasks.model.plan import Dataset
    from spimpack_tasks.packaging.changes import Change
    from spimpack_tasks.packaging.outcome import Outcome
    from spimpack_tasks.verification.verify import Deviation
    from spimpack_tasks.volumes.writer import VolumeWriter

    Path: TypeAlias = str | os.PathLike[str]

__all__ = [
    "Backend",
    "Format",
    "Header",
    "Image",
    "ImageInfo",
    "Layout",
    "LocalPlace",
    "Options",
    "Problem",
    "SpimpackError",
    "Volume",
    "VolumeSpec",
    "convert",
    "copy_volume",
    "create_volume",
    "load_manifest",
    "merge_files",
    "open_image",
    "open_volume",
    "package",
    "plan",
    "probe_image",
    "read_header",
    "validate",
    "verify",
]


def read_header(path: Path, *, scene: int | str = "", axes: str = "") -> Header:
    """Read the header of an image in milliseconds, without its voxels.

    Parameters
    ----------
    path
        The file or folder.
    scene
        Which image of a file that has several: its number from 0, or its name.
    axes
        What the axes are as they are stored, such as `"ZYX"`, where the file does not say it or is
        wrong.

    Raises
    ------
    SourceRefusedError
        It is no image, it is damaged, or it has several images of which none is chosen.
    MissingExtraError
        A library that the format needs is not installed.
    """
    found, _ = find_image(path, axes, scene)
    return headers.read_header(found.path, found.format, found.selection)


@contextmanager
def open_volume(
    path: Path, *, scene: int | str = "", axes: str = "", accept_unclear: bool = False
) -> Iterator[Volume]:
    """Open an image of any format for reading; it is never opened for writing.

    `volume.levels` has the resolution levels, the full one first. `level.read(region)` returns the
    voxels of a region, which is one slice without a step along each of t, c, z, y and x.
    `volume.spec` has sizes along t, c, z, y, x, the distance of voxels in micrometres along z, y,
    x, and the channels.

    Parameters
    ----------
    path
        The file or folder.
    scene
        Which image of a file that has several: its number from 0, or its name.
    axes
        What the axes are as they are stored, such as `"ZYX"`, where the file does not say it or is
        wrong.
    accept_unclear
        Whether to open an image of which it is not certain which plane is where.
        `volume.refusals` says why.

    Raises
    ------
    SourceRefusedError
        It is no image, it is damaged, or it is not certain which voxel is where.
    UnreadableVoxelsError
        Its voxels cannot be read, now or while the context lasts.
    MissingExtraError
        A library that the format needs is not installed.
    """
    found, _ = find_image(path, axes, scene)
    with volumes.open_volume(
        found.path, found.format, found.selection, accept_unclear=accept_unclear
    ) as volume:
        yield volume


@contextmanager
def create_volume(
    place: Path | Place, spec: VolumeSpec, layout: Layout | None = None
) -> Iterator[VolumeWriter]:
    """Begin an OME-Zarr with a pyramid, or resume one of the same image that was interrupted.

    `writer.missing()` yields the blocks that are not there yet. `writer.write(block, voxels)` takes
    the voxels of `block.region` along t, c, z, y, x, in any order and from any thread.
    `writer.finish()` writes the metadata; before it nothing can be opened. Only one process at a
    time may write at a place.

    Parameters
    ----------
    place
        The folder, or a place with the methods of `LocalPlace`.
    spec
        What is known of the image.
    layout
        Version of OME-Zarr, and codec; 0.5 and gzip if not given.

    Raises
    ------
    TypeError, ValueError
        No OME-Zarr can be written of such an image.
    TargetTakenError
        A whole image is there already, and is another one.
    OSError
        The place does not take the image.
    """
    where = LocalPlace(os.path.abspath(place)) if isinstance(place, str | os.PathLike) else place
    wanted = layout or Layout()
    writers.check_new(spec, wanted)
    if writers.is_taken(where, spec, wanted):
        message = f"another image is at {getattr(where, 'root', where)}; choose another place"
        raise TargetTakenError(message)
    with writers.create_volume(where, spec, wanted) as writer:
        yield writer


def copy_volume(
    volume: Volume, writer: VolumeWriter, advance: Callable[[int], None] = lambda _: None
) -> None:
    """Copy the voxels of an image into a writer, as far as it lacks them.

    Parameters
    ----------
    volume, writer
        What is read, and where it is written; `writer.finish` is left to the caller.
    advance
        Called with the number of bytes of voxels after each piece.

    Raises
    ------
    ValueError
        The writer is of an image of another size.
    SpimpackError, OSError
        A plane cannot be read, or the place does not take the voxels.
    """
    if volume.levels[0].shape != tuple(writer.spec.shape_tczyx):
        message = (
            f"{volume.levels[0].shape} voxels are no image of {writer.spec.shape_tczyx} voxels"
        )
        raise ValueError(message)
    with WorkPool(count_threads()) as pool:
        copy.copy_volume(volume, writer, advance, pool)


def convert(
    source: Path | Source,
    target: Path,
    request: Request | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> bool:
    """Convert one image to OME-Zarr or OME-TIFF, as `spimpack convert` does.

    Parameters
    ----------
    source
        An image of any format, or what `merge_files` returns.
    target
        The image to make; its ending, `.ome.zarr`, `.ome.tif` or `.ome.btf`, chooses the format.
    request
        Codec, version, name, size of voxels, channels and orientation, if they are to be others;
        `scene` and `source_axes`, where the source leaves them open.
    advance
        Called with the number of bytes of voxels after each piece.

    Returns
    -------
    bool
        Whether anything was to be done.

    Raises
    ------
    SpimpackError
        The source is refused, or something else is at the target.
    OSError
        The source cannot be read, or the disk does not take the image; finished parts are kept.
    """
    end = os.path.abspath(target)
    name = os.path.basename(end).partition(".ome.")[0]
    wanted = request or Request(codec="", ngff="", name=name)
    found = source if isinstance(source, Source) else os.path.abspath(source)
    return convert_file(found, end, wanted, count_threads(), advance)


def validate(manifest: Path, options: Options | None = None) -> list[Problem]:
    """Return all problems of a manifest, its tables and its images; errors first.

    Parameters
    ----------
    manifest
        The manifest.
    options
        Those of the run, where they matter; its manifest is replaced by `manifest`.
    """
    draft = prepare_run(_absolute(manifest, options, writes=False))
    refusal = draft.refusal()
    report = refusal.report if refusal is not None else draft.report
    return report.sorted()


def load_manifest(manifest: Path, options: Options | None = None) -> Dataset:
    """Return the validated dataset that a manifest describes: its images, tables and sidecars.

    Parameters
    ----------
    manifest
        The manifest.
    options
        Those of the run, where they matter; its manifest is replaced by `manifest`.

    Raises
    ------
    InputError
        Manifest, tables or images are wrong; `report` has all problems.
    """
    draft = prepare_run(_absolute(manifest, options, writes=False))
    refusal = draft.refusal()
    if refusal is not None or draft.dataset is None:
        raise refusal or SpimpackError(f"{manifest} describes no dataset")
    return draft.dataset


def plan(options: Options) -> list[Change]:
    """Return what `package` would do with each image and file, and why; nothing is written.

    Parameters
    ----------
    options
        Manifest, output directory, backend and the rest.

    Raises
    ------
    InputError
        The inputs are refused.
    ConflictError
        Something that is not ours stands where an output belongs.
    """
    _, changes, refusal = look(_absolute(options.manifest, options, writes=False))
    if refusal is not None:
        raise refusal
    return changes


def package(options: Options, *, workers: int = 1, checksum: bool = False) -> Outcome:
    """Write a dataset, or what a rerun has to do of it.

    Parameters
    ----------
    options
        Manifest, output directory, backend and the rest.
    workers
        Number of processes.
    checksum
        Whether to read the images and record the SHA-256 of each.

    Raises
    ------
    InputError, ConflictError
        The inputs are refused, or something is in the way; nothing was written.
    ValueError
        There is no worker.
    """
    if workers < 1:
        message = f"workers is {workers}, but must be 1 or more"
        raise ValueError(message)
    wanted = _absolute(options.manifest, options, writes=True)
    return package_dataset(replace(wanted, checksum=True) if checksum else wanted, workers)


def verify(dataset: Path, *, full: bool = False, pixels: bool = False) -> Iterator[Deviation]:
    """Yield what is not as it was recorded when a dataset was written.

    Parameters
    ----------
    dataset
        The output directory.
    full
        Whether to read all bytes and compare their checksums.
    pixels
        Whether to compare each converted image with its source, voxel by voxel.

    Raises
    ------
    SpimpackError
        It is no dataset that was written by this program.
    """
    store = recorded_store(os.fspath(dataset))
    found = verify_full(store) if full else verify_fast(store)
    yield from chain(found, verify_pixels(store, lambda _: None) if pixels else ())


def _absolute(manifest: Path, options: Options | None, *, writes: bool) -> Options:
    """Return options whose paths are absolute."""
    given = options or Options("", "")
    output = os.path.abspath(given.output_dir) if given.output_dir else ""
    return replace(given, manifest=os.path.abspath(manifest), output_dir=output, writes=writes)
