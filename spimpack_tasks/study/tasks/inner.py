"""The tasks of the stages that make an item of a study: a row of `MAKERS` for each stage.

Paths in a study start at its folder. A task is made when those before it have run, since its
identity may depend on what they made.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment.choices import OPTIONS as ALIGNMENT_OPTIONS
from spimpack_tasks.alignment.tasks.results import PrepareAlignment
from spimpack_tasks.conversion.convert_image import list_files
from spimpack_tasks.conversion.tasks.image import ConvertImage
from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.files.digests import digest_values
from spimpack_tasks.manifest.products import PRODUCTS
from spimpack_tasks.packaging.tasks.dataset import PackageDataset
from spimpack_tasks.publishing.tasks.dataset import PublishDataset
from spimpack_tasks.stitching.options import OPTIONS as STITCH_OPTIONS
from spimpack_tasks.stitching.tasks.discover import DiscoverTiles
from spimpack_tasks.stitching.tasks.volume import StitchChannel
from spimpack_tasks.streams.tasks.write_frames import WriteFrames
from spimpack_tasks.study.checking import package_options
from spimpack_tasks.study.contents import find_lost
from spimpack_tasks.study.joint_run import name_run
from spimpack_tasks.study.ownership import has_own, is_noted, require_own, require_whole
from spimpack_tasks.study.reads import tiles_file
from spimpack_tasks.validation.tasks.dataset import ValidateDataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from spimpack_tasks.luigi_run import CheckedTask
    from spimpack_tasks.study.study import Study, StudyItem

_DISCOVERED = frozenset({"layout", "channel", "pitch_um", "step_um", "rotate_90", "z_pitch_um"})
"""Keys of an item of `stitch` that are parameters of `DiscoverTiles` as they are."""


def make_tasks(study: Study, item: StudyItem) -> Iterator[CheckedTask]:
    """Yield the tasks that make an item, one behind the other."""
    yield from MAKERS[item.stage](study, item)


def is_made(study: Study, item: StudyItem) -> bool:
    """Tell whether an item is as its stage wants it now, and has all its files.

    Of a publication the records tell it, so that a run with nothing to do needs no network.

    Raises
    ------
    ProductTakenError
        It is not, and what is at its place must not be replaced.
    """
    if item.stage not in PRODUCTS:
        return all(map(_is_complete, make_tasks(study, item)))
    if item.stage == "stream":
        require_own(study, item)
    require_whole(study, item)
    if find_lost(study, item):
        return False
    made_of = identify_inputs(study, item)
    if made_of and has_own(study, item) and is_noted(study, item, made_of):
        return True
    if not all(map(_is_complete, make_tasks(study, item))):
        require_own(study, item)
        return False
    # An equal image that another command has made is left as it is, without notes.
    return is_noted(study, item, made_of) or not has_own(study, item)


def _is_complete(task: CheckedTask) -> bool:
    return task.is_published() if isinstance(task, PublishDataset) else bool(task.complete())


def identify_inputs(study: Study, item: StudyItem) -> str:
    """Return the identity of files and choices of a conversion, which stays if the study is moved.

    It is empty of other items, whose images have such an identity, and where a file is refused.
    """
    if item.stage != "convert":
        return ""
    (task,) = _convert(study, item)
    folder = os.path.realpath(study.folder)
    try:
        files = list_files(task.param_kwargs)
    except (SpimpackError, OSError):
        return ""
    known = [(_within(path, folder), stamp) for path, stamp in files]
    return digest_values(known, study.values(item))


def _within(path: str, folder: str) -> str:
    """Return a path from a folder on, where it lies in it."""
    inner = os.path.relpath(path, folder)
    return path if inner.startswith(os.pardir) else inner


def _stitch(study: Study, item: StudyItem) -> Iterator[CheckedTask]:
    values = study.values(item)
    image = study.product(item)
    tiles = tiles_file(study, item)
    if "recording" in values:
        chosen = {name: values[name] for name in _DISCOVERED & values.keys()}
        if "angle_deg" in values:
            angle = values["angle_deg"]
            chosen["angle_deg"] = "none" if angle is None else repr(angle)
        if "flip_ud" in values:
            chosen["flip_ud"] = "yes" if values["flip_ud"] else "no"
        if "reversed_axes" in values:
            chosen["reversed_axes"] = values["reversed_axes"]
        recording = study.place(values["recording"])
        different = bool(values.get("sizes_may_differ"))
        yield DiscoverTiles(
            recording=recording,
            tiles=tiles,
            sizes_may_differ=different,
            run_id=name_run(study),
            **chosen,
        )
    else:
        tiles = study.place(values["tiles"])
    options = {name: values[name] for name in STITCH_OPTIONS if name in values}
    _make_floats(options, STITCH_OPTIONS)
    for name, option in STITCH_OPTIONS.items():
        if option.is_path and options.get(name):
            options[name] = study.place(options[name])
    options.setdefault("image_name", item.name)
    yield StitchChannel(tiles=tiles, image=image, **options)


def _make_floats(values: dict[str, Any], options: Mapping[str, Any]) -> None:
    """Make floats of numbers that are: 25 and 25.0 would be two tasks for Luigi."""
    for name in values.keys() & options.keys():
        if isinstance(options[name].default, float):
            values[name] = float(values[name])


def _stream(study: Study, item: StudyItem) -> Iterator[CheckedTask]:
    values = study.values(item)
    frames = values["frames"]
    place = study.place(frames)
    given = {name: values[name] for name in ("until_file",) if name in values}
    given |= {name: float(values[name]) for name in ("quiet_s", "settle_s") if name in values}
    yield WriteFrames(
        settings=study.place(values["settings"]),
        # module:function is no path; a folder may not be there yet.
        frames=frames if ":" in frames and not os.path.exists(place) else place,
        root_path=study.product(item),
        run_id=name_run(study),
        **given,
    )


def _convert(study: Study, item: StudyItem) -> Iterator[CheckedTask]:
    values = study.values(item)
    source = values.pop("source")
    values.pop("image", None)
    sources = [source] if isinstance(source, str) else source
    yield ConvertImage(
        sources=tuple(study.place(path) for path in sources), image=study.product(item), **values
    )


def _package(study: Study, item: StudyItem) -> Iterator[CheckedTask]:
    yield PackageDataset(**package_options(study, item).parameters())


def _align(study: Study, item: StudyItem) -> Iterator[CheckedTask]:
    values = study.values(item)
    root = study.place(values.pop("data_root"))
    _make_floats(values, ALIGNMENT_OPTIONS)
    if values.get("image"):
        values["image"] = study.place(values["image"])
    yield PrepareAlignment(
        data_root=root, results_root=study.place(values.pop("results_root")), **values
    )


def _validate(study: Study, item: StudyItem) -> Iterator[CheckedTask]:
    values = study.values(item)
    values.pop("datasets", None)
    product = study.product(item)
    if product != study.dataset:
        values["report"] = study.report_on(item)
    yield ValidateDataset(dataset=product, run_id=name_run(study), **values)


def _publish(study: Study, item: StudyItem) -> Iterator[CheckedTask]:
    values = study.values(item)
    values.pop("dataset", "")
    include = ",".join(values.pop("include", ()))
    yield PublishDataset(dataset=study.dataset_of(item), include=include, **values)


MAKERS: dict[str, Callable[[Study, StudyItem], Iterator[CheckedTask]]] = {
    "stitch": _stitch,
    "stream": _stream,
    "convert": _convert,
    "package": _package,
    "align": _align,
    "validate": _validate,
    "publish": _publish,
}
"""By stage: the tasks that make an item. The page is written by the study's own task."""
