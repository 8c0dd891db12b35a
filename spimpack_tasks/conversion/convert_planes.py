"""Converts one image to a folder of planes, TIFF or JPEG 2000, with names by a pattern.

The folder is made beside its target and renamed when it is whole. Each plane is on the disk before
it has its name, so an interrupted conversion resumes with the planes that lack. A file of ours in
the folder has the identity of source and options, by which a second run knows what is there.
"""

from __future__ import annotations

import io
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.parallel import WorkPool
from spimpack_tasks.arrays.pyramid import LARGEST_SLAB
from spimpack_tasks.conversion.chunk_stamps import stamp_all
from spimpack_tasks.conversion.convert_file import (
    ConversionRefusedError,
    examine_chosen,
    refusal_of,
)
from spimpack_tasks.conversion.held_place import check_is_free, hold_place
from spimpack_tasks.files.atomic import Durability, discard, replacing, sync_disk
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.files.plane_names import PATTERN_EXAMPLE, list_planes
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.version import __version__
from spimpack_tasks.volumes.copy import PlaneReader, check_dtype, finish_reading
from spimpack_tasks.volumes.errors import HeaderError, SourceRefusedError, reading
from spimpack_tasks.volumes.merged.sources import members_of
from spimpack_tasks.volumes.plane_folder.encoding import (
    PLANE_FORMS,
    PlaneForm,
    PlanesRequest,
    measure_psnr,
)
from spimpack_tasks.volumes.plane_folder.names import name_planes, parse_pattern
from spimpack_tasks.volumes.source_errors import (
    UnconvertibleError,
    as_os_errors,
    require_unchanged,
)
from spimpack_tasks.volumes.volume import open_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.volumes.examine import Source
    from spimpack_tasks.volumes.plane_folder.names import Place
    from spimpack_tasks.volumes.volume import Level, Volume

    Advance = Callable[[int], None]

RECORD = "spimpack-planes.json"
"""The file of ours in the folder."""
_LARGEST_LAYER = 2 * LARGEST_SLAB
"""Bytes of planes that are kept because they are stored together; larger ones are read again."""


@dataclass(frozen=True, slots=True)
class _Target:
    """Where planes are written, and how they are named."""

    folder: str
    pattern: str
    form: PlaneForm


def parse_target(path: str) -> _Target:
    """Return folder, names and format of a target such as `planes/img_{z:05}.tif`.

    Raises
    ------
    PatternRefusedError
        Its last part is no pattern of names.
    ConversionRefusedError
        It has no folder.
    """
    folder, name = os.path.split(path)
    pattern = parse_pattern(name)
    form = next(form for ending, form in PLANE_FORMS.items() if name.lower().endswith(ending))
    if "{" in folder or "%" in folder:
        message = f"{path} has a number in the name of a folder; only names of planes have them"
        raise ConversionRefusedError(message, f"write such as {PATTERN_EXAMPLE}")
    return _Target(os.path.abspath(folder), pattern, form)


def convert_planes(
    source: str | Source,
    target: str,
    request: PlanesRequest,
    selection: Selection,
    pace: tuple[int, Advance],
) -> bool:
    """Write the planes of an image, or find that they are there.

    Parameters
    ----------
    source
        Absolute path, or files that are to be merged.
    target
        Folder and pattern of names, such as `planes/img_{z:05}.tif`.
    request
        How they are written.
    selection
        Which image of the source, and the names of its axes.
    pace
        Number of threads, and a function that is told the bytes of voxels after each plane.

    Returns
    -------
    bool
        Whether anything was to be done.

    Raises
    ------
    SpimpackError
        The source or the target is refused, or something is in the way.
    OSError
        The source is damaged, or the disk does not take the planes. Finished ones are kept.
    """
    place = parse_target(target)
    found = examine_chosen(source, selection)
    made_from = _identify(found, place, request)
    if read_record(place.folder).get("made_from") == made_from:
        return False
    _check_folder(found, place.folder)
    with hold_place(place.folder, made_from) as path:
        try:
            with require_unchanged([found.path], path), as_os_errors():
                _write_all(found, path, (place, request), made_from, pace)
        except UnconvertibleError as error:
            with suppress(FileNotFoundError):
                discard(path)
            raise refusal_of(error.__cause__ or error) from error
        sync_disk(os.path.dirname(path))
        check_is_free(place.folder)
        os.rename(path, place.folder)
    return True


