"""A backend that copies slowly and notes when: `luigi --module slow_copy` has it as `slow-copy`.

Each image takes half a second, or as many steps as SLOW_COPY_STEPS says. What is noted, one line an
image, lies beside the dataset in `log`: the process, the image, and the times between which it was
made. The module has the name that the package is imported by in luigi's workers and assistants.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from spimpack_tasks import MakeAssets, PackageDataset  # noqa: F401 - luigi looks for it here
from spimpack_tasks.model.plan import Output
from spimpack_tasks.packaging.backends.copy import COPY, resume_copy
from spimpack_tasks.packaging.backends.registry import BACKENDS

STEPS = int(os.environ.get("SLOW_COPY_STEPS", "25"))
STEP_S = 0.02


def resume(output: Output, path: str, advance: Callable[[int], None]) -> None:
    """Copy the source after half a second, in which the run may be found to be over."""
    start = time.monotonic()
    for _ in range(STEPS):
        time.sleep(STEP_S)
        advance(0)
    resume_copy(output, path, advance)
    log = Path(path).parents[3].parent / "log"
    with log.open("a") as file:
        file.write(f"{os.getpid()} {output.asset} {start} {time.monotonic()}\n")


SLOW_COPY = replace(COPY, name="slow-copy", task="SlowCopyAssets", resume=resume)
BACKENDS["slow-copy"] = SLOW_COPY


class SlowCopyAssets(MakeAssets):
    """Copy each image, slowly."""

    definition = SLOW_COPY
