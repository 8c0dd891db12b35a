"""The record of an image that lies in an object store, in place of the image.

    sub-01/micr/sub-01_sample-brain_SPIM.ome.zarr/elsewhere.json

It names the location, and each object with size, SHA-256 and entity tag. The folder has no metadata
of an OME-Zarr, so no program takes it for an image of zeros.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.atomic import Durability, replacing
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.files.store_files import ELSEWHERE, METADATA_FILES
from spimpack_tasks.remote.inventory import Listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VERSION = 1
"""Raise it when a reader of this version would misunderstand a record."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An image that lies in an object store."""

    url: str
    """Address of the dataset there."""
    endpoint_url: str
    made_from: str
    """Identity of source and request, as in the image itself."""
    voxels: str
    """Identity of the voxels, and of their names."""
    objects: Mapping[str, Listed]
    """By path in the image."""


def write_record(folder: str, image: Elsewhere) -> None:
    """Write the record of an image."""
    lines = ",\n".join(
        f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(found)}"
        for key, found in sorted(image.objects.items())
    )
    head = {
        "version": VERSION,
        "sha256": _digest_of(image),
        "url": image.url,
        "endpoint_url": image.endpoint_url,
        "made_from": image.made_from,
        "voxels": image.voxels,
    }
    text = f'{json.dumps(head)[:-1]}, "objects": {{\n{lines}\n}}}}\n'
    with replacing(f"{folder}/{ELSEWHERE}", Durability.WHOLE) as aside:
        aside.file.write(text.encode())


def read_record(folder: str) -> Elsewhere | None:
    """Return the record of an image, `None` where it is here, or the record is damaged."""
    build: Callable[[Any], Elsewhere | None] = _build
    return read_json(f"{folder}/{ELSEWHERE}", build, None)


def _build(data: Any) -> Elsewhere:
    if data["version"] != VERSION:
        message = f"the record has version {data['version']}"
        raise ValueError(message)
    objects = {str(key): Listed(*values) for key, values in data["objects"].items()}
    url, endpoint_url = str(data["url"]), str(data["endpoint_url"])
    image = Elsewhere(url, endpoint_url, str(data["made_from"]), str(data["voxels"]), objects)
    if data["sha256"] != _digest_of(image) or not objects.keys() & METADATA_FILES:
        message = "the record is damaged"
        raise ValueError(message)
    return image


def _digest_of(image: Elsewhere) -> str:
    """Return the digest of a record, which tells that none of it was changed."""
    parts = (image.url, image.endpoint_url, image.made_from, image.voxels)
    text = json.dumps([*parts, sorted((key, *each) for key, each in image.objects.items())])
    return sha256(text.encode()).hexdigest()
