"""Draws a dataset as a tree of names, images as leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def draw_tree(root: Path) -> list[str]:
    """Return the lines of a tree, without names that begin with a dot, except `.bidsignore`."""
    return [f"{root.name}/", *_draw(root, "")]


def _draw(folder: Path, indent: str) -> Iterator[str]:
    shown = sorted(
        path for path in folder.iterdir() if path.name == ".bidsignore" or path.name[0] != "."
    )
    for path in shown:
        last = path == shown[-1]
        link = f" -> {path.readlink()}" if path.is_symlink() else ""
        yield f"{indent}{'└── ' if last else '├── '}{path.name}{link}"
        is_image = path.name.endswith(".ome.zarr")
        if path.is_dir() and not path.is_symlink() and not is_image:
            yield from _draw(path, indent + ("    " if last else "│   "))
