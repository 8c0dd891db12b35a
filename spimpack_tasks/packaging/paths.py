"""Builds the path of each image in the dataset: pybids fills in our pattern.

Importing pybids takes as long as packaging thousands of images, and filling in its pattern is
slow as well. So its paths for each set of BIDS entities, with marks for labels, are shipped in
`path_templates.json`. For an extension that no format of ours has, pybids is asked once. The
templates of a dataset are kept in its state directory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.model.entities import PATH_PATTERN
from spimpack_tasks.volumes.formats import FORMATS, PHOTO_FORMATS, TIFF_EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.model.plan import Asset
    from spimpack_tasks.state.store import Store

PATHS_FILE = "paths.json"
SHIPPED_FILE = "path_templates.json"
"""Beside this module; `python tests/support/path_templates.py` writes it again."""

USUAL_EXTENSIONS = frozenset(
    [
        *TIFF_EXTENSIONS.values(),
        *(each for form in (*FORMATS, *PHOTO_FORMATS) for each in form.extensions.values()),
    ]
)


class PathBuilder:
    """Builds paths from templates, such as `sub-{subject}/micr/sub-{subject}_SPIM.ome.zarr`."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def build(self, assets: Iterable[Asset]) -> dict[str, str]:
        """Return the path of each image by the key of its asset.

        The labels must have been validated: pybids takes any text for a label.
        """
        return {asset.key: self._path(asset) for asset in assets}

    def text(self) -> str:
        """Return the content of the file, as JSON."""
        return json.dumps({"pattern": PATH_PATTERN, "templates": self.templates})

    def _path(self, asset: Asset) -> str:
        entities = asset.entities
        kind = " ".join([*entities, asset.suffix, asset.extension])
        template = self.templates.get(kind)
        if template is None:
            template = _make_template([*entities], asset.suffix, asset.extension)
            self.templates[kind] = template
        return template.format_map(entities)

    @cached_property
    def templates(self) -> dict[str, str]:
        """Templates by the names of the entities, the suffix and the extension."""
        try:
            return read_json(self.store.path(PATHS_FILE), _templates_of, {})
        except OSError:  # a folder that cannot be looked up is asked for again
            return {}


def _templates_of(data: dict[str, Any]) -> dict[str, str]:
    return dict(data["templates"]) if data["pattern"] == PATH_PATTERN else {}


def _make_template(entities: list[str], suffix: str, extension: str) -> str:
    shipped = _shipped_templates().get(" ".join(entities))
    if shipped is None or extension not in USUAL_EXTENSIONS:
        return _ask_pybids(entities, suffix, extension)
    return f"{shipped}_{suffix}{extension}"


@cache
def _shipped_templates() -> dict[str, str]:
    """Return what precedes suffix and extension, by the names of the entities."""
    text = files(__package__).joinpath(SHIPPED_FILE).read_text(encoding="utf-8")
    return _templates_of(json.loads(text))


def _ask_pybids(entities: list[str], suffix: str, extension: str) -> str:
    marks = {name: f"0{name}0" for name in entities}
    path = _build_path(marks | {"suffix": suffix, "extension": extension})
    for name, mark in marks.items():
        path = path.replace(mark, f"{{{name}}}")
    return path


def _build_path(values: dict[str, str]) -> str:
    try:
        from bids.layout.writing import build_path
    except (OSError, RuntimeError, TypeError, ValueError):
        # When it is imported, pybids reads settings of the user's home and working directory.
        return _build_path_elsewhere(values)
    path: str = build_path(values, [PATH_PATTERN], strict=True)
    return path


def _build_path_elsewhere(values: dict[str, str]) -> str:
    """Ask pybids in a process that has another home and working directory."""
    code = (
        "import json, sys; from bids.layout.writing import build_path; "
        "values, pattern = json.load(sys.stdin); "
        "print(build_path(values, [pattern], strict=True))"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYBIDS_CONFIG"}
    done = subprocess.run(  # noqa: S603  # this Python, and no shell
        [sys.executable, "-c", code],
        input=json.dumps([values, PATH_PATTERN]),
        capture_output=True,
        text=True,
        check=False,
        cwd=os.sep,
        env=environment | {"HOME": os.sep},
    )
    if done.returncode != 0:
        message = f"pybids cannot be asked for the names of images:\n{done.stderr.rstrip()}"
        raise SpimpackError(message)
    return done.stdout.rstrip("\n")
