"""`spimpack view`: an image in napari, or a state with which Neuroglancer shows it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from spimpack_tasks.cli.arguments import add_location
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, UsageError
from spimpack_tasks.qc.napari_layers import view_in_napari
from spimpack_tasks.qc.neuroglancer import BASE_URL, compose_state
from spimpack_tasks.remote.location import is_remote

if TYPE_CHECKING:
    import argparse

_view_published = Deferred("spimpack_tasks.cli.view_published:run")
_find_unfinished = Deferred("spimpack_tasks.streams.napari_view:find_unfinished")
_view_stream = Deferred("spimpack_tasks.streams.napari_view:view_stream")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "image",
        metavar="IMAGE",
        help="an image, in a dataset or not, also one that a stream of frames is still writing; or "
        "the address of a published image or dataset, of which links to viewers are printed",
    )
    parser.add_argument(
        "--neuroglancer",
        action="store_true",
        help="print the state of Neuroglancer, in JSON, for an OME-Zarr",
    )
    parser.add_argument(
        "--auto-contrast",
        action="store_true",
        help="compute the contrast, even if the image has one",
    )
    parser.add_argument(
        "--base-url",
        default=BASE_URL,
        metavar="URL",
        help="where the dataset that the image is in, or else its folder, is served to "
        f"Neuroglancer (default: {BASE_URL})",
    )
    parser.add_argument(
        "--anonymous",
        action="store_true",
        help="of a published dataset: read it as anybody, without credentials",
    )
    add_location(parser)


def run(arguments: argparse.Namespace) -> int:
    """Open the image, follow the stream that becomes it, or print the state."""
    if is_remote(arguments.image):
        code: int = _view_published(arguments)
        return code
    is_auto = arguments.auto_contrast
    image = os.path.abspath(os.path.expanduser(arguments.image))
    unfinished = _find_unfinished(image)
    if unfinished and arguments.neuroglancer:
        message = f"{unfinished} is still being written; follow it in napari"
        raise UsageError(message, f"spimpack view {arguments.image}")
    if unfinished:
        _view_stream(unfinished)
    elif arguments.neuroglancer:
        state = compose_state(image, arguments.base_url, is_auto_contrast=is_auto)
        print(json.dumps(state, indent=1, ensure_ascii=False))
    else:
        view_in_napari(os.path.realpath(image), image, is_auto_contrast=is_auto)
    return ExitCode.OK
