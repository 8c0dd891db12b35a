"""`spimpack view`: an image in napari, or a state with which Neuroglancer shows it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode
from spimpack_tasks.qc.napari_layers import view_in_napari
from spimpack_tasks.qc.neuroglancer import BASE_URL, compose_state

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("image", metavar="IMAGE", help="an image, in a dataset or not")
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


def run(arguments: argparse.Namespace) -> int:
    """Open the image, or print the state."""
    is_auto = arguments.auto_contrast
    image = os.path.abspath(os.path.expanduser(arguments.image))
    if arguments.neuroglancer:
        state = compose_state(image, arguments.base_url, is_auto_contrast=is_auto)
        print(json.dumps(state, indent=1, ensure_ascii=False))
    else:
        view_in_napari(os.path.realpath(image), image, is_auto_contrast=is_auto)
    return ExitCode.OK
