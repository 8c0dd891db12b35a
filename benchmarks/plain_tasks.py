"""Tasks to compare with, for `luigi --module plain_tasks`.

`PlainPackage` packages as one would who knows Luigi and no more: a task for each asset. `slow` is
a backend that takes half a second for each image.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import luigi
from floors import places

from spimpack_tasks import MakeAssets
from spimpack_tasks.packaging.backends.registry import BACKENDS
from spimpack_tasks.packaging.backends.symlink import SYMLINK, make_link

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.model.plan import Output

SECONDS = 0.5


class PlainAsset(luigi.Task):
    """One image and its sidecar."""

    source = luigi.Parameter()
    folder = luigi.Parameter()
    stem = luigi.Parameter()
    sidecar = luigi.DictParameter(significant=False)

    def output(self) -> list[luigi.LocalTarget]:
        base = f"{self.folder}/{self.stem}"
        return [luigi.LocalTarget(f"{base}.json"), luigi.LocalTarget(f"{base}.ome.tif")]

    def run(self) -> None:
        sidecar, image = self.output()
        with sidecar.open("w") as file:
            json.dump(dict(self.sidecar), file, indent=2)
        os.symlink(self.source, image.path)


class PlainPackage(luigi.WrapperTask):
    """All images of a table."""

    table = luigi.Parameter()
    out = luigi.Parameter()

    def requires(self) -> list[luigi.Task]:
        return [PlainAsset(*place) for place in places(self.table, self.out)]


def resume(output: Output, path: str, _: Callable[[int], None]) -> None:
    """Make a link, and take half a second for it."""
    time.sleep(SECONDS)
    make_link(output, path)


SLOW = replace(SYMLINK, name="slow", task="SlowAssets", make=None, resume=resume)
BACKENDS["slow"] = SLOW


class SlowAssets(MakeAssets):
    """Makes links, and takes its time."""

    definition = SLOW
