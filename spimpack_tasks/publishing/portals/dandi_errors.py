"""The errors of an ingest into the DANDI archive."""

from __future__ import annotations

from spimpack_tasks.errors import ExitCode, OutputError, SpimpackError


class ConfigurationError(SpimpackError):
    """The token or the address of the archive is missing or wrong."""

    exit_code = ExitCode.BAD_INPUT


class IngestError(SpimpackError):
    """The records or the dataset cannot be ingested as they are."""

    exit_code = ExitCode.BAD_INPUT


class PathTakenError(SpimpackError):
    """Another asset has the path, or a path that excludes it."""

    exit_code = ExitCode.CONFLICT


class OccupiedZarrError(SpimpackError):
    """A Zarr that is to be changed belongs to another asset as well."""

    exit_code = ExitCode.CONFLICT


class ChangedAssetError(OutputError):
    """An output is no longer as it was when the run looked at it."""


class BusyZarrError(SpimpackError):
    """The archive computes the checksum of a Zarr, and takes no changes meanwhile."""


class ExpiredAddressError(SpimpackError):
    """A signed address is no longer good; another one is to be asked for."""


class LostUploadError(SpimpackError):
    """The archive does not know an upload; it has ended, or is to begin again."""
