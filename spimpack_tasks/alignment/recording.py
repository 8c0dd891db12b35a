"""Writes the texts of an alignment, and records the outputs of each step last."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.atomic import Durability, replacing
from spimpack_tasks.files.noted_parts import hold_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.alignment.chain import Chain


@contextmanager
def hold_step(chain: Chain, name: str) -> Iterator[None]:
    """Hold the lock of a step: two processes that make one brain would write the same files."""
    folder = os.path.dirname(chain.state_path(""))
    os.makedirs(folder, exist_ok=True)
    with hold_file(os.path.join(folder, f"{name}.lock")):
        yield


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
