"""`spimpack verify`: prove a dataset against what was recorded when it was written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError, count_of
from spimpack_tasks.state.store import Store
from spimpack_tasks.state.verify import verify_fast

if TYPE_CHECKING:
    import argparse

HELP = "prove a dataset against what was recorded, without its manifest"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("dataset", metavar="DIR", help="the BIDS dataset")


def run(arguments: argparse.Namespace) -> int:
    """Verify, and print what deviates."""
    store = Store(os.path.abspath(arguments.dataset))
    if not store.current_plan_id():
        message = (
            f"{arguments.dataset} holds no record of a run (no {os.path.basename(store.root)})"
        )
        raise SpimpackError(message)
    deviations = list(verify_fast(store))
    for deviation in deviations:
        print(deviation)
    print(f"{arguments.dataset}: {count_of(len(deviations), 'deviation')}")
    return ExitCode.CONFLICT if deviations else ExitCode.OK