def _identify(source: Source, place: _Target, request: PlanesRequest) -> str:
    chosen = json.dumps(
        [place.pattern, asdict(request), source.selection._asdict()], sort_keys=True
    )
    text = f"{source.path}\0{source.format.text}\0{stamp_all(source)}\0{chosen}"
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def read_record(folder: str) -> dict[str, Any]:
    """Return what is noted of the planes in a folder; nothing where planes lack."""
    record: dict[str, Any] = read_json(f"{folder}/{RECORD}", dict, {})
    try:
        count = len(list_planes(folder))
    except OSError:
        return {}
    return record if count == record.get("planes") else {}


def _check_folder(source: Source, folder: str) -> None:
    real = os.path.realpath(folder)
    for path in members_of(source):
        if os.path.commonpath([real, path]) in {real, path}:
            message = f"{folder} and the source {path} lie in one another; choose another folder"
            raise ConversionRefusedError(message)
    check_is_free(folder)
    if not os.path.isdir(os.path.dirname(real)):
        message = f"{os.path.dirname(folder)} is not a folder; make it first"
        raise ConversionRefusedError(message)


def plan_planes(volume: Volume, place: _Target, request: PlanesRequest) -> dict[Place, str]:
    """Return the names of the planes of an image that are written.

    Raises
    ------
    SourceRefusedError
        The format holds no such voxels.
    ConversionRefusedError
        There is no such plane.
    PatternRefusedError
        The names would not say which plane is which.
    """
    level = check_dtype(volume)
    dtype = level.dtype.newbyteorder("=").name
    if dtype not in place.form.dtypes:
        message = f"{volume.path!r} has voxels of type {dtype}, which {place.form.name} has not"
        raise SourceRefusedError("source.content", message, "write TIFF, or an OME-Zarr")
    depth = level.shape[2]
    stop = depth if request.stop is None else request.stop
    if not 0 <= request.start < stop <= depth:
        message = f"there are no planes from {request.start} up to {stop}; the image has {depth:,}"
        raise ConversionRefusedError(message, "planes count from 0, and stop is not among them")
    return name_planes(place.pattern, level.shape[:3], range(request.start, stop))


def _write_all(
    source: Source,
    path: str,
    how: tuple[_Target, PlanesRequest],
    made_from: str,
    pace: tuple[int, Advance],
) -> None:
    """Write the planes that are not there yet, and the record last."""
    place, request = how
    threads, advance = pace
    with (
        open_volume(source.path, source.format, source.selection, for_copy=True) as volume,
        WorkPool(threads) as pool,
    ):
        names = plan_planes(volume, place, request)
        level = volume.levels[0]
        request = _with_spacing(request, volume)
        os.makedirs(path, exist_ok=True)
        there = set(os.listdir(path))
        size = level.dtype.itemsize * level.shape[3] * level.shape[4]
        advance(size * sum(name in there for name in names.values()))
        missing = ((at, name) for at, name in names.items() if name not in there)

        read = _plane_reader(level)
        is_in_turn = level.sequential or level.chunk[2] > 1

        def jobs() -> Iterator[Callable[[], int]]:
            for at, name in missing:
                plane = read(at) if is_in_turn else partial(read, at)
                yield partial(_write, plane, f"{path}/{name}", (place.form, request))

        pool.run(jobs(), advance)
        finish_reading(level)
        _write_record(path, volume, request, made_from, len(names))


def _with_spacing(request: PlanesRequest, volume: Volume) -> PlanesRequest:
    """Return a request with the distance of pixels of the turned planes, if it is not given."""
    x, y = request.settings.spacing_um_xy
    if x is None and y is None:
        _, y, x = volume.spec.spacing_um_zyx
    pair = (y, x) if request.rotate_90 % 2 else (x, y)
    return replace(request, settings=replace(request.settings, spacing_um_xy=pair))


