"""A manifest in a study, and the names that its rows give to products of other stages.

A study is a YAML file with the key `stages`. Its stage `package` has the manifest, or names its
file; a manifest in a file of its own names the study by the key `study`. Rows name the products of
the stages `stitch`, `stream` and `convert` as `stitched:NAME`, `streamed:NAME` and
`converted:NAME`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Problem, suggestion
from spimpack_tasks.files.yaml_marks import Document

if TYPE_CHECKING:
    from collections.abc import Collection

    from spimpack_tasks.errors import Report

STAGES_KEY = "stages"
STAGES = ("stitch", "stream", "convert", "package", "align", "validate", "publish", "report")
"""The stages of a study, in the order in which they run."""
STUDY_KEY = "study"
"""Key of a manifest in a file of its own: the path of the study."""
WORK_DIR = "products"
"""Folder of what the stages make, beside the study, if it names no other one."""
_MANIFEST = (STAGES_KEY, "package", "manifest")
PRODUCTS = {"stitch": "stitched", "stream": "streamed", "convert": "converted"}
"""Word before the name of a product, by the stage that makes it."""
EXTENSION = ".ome.zarr"


def is_study(data: Any) -> bool:
    """Tell whether the data of a YAML file are a study."""
    return isinstance(data, dict) and STAGES_KEY in data


def manifest_of(study: Document, report: Report) -> Document:
    """Return the manifest in a study; nothing is in it where the study has none."""
    package = _mapping(_mapping(study.data, STAGES_KEY), "package")
    if isinstance(package.get("manifest"), dict):
        return study.part(_MANIFEST)
    message, hint = "is missing", "write the manifest there, or package the file that it names"
    key = ".".join(_MANIFEST)
    report.add(Problem("key.missing", study.place(_MANIFEST[:2]), key, message, hint))
    return Document(study.file)


def list_products(data: Any, folder: str) -> dict[str, str]:
    """Return the absolute paths of all products of a study, by the names that rows give them.

    Parameters
    ----------
    data
        The data of the study, which may be wrong elsewhere.
    folder
        Absolute path of the folder that the study lies in.
    """
    return {
        f"{word}:{name}": product_path(data, folder, stage, name)
        for stage, word in PRODUCTS.items()
        for name in _mapping(_mapping(data, STAGES_KEY), stage)
    }


def product_path(data: Any, folder: str, stage: str, name: str) -> str:
    """Return the absolute path of what a stage makes under a name."""
    item = _mapping(_mapping(_mapping(data, STAGES_KEY), stage), name)
    image = item.get("image")
    if isinstance(image, str) and image:
        return os.path.normpath(os.path.join(folder, os.path.expanduser(image)))
    work_dir = os.path.expanduser(str(data.get("work_dir") or WORK_DIR))
    within = os.path.join(work_dir, PRODUCTS[stage], f"{name}{EXTENSION}")
    return os.path.normpath(os.path.join(folder, within))


def is_product_name(text: str) -> bool:
    """Tell whether a cell looks like the name of a product, and not like a path."""
    return text.partition(":")[0] in PRODUCTS.values() and ":" in text


def hint_for_product(text: str, products: Collection[str]) -> str:
    """Return what to do where a row names a product that no stage makes."""
    if not products:
        return "say in the manifest which study makes it, such as study: study.yml"
    return suggestion(text, products) or f"the study makes {', '.join(sorted(products))}"


def _mapping(data: Any, key: str) -> dict[str, Any]:
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}
