"""Builds the path of each image in the dataset: pybids fills in our pattern.

Importing pybids takes as long as packaging thousands of images, and filling in its pattern is
slow as well. So pybids is asked once for each combination of entities, with marks for labels, and
what it said is kept in the state directory.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.model.entities import PATH_PATTERN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.model.plan import Asset
    from spimpack_tasks.state.store import Store

PATHS_FILE = "paths.json"


class PathBuilder:
    """Builds paths from templates, such as `sub-{subject}/micr/sub-{subject}_SPIM.ome.zarr`."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def build(self, assets: Iterable[Asset]) -> dict[str, str]:
        """Return the path of each image by the key of its asset.

        The labels must have been validated: pybids takes any text for a label.
        """
        return {asset.key: self._template(asset).format_map(asset.entities) for asset in assets}

    def text(self) -> str:
        """Return what is to be kept, as JSON."""
        return json.dumps({"pattern": PATH_PATTERN, "templates": self.templates})

    def _template(self, asset: Asset) -> str:
        kind = " ".join([*asset.entities, asset.suffix, asset.extension])
        if kind not in self.templates:
            self.templates[kind] = _ask_pybids([*asset.entities], asset.suffix, asset.extension)
        return self.templates[kind]

    @cached_property
    def templates(self) -> dict[str, str]:
        """Templates by the names of the entities, the suffix and the extension."""
        return read_json(self.store.path(PATHS_FILE), _templates_of, {})


def _templates_of(data: dict[str, Any]) -> dict[str, str]:
    return dict(data["templates"]) if data["pattern"] == PATH_PATTERN else {}


def _ask_pybids(entities: list[str], suffix: str, extension: str) -> str:
    from bids.layout.writing import build_path

    marks = {name: f"0{name}0" for name in entities}
    values = marks | {"suffix": suffix, "extension": extension}
    path: str = build_path(values, [PATH_PATTERN], strict=True)
    for name, mark in marks.items():
        path = path.replace(mark, f"{{{name}}}")
    return path
