"""Small pictures of the images of a dataset, kept in its state directory.

A picture is kept under a name that follows from the source, its size and time, and the orientation
of its row: a second report reads no image that is as it was.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.errors import SpimpackError, message_of
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.files.stamps import other_files_of, stamp_text
from spimpack_tasks.model.entities import PHOTO_SUFFIX
from spimpack_tasks.model.orientation import normalise_orientation
from spimpack_tasks.model.plan import Step
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.qc.pictures import STRIP_VERSION, draw_strip
from spimpack_tasks.qc.preview import compose_preview
from spimpack_tasks.qc.volume import read_volume
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.merged.form import find_format
from spimpack_tasks.volumes.merged.request import is_merge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.model.plan import Output, Plan
    from spimpack_tasks.report.data import ReportData, ReportedImage
    from spimpack_tasks.state.store import ScratchFolder, Store

FOLDER = "thumbnails"


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The three middle slices of one image, or why there are none."""

    image: ReportedImage
    code: str
    """The orientation that its row gives it."""
    jpeg: bytes
    failure: str


def make_thumbnails(
    store: Store, gathered: ReportData, on_made: Callable[[int, int], None] | None = None
) -> Iterator[Thumbnail]:
    """Yield the pictures of all images but photos, in the order of the plan.

    Parameters
    ----------
    store, facts
        Of the dataset.
    on_made
        Receives the number of finished pictures, and of all.

    Raises
    ------
    MissingExtraError
        The library that draws pictures is not installed.
    """
    load_library("PIL.Image")
    plan = store.load_plan(gathered.plan_id)
    codes = _orientations(plan)
    outputs = {o.path: o for o in plan.outputs if o.step is Step.ASSETS}
    images = [image for image in gathered.images if _key(image.path) in codes]
    kept = set()
    with store.scratch_folder(FOLDER) as place:
        for number, image in enumerate(images, start=1):
            code = codes[_key(image.path)]
            name = _name(outputs[image.path], code)
            kept.add(name)
            yield _find(place, image, outputs[image.path], code, name)
            if on_made:
                on_made(number, len(images))
        _forget_others(store, kept)


def _key(path: str) -> str:
    """Return the name of an image in a dataset, without its extension."""
    return path.rpartition("/")[2].partition(".")[0]


def _orientations(plan: Plan) -> dict[str, str]:
    """Return the code of each image that has a sidecar with one."""
    codes = {}
    for output in plan.outputs:
        if output.step is Step.SIDECARS and not output.asset.endswith(PHOTO_SUFFIX):
            code = json.loads(output.text).get("OrientationStringXYZ", "")
            code = normalise_orientation(code) if isinstance(code, str) else None
            if code:
                codes[_key(output.path)] = code
    return codes


def _name(output: Output, code: str) -> str:
    chosen = output.selection.parts if output.selection != WHOLE else []
    if is_merge(output.format):
        chosen = [output.format, *other_files_of(output.target)]
    data = json.dumps([output.source, stamp_text(output.source), code, STRIP_VERSION, *chosen])
    return f"{blake2b(data.encode(), digest_size=16).hexdigest()}.jpg"


def _find(
    place: ScratchFolder, image: ReportedImage, output: Output, code: str, name: str
) -> Thumbnail:
    """Return the picture that is kept, or a new one."""
    with suppress(FileNotFoundError), open_regular(place.store.path(FOLDER, name)) as file:
        return Thumbnail(image, code, file.read(), "")
    try:
        volume = read_volume(
            os.path.realpath(image.source),
            form=find_format(output.format),
            selection=output.selection,
        )
        preview = compose_preview(volume)
    except SpimpackError as error:
        return Thumbnail(image, code, b"", message_of(error))
    jpeg = draw_strip(preview, code)
    place.write(f"{FOLDER}/{name}", jpeg)
    return Thumbnail(image, code, jpeg, "")


def _forget_others(store: Store, kept: set[str]) -> None:
    with suppress(FileNotFoundError):
        for name in os.listdir(store.path(FOLDER)):
            if name not in kept:
                os.unlink(store.path(FOLDER, name))
