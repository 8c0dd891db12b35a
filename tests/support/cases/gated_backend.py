"""A backend whose images are made when a test says so, and who begins one is noted.

Not imported by a test: it is installed for the processes that a test starts (see `cluster.py`).
Each image waits for the file GATED_BACKEND_GATE; process and image are noted in GATED_BACKEND_LOG.
"""

import os
import shutil
import time

from spimpack_tasks import LinkAssets
from spimpack_tasks.files.trees import remake_tree, same_tree
from spimpack_tasks.model.plan import Output


class GatedAssets(LinkAssets):
    """Copy each image, when the gate is open."""

    name = "gated"
    one_task_per_asset = True

    @classmethod
    def make(cls, output: Output, path: str) -> None:
        """Copy the image, when the gate is open."""
        with open(os.environ["GATED_BACKEND_LOG"], "a", encoding="utf-8") as log:
            log.write(f"{os.getpid()} {output.asset}\n")
        while not os.path.exists(os.environ["GATED_BACKEND_GATE"]):
            time.sleep(0.05)
        if os.path.isdir(output.source):
            remake_tree(output.source, path, shutil.copy2)
        else:
            shutil.copy2(output.source, path)

    @classmethod
    def matches(cls, output: Output, path: str) -> bool:
        """Compare size and time."""
        if os.path.isdir(output.source):
            return same_tree(output.source, path, is_equal)
        return os.path.isfile(path) and is_equal(output.source, path)


def is_equal(source: str, path: str) -> bool:
    there, here = os.stat(source), os.stat(path)
    return (there.st_size, there.st_mtime_ns) == (here.st_size, here.st_mtime_ns)
