"""Chooses the images that the official validator sees of a large dataset.

The validator takes 3 ms and 80 KiB for each image. Images whose names have the same entities and
whose sidecars have the same text get the same findings, so it sees one image of each such class.
Its findings are repeated for the others.

A rule of BIDS about an image can use its name, its sidecar, its content, and other files. Of the
content the validator reads the beginning of a TIFF and the sizes in its OME-XML, which are part of
the class. Where other files can decide (a sidecar that names files, inherited sidecars, names that
differ only in case, patterns of the user's in `.bidsignore`), an image represents no other one.

Images that are not shown stay in the mirror as ignored files where a table may name them. They are
left out elsewhere, since each folder costs the validator 1 ms.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spimpack_tasks.errors import MissingExtraError, Severity
from spimpack_tasks.files.blocks import replace_block
from spimpack_tasks.model.entities import DATATYPE
from spimpack_tasks.validation.inventory import EntryKind, stem_of_image
from spimpack_tasks.validation.validator_mirror import ANNEX, holds_data, read_bidsignore
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.formats import OME_TIFF, format_of
from spimpack_tasks.volumes.read_header import read_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.validation.inventory import Entry
    from spimpack_tasks.validation.result import Finding
    from spimpack_tasks.validation.validator_mirror import HiddenImage

MIN_IMAGES = 100
"""Fewer images take the validator less than half a second."""
MAX_UNIGNORED = 500
"""Each one is a line of `.bidsignore`, which the validator tries on every file."""
PART_IMAGES = 2_500
"""The validator needs about 80 KiB for each image, and 150 MiB for itself."""
MAX_SIDECAR_BYTES = 65_536
"""Larger ones are rare, and they are kept in memory."""
REFERENCES = (b"IntendedFor", b"Sources", b"bids:")
"""Parts of sidecars that name other files: equal texts can get different findings."""

_FOLDER = re.compile(r"sub-([0-9A-Za-z]+)/(?:ses-([0-9A-Za-z]+)/)?" + DATATYPE)
_NAME = re.compile(r"sub-([0-9A-Za-z]+)_(?:ses-([0-9A-Za-z]+)_)?((?:[a-z]+-[0-9A-Za-z]+_)*)(\w+)")
_IGNORED = (f"/sub-*/{DATATYPE}/*", f"/sub-*/ses-*/{DATATYPE}/*")
_DATATYPE_FOLDER = f"/{DATATYPE}"


@dataclass(frozen=True, slots=True)
class Image:
    """An image with the sidecar beside it, and nothing else of its stem."""

    stem: str
    """The path without extension, relative to the dataset."""
    image: Entry
    sidecar: Entry

    @property
    def places(self) -> tuple[str, str]:
        """The paths of both files."""
        return self.image.path, self.sidecar.path


@dataclass(frozen=True, slots=True)
class Shown:
    """A part of a dataset that the validator sees, and the images that it represents."""

    entries: tuple[Entry, ...]
    hidden: tuple[HiddenImage, ...]
    ignored: tuple[str, ...] = ()
    """Lines of `.bidsignore` for the images that are there and not checked."""
    classes: tuple[tuple[Image, ...], ...] = ()
    """Images that get the same findings; the first of each class is shown."""

    def repeat(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """Yield the findings, those on a representative once for each image of its class."""
        class_of = {place: images for images in self.classes for place in images[0].places}
        for finding in findings:
            yield finding
            images = class_of.get(finding.location.removesuffix("/"), ())
            yield from (_move(finding, images[0], other) for other in images[1:])

    def explains(self, findings: Iterable[Finding]) -> bool:
        """Tell whether no error can be due to the images that are not shown."""
        places = {place for first, *_ in self.classes for place in first.places}
        return not self.classes or all(
            finding.severity is not Severity.ERROR or finding.location.removesuffix("/") in places
            for finding in findings
        )


def choose_shown(root: str, whole: Shown) -> Shown:
    """Return the part of a dataset that represents all of it.

    Parameters
    ----------
    root
        Absolute path of the dataset.
    whole
        All of it, without inherited sidecars.
    """
    images = _find_images(whole.entries)
    if len(images) < MIN_IMAGES or not _is_plain(root, whole.entries):
        return whole
    hidden = {place for image in whole.hidden for place in (image.image, image.sidecar)}
    classes: dict[object, list[Image]] = defaultdict(list)
    for image in images:
        classes[_key_of(root, image, hidden) or image.stem].append(image)
    several = tuple(tuple(images) for images in classes.values() if len(images) > 1)
    shown = _leave_out(whole, several)
    return shown if len(shown.ignored) <= MAX_UNIGNORED else whole


def split_by_subject(whole: Shown) -> Iterator[Shown]:
    """Yield parts of a dataset that each have the images of some subjects and all other files.

    The folders of the other subjects are there, but empty, because tables name subjects.
    """
    images = Counter(_subject_of(image.image.path) for image in _find_images(whole.entries))
    parts: list[set[str]] = [set()]
    size = 0
    for subject, number in sorted(images.items()):
        if size and size + number > PART_IMAGES:
            parts.append(set())
            size = 0
        parts[-1].add(subject)
        size += number
    for part in parts:
        others = images.keys() - part
        kept = (e for e in whole.entries if "/" not in e.path or _subject_of(e.path) not in others)
        hidden = (image for image in whole.hidden if _subject_of(image.image) not in others)
        yield Shown(tuple(kept), tuple(hidden))


def _leave_out(whole: Shown, classes: tuple[tuple[Image, ...], ...]) -> Shown:
    unseen = {place for _, *others in classes for image in others for place in image.places}
    in_tables = {_subject_of(e.path) for e in whole.entries if e.path.endswith(".tsv")}
    out = {path for path in unseen if _subject_of(path) not in in_tables}
    entries = [entry for entry in whole.entries if entry.path not in out]
    needed = {entry.path.rpartition("/")[0] for entry in entries}
    hidden = tuple(image for image in whole.hidden if image.image not in unseen)
    ignored: tuple[str, ...] = ()
    if unseen - out:
        unchecked = unseen | {image.image for image in hidden}
        inside = [e.path for e in entries if e.path.rpartition("/")[0].endswith(_DATATYPE_FOLDER)]
        checked = [*(p for p in inside if p not in unchecked), *(image.stub for image in hidden)]
        ignored = (*_IGNORED, *(f"!/{path}" for path in checked))
    return Shown(
        tuple(
            entry for entry in entries if entry.path in needed or not _FOLDER.fullmatch(entry.path)
        ),
        hidden,
        ignored,
        classes,
    )


def _find_images(entries: Iterable[Entry]) -> list[Image]:
    """Return the images that have a valid name, one sidecar, and content that can be read."""
    beside: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        folder, _, name = entry.path.rpartition("/")
        beside[f"{folder}/{name.partition('.')[0]}"].append(entry)
    found = []
    for stem, pair in beside.items():
        image = next((entry for entry in pair if stem_of_image(entry.path) == stem), None)
        sidecar = next((entry for entry in pair if entry.path == f"{stem}.json"), None)
        if len(pair) == 2 and image and sidecar and _is_usual(stem, image, sidecar):
            found.append(Image(stem, image, sidecar))
    return found


def _is_usual(stem: str, image: Entry, sidecar: Entry) -> bool:
    """Tell whether folder and name agree, and both entries are there and not in an annex."""
    folder, _, name = stem.rpartition("/")
    of_folder, of_name = _FOLDER.fullmatch(folder), _NAME.fullmatch(name)
    return (
        of_folder is not None
        and of_name is not None
        and of_folder.groups() == of_name.groups()[:2]
        and image.kind in {EntryKind.FILE, EntryKind.STORE}
        and sidecar.kind is EntryKind.FILE
        and not any(ANNEX in entry.link for entry in (image, sidecar))
    )


def _is_plain(root: str, entries: Iterable[Entry]) -> bool:
    """Tell whether no two paths differ in case alone, and `.bidsignore` has no further pattern."""
    paths = [entry.path.casefold() for entry in entries]
    own = replace_block(read_bidsignore(root), "").splitlines()
    return len(set(paths)) == len(paths) and all(not line or line.startswith("#") for line in own)


def _key_of(root: str, image: Image, hidden: set[str]) -> tuple[object, ...] | None:
    """Return all that decides the findings on an image, `None` where other files matter too."""
    path = os.path.join(root, image.sidecar.path)
    with open(path, "rb") as file:
        text = file.read(MAX_SIDECAR_BYTES + 1)
    if len(text) > MAX_SIDECAR_BYTES or any(word in text for word in REFERENCES):
        return None
    content = _content_of(os.path.join(root, image.image.path), image.image, hidden)
    if content is None:
        return None
    # Which letters a label has is of no account to BIDS, but an index must be a number.
    labels = re.sub(r"-[0-9A-Za-z]+", _form_of, image.stem.rpartition("/")[2])
    ending = image.image.path.removeprefix(image.stem)
    shown = tuple(place in hidden for place in image.places)
    return labels, ending, content, shown, text


def _content_of(path: str, image: Entry, hidden: set[str]) -> tuple[object, ...] | None:
    """Return all that the validator reads of an image, `None` where that is not known."""
    if image.kind is EntryKind.STORE:
        return ("store", holds_data(path))
    is_empty = os.path.getsize(path) == 0
    if image.path in hidden:  # a stub stands for it
        return ("hidden", is_empty)
    if is_empty or format_of(path) is not OME_TIFF:
        return None
    try:
        header = read_header(path, OME_TIFF)
    except (SourceRefusedError, MissingExtraError):
        return None
    sizes = None if header.ome_sizes is None else tuple(sorted(header.ome_sizes.items()))
    return ("TIFF", header.beginning, sizes)


def _form_of(label: re.Match[str]) -> str:
    return "-0" if label[0][1:].isdigit() else "-a"


def _subject_of(path: str) -> str:
    """Return the first folder of a path."""
    return path.partition("/")[0]


def _move(finding: Finding, first: Image, other: Image) -> Finding:
    """Return the finding on a representative as one on another image of its class."""
    old, new = (image.stem.rpartition("/")[2] for image in (first, other))
    location = finding.location.replace(first.stem, other.stem)
    message = finding.message.replace(first.stem, other.stem).replace(old, new)
    return replace(finding, location=location, message=message)