def _plane_reader(level: Level) -> Callable[[Place], Voxels]:
    """Return a function that returns one plane in the byte order of the machine.

    Planes that are stored together are decoded once, if they are asked for one after the other and
    do not take too much memory.
    """
    _, _, _, rows, columns = level.shape
    reader = PlaneReader(level)
    layer = level.chunk[2] * rows * columns * int(level.dtype.itemsize)
    is_kept = level.chunk[2] > 1 and layer <= _LARGEST_LAYER
    read_region = reader.read_planes if is_kept else level.read

    def read(at: Place) -> Voxels:
        t, c, z = at
        region = (*(slice(n, n + 1) for n in (t, c, z)), slice(0, rows), slice(0, columns))
        plane: Voxels = read_region(region)[0, 0, 0]
        # A copy does not keep the layer that it is from.
        return plane.astype(level.dtype.newbyteorder("="), copy=is_kept)

    return read


def _write(
    plane: Voxels | Callable[[], Voxels], path: str, how: tuple[PlaneForm, PlanesRequest]
) -> int:
    """Write one plane, which is read here if it was not before; return its bytes of voxels."""
    form, request = how
    read = plane() if callable(plane) else plane
    data = form.encode(request.turned(read), request.settings)
    with replacing(path, Durability.SAFE) as aside:
        aside.file.write(data)
    return int(read.nbytes)


def _write_record(
    path: str, volume: Volume, request: PlanesRequest, made_from: str, count: int
) -> None:
    z, y, x = volume.spec.spacing_um_zyx
    record = {
        "made_from": made_from,
        "converted_from": volume.form.name,
        "version": __version__,
        "planes": count,
        "start": request.start,
        "rotate_90": request.rotate_90,
        "flip_ud": request.flip_ud,
        "psnr_db": request.settings.psnr_db,
        "source_spacing_um_zyx": [z, y, x],
    }
    text = json.dumps(record, indent=2, sort_keys=True)
    with replacing(f"{path}/{RECORD}", Durability.SAFE) as aside:
        aside.file.write(f"{text}\n".encode())


def measure_planes(
    source: str | Source, target: str, request: PlanesRequest, selection: Selection
) -> int | None:
    """Return the bytes of voxels that `convert_planes` will report, `None` where it refuses."""
    try:
        found = examine_chosen(source, selection)
        with open_volume(found.path, found.format, found.selection) as volume:
            names = plan_planes(volume, parse_target(target), request)
            level = volume.levels[0]
            return len(names) * level.dtype.itemsize * level.shape[3] * level.shape[4]
    except (OSError, ConversionRefusedError, SourceRefusedError):
        return None


def compare_planes(
    source: str | Source,
    target: str,
    request: PlanesRequest,
    selection: Selection,
    advance: Advance,
) -> Iterator[str]:
    """Yield how planes in a folder differ from their source: each is read by its library.

    Raises
    ------
    OSError
        The source cannot be read, or is damaged.
    """
    found, place = examine_chosen(source, selection), parse_target(target)
    with as_os_errors(), open_volume(found.path, found.format, found.selection) as volume:
        names = plan_planes(volume, place, request)
        for extra in islice(sorted({*list_planes(place.folder)} - {*names.values()}), 1):
            yield f"{extra} is no plane of the source"
        read = _plane_reader(volume.levels[0])
        for at, name in names.items():
            wanted = request.turned(read(at))
            fault = _fault(f"{place.folder}/{name}", wanted, request.settings.psnr_db)
            if fault:
                yield f"{name} {fault}"
            advance(int(wanted.nbytes))


def _fault(path: str, wanted: Voxels, psnr_db: float) -> str:
    """Return what is wrong with one plane, nothing where nothing is."""
    import imagecodecs
    import numpy as np

    try:
        with reading(path), open_regular(path) as file:
            is_jpeg = path.lower().endswith(".jp2")
            decode = imagecodecs.jpeg2k_decode if is_jpeg else _decode_tiff
            plane = decode(file.read())
    except HeaderError as error:
        return f"cannot be read: {error.message}"
    if plane.shape != wanted.shape or plane.dtype != wanted.dtype:
        shown = f"{plane.shape} of {plane.dtype}"
        return f"has {shown} instead of {wanted.shape} of {wanted.dtype}"
    if np.array_equal(plane, wanted):
        return ""
    found = measure_psnr(wanted, plane) if psnr_db and path.lower().endswith(".jp2") else 0
    if psnr_db and found >= psnr_db:
        return ""
    return f"differs: {found:.1f} dB of {psnr_db:g}" if psnr_db else "differs from its source"


def _decode_tiff(data: bytes) -> Any:
    import tifffile

    return tifffile.imread(io.BytesIO(data))
