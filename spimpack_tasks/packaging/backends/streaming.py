"""Makes an OME-Zarr in an object store, straight from the source; only a record of it is here.

The writer announces the folder of the image, so a run that was killed leaves nothing that is not
known to be of ours. Voxels that are noted here, and there as they were noted, are not written
again. Metadata come last, so an image that can be opened is whole. Objects of another image, which
was published or interrupted at the same name, are deleted before, its metadata first. Objects that
are not of ours stop the run.
"""

from __future__ import annotations

import errno
import os
from contextlib import closing
from glob import escape, glob
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.parallel import count_threads
from spimpack_tasks.errors import ExitCode, SpimpackError, printable
from spimpack_tasks.files.atomic import discard
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.files.store_files import is_elsewhere, is_metadata_key, is_zarr_key
from spimpack_tasks.model.plan import STATE_DIRECTORY
from spimpack_tasks.remote.announcements import claim_folder, find_claims
from spimpack_tasks.remote.credentials import find_endpoint
from spimpack_tasks.remote.elsewhere import Elsewhere, read_record, write_record
from spimpack_tasks.remote.identity import identity_in
from spimpack_tasks.remote.inventory import (
    InventoryError,
    Listed,
    fetch_inventory,
    parse_inventory,
)
from spimpack_tasks.remote.isolated import run_isolated
from spimpack_tasks.remote.lease_memory import LeaseMemory
from spimpack_tasks.remote.leases import Lease
from spimpack_tasks.remote.location import Location
from spimpack_tasks.remote.object_place import WHOLE, ObjectPlace, read_notes, write_notes
from spimpack_tasks.remote.object_store import ObjectStore
from spimpack_tasks.volumes.convert import write_ome_zarr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spimpack_tasks.volumes.conversion import Conversion

_NOTES = "objects-"
"""Begins the names of files of notes; those of other voxels are of no use."""


class OccupiedPlaceError(SpimpackError):
    """Objects that are not of ours are where an image is to be."""

    exit_code = ExitCode.CONFLICT


def stream_image(
    conversion: Conversion, name: str, path: str, advance: Callable[[int], None]
) -> None:
    """Convert an image to an OME-Zarr in an object store, or resume that.

    Parameters
    ----------
    conversion
        What to convert, and how; its request has the location.
    name
        Path of the image in the dataset, below the location.
    path
        Folder of the record of the image.
    advance
        Told the number of bytes of voxels after each piece that is there.

    Raises
    ------
    OccupiedPlaceError
        Objects that are not of ours are there.
    SupersededError
        Another run writes the same image.
    SpimpackError, OSError
        The service refuses it, or the source cannot be read.
    """
    run_isolated(lambda tell: _stream(conversion, name, path, tell), advance)


def _stream(conversion: Conversion, name: str, path: str, advance: Callable[[int], None]) -> None:
    location = _location_of(conversion)
    store = ObjectStore(location)
    os.makedirs(path, exist_ok=True)
    notes, voxels = _notes_of(conversion, path), _voxels_of(conversion)
    before = [*map(stamp_text, conversion.sources)]

    def require_same_sources() -> None:
        if [*map(stamp_text, conversion.sources)] != before:
            raise OSError(errno.ESTALE, "its source changed while it was converted")

    memory = LeaseMemory(_state_of(path), location.digest)
    lease = Lease(store, memory.holder(), memory)
    lease.take("")
    with (
        lease.kept(),
        closing(ObjectPlace(store, name, notes, lease, require_same_sources)) as place,
    ):
        claims = find_claims(store, name)
        published = _published(store, identity_in(_state_of(path)))
        _refuse_strangers(published, store.location, name, place, is_claimed=bool(claims))
        place.hold(claim_folder(store, memory.holder().owner, name, voxels))
        _withdraw(path, name, place)
        if any(claim.voxels != voxels for claim in claims):
            place.clear()  # all that is there is of another image
        place.remove_others()
        write_ome_zarr(conversion, place, advance, count_threads())
        image = Elsewhere(
            *(str(location), location.endpoint_url, conversion.made_from, voxels), place.objects
        )
        write_record(path, image)
    for each in glob(f"{escape(path)}/{_NOTES}*"):
        os.unlink(each)


