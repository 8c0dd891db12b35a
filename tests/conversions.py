"""Converts and compares single images, as backends and `spimpack convert` do."""

from spimpack_tasks.volumes import convert as converting
from spimpack_tasks.volumes.compare import compare_with_source
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import examine_source
from spimpack_tasks.volumes.reuse import take_over


def ignore(_):
    pass


def form_of(path):
    try:
        return examine_source(str(path)).format
    except SourceRefusedError as error:
        raise OSError(str(error)) from error


def convert(job, advance=ignore):
    converting.convert_to_ome_zarr(job, form_of(job.source), advance)


def convert_voxels(job, advance=ignore):
    """Write the voxels anew, also of a format whose levels or files are taken otherwise."""
    converting._write_voxels(job, form_of(job.source), advance)


def convert_to_tiff(job, advance=ignore):
    converting.convert_to_ome_tiff(job, form_of(job.source), advance)


def compare(source, path, advance=ignore):
    return compare_with_source(str(source), form_of(source), str(path), advance)


def reuse(job, earlier):
    return take_over(job, str(earlier), form_of(job.source))
