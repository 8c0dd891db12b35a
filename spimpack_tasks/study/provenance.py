"""The provenance of a study as an RO-Crate: each image of the dataset, its product, its tiles.

Facts: RO-Crate 1.1 and its profile Process Run Crate 0.5. Each item of the study is a CreateAction
with the program as its instrument. Its objects are files and parameters, its result is what it
made. Nothing tells when the crate was written: equal states have equal bytes.
"""

from __future__ import annotations

import json
import math
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.model.identifiers import spdx_of
from spimpack_tasks.publishing.records.crate import (
    compose_descriptor,
    compose_file,
    frame,
    list_licences,
    ref,
)
from spimpack_tasks.publishing.records.texts import given, json_text
from spimpack_tasks.study.making import find_makings, modified_s
from spimpack_tasks.study.people import find_people
from spimpack_tasks.version import PROJECT_URL, __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.publishing.records.crate import Entity
    from spimpack_tasks.study.making import Making
    from spimpack_tasks.study.study import Study

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
PROGRAM = f"{PROJECT_URL}/#spimpack_tasks-"
"""Identifier of this program, before its version."""
_VERSION = "1.1"
_COMPLETED = "http://schema.org/CompletedActionStatus"
_OTHER = "CreativeWork"
"""Type of what is no file that could be looked at."""
_VALIDATOR = "https://bids-validator.readthedocs.io"
_DONE = {
    "stitch": "Tiles were made one volume",
    "stream": "Frames of a camera were written as an image",
    "convert": "A file or several were converted to one image",
    "package": "Images were packaged as a BIDS dataset",
    "align": "An image was prepared for the alignment with an atlas",
    "validate": "A dataset was validated",
    "publish": "A dataset was published",
}
"""Description of an action, by the stage of its item."""


