"""Writes the texts of an alignment, and records the outputs of each step last."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.atomic import Durability, replacing

if TYPE_CHECKING:
    from spimpack_tasks.alignment.chain import Chain


def write_text(path: str, text: str) -> None:
    """Write a text that is whole once it has its name."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with replacing(path, Durability.SAFE) as aside:
        aside.file.write(text.encode())


def record(chain: Chain, step: str, identity: str, files: list[str], **facts: Any) -> None:
    """Record the outputs of a step with their sizes; before that they do not count."""
    sizes = {name: os.stat(os.path.join(chain.folder, name)).st_size for name in sorted(files)}
    data = {"made_from": identity, "files": sizes, **facts}
    write_text(chain.state_path(step), json.dumps(data, indent=2, sort_keys=True) + "\n")
