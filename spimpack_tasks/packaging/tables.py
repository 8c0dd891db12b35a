"""Composes participants.tsv, samples.tsv and scans.tsv, and the JSON files that describe them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spimpack_tasks.manifest.serialise import WHOLE, describe_column, json_text, tsv_text
from spimpack_tasks.model.plan import SAMPLE_COLUMNS, SCAN_COLUMNS, Table
from spimpack_tasks.schemas import load_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.files.tsv import TsvTable
    from spimpack_tasks.model.plan import Asset

DEFAULT_SAMPLE_TYPE = "tissue"


def join_tables(tables: list[TsvTable]) -> Table | None:
    """Return one table of several, with the columns of all."""
    if not tables:
        return None
    columns = tuple(dict.fromkeys(name for table in tables for name in table.columns))
    rows = []
    for table in tables:
        places = [table.columns.index(name) if name in table.columns else None for name in columns]
        rows += [tuple("" if i is None else row.cells[i] for i in places) for row in table.rows]
    return Table(columns, tuple(rows))


def compose_participants(
    table: Table, told: dict[str, Any], *, is_raw: bool
) -> Iterator[tuple[str, str]]:
    """Yield participants.tsv and participants.json, with what the user has `told` of columns.

    `participant_id` comes first, with `sub-` in front; rows are sorted, so that their order in the
    user's table does not matter.
    """
    index = table.columns.index("participant_id")
    columns = ["participant_id", *(name for name in table.columns if name != "participant_id")]
    rows = [
        (
            "sub-" + row[index].strip().removeprefix("sub-"),
            *(cell for place, cell in enumerate(row) if place != index),
        )
        for row in table.rows
    ]
    yield "participants.tsv", tsv_text(columns, sorted(rows))
    known = load_schema("participants")["properties"]
    described = {
        c: describe_column(c, told, known) for c in columns if c in told or c in columns[1:]
    }
    about = "" if is_raw else "Participants of the dataset that this one was made from."
    if WHOLE in told and WHOLE not in columns:
        about = told[WHOLE]
    yield "participants.json", json_text(({WHOLE: about} if about else {}) | described)


def compose_samples(assets: Iterable[Asset], *, is_raw: bool) -> Iterator[tuple[str, str]]:
    """Yield samples.tsv, one row for each sample of each subject, and samples.json."""
    samples: dict[tuple[str, str], dict[str, str]] = {}
    for asset in assets:
        identity = (f"sample-{asset.sample_label}", f"sub-{asset.subject_label}")
        samples.setdefault(identity, {"sample_type": DEFAULT_SAMPLE_TYPE}).update(asset.sample)
    used = [name for name in SAMPLE_COLUMNS if any(name in values for values in samples.values())]
    rows = [
        (*identity, *(values.get(name, "") for name in used))
        for identity, values in sorted(samples.items(), key=lambda item: item[0][::-1])
    ]
    yield "samples.tsv", tsv_text(["sample_id", "participant_id", *used], rows)
    described = {
        "sample_id": "Sample, as in the file names.",
        "participant_id": "Subject that the sample was taken from.",
        "sample_type": "Kind of sample, one of the types that BIDS lists.",
        "pathology": "Pathology of the sample.",
        "derived_from": "Sample that this one was taken from.",
    }
    columns = ["sample_id", "participant_id", *used]
    about = "" if is_raw else "Samples of the dataset that this one was made from."
    yield "samples.json", _descriptions({column: described[column] for column in columns}, about)


def compose_scans(assets: Iterable[Asset], paths: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield one scans.tsv for each subject and session of which there is something to say.

    Parameters
    ----------
    assets
        All assets.
    paths
        Path of the image in the dataset by asset key.
    """
    folders: dict[str, list[tuple[str, ...]]] = {}
    for asset in assets:
        if asset.scan:
            # A scans.tsv names files relative to its own folder: micr/<file>.
            folder, datatype, name = paths[asset.key].rsplit("/", 2)
            cells = (asset.scan.get(column, "") for column in SCAN_COLUMNS)
            folders.setdefault(folder, []).append((f"{datatype}/{name}", *cells))
    for folder, rows in sorted(folders.items()):
        name = folder.replace("/", "_") + "_scans.tsv"
        yield f"{folder}/{name}", tsv_text(["filename", *SCAN_COLUMNS], sorted(rows))


def _descriptions(described: dict[str, str], about: str) -> str:
    """Return the JSON that describes a table; BIDS wants a word on it as a whole in derivatives."""
    whole = {"Description": about} if about else {}
    return json_text(whole | {column: {"Description": text} for column, text in described.items()})
