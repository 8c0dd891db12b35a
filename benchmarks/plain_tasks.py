"""Tasks to compare with, for `luigi --module plain_tasks`.

`PlainPackage` packages as one would who knows Luigi and no more: a task for each asset. `slow` is
a backend that takes half a second for each image.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import luigi
from floors import places

from spimpack_tasks import SymlinkAssets
from spimpack_tasks.registry import BACKENDS

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


class SlowAssets(SymlinkAssets):
    """Makes links, and takes its time."""

    name = "slow"
    one_task_per_asset = True

    @classmethod
    def make(cls, output: object, path: str) -> None:
        time.sleep(SECONDS)
        super().make(output, path)  # type: ignore[arg-type]


BACKENDS["slow"] = f"{Path(__file__).stem}:SlowAssets"
