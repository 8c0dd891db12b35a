"""Reads the facts about a packaged dataset: its texts, and the headers of its images.

No voxel is read. A file that cannot be read is a problem, and all problems are found at once.
"""

from __future__ import annotations

import json
import os
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import InputError, Place, Problem, Report
from spimpack_tasks.files.regular import read_regular
from spimpack_tasks.files.store_files import METADATA_FILES, is_elsewhere
from spimpack_tasks.files.trees import files_below
from spimpack_tasks.files.tsv import parse_tsv
from spimpack_tasks.model.entities import SUFFIX, label_in
from spimpack_tasks.model.plan import Kind, Step
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.publishing.facts import (
    Age,
    Facts,
    FileFacts,
    ImageFacts,
    Participant,
    Sample,
    is_given,
    is_human,
    words_of,
)
from spimpack_tasks.publishing.objects import DESCRIPTION, find_items
from spimpack_tasks.remote.elsewhere import read_record
from spimpack_tasks.state.checksums import read_all_records
from spimpack_tasks.state.receipts import read_all_receipts
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import examine_selected
from spimpack_tasks.volumes.formats import OME_ZARR
from spimpack_tasks.volumes.read_header import read_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spimpack_tasks.files.tsv import TsvTable
    from spimpack_tasks.model.plan import Output
    from spimpack_tasks.model.publication import PublicationBlock
    from spimpack_tasks.publishing.objects import Item
    from spimpack_tasks.state.store import Store
    from spimpack_tasks.volumes.header import Header

MOST_AGE_OF_HUMANS = 89
"""Years; higher ages identify people (45 CFR 164.514), so they are withheld."""
YEARS = {
    "year": 1.0,
    "month": 1 / 12,
    "week": 7 / 365.25,
    "day": 1 / 365.25,
    "hour": 1 / (24 * 365.25),
    "minute": 1 / (24 * 60 * 365.25),
    "second": 1 / (24 * 3600 * 365.25),
}
"""Years in each unit of ages that BIDS knows."""
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
PARTICIPANTS, _DESCRIBED, _SAMPLES = "participants.tsv", "participants.json", "samples.tsv"


def read_facts(
    store: Store, block: PublicationBlock, sha256: Mapping[str, str] = MappingProxyType({})
) -> Facts:
    """Read the facts about a dataset.

    Parameters
    ----------
    store
        The state directory of the dataset.
    block
        The publication block of its manifest.
    sha256
        Digests of files by their paths in the dataset, as far as they are known.

    Raises
    ------
    InputError
        A text of the dataset or an image cannot be read; each problem is in the report.
    MissingExtraError
        A library that reads the header of an image is not installed.
    """
    report = Report()
    items = find_items(store)
    names = {item.name for item in items}
    description = _json_of(store, DESCRIPTION, report)
    described = _json_of(store, _DESCRIBED, report) if _DESCRIBED in names else {}
    unit = str(described.get("age", {}).get("Units", "year"))
    people = [_participant(row, unit, block) for row in _rows(store, PARTICIPANTS, names, report)]
    samples = tuple(map(_sample, _rows(store, _SAMPLES, names, report)))
    images = tuple(_images(store, report))
    files = tuple(_files(store, items, {image.path for image in images}, report))
    if report.errors:
        raise InputError(report)
    return Facts(description, block, tuple(people), samples, images, files, sha256)


def _json_of(store: Store, name: str, report: Report) -> dict[str, Any]:
    try:
        value = json.loads(read_regular(f"{store.output_dir}/{name}"))
    except (OSError, ValueError) as error:
        report.add(_unreadable(name, type(error).__name__))
        return {}
    return value if isinstance(value, dict) else {}


def _unreadable(name: str, reason: str) -> Problem:
    message, hint = f"cannot be read: {reason}", "package the dataset again"
    return Problem("records.unreadable", Place(name), "", message, hint)


def read_table(store: Store, name: str, report: Report) -> TsvTable | None:
    """Return a table of the dataset, `None` where there is none."""
    try:
        text = read_regular(f"{store.output_dir}/{name}").decode()
    except (OSError, ValueError):
        return None
    return parse_tsv(text, name, report)


def _rows(store: Store, name: str, names: set[str], report: Report) -> Iterator[dict[str, str]]:
    table = read_table(store, name, report) if name in names else None
    for row in table.rows if table else ():
        cells = (cell if is_given(cell) else "" for cell in row.cells)
        yield dict(zip(table.columns, cells, strict=True)) if table else {}


_SEXES = {"f": "female", "female": "female", "m": "male", "male": "male"}