def compose_provenance(study: Study, identity: str) -> str:
    """Return the text of `ro-crate-metadata.json`.

    Parameters
    ----------
    study
        The study, whose items are there.
    identity
        Digest of its state, by which the crate is known to be up to date.
    """
    makings = find_makings(study)
    files = _Files(study)
    actions = [entity for making in makings for entity in _action(making, files)]
    description = _read_description(study)
    licences = list_licences(spdx_of(str(description.get("License", ""))))
    people = find_people(study)
    files.add(study.path, "The study")
    programs = [_program(each) for each in sorted({*_versions(makings), __version__})]
    head = compose_descriptor(_VERSION)
    creator = {"@id": f"{PROGRAM}{__version__}"}
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Provenance of {study.name}",
        "description": "Of which files each item of the study was made, by which programs, and "
        "with which parameters. An image of the dataset is based on a product or a file.",
        "datePublished": _latest(makings, study)[:10],
        "license": [ref(each) for each in licences] or "not given",
        "author": list(people.authors),
        "publisher": people.publisher,
        "conformsTo": {"@id": PROFILE},
        "hasPart": [ref(each) for each in files.entities.values() if each["@type"] != _OTHER],
        "mentions": [ref(each) for each in actions if each["@type"] == "CreateAction"],
    }
    entities = [
        # Both keys stand in the first lines, by which the file is known to be ours and up to date.
        {**head, "creator": creator, "version": identity},
        given(root),
        {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        *licences,
        *people.entities,
        *programs,
        *_validators(makings),
        *_libraries(makings),
        *actions,
        *files.entities.values(),
    ]
    return json_text(frame(entities, _VERSION))


class _Files:
    """The entities of files and folders, each once, by their identifiers."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._roots = [study.work_dir]
        if _lies_below(study.work_dir, study.folder):
            self._roots.append(study.folder)
        self.entities: dict[str, Entity] = {}

    def add(self, path: str, description: str, made_of: Iterable[str] = ()) -> Entity:
        """Return a reference to a file, and keep its entity.

        Parameters
        ----------
        path
            Absolute path, an address, or the name of a function.
        description
            In words; the first one of a file stays.
        made_of
            Absolute paths of what it was made of.
        """
        is_there = os.path.exists(path)
        is_folder = os.path.isdir(path) or "://" in path
        identifier = self._identify(path, is_there=is_there, is_folder=is_folder)
        based_on = [self.add(each, "Source of an image") for each in made_of]
        known = self.entities.get(identifier)
        if known is not None:
            known.update(given({"isBasedOn": based_on}))
        elif identifier.startswith("#"):
            # Nothing that could be looked at: the name of a function, or a file that is gone.
            name = os.path.basename(path)
            entity = {"@id": identifier, "@type": _OTHER, "name": name}
            self.entities[identifier] = entity | {"description": description}
        elif identifier != "./":
            size = None if is_folder else os.path.getsize(path)
            more = {"dateModified": _iso(modified_s(path)), "isBasedOn": based_on}
            entity = compose_file(identifier, path.rstrip("/"), description, size, more)
            if is_folder and not path.rstrip("/").endswith(".zarr"):
                del entity["encodingFormat"]
            self.entities[identifier] = entity
        return {"@id": identifier}

    def _identify(self, path: str, *, is_there: bool, is_folder: bool) -> str:
        end = "/" if is_folder else ""
        if "://" in path:
            return path.rstrip("/") + end
        if not is_there:
            return f"#source-{_quoted(self._relative(path) or path)}"
        relative = self._relative(path)
        if relative == os.curdir:
            return "./"
        return f"{_quoted(relative)}{end}" if relative else f"file://{_quoted(path)}{end}"

    def _relative(self, path: str) -> str:
        """Return a path from the crate on, empty for one that lies neither there nor in the study.

        A path of a user's home is told only where there is no other one.
        """
        if any(_lies_below(path, root) for root in self._roots):
            return os.path.relpath(path, self._study.work_dir)
        return ""


def _action(making: Making, files: _Files) -> Iterator[Entity]:
    """Yield the action of an item, and its parameters."""
    item = making.item
    name = f"{item.stage}/{quote(item.name)}".rstrip("/")
    parameters = [
        {
            "@id": f"#parameter-{name}/{quote(key, safe='')}",
            "@type": "PropertyValue",
            "name": key,
            "value": _value(value),
        }
        for key, value in making.parameters.items()
    ]
    sources = [files.add(path, f"Source of: {item}") for path in making.sources]
    results = [
        files.add(path, f"Result of: {item}", making.made_of.get(path, ()))
        for path in making.results
    ]
    instruments = [{"@id": f"{PROGRAM}{version}"} for version in _versions([making])]
    if making.validator[0]:
        instruments.append({"@id": _validator_id(making)})
    instruments += [{"@id": _library_id(each)} for each in sorted(making.libraries.items())]
    action = {
        "@id": f"#action-{name}",
        "@type": "CreateAction",
        "name": str(item),
        "description": _DONE[item.stage],
        "startTime": _iso(making.began_s),
        "endTime": _iso(making.ended_s),
        "instrument": instruments,
        "object": [*sources, *map(ref, parameters)],
        "result": results,
        "actionStatus": _COMPLETED,
    }
    yield given(action)
    yield from parameters


def _versions(makings: Iterable[Making]) -> list[str]:
    """Return the versions of this program; the present one for an item that does not tell it."""
    found = {version for each in makings for version in (each.versions or (__version__,))}
    return sorted(found)


def _program(version: str) -> Entity:
    return {
        "@id": f"{PROGRAM}{version}",
        "@type": "SoftwareApplication",
        "name": "spimpack_tasks",
        "url": PROJECT_URL,
        "softwareVersion": version,
    }


def _validator_id(making: Making) -> str:
    return f"{_VALIDATOR}/#{'-'.join(map(quote, making.validator))}"


def _validators(makings: Iterable[Making]) -> Iterator[Entity]:
    for making in makings:
        name, version = making.validator
        if name:
            yield {
                "@id": _validator_id(making),
                "@type": "SoftwareApplication",
                "name": name,
                "url": _VALIDATOR,
                "softwareVersion": version,
            }


def _library_id(library: tuple[str, str]) -> str:
    return f"https://pypi.org/project/{'/'.join(map(quote, library))}/"


def _libraries(makings: Iterable[Making]) -> Iterator[Entity]:
    """Yield the libraries that items were made by, each version once."""
    for library in sorted({each for making in makings for each in making.libraries.items()}):
        name, version = library
        yield {
            "@id": _library_id(library),
            "@type": "SoftwareApplication",
            "name": name,
            "url": f"https://pypi.org/project/{quote(name)}/",
            "softwareVersion": version,
        }


def _read_description(study: Study) -> dict[str, Any]:
    """Return the description of the dataset, empty if there is none."""
    if not study.dataset:
        return {}
    return read_json(os.path.join(study.dataset, "dataset_description.json"), dict, {})


def _latest(makings: Iterable[Making], study: Study) -> str:
    """Return when the last item was there; when the study was saved, if none tells its time."""
    times = [making.ended_s for making in makings if making.ended_s is not None]
    return _iso(max(times) if times else modified_s(study.path))


def _iso(time_s: float | None) -> str:
    if time_s is None:
        return ""
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="seconds")


def _value(value: Any) -> Any:
    """Return a value of a parameter: texts and numbers as they are, others as JSON."""
    if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return json.dumps(value, sort_keys=True)


def _quoted(path: str) -> str:
    # Names need not be UTF-8.
    return quote(os.fsencode(path))


def _lies_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
