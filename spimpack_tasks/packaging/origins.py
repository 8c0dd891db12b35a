"""Answers where an output came from: its row, its source, the values in it, and why it was written.

The answer is that of the records: receipts, and the saved plan. Only the line of the row is looked
up in the tables as they are now, because the order of rows is no part of a plan.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import ExitCode, Report, SpimpackError, suggestion
from spimpack_tasks.files.evidence import is_still
from spimpack_tasks.files.regular import read_regular
from spimpack_tasks.files.roots import roots_of_environment
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.manifest.headers import Headers
from spimpack_tasks.manifest.load import load_inputs
from spimpack_tasks.manifest.read_assets import read_assets
from spimpack_tasks.manifest.records import OWN_COLUMN
from spimpack_tasks.model.plan import MANIFEST_FILE, STATE_DIRECTORY, Kind, Origin, Step
from spimpack_tasks.state.receipts import read_all_receipts, sources_of
from spimpack_tasks.state.store import Store
from spimpack_tasks.volumes.merged.request import merge_of_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spimpack_tasks.manifest.records import Record
    from spimpack_tasks.model.plan import Output, Plan
    from spimpack_tasks.state.receipts import Receipt

_FROM = {
    Origin.HEADER: "the image's header",
    Origin.ACQUISITION: "the acquisition program's file beside the image",
    Origin.DEFAULTS: "the manifest's sidecar_defaults",
    Origin.BACKEND: "the backend",
}
_WHOLE = {
    Step.DESCRIPTION: "the manifest's dataset_description",
    Step.PARTICIPANTS: "the table of participants",
    Step.SAMPLES: "the columns of all rows on samples",
    Step.SCANS: "the column acq_time of the rows",
    Step.README: "written once; from then on it is yours",
    Step.BIDSIGNORE: "the images that BIDS does not hold; all other lines are yours",
}


class NotOnRecordError(SpimpackError):
    """A path is no output that this program wrote; the message says where it looked."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True)
