"""Makes the records of a dataset for some portals, or reports all that stands against them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.errors import InputError
from spimpack_tasks.publishing.lacks import find_problems
from spimpack_tasks.publishing.publication_block import read_block
from spimpack_tasks.publishing.read_facts import read_facts
from spimpack_tasks.publishing.records.portals import compose_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.errors import Report
    from spimpack_tasks.publishing.records.portals import Portal
    from spimpack_tasks.state.store import Store


def make_records(
    store: Store, portals: Sequence[Portal], manifest: str, report: Report
) -> dict[str, str]:
    """Return the texts of the records by their paths.

    Parameters
    ----------
    store
        The state directory of the dataset.
    portals
        Those that records are wanted for.
    manifest
        Path of the manifest with the publication block; if empty, that of the last run.
    report
        Problems so far; more are added, and one error is enough to refuse.

    Raises
    ------
    InputError
        Facts are missing or wrong; all are in the report.
    """
    try:
        block, places = read_block(store, manifest)
        facts = read_facts(store, block)
    except InputError as error:
        report.extend(error.report.problems)
        raise InputError(report) from error
    report.extend(find_problems(facts, portals, places).problems)
    if report.errors:
        raise InputError(report)
    texts = compose_records(facts, portals, report)
    if report.errors:
        raise InputError(report)
    return texts
