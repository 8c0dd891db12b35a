"""The objects that a packaged dataset comes to: one for each file of each output, links resolved.

Only what the program wrote is sent, and a few files of BIDS that are the user's. A file in an
OME-Zarr that no Zarr has, such as an unfinished download, is refused by name. The state directory
is never sent, and neither are links to originals unless they are asked for.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.errors import (
    ExitCode,
    InputError,
    Place,
    Problem,
    Report,
    SpimpackError,
    count_of,
)
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.files.store_files import ELSEWHERE, METADATA_FILES, StoreFiles, is_chunk_key
from spimpack_tasks.files.trees import files_below
from spimpack_tasks.model.buckets import bucket_of
from spimpack_tasks.model.plan import SOURCE_FOLDER, STATE_DIRECTORY, Kind, Step
from spimpack_tasks.remote.elsewhere import read_record
from spimpack_tasks.state.content import evidence_beside, holds_record
from spimpack_tasks.state.receipts import read_all_receipts
from spimpack_tasks.state.snapshot import read_snapshot
from spimpack_tasks.state.sweep import digest, has_other_readme, read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spimpack_tasks.remote.inventory import Listed
    from spimpack_tasks.state.receipts import Receipt
    from spimpack_tasks.state.snapshot import DatasetSnapshot
    from spimpack_tasks.state.store import Store

DESCRIPTION = "dataset_description.json"
_MOST_NAMES = 20
"""Files that a message names."""
MOST_UNITS = 64
"""Most images that each have a task of their own."""
_USERS_FILES = re.compile(r"LICENSE(\..+)?|CITATION\.cff|README(\..+)?|CHANGES", re.IGNORECASE)
"""Files that BIDS knows beside `dataset_description.json` and that users write."""
_NO_NAME = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\\]")
"""Control characters, which no listing in XML can hold, bytes that are no UTF-8, and the backslash,
which services and clients take for a slash."""
_XML = re.compile(r"OME/[^/]+\.xml")
_IMAGE_STEPS = {Step.ASSETS, Step.COMPANIONS, Step.PREVIEWS}


class Rank(IntEnum):
    """Stage in which an object is sent; each stage waits for the one before."""

    DATA = 0
    """Chunks, shards, and images that are one file."""
    ARRAY = 1
    """Metadata inside of an OME-Zarr."""
    ROOT = 2
    """Metadata at the root of an OME-Zarr, without which it cannot be opened."""
    TEXT = 3
    """Tables, sidecars, and other texts of the dataset."""
    DESCRIPTION = 4
    """`dataset_description.json`, without which a folder is no BIDS dataset."""


class LocalObject(NamedTuple):
    """One file to send, as it is now."""

    name: str
    """Its path in the dataset, which is its name below the prefix."""
    path: str
    """Absolute."""
    size: int
    mtime_ns: int
    inode: int
    rank: Rank
    found: Listed | None = None
    """Of an object that was written to the store when its image was made, what was acknowledged;
    the file is the record of its image."""

    @property
    def stamp(self) -> tuple[int, int, int]:
        """Size, time and inode, which tell that a file is the one that was sent."""
        return self.size, self.mtime_ns, self.inode


@dataclass(frozen=True, slots=True)
class Item:
    """One output of the dataset with its objects."""

    name: str
    """Its path in the dataset."""
    is_store: bool
    """Whether it is a directory, such as an OME-Zarr."""
    is_text: bool
    receipt: Receipt | None = field(default=None, compare=False, repr=False)
    """Its record; `None` for a file of the user's."""

    @property
    def bucket(self) -> str:
        """Name of the file of records that its objects belong to."""
        return TEXTS if self.is_text else bucket_of(self.name)

    def owns(self, name: str) -> bool:
        """Tell whether an object belongs to it."""
        return name == self.name or (self.is_store and name.startswith(f"{self.name}/"))


TEXTS = "texts"


class UnpackagedError(SpimpackError):
    """The dataset is not as it was packaged."""

    exit_code = ExitCode.CONFLICT


class StrangerError(SpimpackError):
    """Images hold files that are not part of them, or files have names that no object has."""

    exit_code = ExitCode.CONFLICT


class UnreadableError(SpimpackError):
    """A file has vanished, or cannot be read."""

    exit_code = ExitCode.FAILED