class Value:
    """One key of a sidecar."""

    key: str
    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Account:
    """Origin of one output."""

    path: str
    """Relative to the dataset."""
    reason: str
    """Why it was last written; empty in records of earlier versions."""
    version: str
    """Version of the program that wrote it."""
    state: str
    """Whether it still is as it was written."""
    made_from: str
    """Inputs that an output of the dataset as a whole is composed of."""
    row: str
    """File and line of its row, or why there is none."""
    source: str
    source_state: str
    other_sources: int
    """Number of further files that it was made from."""
    backend: str
    settings: str
    """Settings of the backend for this image."""
    values: tuple[Value, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the account as a JSON-ready mapping."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """Yield what a user reads."""
        yield self.path
        by = f", by spimpack_tasks {self.version}" if self.version else ""
        yield f"  written because: {self.reason or 'not recorded'}{by}"
        yield f"  now: {self.state}"
        more = f" and {self.other_sources:,} more" if self.other_sources else ""
        for title, text in (
            ("made from", self.made_from),
            ("row", self.row),
            ("source", f"{self.source}{more} ({self.source_state})" if self.source else ""),
            ("backend", self.backend),
            ("settings", self.settings),
        ):
            if text:
                yield f"  {title}: {text}"
        for value in self.values:
            text = json.dumps(value.value, ensure_ascii=False)
            yield f"  {value.key}: {text} from {value.origin}"


def explain(path: str) -> Account:
    """Return the origin of a file, link or folder of a dataset, or of something inside of one.

    Raises
    ------
    NotOnRecordError
        The path is no output on record.
    SpimpackError
        The record of the dataset is damaged.
    """
    store, inner = _find_dataset(path)
    receipts = {p: r for part in read_all_receipts(store).values() for p, r in part.items()}
    name = _enclosing(inner, receipts)
    if not name:
        near = suggestion(inner, receipts)
        is_there = os.path.lexists(f"{store.output_dir}/{inner}")
        message = f"{inner} is no output of this program in {store.output_dir}"
        hint = near or ("so it is yours" if is_there else "and nothing is there")
        raise NotOnRecordError(f"{message}; {hint}")
    plan = store.load_plan(store.current_plan_id())
    output = next((output for output in plan.outputs if output.path == name), None)
    return _compose(store, plan, output, name, receipts[name])


def _find_dataset(path: str) -> tuple[Store, str]:
    """Return the dataset around a path, and the path in it."""
    absolute = os.path.abspath(os.path.expanduser(path))
    folder = absolute
    while folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
        store = Store(folder)
        if store.current_plan_id():
            return store, os.path.relpath(absolute, folder)
    where = f"{path} is in no dataset with a record ({STATE_DIRECTORY})"
    message = f"{where}; give the path of an output"
    raise NotOnRecordError(message)


def _enclosing(path: str, receipts: Mapping[str, Receipt]) -> str:
    """Return the output that a path is, or is inside of; empty if there is none."""
    while path and path not in receipts:
        path = path.rpartition("/")[0]
    return path


def _compose(
    store: Store, plan: Plan, output: Output | None, path: str, receipt: Receipt
) -> Account:
    image = _image_of(plan, output)
    source = receipt.source or (image.source if image else "")
    record = _find_record(store, output.asset) if output and output.asset else None
    row = ""
    values: tuple[Value, ...] = ()
    if output is None:
        row = "no longer in the tables; the next run removes it"
    elif output.asset:
        row = _row_of(record)
        if output.step is Step.SIDECARS:
            values = tuple(_values(output, record))
    return Account(
        path=path,
        reason=receipt.why,
        version=receipt.version,
        state=_state(store, path, receipt),
        made_from=_WHOLE.get(output.step, "") if output else "",
        row=row,
        source=source,
        source_state=_source_state(_sources(receipt, image)),
        other_sources=max(0, len(_sources(receipt, image)) - 1),
        backend=plan.backend if image else "",
        settings=_settings(image) if image and image.is_converted else "",
        values=values,
    )


def _settings(image: Output) -> str:
    """Return what is asked for of an image that is converted; its files are named in few words."""
    try:
        told = json.loads(image.target)
    except ValueError:  # that of a backend of another package
        return image.target
    if not isinstance(told, dict) or not told.get("merge"):
        return image.target
    merge = merge_of_text(told.pop("merge"))
    told |= {"merge": {"axis": merge.axis, "files": merge.names, **asdict(merge.policies)}}
    told.pop("other_files", None)
    return json.dumps(told)


def _image_of(plan: Plan, output: Output | None) -> Output | None:
    if output is None or not output.asset:
        return None
    images = (o for o in plan.outputs if o.step is Step.ASSETS)
    return next((image for image in images if image.asset == output.asset), None)


def _find_record(store: Store, asset: str) -> Record | None:
    """Return the row of an image in the tables as they are now."""
    try:
        manifest = read_regular(store.path(MANIFEST_FILE)).decode().partition("\n")[0]
    except OSError:
        return None
    report = Report()
    inputs = load_inputs(manifest, report)
    placed = read_assets(inputs, Headers(store), report, roots_of_environment())
    return next((each.record for each in placed if each.asset.key == asset), None)


def _row_of(record: Record | None) -> str:
    if record is None:
        return "not in the tables as they are now; spimpack plan shows what has changed"
    place = record.where("subject")
    return f"{place.file}:{place.line}"


def _values(output: Output, record: Record | None) -> Iterator[Value]:
    for key, value in json.loads(output.text).items():
        if key in output.origins:
            yield Value(key, value, _FROM[Origin(output.origins[key])])
        elif record is not None and record.has(column := OWN_COLUMN.get(key, key)):
            yield Value(key, value, str(record.where(column)))
        else:
            yield Value(key, value, "the row")


def _state(store: Store, path: str, receipt: Receipt) -> str:
    absolute = f"{store.output_dir}/{path}"
    if not os.path.lexists(absolute):
        return "it is gone; the next run writes it again"
    if receipt.kind in {Kind.SEED, Kind.BLOCK} or is_still(absolute, receipt.evidence):
        return "as it was written"
    return "changed, copied or moved since; spimpack verify tells which"


def _sources(receipt: Receipt, image: Output | None) -> list[tuple[str, str]]:
    """Return path and stamp of each file of the source of an image, or of its sidecar's image."""
    if receipt.source:
        return receipt.sources
    return sources_of(image) if image else []


def _source_state(sources: list[tuple[str, str]]) -> str:
    if not sources or not sources[0][0]:
        return ""
    for path, stamp in sources:
        now = stamp_text(path)
        if now != stamp:
            of = f"{path} is " if len(sources) > 1 else ""
            return f"{of}{'changed since' if now else 'gone'}"
    return "unchanged since"
