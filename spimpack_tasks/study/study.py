"""The values of a study: its stages, and the items of each, in the order in which they are made."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.manifest.products import PRODUCTS, STAGES, WORK_DIR, product_path
from spimpack_tasks.model.plan import STATE_DIRECTORY

if TYPE_CHECKING:
    from spimpack_tasks.files.yaml_marks import Document

_PAGE = "study.html"
"""The page, beside the study, if the study names no other one."""


class StudyItem(NamedTuple):
    """One thing that a stage makes."""

    stage: str
    name: str
    """Empty of a stage that makes one thing."""

    def __str__(self) -> str:
        """Return it as people read it, such as `stitch brain1/Ex_488`."""
        return f"{self.stage} {self.name}".rstrip()


@dataclass(frozen=True, slots=True)
class Study:
    """A study that was read and found right."""

    path: str
    """Absolute path of its file."""
    document: Document = field(compare=False)
    digest: str
    """Of its text."""

    @property
    def folder(self) -> str:
        """The folder that the study lies in, where relative paths start."""
        return os.path.dirname(self.path)

    @property
    def name(self) -> str:
        """Its name; that of its folder if it has none."""
        return str(self.document.data.get("name") or os.path.basename(self.folder))

    @property
    def work_dir(self) -> str:
        """Absolute path of the folder of what its stages make."""
        return self.place(str(self.document.data.get("work_dir") or WORK_DIR))

    @property
    def items(self) -> list[StudyItem]:
        """All that is to be made, in order."""
        return [item for stage in STAGES for item in self.items_of(stage)]

    def items_of(self, stage: str) -> list[StudyItem]:
        """Return what a stage makes, in the order of the study; nothing if it has no such stage."""
        given = self.document.data["stages"].get(stage)
        if stage not in self.document.data["stages"]:
            return []
        if stage in {"package", "report"}:
            return [StudyItem(stage, "")]
        if stage == "validate":
            return [StudyItem(stage, os.path.relpath(path, self.folder)) for path in self.datasets]
        return [StudyItem(stage, name) for name in given]

    def values(self, item: StudyItem) -> dict[str, Any]:
        """Return the keys that the study has for an item."""
        given = self.document.data["stages"][item.stage] or {}
        of_stage = item.stage in {"package", "report", "validate"}
        return dict((given if of_stage else given[item.name]) or {})

    def place(self, path: str) -> str:
        """Return the absolute path that a text in the study means."""
        return os.path.normpath(os.path.join(self.folder, os.path.expanduser(path)))

    def product(self, item: StudyItem) -> str:
        """Return the absolute path of what `stitch`, `stream` or `convert` makes, or its output."""
        values = self.values(item)
        if item.stage in PRODUCTS:
            return product_path(self.document.data, self.folder, item.stage, item.name)
        if item.stage == "package":
            return self.place(str(values["output_dir"]))
        if item.stage == "align":
            return self.place(str(values["results_root"]))
        if item.stage == "validate":
            return self.place(item.name)
        if item.stage == "publish":
            return str(values["url"])
        return self.place(str(values.get("page") or _PAGE))

    @property
    def dataset(self) -> str:
        """Absolute path of the dataset that is packaged, empty if none is."""
        found = self.items_of("package")
        return self.product(found[0]) if found else ""

    def dataset_of(self, item: StudyItem) -> str:
        """Return the absolute path of the dataset that is published."""
        return self.place(str(self.values(item).get("dataset") or self.dataset))

    @property
    def datasets(self) -> list[str]:
        """Absolute paths of the datasets that are validated."""
        given = (self.document.data["stages"].get("validate") or {}).get("datasets")
        if given is not None:
            return [self.place(path) for path in given]
        return [self.dataset] if self.dataset else []

    def report_on(self, item: StudyItem) -> str:
        """Return the absolute path of the report of a validation.

        Datasets that this study does not package, such as derivatives, need not have a folder for
        it; theirs lies beside the log of the study.
        """
        if self.product(item) == self.dataset:
            return os.path.join(self.dataset, STATE_DIRECTORY, "validation.json")
        return os.path.join(self.work_dir, f"validation-{item.name.replace('/', '+')}.json")
