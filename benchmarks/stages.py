"""Where the CPU seconds of packaging go, stage by stage, in one process.

    python benchmarks/stages.py --assets 10000

Each second is counted once: for the innermost of the stages that it was spent in. Writes a
Markdown table: a fresh run, one with nothing to do, and one after an edited cell.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scale_inputs import edit_one_cell, write_inputs

if TYPE_CHECKING:
    from collections.abc import Callable

STAGES = {
    "importing the program": ["spimpack_tasks.pipelines", "spimpack_tasks.local_run"],
    "comparing with the snapshot": ["spimpack_tasks.pipelines:find_snapshot"],
    "reading manifest and tables": ["spimpack_tasks.packaging.prepare:load_inputs"],
    "understanding rows": ["spimpack_tasks.packaging.prepare:read_assets"],
    "reading headers": ["spimpack_tasks.manifest.headers:read_header"],
    "asking pybids for paths": ["spimpack_tasks.packaging.paths:_ask_pybids"],
    "making the plan": [
        "spimpack_tasks.packaging.prepared_run:make_plan",
        "spimpack_tasks.packaging.prepare:identify",
    ],
    "saving plan and headers": [
        "spimpack_tasks.state.store:Store.make_current",
        "spimpack_tasks.manifest.headers:Headers.text",
    ],
    "comparing the disk with the plan": [
        "spimpack_tasks.packaging.prepared_run:sweep",
        "spimpack_tasks.targets:are_right",
        "spimpack_tasks.packaging.tasks.dataset:is_whole",
    ],
    "saying what has changed": ["spimpack_tasks.package_run:find_differences"],
    "writing sidecars, links and receipts": ["spimpack_tasks.packaging.tasks.writing:publish"],
    "removing what is stale": ["spimpack_tasks.packaging.tasks.dataset:prune"],
    "taking the snapshot": [
        "spimpack_tasks.packaging.tasks.dataset:take_snapshot",
    ],
    "scheduling by Luigi": ["luigi:build"],
}
REST = "all else"


class Clock:
    """Counts CPU seconds for the innermost stage."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.inside = [REST]
        self.since = 0.0

    def switch(self) -> None:
        now = time.process_time()
        self.seconds[self.inside[-1]] += now - self.since
        self.since = now

    def count(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.switch()
            self.inside.append(stage)
            try:
                return function(*args, **kwargs)
            finally:
                self.switch()
                self.inside.pop()

        return counted


def run(folder: Path) -> None:
    """Package in this process, and print what each stage took."""
    clock = Clock()
    for stage, names in STAGES.items():
        for name in names:
            module, _, attribute = name.partition(":")
            if not attribute:
                clock.count(stage, import_module)(module)
                continue
            place, _, last = f"{module}:{attribute}".rpartition(":")
            owner: Any = import_module(place)
            *outer, last = last.split(".")
            for each in outer:
                owner = getattr(owner, each)
            setattr(owner, last, clock.count(stage, getattr(owner, last)))
    main = import_module("spimpack_tasks.cli.main").main
    arguments = ["--manifest", str(folder / "manifest.yml"), "--output-dir", str(folder / "bids")]
    with contextlib.redirect_stdout(io.StringIO()):
        main(["package", *arguments])
    clock.switch()
    for stage, seconds in clock.seconds.items():
        print(f"{stage}\t{seconds}")


def measure(folder: Path) -> Counter[str]:
    command = [sys.executable, __file__, "--run", folder]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    rows = (line.split("\t") for line in done.stdout.splitlines())
    return Counter({stage: float(seconds) for stage, seconds in rows})


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--assets", type=int, default=10_000, metavar="N", help="number of images")
    parser.add_argument("--differ", action="store_true", help="have all sidecars differ")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        run(arguments.run)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "inputs"
        write_inputs(folder, arguments.assets, differ=arguments.differ)
        runs = [measure(folder), measure(folder)]
        edit_one_cell(folder)
        runs.append(measure(folder))
    print(f"| {arguments.assets:,} images, CPU s | fresh | nothing to do | one cell edited |")
    print("| --- | ---: | ---: | ---: |")
    for stage in [*STAGES, REST]:
        print(f"| {stage} | {' | '.join(f'{seconds[stage]:.2f}' for seconds in runs)} |")
    print(f"| together | {' | '.join(f'{sum(seconds.values()):.2f}' for seconds in runs)} |")


if __name__ == "__main__":
    main()