def _withdraw(path: str, name: str, place: ObjectPlace) -> None:
    """Remove the record of an image whose objects are about to be deleted or replaced.

    A run that is killed meanwhile leaves no record of what is no longer there.
    """
    record = f"{os.path.dirname(_state_of(path))}/{name}"
    lost = [key for key in place.listed if key not in place.objects]
    if lost and is_elsewhere(record) and not os.path.islink(record):
        discard(record)


def _location_of(conversion: Conversion) -> Location:
    location = Location.parse(conversion.request.place)
    return Location.parse(conversion.request.place, find_endpoint(location))


def _state_of(path: str) -> str:
    """Return the state directory of the dataset that an image is made for."""
    root, state, _ = path.partition(f"/{STATE_DIRECTORY}/")
    return f"{root}/{STATE_DIRECTORY}" if state else os.path.dirname(path)


def _notes_of(conversion: Conversion, path: str) -> str:
    digest = blake2b(_voxels_of(conversion).encode(), digest_size=8).hexdigest()
    return f"{path}/{_NOTES}{digest}"


def _voxels_of(conversion: Conversion) -> str:
    """Return what voxels and their names are known by: names depend on the axes."""
    return f"{conversion.voxels_from} {conversion.request.axes}".rstrip()


def _refuse_strangers(
    known: Mapping[str, Listed], where: Location, name: str, place: ObjectPlace, *, is_claimed: bool
) -> None:
    """Refuse objects of others: no writer makes such, or nobody has announced or published them."""
    others = {key: found for key, found in place.listed.items() if key not in place.objects}
    strangers = [key for key in others if not is_zarr_key(key)]
    if others and not is_claimed and not strangers:
        for key, found in others.items():
            listed = known.get(f"{name}/{key}")
            if listed is None or (listed.size, listed.etag) != found:
                strangers.append(key)
    if strangers:
        message = (
            f"{where}/{name}/{strangers[0]} is there already, and not of ours; move it "
            "away, or choose another place"
        )
        raise OccupiedPlaceError(message)


def _published(store: ObjectStore, dataset: str) -> Mapping[str, Listed]:
    """Return the objects that this dataset has published.

    Raises
    ------
    OccupiedPlaceError
        Another dataset is published there.
    """
    present = fetch_inventory(store)
    try:
        inventory = parse_inventory(present[0] if present else b"")
    except InventoryError:
        return {}
    if dataset and inventory.dataset and dataset != inventory.dataset:
        called = f" {printable(inventory.name)!r}" if inventory.name else ""
        message = f"{store.location} holds another dataset{called}; choose another place"
        raise OccupiedPlaceError(message)
    return inventory.objects


def is_streamed(conversion: Conversion, path: str) -> bool:
    """Tell whether a folder is the record of the image that a conversion makes."""
    found = read_record(path)
    location = str(Location.parse(conversion.request.place))
    return found is not None and (found.made_from, found.url) == (conversion.made_from, location)


def seed_notes(conversion: Conversion, earlier: str, path: str) -> None:
    """Note the voxels of an earlier image, where only its metadata are to be others."""
    found = read_record(earlier)
    notes = _notes_of(conversion, path)
    location = str(Location.parse(conversion.request.place))
    if found is None or (found.voxels, found.url) != (_voxels_of(conversion), location):
        return
    os.makedirs(path, exist_ok=True)
    if not read_notes(notes):
        kept = [(key, each) for key, each in found.objects.items() if not is_metadata_key(key)]
        write_notes(notes, [(WHOLE, Listed(0, "", "")), *kept])
