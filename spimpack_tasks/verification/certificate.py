"""The certificate of a dataset: which images were proven equal to their sources, and what is not.

It lies in `.spimpack/certificate.json`, with a digest of itself. It never names a source as safe
unless every image that was made of it was compared, voxel by voxel and at all levels.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.atomic import Durability, replacing
from spimpack_tasks.files.regular import read_regular

if TYPE_CHECKING:
    from spimpack_tasks.state.store import Store

NAME = "certificate.json"
FORM = 1
"""Form of the file, for programs that read it. A part of the format."""
_LIBRARIES = ("numpy", "zarr", "tifffile", "h5py", "nibabel", "numcodecs", "imagecodecs")


class CertificateError(SpimpackError):
    """There is no certificate, or it was changed."""

    exit_code = ExitCode.CONFLICT


@dataclass(frozen=True, slots=True)
class CertifiedImage:
    """An image whose voxels were proven equal to those of its sources."""

    shape_tczyx: tuple[int, ...]
    """Sizes of the full level."""
    dtype: str
    """Type of its voxels, in numpy's words."""
    levels: int
    """Number of levels, all of which were compared."""
    voxels_sha256: str
    """Digest of the voxels of the full level (`volumes.voxel_digest`)."""
    sha256: str
    """Digest of the file, or of the list of its files (`files.digests`)."""
    size: int
    """Bytes of its files."""
    sources: tuple[str, ...] = ()
    """Paths of what it was made of."""
    compared: str = ""
    """When it was compared with them, in UTC."""

    def is_same(self, other: CertifiedImage) -> bool:
        """Tell whether the files and voxels of another one are these."""
        return replace(self, sources=(), compared="") == replace(other, sources=(), compared="")


@dataclass(frozen=True, slots=True)
class CertifiedSource:
    """A file or folder that images were made of."""

    sha256: str
    """Digest of the file, or of the list of its files (`files.digests`)."""
    size: int
    """Bytes."""
    unsafe: str = ""
    """Why it must be kept; empty if all that it holds was proven to be in the dataset."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The proven images of a dataset, and the others."""

    made: str
    """When, in UTC."""
    program: str
    """Version of this program."""
    libraries: dict[str, str]
    """Versions of the libraries that read the voxels."""
    images: dict[str, CertifiedImage] = field(default_factory=dict)
    """Proven images, by their path in the dataset. One that is in `unproven` as well is damaged or
    gone by now, and was proven when its originals were in reach."""
    sources: dict[str, CertifiedSource] = field(default_factory=dict)
    """Sources by their path."""
    unproven: dict[str, str] = field(default_factory=dict)
    """Why other images of the dataset are not proven, by their path."""
    faults: dict[str, list[str]] = field(default_factory=dict)
    """The differences of images from their sources, by their path."""

    def dump(self) -> bytes:
        """Return the certificate as JSON, with its own digest."""
        told = {"form": FORM, **asdict(self)}
        return _text({**told, "sha256": _digest_of(told)})


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that read voxels."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write_certificate(store: Store, certificate: Certificate) -> None:
    """Put a certificate in the place of an earlier one."""
    with replacing(store.path(NAME), Durability.SAFE) as aside:
        aside.file.write(certificate.dump())


def read_certificate(store: Store) -> Certificate:
    """Return the certificate of a dataset.

    Raises
    ------
    CertificateError
        There is none, or it is not as it was written.
    """
    where = f"{store.output_dir} has"
    try:
        data = read_regular(store.path(NAME))
    except FileNotFoundError:
        message = f"{where} no certificate; spimpack certify makes one while the sources are there"
        raise CertificateError(message) from None
    try:
        told: dict[str, Any] = json.loads(data)
        digest = told.pop("sha256")
        form = told.pop("form")
        if form != FORM:
            message = f"{where} a certificate of a later version of this program"
            raise CertificateError(message)
        if digest != _digest_of({"form": form, **told}) or data != _text(
            {"form": form, **told, "sha256": digest}
        ):
            message = f"{where} a certificate that was changed; make a new one"
            raise CertificateError(message)
        return _parse(told)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        message = f"{where} a certificate that was changed; make a new one"
        raise CertificateError(message) from error


def _parse(told: dict[str, Any]) -> Certificate:
    images = {
        path: CertifiedImage(
            **{
                **values,
                "shape_tczyx": tuple(values["shape_tczyx"]),
                "sources": tuple(values["sources"]),
            }
        )
        for path, values in told.pop("images").items()
    }
    sources = {path: CertifiedSource(**values) for path, values in told.pop("sources").items()}
    return Certificate(**told, images=images, sources=sources)


def _digest_of(told: dict[str, Any]) -> str:
    return sha256(_text(told)).hexdigest()


def _text(told: dict[str, Any]) -> bytes:
    # Any byte of a name can be written as ASCII.
    return json.dumps(told, indent=1, sort_keys=True).encode("ascii") + b"\n"
