"""Named rules for the folders of a laboratory or a microscope.

A layout is a YAML file with the options of a scan. Some come with the program, in the folder
`layouts`; a user's own file may extend a copy of one. The rules end up in the manifest, so the next
scan does not depend on the file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem, suggestion
from spimpack_tasks.files.text import read_text
from spimpack_tasks.files.yaml_marks import load_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.errors import Report
    from spimpack_tasks.files.yaml_marks import Document
    from spimpack_tasks.scanning.options import ScanOptions

ENDING = ".yml"
_FIELDS = {
    "patterns": "patterns",
    "labels": "labels",
    "exclude": "excludes",
    "set": "settings",
    "default": "defaults",
}
"""Fields of `ScanOptions` by the keys of a layout, which are those of `scan` in a manifest."""
_LARGEST = 2**20
"""Bytes of a layout; real ones have some thousand."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Rules for one kind of folders."""

    about: str
    rules: dict[str, tuple[str, ...]]
    """Values by the field of `ScanOptions`."""

    def added_to(self, options: ScanOptions) -> ScanOptions:
        """Return options with these rules behind those that are given: the first pattern counts."""

        def joined(name: str) -> tuple[str, ...]:
            return (*getattr(options, name), *self._left(name, options))

        return replace(
            options,
            patterns=joined("patterns"),
            labels=joined("labels"),
            excludes=joined("excludes"),
            settings=joined("settings"),
            defaults=joined("defaults"),
            may_miss=self.rules.get("patterns", ()),
        )

    def _left(self, name: str, options: ScanOptions) -> Iterator[str]:
        """Yield the rules that no given one takes the place of; a column has one value."""
        named = (*options.settings, *options.defaults) if name in {"settings", "defaults"} else ()
        named = options.labels if name == "labels" else named
        columns = {text.partition("=")[0].strip() for text in named}
        for text in self.rules.get(name, ()):
            if text.partition("=")[0].strip() not in columns or name in {"patterns", "excludes"}:
                yield text


def shipped_layouts() -> dict[str, str]:
    """Return the texts of the layouts that come with the program, by name."""
    folder = files(__package__).joinpath("layouts")
    names = sorted(each.name for each in folder.iterdir() if each.name.endswith(ENDING))
    return {
        name.removesuffix(ENDING): folder.joinpath(name).read_text(encoding="utf-8")
        for name in names
    }


def read_layout(name: str, report: Report) -> Layout:
    """Return a layout by its name, or by the path of a file; problems go to the report."""
    shipped = shipped_layouts()
    place = Place("command line")
    text: str | None
    if name in shipped:
        text, shown = shipped[name], f"layout {name}"
    elif os.sep in name or name.endswith((ENDING, ".yaml")):
        text = read_text(name, name=name, blame=place, limit=_LARGEST, report=report)
        shown = name
    else:
        hint = suggestion(name, shipped) or f"known are {', '.join(shipped)}, or give a file"
        message = f"{name!r} is no layout"
        report.add(Problem("scan.layout", place, "--layout", message, hint))
        return Layout("", {})
    document = load_yaml(text or "", shown, report)
    report.extend(_problems(document))
    data = document.data if isinstance(document.data, dict) else {}
    rules = {
        field: tuple(map(str, data[key]))
        for key, field in _FIELDS.items()
        if isinstance(data.get(key), list)
    }
    return Layout(str(data.get("about", "")).strip(), rules)


def _problems(document: Document) -> Iterator[Problem]:
    if not isinstance(document.data, dict):
        hint = f"keys are {', '.join(['about', *_FIELDS])}"
        yield Problem("scan.layout", document.place(()), "", "is no mapping", hint)
        return
    for key, value in document.data.items():
        if key == "about":
            continue
        if key not in _FIELDS:
            hint = suggestion(str(key), _FIELDS) or f"keys are {', '.join(['about', *_FIELDS])}"
            place = document.key_place((key,))
            yield Problem("scan.layout", place, str(key), "is no key of a layout", hint)
        elif not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            hint = "write each behind a hyphen, in quotation marks"
            message = "must be a list of texts"
            yield Problem("scan.layout", document.place((key,)), str(key), message, hint)