def find_items(store: Store, include: Iterable[str] = (), *, sources: bool = False) -> list[Item]:
    """Return the outputs to send, sorted by name.

    Parameters
    ----------
    store
        The state directory of the dataset.
    include
        Further files and folders of the user's, relative to the dataset.
    sources
        Whether the links to the originals of converted images are sent as what they lead to.

    Raises
    ------
    InputError
        There is nothing of a name to include.
    """
    items = {}
    for part, recorded in read_all_receipts(store).items():
        step = part.partition("-")[0]
        for name, receipt in recorded.items():
            if step == Step.SOURCES and not sources:
                continue
            is_image = step in _IMAGE_STEPS or step == Step.SOURCES
            is_store = is_image and os.path.isdir(f"{store.output_dir}/{name}")
            # A file of the user's is sent if it is there.
            if receipt.kind is not Kind.SEED or os.path.exists(f"{store.output_dir}/{name}"):
                items[name] = Item(name, is_store, not is_image, receipt)
    for name in [*find_users_files(store.output_dir), *include]:
        for each in _expand(store.output_dir, name):
            if not _is_in_store(each, items):
                items.setdefault(each, Item(each, is_store=False, is_text=True))
    return [items[name] for name in sorted(items)]


def _is_in_store(name: str, items: Mapping[str, Item]) -> bool:
    """Tell whether a file is part of an image, which sends it already."""
    parts = name.split("/")
    above = ("/".join(parts[:count]) for count in range(1, len(parts)))
    return any(folder in items for folder in above)


def find_others(store: Store, items: Iterable[Item]) -> list[str]:
    """Return the names beside `dataset_description.json` of which nothing is sent."""
    tops = {item.name.partition("/")[0] for item in items}
    tops |= {STATE_DIRECTORY, SOURCE_FOLDER}
    found = sorted(name for name in os.listdir(store.output_dir) if name not in tops)
    return [name for name in found if not name.startswith(".git")]


def find_users_files(root: str) -> list[str]:
    """Return the names of files beside `dataset_description.json` that BIDS leaves to the user."""
    names = sorted(os.listdir(root))
    return [n for n in names if _USERS_FILES.fullmatch(n) and os.path.isfile(f"{root}/{n}")]


def _expand(root: str, name: str) -> Iterator[str]:
    """Yield the files that a name of the user's stands for."""
    name = os.path.normpath(name)
    path = f"{root}/{name}"
    first = name.partition("/")[0]
    if os.path.isabs(name) or first in {"..", ".", STATE_DIRECTORY}:
        what = f"{name!r} is not inside of the dataset"
        raise _refusal(what, "give a path relative to the dataset")
    if os.path.isdir(path):
        yield from (f"{name}/{inner}" for inner in files_below(path))
    elif os.path.isfile(path):
        yield name
    else:
        raise _refusal(
            f"there is no {name!r} in the dataset", "look at the spelling, or --no-include"
        )


def _refusal(message: str, hint: str) -> InputError:
    report = Report()
    report.add(Problem("publish.include", Place("--include"), "", message, hint))
    return InputError(report)


def require_packaged(store: Store) -> None:
    """Make sure that a dataset is as it was packaged.

    Raises
    ------
    UnpackagedError
        It is not.
    """
    plan_id = store.current_plan_id()
    snapshot = read_snapshot(store)
    if snapshot is not None and snapshot.plan_id == plan_id and _is_right(snapshot, store):
        return
    plan = store.find_plan(plan_id)
    recorded = {n: each for part in read_all_receipts(store).values() for n, each in part.items()}
    if plan is None:
        message = f"the record of {store.output_dir} is damaged; package the dataset again"
        raise UnpackagedError(message)
    lacking = [o.path for o in plan.outputs if o.path not in recorded]
    wrong = [n for n, receipt in recorded.items() if not _is_as_packaged(store, n, receipt)]
    if lacking or wrong:
        first = min([*lacking, *wrong])
        number = count_of(len(lacking) + len(wrong), "file")
        message = (
            f"{store.output_dir} is not as it was packaged: {number} missing or changed, such as "
            f"{first}; package it again, or see spimpack verify"
        )
        raise UnpackagedError(message)


def _is_right(snapshot: DatasetSnapshot, store: Store) -> bool:
    """Tell whether sources and outputs are unchanged; published links stand for their sources."""
    return snapshot.has_same_sources(store) and snapshot.is_whole(store)


def _is_as_packaged(store: Store, name: str, receipt: Receipt) -> bool:
    path = f"{store.output_dir}/{name}"
    there = evidence_beside(path, receipt)
    if receipt.kind is Kind.SEED:
        return bool(there) or has_other_readme(store.output_dir, name)
    if receipt.kind is Kind.BLOCK:
        return bool(there)
    if not there:
        return False
    if there not in {receipt.evidence, receipt.next_evidence}:
        if receipt.kind.is_hashed:
            return there.startswith("file") and digest(read_file(path)) == receipt.sha256
        if not holds_record(path, there, receipt):
            return False
    is_link = there.startswith("link") and receipt.kind is Kind.IMAGE
    return not is_link or stamp_text(os.path.realpath(path)) == receipt.stamp


