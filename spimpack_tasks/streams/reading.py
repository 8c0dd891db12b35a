"""Reads the settings of a stream from YAML or JSON, with the line and column of each problem."""

from __future__ import annotations

from typing import Any

from spimpack_tasks.errors import InputError, Report
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
        Its text or its values are wrong.
    OSError
        It cannot be read.
    """
    with open(path, encoding="utf-8") as file:
        return parse_settings(file.read(), path)
