"""Conversions of single images: their sources, and what is asked for."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.stamps import split_stamp
from spimpack_tasks.model.selection import Selection
from spimpack_tasks.version import __version__
from spimpack_tasks.volumes.formats import NGFF

if TYPE_CHECKING:
    from spimpack_tasks.volumes.formats import Format

LIBRARIES = ("deflate", "google_crc32c", "h5py", "imagecodecs", "numcodecs")
"""Modules of the extra `convert`."""
IN_PLACE_UNVERIFIED = "in-place-unverified"
LEVEL0 = ("encoded", "in-place", IN_PLACE_UNVERIFIED)
"""How the full level of an OME-Zarr is made: encoded, or of the bytes of the source; the last also
where they need a codec that not all programs have."""
_LEFT_OUT = (
    *(
        "axes",
        "level",
        "original",
        "scene",
        "source_axes",
        "reader",
        "other_files",
        "merge",
        "place",
        "chunk_zyx",
        "shard_zyx",
        "level0",
    ),
)
"""Values of a request that its text has only where they are given."""
_IN_PLACE = 3
"""Raise it when other sources are taken in place."""
_FORM = 1
"""Raise it when the same source gives other files of voxels."""


@dataclass(frozen=True, slots=True)
class Request:
    """How to convert one image. Values that are not given are those of the source, or left out."""

    codec: str = "gzip"
    """`gzip`, `blosc`, `lz4` or `none` of OME-Zarr, `zlib`, `zstd` or `none` of OME-TIFF."""
    ngff: str = NGFF[0]
    """Version of OME-Zarr."""
    name: str = ""
    """Name of the image."""
    orientation_xyz: str | None = None
    """Such as `RPI`: towards which side the index of x, y and z increases."""
    channel_names: tuple[str, ...] = ()
    """One name for each channel."""
    spacing_um_xyz: tuple[float | None, ...] = ()
    """Distance of voxels along x, y and z, `None` where there is none."""
    axes: str = ""
    """`tczyx` for all five axes; nothing for those of the source."""
    level: str = ""
    """Effort of the codec of OME-TIFF, 1 to 9; nothing for the quickest."""
    original: str = ""
    """`drop` to leave out the metadata of the source as texts; nothing to keep them."""
    scene: str = ""
    """Number of the image in a source that holds several; nothing where it holds one."""
    source_axes: str = ""
    """Names of the axes of the source that the user gives; nothing where it tells them."""
    reader: str = ""
    """Name of the library that reads the source, where the user chooses one."""
    other_files: tuple[str, ...] = ()
    """Path and stamp of each file that the image lies in besides its source."""
    place: str = ""
    """Address of an object store that it is written to; nothing for the disk."""
    merge: str = ""
    """Of files that are merged the text by which they are; nothing of one file."""
    chunk_zyx: tuple[int, ...] = ()
    """Sizes of a chunk of an OME-Zarr along z, y and x; nothing to have them chosen."""
    shard_zyx: tuple[int, ...] = ()
    """Sizes of a shard of an OME-Zarr; nothing to have them chosen."""
    level0: str = ""
    """`in-place` to make the full level of an OME-Zarr of the bytes of the source where they allow
    it, `in-place-unverified` to do so if they are zlib streams as well; nothing to encode it."""

    @property
    def selection(self) -> Selection:
        """The choice of the user in the source."""
        return Selection(self.scene, self.source_axes, self.reader)

    def as_text(self) -> str:
        """Return the request as one line."""
        told = asdict(self)
        for key in _LEFT_OUT:
            if not told[key]:
                del told[key]  # of most images; their requests are what they always were
        return json.dumps(told, sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> Request:
        """Return the request that a line holds."""
        data: dict[str, Any] = json.loads(text)
        for key in ("channel_names", "spacing_um_xyz", "other_files", "chunk_zyx", "shard_zyx"):
            data[key] = tuple(data.get(key, ()))
        return cls(**data)

    def identify_voxels(self, source: str, stamp: str) -> str:
        """Return what the voxels of an image are known by; its metadata make no difference.

        Parameters
        ----------
        source
            Path of the source.
        stamp
            Its size and modification time.
        """
        chosen = [f"{self.scene}:{self.source_axes}"] if self.scene or self.source_axes else []
        chosen += [each for each in (self.reader, self.merge) if each]
        # Where metadata are left out, nothing is made in place.
        chosen += [f"{self.level0} {_IN_PLACE} {self.original}"] if self.level0 else []
        if self.chunk_zyx or self.shard_zyx:
            chosen.append(f"{self.chunk_zyx} {self.shard_zyx}")
        parts = [source, stamp, self.codec, self.ngff, str(_FORM), *self.other_files, *chosen]
        text = "\0".join(parts)
        return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Conversion:
    """One image to be converted: from what, and how."""

    source: str
    """Absolute path."""
    form: Format
    """The format of the source."""
    request: Request
    made_from: str = ""
    """Identity of source and request, by which the image that is made is known again."""
    voxels_from: str = ""
    """Identity of source and layout, by which its voxels are known again."""

    @property
    def sources(self) -> list[str]:
        """Absolute paths of all files and folders that are read."""
        return [self.source, *(split_stamp(each)[0] for each in self.request.other_files)]

    @property
    def provenance(self) -> dict[str, str]:
        """Facts about the conversion that are written into the image; no path of this machine."""
        facts = {"version": __version__, "converted_from": self.form.name}
        request = self.request
        chosen = {"scene": request.scene, "source_axes": request.source_axes.upper()}
        chosen["reader"] = request.reader
        known = chosen | {"made_from": self.made_from, "voxels_from": self.voxels_from}
        return facts | {key: value for key, value in known.items() if value}
