"""Reads a study, and tells all that is wrong with it at once, with file, line and column."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from spimpack_tasks.errors import (
    InputError,
    Place,
    Problem,
    Report,
    SpimpackError,
    SupersededError,
)
from spimpack_tasks.files.input_files import digest_of
from spimpack_tasks.files.near_paths import shown
from spimpack_tasks.files.text import MAX_MANIFEST_BYTES, read_text
from spimpack_tasks.files.yaml_marks import load_yaml
from spimpack_tasks.manifest.products import PRODUCTS, STAGES_KEY, is_study
from spimpack_tasks.manifest.schema_check import dotted, schema_problems
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.study.places import place_problems
from spimpack_tasks.study.study import Study

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.files.yaml_marks import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*)*")
"""Names become paths below the folder of products, so none may lead out of it."""


def read_study(path: str) -> Study:
    """Return the study in a file.

    Parameters
    ----------
    path
        Absolute path.

    Raises
    ------
    InputError
        It cannot be read, or something in it is wrong; the error has all of it.
    """
    report = Report()
    name = shown(path)
    text = read_text(path, name=name, blame=Place(name), limit=MAX_MANIFEST_BYTES, report=report)
    study = Study(path, load_yaml(text or "", name, report), digest_of(text))
    if text is not None and not report.errors:
        report.extend(_problems(study))
    if report.errors:
        raise InputError(report)
    return study


_KEPT = 4
"""Studies that are kept: those of one run, and perhaps of the one before."""
_read: dict[tuple[str, str], Study] = {}


def identify_study(path: str) -> str:
    """Return the digest of a study's text, empty where the study is wrong; it is kept as read."""
    try:
        study = read_study(path)
    except SpimpackError:
        return ""
    while len(_read) >= _KEPT:
        del _read[next(iter(_read))]
    _read[path, study.digest] = study
    return study.digest


def find_study(path: str, digest: str) -> Study:
    """Return a study as it was when its digest was taken, though its file may have been edited.

    Raises
    ------
    InputError
        It is wrong.
    SupersededError
        Another process has taken the digest, and the file was edited since.
    """
    study = _read.get((path, digest))
    if study is None:
        study = read_study(path)
        if study.digest != digest:
            message = f"{path} was edited while a run was under way; run it again"
            raise SupersededError(message)
        _read[path, digest] = study
    return study


def _problems(study: Study) -> Iterator[Problem]:
    document = study.document
    if not is_study(document.data):
        message, hint = "is no study: it has no key stages", "see docs: run a study"
        yield Problem("study.form", document.place(()), STAGES_KEY, message, hint)
        return
    found = list(schema_problems(document, load_schema("study")))
    yield from found
    if found:
        return  # the rest takes the form for granted
    yield from _name_problems(study)
    if not study.items:
        hint = "name one of stitch, stream, convert, package, align, validate, publish, report"
        yield Problem(
            "value.empty", document.place((STAGES_KEY,)), STAGES_KEY, "has no stage", hint
        )
    references = [*_reference_problems(study)]
    yield from references
    if not references:
        yield from place_problems(study)


def _name_problems(study: Study) -> Iterator[Problem]:
    """Yield names that are no path below the folder of products."""
    for stage in (*PRODUCTS, "align", "publish"):
        for item in study.items_of(stage):
            if not _NAME.fullmatch(item.name):
                path: Path = (STAGES_KEY, stage, item.name)
                place, hint = study.document.key_place(path), "write letters, digits and . _ - +, "
                hint += "with / between parts"
                yield Problem("study.name", place, dotted(path), "cannot be used as a name", hint)


def _reference_problems(study: Study) -> Iterator[Problem]:
    """Yield stages that need a dataset which the study does not name."""
    for item in study.items_of("publish"):
        if not (study.values(item).get("dataset") or study.dataset):
            path: Path = (STAGES_KEY, "publish", item.name)
            message, hint = "names no dataset, and none is packaged", "give dataset"
            yield Problem(
                "study.dataset", study.document.key_place(path), dotted(path), message, hint
            )
    if "validate" in study.document.data[STAGES_KEY] and not study.datasets:
        path = (STAGES_KEY, "validate")
        message, hint = "has nothing to validate", "package a dataset, or give datasets"
        yield Problem("study.dataset", study.document.key_place(path), dotted(path), message, hint)
    for item in study.items_of("stitch"):
        values = study.values(item)
        if ("tiles" in values) == ("recording" in values):
            path = (STAGES_KEY, "stitch", item.name)
            message = "needs tiles or recording, and not both"
            hint = "tiles names a file of spimpack tiles, recording the folder of the microscope"
            yield Problem(
                "study.tiles", study.document.key_place(path), dotted(path), message, hint
            )


def is_study_file(path: str) -> bool:
    """Tell whether a file is a study, and not a manifest; one that cannot be read is none."""
    if not os.path.isfile(path):
        return False
    report = Report()
    text = read_text(path, name=path, blame=Place(path), limit=MAX_MANIFEST_BYTES, report=report)
    return text is not None and is_study(load_yaml(text, path, report).data)
