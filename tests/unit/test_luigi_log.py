"""What is shown of Luigi's log."""

from __future__ import annotations

import logging

import pytest

from spimpack_tasks.luigi_log import Extent, ReadableLog

SILENT = "Failed connecting to remote scheduler 'http://localhost:9'"


@pytest.mark.parametrize("error", [(None, None, None), (OSError, OSError("refused"), None)])
@pytest.mark.parametrize("tracebacks", [False, True])
def test_a_silent_scheduler_is_one_line_unless_all_details_are_wanted(error, tracebacks):
    log = ReadableLog()
    log.extent = Extent(own_run=True, tracebacks=tracebacks)
    record = logging.LogRecord("luigi-interface", 30, "rpc.py", 1, SILENT, None, error)
    assert log.filter(record)
    lines = logging.Formatter("%(message)s").format(record).splitlines()
    hint = "" if tracebacks else "; see that luigid runs there and lets you in"
    assert lines[0] == f"{SILENT}{hint}"
    assert (len(lines) > 1) is tracebacks
