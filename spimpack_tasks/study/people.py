"""Authors and publisher of the dataset of a study, as entities of an RO-Crate.

They are of the manifest's publication block. Without one, the authors are those of the dataset's
description, and nothing else is known of them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.model.identifiers import plain_ror
from spimpack_tasks.model.publication import Contributor, Organization, PublicationBlock
from spimpack_tasks.publishing.publication_block import read_block
from spimpack_tasks.publishing.records.crate import ref
from spimpack_tasks.publishing.records.ro_crate import compose_person, organization_id
from spimpack_tasks.publishing.records.texts import given
from spimpack_tasks.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.publishing.records.crate import Entity
    from spimpack_tasks.study.study import Study


class People(NamedTuple):
    """People and organizations, and what they are to the dataset."""

    entities: tuple[Entity, ...]
    authors: tuple[Entity, ...]
    """References to entities."""
    publisher: Entity
    """A reference, empty where none is named."""


def find_people(study: Study) -> People:
    """Return the authors and the publisher of the dataset of a study."""
    block = _read_block(study)
    contributors = [each for each in block.contributors if each.is_author]
    contributors = contributors or [Contributor(name) for name in _read_authors(study)]
    people = [compose_person(each) for each in contributors]
    organizations = list(map(_compose_organization, _list_organizations(block, contributors)))
    publisher = next((ref(each) for each in organizations if each["name"] == block.publisher), {})
    return People((*people, *organizations), tuple(map(ref, people)), publisher)


def _list_organizations(
    block: PublicationBlock, contributors: list[Contributor]
) -> Iterator[Organization]:
    """Yield those of authors, and the publisher unless it is one of them."""
    homes = [each.affiliation for each in contributors if each.affiliation]
    yield from homes
    if block.publisher and block.publisher not in {home.name for home in homes}:
        yield Organization(block.publisher)


def _compose_organization(each: Organization) -> Entity:
    identifier = organization_id(each.name, each.ror)
    entity = {"@id": identifier, "@type": "Organization", "name": each.name}
    return given({**entity, "url": plain_ror(each.ror)})


def _read_block(study: Study) -> PublicationBlock:
    """Return the publication block of the manifest, an empty one where it cannot be read."""
    found = study.items_of("package")
    if not found:
        return PublicationBlock()
    manifest: Any = study.values(found[0])["manifest"]
    path = study.path if isinstance(manifest, dict) else study.place(str(manifest))
    try:
        return read_block(Store(study.dataset), path)[0]
    except (SpimpackError, OSError):
        return PublicationBlock()


def _read_authors(study: Study) -> list[str]:
    if not study.dataset:
        return []
    path = os.path.join(study.dataset, "dataset_description.json")
    description: dict[str, Any] = read_json(path, dict, {})
    return [str(name) for name in description.get("Authors") or ()]
