"""`spimpack demo --study`: a brain from the tiles of a microscope to a published dataset."""

from __future__ import annotations

import os
import shlex
from argparse import Namespace
from contextlib import nullcontext
from typing import TYPE_CHECKING

from spimpack_tasks.cli import run as run_command
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.demo.brain_study import BUCKET, find_port, write_brain_study
from spimpack_tasks.demo.object_server import choose_ports, find_program, running_server
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.files.near_paths import shown
from spimpack_tasks.study.reading import read_study

if TYPE_CHECKING:
    from pathlib import Path

    from spimpack_tasks.study.study import Study

_plan_study = Deferred("spimpack_tasks.study.planning:plan_study")
_LEFT_OUT = (
    "Publishing is left out: it needs an object store on this machine. To have it as well: "
    "pip install 'spimpack_tasks[demo]', and run this again"
)


def make_demo_study(directory: Path, workers: int) -> int:
    """Write the demo study where it is not there, run what is missing, and say where to look.

    Parameters
    ----------
    directory
        Where; made if it is not there.
    workers
        Number of processes.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    OccupiedError
        The directory holds something else.
    SpimpackError
        An extra is missing, or the object store does not start.
    """
    program = find_program()
    path = write_brain_study(directory, (lambda: choose_ports(1)[0]) if program else None)
    print(f"Recording, atlas and study: {directory}", flush=True)
    study = read_study(os.path.abspath(path))
    port = find_port(path)
    is_to_publish = _is_to_publish(study)
    is_left_out = not program and (not study.items_of("publish") if port is None else is_to_publish)
    until = "validate" if is_left_out and is_to_publish else ""
    store = (
        running_server(program, directory / "store", port, BUCKET)
        if program and is_to_publish and port is not None
        else nullcontext()
    )
    with store:
        code = run_command.run(Namespace(study=str(path), only=[], until=until, workers=workers))
    if is_left_out:
        print(_LEFT_OUT)
    if code == ExitCode.OK and not until:
        _say_where(study)
    return code


def _is_to_publish(study: Study) -> bool:
    """Tell whether a run would send something."""
    items = study.items
    planned = _plan_study(study, items) if study.items_of("publish") else []
    return any(each.item.stage == "publish" and each.state != "done" for each in planned)


def _say_where(study: Study) -> None:
    """Print the path of the page, and what to look at next."""
    name = shown(study.path)
    print()
    for page in study.items_of("report"):
        print(f"Open the page, with pictures: {study.product(page)}")
    print(f"See that nothing is to do:    spimpack plan {shlex.quote(name)}")
    print(f"Then change a value, and see: {name}")
    if study.items_of("publish"):
        folder = shlex.quote(shown(study.folder))
        print(f"Make it, with its own store:  spimpack demo {folder} --study")
