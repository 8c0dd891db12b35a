"""The portals that records can be composed for: those of this program, and those of other packages.

A package of someone else's adds a portal through the entry point group `spimpack_tasks.portals`,
which names a `Portal`. One that is broken is a problem for those who ask for it, and for no one
else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import Place, Problem, suggestion
from spimpack_tasks.publishing.needs import NEEDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from importlib.metadata import EntryPoint

    from spimpack_tasks.errors import Report
    from spimpack_tasks.publishing.facts import Facts

GROUP = "spimpack_tasks.portals"
_MEND = "tell the authors of that package"


@dataclass(frozen=True, slots=True)
class Portal:
    """A place where datasets are published, and what it asks for."""

    name: str
    """As on the command line."""
    title: str
    """As people call it."""
    compose: Callable[[Facts], dict[str, str]]
    """Returns the texts of the files by their names."""
    needs: tuple[str, ...] = ()
    """Names in `publishing.needs` of the facts without which a record would be refused."""


def _ours(name: str, title: str, needs: str) -> Portal:
    module = f"spimpack_tasks.publishing.records.{name.replace('-', '_')}"
    return Portal(name, title, Deferred(f"{module}:compose"), tuple(needs.split()))


PORTALS = {
    portal.name: portal
    for portal in (
        _ours(
            "dandi",
            "DANDI",
            "description short-texts contributors plain-names contact open-licence species anatomy",
        ),
        _ours("datacite", "DataCite", "authors publisher published licence"),
        _ours("ro-crate", "RO-Crate", "description authors published licence"),
        _ours("schema-org", "schema.org", "description authors licence"),
        _ours(
            "bia",
            "BioImage Archive",
            "description contributors affiliations published licence species preparation "
            "acquisition instrument stains",
        ),
        _ours(
            "openminds",
            "openMINDS",
            "description contributors published version licence doi documentation ethics species "
            "strain-types age-category body-part anatomy",
        ),
        _ours(
            "bil",
            "Brain Image Library",
            "description contributors orcids affiliations affiliation-rors grants licence species "
            "ages instrument voxel-sizes",
        ),
    )
}
"""The portals of this program by name, in the order in which users see them."""


def portal_names() -> tuple[str, ...]:
    """Return the names of all portals, those of other installed packages last."""
    return tuple(dict.fromkeys((*PORTALS, *_plug_ins())))


def choose_portals(names: Iterable[str], report: Report) -> list[Portal]:
    """Return the portals of some names; unknown and broken ones are reported."""
    chosen = []
    for name in dict.fromkeys(names):
        if name in PORTALS:
            chosen.append(PORTALS[name])
        elif name in _plug_ins():
            portal = _load(name, _plug_ins()[name], report)
            chosen += [portal] if portal else []
        else:
            known = portal_names()
            hint = suggestion(name, known) or f"one of: {', '.join(known)}"
            message = f"{name!r} is not a portal"
            report.add(Problem("portal.unknown", Place("--for"), "", message, hint))
    return chosen


@cache
def _plug_ins() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - it imports all of email

    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _load(name: str, entry: EntryPoint, report: Report) -> Portal | None:
    try:
        portal = entry.load()
    except Exception as error:  # noqa: BLE001  # it is someone else's module that is imported
        fault = f"cannot be imported from {entry.value}: {type(error).__name__}: {error}"
    else:
        fault = _fault_of(portal, name)
        if not fault and isinstance(portal, Portal):
            return portal
    report.add(broken(name, fault))
    return None


def _fault_of(portal: object, name: str) -> str:
    if not isinstance(portal, Portal):
        return f"is a {type(portal).__name__}, and not a Portal"
    if portal.name != name:
        return f"calls itself {portal.name!r}"
    unknown = [need for need in portal.needs if need not in NEEDS]
    return f"needs {unknown[0]!r}, which is not known" if unknown else ""


def broken(name: str, fault: str) -> Problem:
    """Return the problem of a portal of another package that does not work."""
    return Problem("portal.broken", Place("--for"), "", f"{name!r} {fault}", _MEND)


def compose_records(facts: Facts, portals: Iterable[Portal], report: Report) -> dict[str, str]:
    """Return the texts of all files by their paths, each portal in a folder of its own."""
    texts: dict[str, str] = {}
    for portal in portals:
        try:
            composed = portal.compose(facts)
            made = {f"{portal.name}/{name}": text.encode() for name, text in composed.items()}
            outside = [path for path in made if not _is_inside(path)]
        except Exception as error:
            if portal.name in PORTALS:
                raise
            report.add(broken(portal.name, f"fails: {type(error).__name__}: {error}"))
            continue
        if outside:
            report.add(broken(portal.name, f"names the file {outside[0]!r}, which lies elsewhere"))
        else:
            texts |= {path: text.decode() for path, text in made.items()}
    return texts


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return "\0" not in path and not {"", ".", ".."} & set(parts)
