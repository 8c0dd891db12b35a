"""The values of a study: its stages, and the items of each, in the order in which they are made."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.manifest.products import PRODUCTS, WORK_DIR, product_path
from spimpack_tasks.model.plan import STATE_DIRECTORY

if TYPE_CHECKING:
    from spimpack_tasks.files.yaml_marks import Document

STAGES = ("stitch", "stream", "convert", "package", "align", "validate", "publish", "report")
"""In the order in which they run."""
_PAGE = "study.html"
"""The page, beside the study, if the study names no other one."""


class Item(NamedTuple):
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
    document: Document

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
    def items(self) -> list[Item]:
        """All that is to be made, in order."""
        return [item for stage in STAGES for item in self.items_of(stage)]

    def items_of(self, stage: str) -> list[Item]:
        """Return what a stage makes, in the order of the study; nothing if it has no such stage."""
        given = self.document.data["stages"].get(stage)
        if stage not in self.document.data["stages"]:
            return []
        if stage in {"package", "report"}:
            return [Item(stage, "")]
        if stage == "validate":
            return [Item(stage, os.path.relpath(path, self.folder)) for path in self.datasets]
        return [Item(stage, name) for name in given]

    def values(self, item: Item) -> dict[str, Any]:
        """Return what the study says of an item."""
        given = self.document.data["stages"][item.stage] or {}
        of_stage = item.stage in {"package", "report", "validate"}
        return dict((given if of_stage else given[item.name]) or {})

    def place(self, path: str) -> str:
        """Return the absolute path that a text in the study means."""
        return os.path.normpath(os.path.join(self.folder, os.path.expanduser(path)))

    def product(self, item: Item) -> str:
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

    @property
    def datasets(self) -> list[str]:
        """Absolute paths of the datasets that are validated."""
        given = (self.document.data["stages"].get("validate") or {}).get("datasets")
        if given is not None:
            return [self.place(path) for path in given]
        return [self.dataset] if self.dataset else []

    def report_on(self, item: Item) -> str:
        """Return the absolute path of the report of a validation.

        Datasets that this study does not package, such as derivatives, need not have a folder for
        it; theirs lies beside the log of the study.
        """
        if self.product(item) == self.dataset:
            return os.path.join(self.dataset, STATE_DIRECTORY, "validation.json")
        return os.path.join(self.work_dir, f"validation-{item.name.replace('/', '+')}.json")

    def after(self, item: Item) -> list[Item]:
        """Return what an item is made of, directly: it has to be there first."""
        products = [each for stage in PRODUCTS for each in self.items_of(stage)]
        package, align = self.items_of("package"), self.items_of("align")
        if item.stage in PRODUCTS:
            return []
        if item.stage == "package":
            return products
        if item.stage == "align":
            return self._before_alignment(item, products, package)
        if item.stage == "report":
            return [each for each in self.items if each.stage != "report"]
        if item.stage == "validate":
            made = self.product(item)
            return [each for each in [*package, *align] if self.product(each) == made]
        dataset = self.place(str(self.values(item).get("dataset") or self.dataset))
        checks = [each for each in self.items_of("validate") if self.product(each) == dataset]
        return [*[each for each in package if self.product(each) == dataset], *checks]

    def _before_alignment(
        self, item: Item, products: list[Item], package: list[Item]
    ) -> list[Item]:
        """Return what makes the image of an alignment; a SmartSPIM asset is made by none."""
        image = str(self.values(item).get("image") or "")
        if not image:
            return []
        path = self.place(image)
        made = [each for each in products if self.product(each) == path]
        is_packaged = self.dataset and os.path.commonpath([self.dataset, path]) == self.dataset
        return made or (package if is_packaged else [])
