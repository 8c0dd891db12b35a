"""Reads the settings of a stream from YAML or JSON, with the line and column of each problem."""

from __future__ import annotations

from typing import Any

from spimpack_tasks.errors import InputError, Place, Report
from spimpack_tasks.files.text import MAX_TABLE_BYTES, read_text
from spimpack_tasks.files.yaml_marks import load_yaml
from spimpack_tasks.streams.rules import value_problems
from spimpack_tasks.streams.settings import AcquisitionSettings


def parse_settings(text: str, file: str = "settings") -> AcquisitionSettings:
    """Return the settings in a text of YAML, of which JSON is a part.

    Parameters
    ----------
    text
        The text.
    file
        Name of the file in problems.

    Raises
    ------
    InputError
        The text or its values are wrong; the error carries all problems with line and column.
    """
    report = Report()
    document = load_yaml(text, file, report)
    if not report.errors:
        report.extend(value_problems(document))
    if report.errors:
        raise InputError(report)
    data: dict[str, Any] = dict(document.data)
    return AcquisitionSettings(**data, source=document)


def read_settings(path: str) -> AcquisitionSettings:
    """Return the settings in a file of YAML or JSON.

    Raises
    ------
    InputError
        It cannot be read, or its text or its values are wrong.
    """
    report = Report()
    text = read_text(path, name=path, blame=Place(path), limit=MAX_TABLE_BYTES, report=report)
    if text is None:
        raise InputError(report)
    return parse_settings(text, path)
