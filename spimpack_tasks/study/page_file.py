"""The page of a study on the disk: whether it is of the present state, and its writing."""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.pages import read_head, write_page_at
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.study.page import GENERATOR, compose_page
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from spimpack_tasks.study.study import Item, Study


class PageTakenError(SpimpackError):
    """Something else lies where the page is to be written."""

    exit_code = ExitCode.CONFLICT


def has_page(study: Study) -> bool:
    """Tell whether the page shows what is there now."""
    return f'content="{_identify(study)}"' in read_head(_path(study))


def write_page(study: Study) -> str:
    """Write the page, over nothing but an earlier one, and return its path.

    Raises
    ------
    PageTakenError
        Something else lies there.
    OSError
        It cannot be written.
    """
    path = _path(study)
    if os.path.lexists(path) and GENERATOR not in read_head(path):
        message = f"{path} is there already, and is no page of a study; give another page"
        raise PageTakenError(message)
    write_page_at(path, compose_page(study, _identify(study)))
    return path


def _path(study: Study) -> str:
    return study.product(study.items_of("report")[0])


def _identify(study: Study) -> str:
    """Return a digest of what the page shows: the study, and the files that tell of each item."""
    told = [(str(item), [stamp_text(path) for path in _marks(study, item)]) for item in study.items]
    text = json.dumps([__version__, study.document.data, told], sort_keys=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _marks(study: Study, item: Item) -> list[str]:
    """Return the files that are written anew when an item is made."""
    product = study.product(item)
    if item.stage == "report":
        return []
    if item.stage == "package":
        return [os.path.join(product, ".spimpack", name) for name in ("current", "seal")]
    if item.stage == "validate":
        return [study.report_on(item)]
    if item.stage == "publish":
        return [os.path.join(study.dataset, ".spimpack", "publications")]
    return [product, *(os.path.join(product, name) for name in ("zarr.json", ".zattrs"))]
