"""How the items of a study were made: of which files, to which, when, and with which parameters.

All of it is read from the study, its log, and what the stages wrote. Nothing is written.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.files.stamps import stamp_source
from spimpack_tasks.model.plan import Kind, Step
from spimpack_tasks.state.receipts import read_receipts, receipt_names
from spimpack_tasks.state.store import Store
from spimpack_tasks.stitching.options import OPTIONS as STITCH_OPTIONS
from spimpack_tasks.stitching.tile_files import TilesRefusedError, read_tiles
from spimpack_tasks.study.log import BEGAN, read_events, read_libraries
from spimpack_tasks.study.reads import tiles_file
from spimpack_tasks.volumes.ome_zarr.provenance import read_provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spimpack_tasks.study.study import Study, StudyItem

_NANOSECONDS = 1e9
"""Of a second, in which stamps of files count."""
_TOLD_OTHERWISE = frozenset(
    {
        *("earlier", "frame_metadata", "made_from", "merged", "metadata", "original"),
        *("parameters", "planned_from", "version", "voxels_from"),
    }
)
"""Keys of a product's provenance that are no parameters of its own: identities, texts of others,
and what is taken apart."""
_NO_PARAMETERS = {
    "convert": frozenset({"source", "image"}),
    "package": frozenset({"manifest", "output_dir"}),
    "align": frozenset({"data_root", "results_root", "image", "manifest"}),
    "validate": frozenset({"datasets"}),
    "publish": frozenset({"url", "dataset", "profile"}),
    "stream": frozenset({"settings", "frames", "image"}),
    "stitch": frozenset(
        {"tiles", "recording", "image"}
        | {name for name, option in STITCH_OPTIONS.items() if option.is_path}
    ),
}
"""Keys of the study that name files, places or accounts of a user, by the stage."""


@dataclass(frozen=True, slots=True)
class Making:
    """How one item was made."""

    item: StudyItem
    sources: tuple[str, ...]
    """Absolute paths of what it was made of; addresses and names of functions stay as they are."""
    results: tuple[str, ...]
    """Absolute paths, or an address."""
    parameters: Mapping[str, Any]
    versions: tuple[str, ...] = ()
    """Versions of this program that made it, as far as its results tell them."""
    began_s: float | None = None
    ended_s: float | None = None
    made_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a dataset: the absolute paths of what each image was made of, by its own."""
    validator: tuple[str, str] = ("", "")
    """Name and version of the validator that was run."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    """Versions of the libraries of its stage when it was made, by their names."""


@dataclass(slots=True)
class _Found:
    """Facts about an item from its stage and its results."""

    sources: list[str]
    results: list[str]
    parameters: dict[str, Any] = field(default_factory=dict)
    versions: set[str] = field(default_factory=set)
    made_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    validator: tuple[str, str] = ("", "")


def find_makings(study: Study) -> list[Making]:
    """Return how each item of a study was made, the page aside, in the order of the study."""
    times, libraries = _read_times(study), read_libraries(study)
    makings = (_find(study, item, times) for item in study.items if item.stage in _READERS)
    return [replace(each, libraries=libraries.get(each.item, {})) for each in makings]


def _find(study: Study, item: StudyItem, times: Mapping[StudyItem, tuple[float, float]]) -> Making:
    values = study.values(item)
    found = _READERS[item.stage](study, item, values)
    chosen = {k: v for k, v in values.items() if k not in _NO_PARAMETERS[item.stage]}
    began, ended = times.get(item, (None, None))
    if ended is None:
        ended = max((time for path in found.results if (time := modified_s(path))), default=None)
    return Making(
        item,
        tuple(dict.fromkeys(found.sources)),
        tuple(dict.fromkeys(found.results)),
        # A study may leave a parameter to its default; the product has the value that was used.
        dict(sorted((chosen | found.parameters).items())),
        tuple(sorted(found.versions)),
        began,
        ended,
        found.made_of,
        found.validator,
    )


def modified_s(path: str) -> float | None:
    """Return when a file or store was last modified, `None` if nothing is there."""
    stamp = stamp_source(path)
    if stamp is not None:
        return stamp[1] / _NANOSECONDS
    with suppress(OSError, ValueError):
        return os.stat(path).st_mtime
    return None


def _read_times(study: Study) -> dict[StudyItem, tuple[float, float]]:
    """Return when each item was started and when it was there, as of its last making."""
    began: dict[StudyItem, float] = {}
    times = {}
    for item, event, time_s in read_events(study):
        if event == BEGAN:
            # The task of a stage runs between two beginnings of its item.
            began.setdefault(item, time_s)
        else:
            times[item] = began.pop(item, time_s), time_s
    return times


def _read_stitch(study: Study, item: StudyItem, values: dict[str, Any]) -> _Found:
    given = values.get("tiles")
    tiles = study.place(given) if given else tiles_file(study, item)
    sources = [study.place(values["recording"])] if "recording" in values else [tiles]
    with suppress(TilesRefusedError):
        sources += sorted({tile.path for tile in read_tiles(tiles).tiles})
    for name, option in STITCH_OPTIONS.items():
        is_source = option.is_path and name != "work_dir"
        if is_source and values.get(name) and os.path.exists(study.place(values[name])):
            sources.append(study.place(values[name]))
    return _of_product(study, item, sources)


def _read_stream(study: Study, item: StudyItem, values: dict[str, Any]) -> _Found:
    frames = study.place(values["frames"])
    is_function = ":" in values["frames"] and not os.path.exists(frames)
    sources = [study.place(values["settings"]), values["frames"] if is_function else frames]
    return _of_product(study, item, sources)


def _read_convert(study: Study, item: StudyItem, values: dict[str, Any]) -> _Found:
    source = values["source"]
    sources = [source] if isinstance(source, str) else source
    return _of_product(study, item, [study.place(path) for path in sources])


def _of_product(study: Study, item: StudyItem, sources: list[str]) -> _Found:
    """Return the facts in an image itself; of several positions, those in the first one."""
    product = study.product(item)
    told: dict[str, Any] = dict(read_provenance(product) or read_provenance(f"{product}/0"))
    found = _Found(sources, [product])
    if told.get("version"):
        found.versions.add(str(told["version"]))
    found.parameters = {k: v for k, v in told.items() if k not in _TOLD_OTHERWISE}
    found.parameters |= _read_object(told.get("parameters"))
    merged = _read_object(told.get("merged"))
    found.parameters |= {f"merge_{k}": v for k, v in merged.items() if k != "files"}
    if told.get("earlier"):
        found.parameters["earlier"] = told["earlier"]
    return found


def _read_object(text: Any) -> dict[str, Any]:
    with suppress(ValueError, TypeError, RecursionError):
        data = json.loads(text)
        return data if isinstance(data, dict) else {}
    return {}


def _read_package(study: Study, item: StudyItem, values: dict[str, Any]) -> _Found:
    dataset, manifest = study.product(item), values["manifest"]
    found = _Found([study.place(manifest) if isinstance(manifest, str) else study.path], [dataset])
    store = Store(dataset)
    for name in receipt_names(store):
        if not name.startswith(Step.ASSETS):
            continue
        for path, receipt in sorted(read_receipts(store, name).items()):
            if receipt.kind is Kind.IMAGE:
                sources = tuple(source for source, _ in receipt.sources)
                found.made_of[os.path.join(dataset, path)] = sources
                found.versions |= {receipt.version} - {""}
    found.made_of = dict(sorted(found.made_of.items()))
    found.sources += sorted({path for paths in found.made_of.values() for path in paths})
    found.results += found.made_of
    return found


def _read_align(study: Study, item: StudyItem, values: dict[str, Any]) -> _Found:
    given = [values[name] for name in ("data_root", "image", "manifest") if values.get(name)]
    results = study.product(item)
    path = os.path.join(results, "dataset_description.json")
    no_versions: tuple[str, ...] = ()
    return _Found(
        [study.place(each) for each in given],
        [results],
        versions=set(read_json(path, _versions_of, no_versions)),
    )


def _versions_of(description: Any) -> tuple[str, ...]:
    programs = description["GeneratedBy"]
    return tuple(str(each["Version"]) for each in programs if each["Name"] == "spimpack_tasks")


def _read_validation(study: Study, item: StudyItem, _values: dict[str, Any]) -> _Found:
    dataset = study.product(item)
    report = os.path.join(dataset, ".spimpack", "validation.json")
    found = _Found([dataset], [report])
    told: dict[str, Any] = read_json(report, dict, {})
    found.parameters = {key: told[key] for key in ("mode", "errors", "warnings") if key in told}
    if told.get("spimpack_tasks"):
        found.versions.add(str(told["spimpack_tasks"]))
    validator = told.get("validator")
    if isinstance(validator, dict):
        found.validator = str(validator.get("name", "")), str(validator.get("version", ""))
        found.parameters["schema"] = validator.get("schema")
    return found


def _read_publication(study: Study, item: StudyItem, values: dict[str, Any]) -> _Found:
    dataset = values.get("dataset")
    return _Found([study.place(dataset) if dataset else study.dataset], [study.product(item)])


_READERS: dict[str, Callable[[Study, StudyItem, dict[str, Any]], _Found]] = {
    "stitch": _read_stitch,
    "stream": _read_stream,
    "convert": _read_convert,
    "package": _read_package,
    "align": _read_align,
    "validate": _read_validation,
    "publish": _read_publication,
}
"""Functions that find how an item was made, by its stage."""
