"""The parts that all RO-Crates of ours share: frame, and entities of files, people and licences.

Facts: RO-Crate 1.1 and 1.2. A value that stands alone is no list. The identifier of a folder ends
with a slash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from spimpack_tasks.model.identifiers import licence_address
from spimpack_tasks.publishing.records.media_types import media_type
from spimpack_tasks.publishing.records.texts import given

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAME = "ro-crate-metadata.json"

Entity = dict[str, Any]


def compose_descriptor(version: str) -> Entity:
    """Return the entity of the file itself, as a version of RO-Crate has it."""
    return {
        "@id": NAME,
        "@type": "CreativeWork",
        "conformsTo": {"@id": f"https://w3id.org/ro/crate/{version}"},
        "about": {"@id": "./"},
    }


def frame(entities: Iterable[Entity], version: str) -> Entity:
    """Return the crate of entities, each of them once."""
    unique = {entity["@id"]: entity for entity in entities}
    return {
        "@context": f"https://w3id.org/ro/crate/{version}/context",
        "@graph": [_single(entity) for entity in unique.values()],
    }


def _single(entity: Entity) -> Entity:
    """Return an entity in which lists of one value are that value."""
    return {
        key: value[0] if isinstance(value, list) and len(value) == 1 else value
        for key, value in entity.items()
    }


def ref(entity: Entity) -> Entity:
    """Return a reference to an entity."""
    return {"@id": entity["@id"]}


def person_id(name: str) -> str:
    """Return the identifier of a person of whom no ORCID is known."""
    return f"#person-{quote(name)}"


def list_licences(name: str) -> list[Entity]:
    """Return the entity of a licence by its name in SPDX; none of an empty name."""
    entity = {
        "@id": licence_address(name),
        "@type": "CreativeWork",
        "name": name,
        "description": f"Licence of the data, {name} in SPDX",
    }
    return [entity] if name else []


def compose_file(
    identifier: str,
    path: str,
    description: str,
    size: int | None = None,
    more: Mapping[str, Any] | None = None,
) -> Entity:
    """Return the entity of a file or folder.

    Parameters
    ----------
    identifier
        Of the entity.
    path
        The path, of which name and ending count.
    description
        In words.
    size
        Bytes of a file; `None` of a folder, such as an OME-Zarr.
    more
        Further keys; those that are empty are left out.
    """
    entity = {
        "@id": identifier,
        "@type": "Dataset" if size is None else "File",
        "name": path.rpartition("/")[2],
        "description": description,
        "encodingFormat": media_type(path),
        "contentSize": "" if size is None else str(size),
    }
    return given({**entity, **(more or {})})
