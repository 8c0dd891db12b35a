"""`spimpack view s3://…`: links that open published images in viewers of others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.cli.verify_published import print_links
from spimpack_tasks.errors import ExitCode, UsageError
from spimpack_tasks.publishing.links import public_address
from spimpack_tasks.publishing.target import make_location
from spimpack_tasks.publishing.verifying import list_images
from spimpack_tasks.remote.credentials import find_region

if TYPE_CHECKING:
    import argparse

_ZARR = ".ome.zarr"


def run(arguments: argparse.Namespace) -> int:
    """Print the links to an image, or to the first one of a dataset."""
    if arguments.auto_contrast or arguments.neuroglancer:
        message = "--neuroglancer and --auto-contrast are for an image on this machine"
        raise UsageError(message, f"spimpack view {arguments.image}")
    location = make_location(arguments.image, arguments.endpoint_url, arguments.profile)
    if location.prefix.endswith(_ZARR):
        prefix, _, name = location.prefix.rpartition("/")
        location, images = replace(location, prefix=prefix), [name]
    else:
        images = list_images(location, is_anonymous=arguments.anonymous)
    print_links(public_address(location, find_region(location)), images)
    return ExitCode.OK
