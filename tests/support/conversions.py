"""Converts and compares single images, as backends and `spimpack convert` do."""

from dataclasses import dataclass, field

from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.volumes import convert as converting
from spimpack_tasks.volumes.compare import compare_with_source
from spimpack_tasks.volumes.conversion import Conversion, Request
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import examine_source
from spimpack_tasks.volumes.reuse import reuse_voxels


@dataclass
class Job:
    """One image to be converted."""

    source: str
    path: str
    request: Request = field(default_factory=Request)
    made_from: str = ""
    threads: int = 2
    voxels_from: str = ""

    @property
    def conversion(self):
        found = str(self.source), form_of(self.source), self.request
        return Conversion(*found, self.made_from, self.voxels_from)


def ignore(_):
    pass


def form_of(path):
    try:
        return examine_source(str(path)).format
    except SourceRefusedError as error:
        raise OSError(str(error)) from error


def convert(job, advance=ignore):
    converting.convert_to_ome_zarr(job.conversion, str(job.path), advance, job.threads)


def convert_voxels(job, advance=ignore):
    """Write the voxels anew, also of a format whose levels or files are taken otherwise."""
    converting._write_voxels(job.conversion, LocalPlace(str(job.path)), advance, job.threads)


def convert_to_tiff(job, advance=ignore):
    converting.convert_to_ome_tiff(job.conversion, str(job.path), advance, job.threads)


def compare(source, path, advance=ignore):
    return compare_with_source(str(source), form_of(source), str(path), advance)


def reuse(job, earlier):
    return reuse_voxels(job.conversion, str(earlier), str(job.path))