def _participant(row: Mapping[str, str], unit: str, block: PublicationBlock) -> Participant:
    label = row.get("participant_id", "").removeprefix("sub-")
    sex = _SEXES.get(row.get("sex", "").lower(), "")
    species, text = row.get("species", ""), row.get("age", "")
    human = is_human(species, block)
    age = Age(text, unit) if _NUMBER.fullmatch(text) and unit in YEARS else None
    if age and human and float(text) * YEARS[unit] > MOST_AGE_OF_HUMANS:
        age = None
    strain, rrid = row.get("strain", ""), row.get("strain_rrid", "")
    strains = ("", "") if human else (strain, rrid)
    return Participant(label, species, sex, age, *strains, is_human=human)


def _sample(row: Mapping[str, str]) -> Sample:
    return Sample(
        row.get("participant_id", "").removeprefix("sub-"),
        row.get("sample_id", "").removeprefix("sample-"),
        row.get("sample_type", ""),
    )


def _images(store: Store, report: Report) -> Iterator[ImageFacts]:
    plan = store.find_plan(store.current_plan_id())
    outputs = [o for o in plan.outputs if o.step is Step.ASSETS] if plan else []
    for output in sorted(outputs, key=lambda each: each.path):
        if output.kind is not Kind.IMAGE or not _stem(output.path).endswith(f"_{SUFFIX}"):
            continue
        try:
            header, form = _header_of(store, output)
        except (SourceRefusedError, OSError) as error:
            message = f"cannot be read: {type(error).__name__}"
            hint = "look at it with: spimpack info"
            report.add(Problem("records.unreadable", Place(output.path), "", message, hint))
            continue
        sidecar = _json_of(store, _sidecar_path(output.path), report)
        yield _image(output.path, header, form, sidecar)


def _header_of(store: Store, output: Output) -> tuple[Header, str]:
    """Return header and name of the format of an image as it lies in the dataset."""
    path = f"{store.output_dir}/{output.path}"
    if is_elsewhere(path):  # its metadata are in an object store, and its source is here
        return read_header(output.source, output.format, output.selection), OME_ZARR.name
    selection = WHOLE if output.is_converted else output.selection
    source = examine_selected(path, "", selection)
    return read_header(source.path, source.format, source.selection), source.format.name


def _stem(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]


def _sidecar_path(path: str) -> str:
    return f"{path.rpartition('/')[0]}/{_stem(path)}.json"


def _image(path: str, header: Header, form: str, sidecar: Mapping[str, Any]) -> ImageFacts:
    stains = words_of(sidecar.get("SampleStaining"))
    channels = header.channel_names
    if not channels:
        is_whole = len(stains) == header.channel_count
        channels = stains if is_whole else ("",) * header.channel_count
    colours = tuple(display.colour for display in header.displays)
    return ImageFacts(
        path,
        label_in(_stem(path), "sub"),
        label_in(_stem(path), "sample"),
        sidecar,
        header.axes,
        header.shapes[0],
        header.dtype,
        header.spacing_um_xyz,
        channels,
        colours if any(colours) else (),
        header.time_step_s,
        header.excitation_nm,
        form,
        str(sidecar.get("OrientationStringXYZ", header.orientation_xyz or "")),
    )


def _files(
    store: Store, items: list[Item], images: set[str], report: Report
) -> Iterator[FileFacts]:
    known = read_all_records(store)
    receipts = {n: r for part in read_all_receipts(store).values() for n, r in part.items()}
    for item in items:
        path, record = f"{store.output_dir}/{item.name}", known.get(item.name)
        receipt = receipts.get(item.name)
        try:
            elsewhere = read_record(path) if item.is_store else None
            if elsewhere is not None:
                size = sum(each.size for each in elsewhere.objects.values())
                sizes = [(name, each.size) for name, each in sorted(elsewhere.objects.items())]
                roots = tuple(each for each in sizes if each[0] in METADATA_FILES)
            elif record and receipt and record.fits(receipt):
                size = record.size
            else:
                names = files_below(path) if item.is_store else ("",)
                size = sum(os.stat(os.path.join(path, name).rstrip("/")).st_size for name in names)
            if elsewhere is None:
                roots = _root_files(path) if item.is_store else ()
        except OSError as error:
            report.add(_unreadable(item.name, str(error.strerror)))
            continue
        yield FileFacts(item.name, size, item.is_store, item.name in images, roots)


def _root_files(folder: str) -> tuple[tuple[str, int], ...]:
    paths = {name: f"{folder}/{name}" for name in sorted(METADATA_FILES)}
    return tuple((name, os.stat(p).st_size) for name, p in paths.items() if os.path.isfile(p))
