"""The page and the provenance of a study on the disk: whether they are up to date, their writing.

The provenance is an RO-Crate in the folder of what the stages make.
"""

from __future__ import annotations

import glob
import json
import os
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.atomic import write_at
from spimpack_tasks.files.pages import read_head, write_page_at
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.publishing.records.crate import NAME
from spimpack_tasks.study.page import GENERATOR, compose_page
from spimpack_tasks.study.page_facts import committed_records
from spimpack_tasks.study.provenance import PROFILE, PROGRAM, compose_provenance
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from spimpack_tasks.study.study import Study, StudyItem


class PageTakenError(SpimpackError):
    """Something else lies where the page or the provenance is to be written."""

    exit_code = ExitCode.CONFLICT


def has_page(study: Study) -> bool:
    """Tell whether the page and the provenance show what is there now."""
    identity = _identify(study)
    has_crate = f'"version": "{identity}"' in read_head(_crate_path(study))
    return has_crate and f'content="{identity}"' in read_head(_path(study))


def write_page(study: Study) -> str:
    """Write the provenance and the page, over nothing but earlier ones; return the page's path.

    Raises
    ------
    PageTakenError
        Something else lies there.
    OSError
        It cannot be written.
    """
    require_place(study)
    path, crate, identity = _path(study), _crate_path(study), _identify(study)
    text = compose_provenance(study, identity)
    os.makedirs(study.work_dir, exist_ok=True)
    # A name that is not UTF-8 is written as the escapes that JSON has for it.
    write_at(crate, text.encode("utf-8", "backslashreplace"))
    write_page_at(path, compose_page(study, identity))
    return path


def require_place(study: Study) -> None:
    """Refuse to replace what is no page and no provenance of a study.

    Raises
    ------
    PageTakenError
        Something else lies where one of them is to be written.
    """
    path, crate = _path(study), _crate_path(study)
    if os.path.lexists(path) and GENERATOR not in read_head(path):
        message = f"{path} is there already, and is no page of a study; give another page"
        raise PageTakenError(message)
    if os.path.lexists(crate) and not _is_provenance(crate):
        message = f"{crate} is there already, and is no provenance of a study"
        raise PageTakenError(f"{message}; give another work_dir")


def _is_provenance(path: str) -> bool:
    head = read_head(path)
    return f'"creator": {{\n        "@id": "{PROGRAM}' in head and PROFILE in head


def _crate_path(study: Study) -> str:
    return os.path.join(study.work_dir, NAME)


def _path(study: Study) -> str:
    return study.product(study.items_of("report")[0])


def _identify(study: Study) -> str:
    """Return a digest of what the page shows: the study, and the state of each item."""
    told = [(str(item), [stamp_text(path) for path in _marks(study, item)]) for item in study.items]
    text = json.dumps([__version__, study.document.data, told], sort_keys=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _marks(study: Study, item: StudyItem) -> list[str]:
    """Return the files that are written again when an item is made."""
    product = study.product(item)
    if item.stage == "report":
        return []
    if item.stage == "package":
        return [os.path.join(product, ".spimpack", name) for name in ("current", "seal")]
    if item.stage == "validate":
        return [study.report_on(item)]
    if item.stage == "align":
        return sorted(glob.glob(os.path.join(glob.escape(product), "*", "_state", "*.json")))
    if item.stage == "publish":
        return committed_records(study.dataset_of(item))
    return [product, *(os.path.join(product, name) for name in ("zarr.json", ".zattrs"))]
