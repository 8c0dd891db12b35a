"""Writes an image back as TIFF or raw voxels, and proves that they are those of the original."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.grid import shape_of
from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.atomic import move_to_free
from spimpack_tasks.model.plan import STATE_DIRECTORY
from spimpack_tasks.state.store import Store
from spimpack_tasks.verification.certificate import CertificateError, read_certificate
from spimpack_tasks.volumes.copy import finish_reading
from spimpack_tasks.volumes.disk_space import require_space
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.source_errors import as_os_errors
from spimpack_tasks.volumes.volume import open_volume
from spimpack_tasks.volumes.voxel_digest import PlanesDigest, little_endian, plane_regions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spimpack_tasks.arrays.grid import Region, Voxels
    from spimpack_tasks.volumes.spec import VolumeSpec
    from spimpack_tasks.volumes.volume import Level

    Advance = Callable[[int], None]

ENDINGS = (".ome.tif", ".ome.tiff", ".tif", ".tiff", ".raw")
_LARGE = 2**32 - 2**25
"""Bytes from which on a TIFF must be a BigTIFF; its directories take some as well."""
_NOT_IN_OME = ("float16", "int64", "uint64")
"""Types of voxels that OME-XML has no name for (OME schema 2016-06, PixelType)."""


class RestoreRefusedError(SpimpackError):
    """An image cannot be written back as was asked for."""

    exit_code = ExitCode.BAD_INPUT


def certified_digest(image: str) -> str:
    """Return the digest of the voxels that the certificate of its dataset has for an image.

    Raises
    ------
    CertificateError
        It lies in no dataset with a certificate, or that does not name it.
    """
    path = os.path.abspath(image)
    folder = os.path.dirname(path)
    while not os.path.isdir(f"{folder}/{STATE_DIRECTORY}"):
        if folder == os.path.dirname(folder):
            message = (
                f"{image} lies in no dataset that was packaged, so nothing is certified; "
                "--uncertified writes it back all the same"
            )
            raise CertificateError(message)
        folder = os.path.dirname(folder)
    certified = read_certificate(Store(folder)).images.get(os.path.relpath(path, folder))
    if certified is None:
        message = (
            f"{image} is not certified: spimpack certify {folder} compares it with its original; "
            "--uncertified writes it back all the same"
        )
        raise CertificateError(message)
    return certified.voxels_sha256


def restore(image: str, target: str, wanted: str, advance: Advance) -> str:
    """Write the full level of an image, read it again, and return the digest of its voxels.

    Parameters
    ----------
    image
        Path of the image, which is only read.
    target
        What to write; its ending decides the form.
    wanted
        The digest that the voxels must have, empty for any.
    advance
        Told the number of bytes of voxels after each piece, twice in all.

    Raises
    ------
    RestoreRefusedError
        The target has another ending, is there, lies in the image, or cannot have such voxels.
    CertificateError
        The voxels are others than certified, or were not written as they are. Nothing is left.
    OSError
        The image is damaged, or the disk does not take the target.
    """
    if not target.lower().endswith(ENDINGS):
        message = f"{target} does not end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
        raise RestoreRefusedError(message)
    if os.path.realpath(target).startswith(f"{os.path.realpath(image)}/"):
        message = f"{target} lies in the image, which is only read; choose another target"
        raise RestoreRefusedError(message)
    # The digest proves what the quicker reader makes of an image, if there is one.
    opening = open_volume(image, for_copy=bool(wanted))
    with _writing_aside(target) as aside, as_os_errors(), opening as volume:
        _check_form(target, volume.spec)
        require_space(os.path.dirname(aside), volume.spec.size)
        planes = _Planes(volume.levels[0], advance)
        if target.lower().endswith(".raw"):
            _write_raw(aside, planes)
            again = _digest_raw(aside, volume.spec, advance)
        else:
            _write_tiff(aside, planes, volume.spec, is_ome=".ome." in target.lower())
            again = _digest_tiff(aside, advance)
        finish_reading(volume.levels[0])
        digest = planes.digest.hexdigest()
        if wanted and digest != wanted:
            message = f"{image} has other voxels than were certified; nothing was written"
            raise CertificateError(message)
        if again != digest:
            message = f"{target} was not written as it should be; look at the disk"
            raise CertificateError(message)
    return digest


def _check_form(target: str, spec: VolumeSpec) -> None:
    """Refuse a form that the voxels of an image do not fit into."""
    if ".ome." in target.lower() and spec.dtype.name in _NOT_IN_OME:
        message = (
            f"{target} cannot be: OME-TIFF has no voxels of type {spec.dtype.name}; "
            "write a .tif or .raw"
        )
        raise RestoreRefusedError(message)


@contextmanager
def _writing_aside(target: str) -> Iterator[str]:
    """Yield a path beside the target, which becomes the target if all goes well."""
    if os.path.lexists(target):
        message = f"{target} is there already; choose another target"
        raise RestoreRefusedError(message)
    folder = os.path.dirname(os.path.abspath(target))
    if not os.path.isdir(folder):
        message = f"{folder} is not a folder; make it first"
        raise RestoreRefusedError(message)
    aside = f"{folder}/.{os.path.basename(target)}.{os.getpid()}.part"
    try:
        yield aside
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        move_to_free(aside, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(aside)


class _Planes:
    """The planes of a level, in little-endian order, with the digest of those that were yielded."""

    def __init__(self, level: Level, advance: Advance) -> None:
        self.level, self._advance = level, advance
        self.digest = PlanesDigest()

    def __iter__(self) -> Iterator[Voxels]:
        """Yield all planes in the order of t, c, z."""
        for parts in plane_regions(self.level):
            # No name keeps planes while the next ones are read.
            yield from self._read(parts)

    def _read(self, parts: Sequence[Region]) -> Iterator[Voxels]:
        """Yield the planes that are stored together, of which the parts are rows."""
        import numpy as np

        _, _, planes, _, columns = shape_of(parts[0])
        shape = (planes, self.level.shape[3], columns)
        voxels = np.empty(shape, self.level.dtype.newbyteorder("<"))
        for region in parts:
            voxels[:, region[3]] = self.level.read(region)[0, 0]
        for plane in voxels:
            self.digest.add(plane.data)
            self._advance(plane.nbytes)
            yield plane


def _write_raw(path: str, planes: _Planes) -> None:
    with open(path, "xb") as file:
        file.writelines(plane.data for plane in planes)


def _digest_raw(path: str, spec: VolumeSpec, advance: Advance) -> str:
    whole = PlanesDigest()
    size = spec.shape_tczyx[3] * spec.shape_tczyx[4] * int(spec.dtype.itemsize)
    with open(path, "rb") as file:
        while piece := file.read(size):
            whole.add(piece)
            advance(len(piece))
    return whole.hexdigest()


def _write_tiff(path: str, planes: _Planes, spec: VolumeSpec, *, is_ome: bool) -> None:
    about: dict[str, Any] = {"axes": "TCZYX"}
    if is_ome:
        for axis, spacing in zip("ZYX", spec.spacing_um_zyx, strict=True):
            if spacing is not None:
                about |= {f"PhysicalSize{axis}": spacing, f"PhysicalSize{axis}Unit": "µm"}
        names = [channel.label for channel in spec.channels]
        if any(names):
            about["Channel"] = {"Name": names}
    with load_library("tifffile").TiffWriter(
        path, bigtiff=spec.size > _LARGE, byteorder="<", ome=is_ome, shaped=not is_ome
    ) as writer:
        writer.write(
            iter(planes),
            shape=spec.shape_tczyx,
            dtype=spec.dtype.newbyteorder("<"),
            photometric="minisblack",
            metadata=about,
        )


def _digest_tiff(path: str, advance: Advance) -> str:
    """Return the digest of the pages of a TIFF, one behind the other."""
    whole = PlanesDigest()
    with load_library("tifffile").TiffFile(path) as file:
        for page in file.pages:
            plane = little_endian(page.asarray())
            whole.add(plane.data)
            advance(plane.nbytes)
    return whole.hexdigest()


def count_restored(image: str) -> int:
    """Return the number of bytes of voxels that `restore` will report."""
    with as_os_errors(), open_volume(image) as volume:
        return 2 * volume.spec.size