def find_objects(root: str, item: Item) -> list[LocalObject]:
    """Return the objects of an output, sorted by name.

    Raises
    ------
    StrangerError
        An OME-Zarr holds files that no Zarr has; the message names them.
    UnreadableError
        A file cannot be looked at.
    """
    try:
        return _find_objects(root, item)
    except OSError as error:
        where = error.filename or item.name
        message = (
            f"{where}: {error.strerror}; restore it, or look at its rights and links, and run it "
            "again"
        )
        raise UnreadableError(message) from error


def _find_objects(root: str, item: Item) -> list[LocalObject]:
    if not item.is_store:
        rank = Rank.DATA
        if item.is_text:
            rank = Rank.DESCRIPTION if item.name == DESCRIPTION else Rank.TEXT
        return [_look(f"{root}/{item.name}", item.name, rank)]
    folder = f"{root}/{item.name}"
    if os.path.exists(f"{folder}/{ELSEWHERE}"):
        return _recorded_objects(folder, item)
    found, odd = [], []
    for inner in files_below(folder):
        try:
            rank = _rank_in_store(item.name, inner)
            found.append(_look(f"{folder}/{inner}", f"{item.name}/{inner}", rank))
        except StrangerError as error:
            odd.append(str(error))
    if odd:
        more = [f"and {len(odd) - _MOST_NAMES:,} more"] if len(odd) > _MOST_NAMES else []
        raise StrangerError("\n".join([*odd[:_MOST_NAMES], *more]))
    return found


def _recorded_objects(folder: str, item: Item) -> list[LocalObject]:
    """Return the objects of an image that lies in an object store already."""
    path = f"{folder}/{ELSEWHERE}"
    image = read_record(folder)
    if image is None:
        message = (
            f"{item.name}/{ELSEWHERE} is damaged; remove {item.name} from the dataset, and package "
            "it again"
        )
        raise UnpackagedError(message)
    status = os.stat(path)
    stamp = status.st_mtime_ns, status.st_ino
    return [
        LocalObject(
            *(f"{item.name}/{inner}", path, found.size, *stamp),
            _rank_in_store(item.name, inner),
            found,
        )
        for inner, found in sorted(image.objects.items())
    ]


def owner_of(name: str, items: Mapping[str, Item]) -> Item | None:
    """Return the output that an object belongs to, `None` where there is none."""
    if name in items:
        return items[name]
    end = name.rfind("/")
    while end > 0:
        item = items.get(name[:end])
        if item is not None:
            return item if item.is_store else None
        end = name.rfind("/", 0, end)
    return None


def check_links(root: str, item: Item) -> None:
    """Refuse an output with a link that leads out of it, or whose content is not here.

    Raises
    ------
    OSError
        There is one.
    """
    if item.is_store:
        StoreFiles(f"{root}/{item.name}").check()


def _look(path: str, name: str, rank: Rank) -> LocalObject:
    if _NO_NAME.search(name):
        message = f"{name!r} holds a sign that no object store has in names; rename it"
        raise StrangerError(message)
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        message = f"{name} is not a regular file; move it away"
        raise StrangerError(message)
    return LocalObject(name, path, status.st_size, status.st_mtime_ns, status.st_ino, rank)


def _rank_in_store(store: str, inner: str) -> Rank:
    folder, _, last = inner.rpartition("/")
    if last in METADATA_FILES:
        return Rank.ARRAY if folder else Rank.ROOT
    if _XML.fullmatch(inner):
        return Rank.ARRAY
    if not is_chunk_key(inner):
        message = (
            f"{store}/{inner} is no part of an OME-Zarr, perhaps of an unfinished download; move "
            "it away"
        )
        raise StrangerError(message)
    return Rank.DATA


def units_of(items: Iterable[Item]) -> list[str]:
    """Return the units of work that the images are divided into."""
    images = [item for item in items if not item.is_text]
    if len(images) <= MOST_UNITS:
        return [item.name for item in images]
    return sorted({item.bucket for item in images})


def items_of_unit(items: Iterable[Item], unit: str) -> list[Item]:
    """Return the outputs of a unit: an image by its name, a bucket, or the texts."""
    if unit == TEXTS:
        return [item for item in items if item.is_text]
    return [item for item in items if not item.is_text and unit in {item.name, item.bucket}]
