"""Writes the path templates that are shipped, as pybids builds them.

python tests/support/path_templates.py
"""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

from bids.layout.writing import build_path

from spimpack_tasks.model.entities import ENTITIES, PATH_PATTERN, SUFFIX
from spimpack_tasks.packaging import paths

SHIPPED = Path(paths.__file__).with_name(paths.SHIPPED_FILE)


def entity_sets() -> list[tuple[str, ...]]:
    """Return the names of the entities of each set that a name can have, in their order."""
    optional = [entity.name for entity in ENTITIES if not entity.required]
    chosen = (set(c) for n in range(len(optional) + 1) for c in combinations(optional, n))
    return [tuple(e.name for e in ENTITIES if e.required or e.name in some) for some in chosen]


def ask_pybids(names: tuple[str, ...]) -> str:
    """Return the path of an image without suffix and extension, with marks for labels."""
    marks = {name: f"0{name}0" for name in names}
    values = marks | {"suffix": SUFFIX, "extension": ".png"}
    path = build_path(values, [PATH_PATTERN], strict=True).removesuffix(f"_{SUFFIX}.png")
    for name, mark in marks.items():
        path = path.replace(mark, f"{{{name}}}")
    return path


def main() -> None:
    """Write the file."""
    templates = {" ".join(names): ask_pybids(names) for names in entity_sets()}
    data = {"pattern": PATH_PATTERN, "templates": templates}
    SHIPPED.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
