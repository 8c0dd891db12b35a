"""Writes the page of a source to a path, and replaces nothing but an earlier page.

A page records the size and time of its source, the candidates, and our version. So a page can be
checked without reading the image.
"""

from __future__ import annotations

import json
import os
import re
from hashlib import blake2b
from html import unescape
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError, printable, suggestion
from spimpack_tasks.files.pages import read_head, write_page_at
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.model.orientation import ORIENTATION_CODES, normalise_orientation
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.qc.dataset import dataset_above
from spimpack_tasks.qc.page import GENERATOR, QcPage, candidates_for, compose_page
from spimpack_tasks.qc.preview import compose_preview
from spimpack_tasks.qc.volume import read_volume
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.qc.volume import SmallVolume

FOLDER = "spimpack-qc"
"""In the working directory; where pages go that have no place of their own."""
_MADE_FROM = re.compile('<meta name="made-from" content="([^"]*)">')
_END = b"</body></html>\n"


class QcRefusedError(SpimpackError):
    """The page cannot be made; the message names the reason and a remedy."""

    exit_code = ExitCode.BAD_INPUT


def parse_codes(text: str) -> tuple[str, ...]:
    """Return the codes of a list with commas.

    Raises
    ------
    QcRefusedError
        One of them is none.
    """
    codes = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        code = normalise_orientation(part)
        if code is None:
            hint = suggestion(part, ORIENTATION_CODES)
            message = f"{part!r} is no orientation; one has a letter each of R/L, A/P and S/I"
            raise QcRefusedError(f"{message}; {hint}" if hint else message)
        codes.append(code)
    return tuple(dict.fromkeys(codes))


def default_place(source: str, selection: Selection = WHOLE) -> str:
    """Return the path of the page of a source: never beside the source, which may be raw data.

    Another image of a file, or other axes, have a page of their own.
    """
    scene = re.sub(r"[^\w.-]+", "-", selection.scene)
    chosen = (f"scene-{scene}", f"axes-{selection.axes.upper()}", f"by-{selection.reader}")
    parts = zip(chosen, (scene, selection.axes, selection.reader), strict=True)
    name = "_".join([os.path.basename(source), *(text for text, is_given in parts if is_given)])
    return os.path.abspath(os.path.join(FOLDER, f"{name}.html"))


def made_from(source: str, codes: tuple[str, ...], selection: Selection = WHOLE) -> str:
    """Return the identity of a page as JSON: two different pages never share it."""
    chosen = selection.parts if selection != WHOLE else []
    data = json.dumps([source, stamp_text(source), codes, __version__, *chosen])
    return f"{printable(source)} {blake2b(data.encode(), digest_size=12).hexdigest()}"


def is_right(source: str, path: str, codes: tuple[str, ...]) -> bool:
    """Tell whether there is a complete page of the present source.

    Raises
    ------
    OSError
        It cannot be read.
    """
    if not stamp_text(source) or _recorded_in(path) != made_from(source, codes):
        return False
    with open_regular(path) as file:
        file.seek(max(0, os.path.getsize(path) - len(_END)))
        return file.read() == _END


def check_place(source: str, path: str) -> None:
    """Refuse a place at which a page would do harm.

    Raises
    ------
    QcRefusedError
        It would be in the source or in a dataset, or replace something else than such a page.
    """
    inner = os.path.relpath(os.path.realpath(path), os.path.realpath(source))
    if not inner.startswith(".."):
        message = f"{path} would be a part of the image; choose another place for the page"
        raise QcRefusedError(message)
    dataset = dataset_above(path)
    if dataset and not os.path.relpath(path, dataset).startswith("."):
        message = f"{path} would be a part of the dataset {dataset}; choose a place with --output"
        raise QcRefusedError(message)
    if os.path.isdir(path):
        message = f"{path} is a directory; give the name of a file for the page"
        raise QcRefusedError(message)
    if os.path.lexists(path) and GENERATOR not in read_head(path):
        message = f"{path} is there already, and is no page of ours; choose another file"
        raise QcRefusedError(message)


def check_default_place(source: str, path: str) -> None:
    """Refuse to replace the page of another source of the same name.

    Raises
    ------
    QcRefusedError
        There is one.
    """
    recorded = _recorded_in(path)
    if recorded and recorded.rpartition(" ")[0] != printable(source):
        message = f"{path} is the page of another image of that name; choose a file with --output"
        raise QcRefusedError(message)


def _recorded_in(path: str) -> str:
    found = _MADE_FROM.search(read_head(path))
    return unescape(found[1]) if found else ""


def make_page(
    source: str, path: str, codes: tuple[str, ...] = (), selection: Selection = WHOLE
) -> SmallVolume:
    """Read a source, write its page, and return the volume.

    Parameters
    ----------
    source, path
        Absolute paths of the image and of the page.
    codes
        Candidates; by default that of the header, and some more.
    selection
        Which image of the file, and the names of its axes where the file does not say them.

    Raises
    ------
    SpimpackError
        The source cannot be shown, or the page cannot be at that place.
    OSError
        The page cannot be written.
    """
    check_place(source, path)
    # Before reading: a source that changes meanwhile makes a page that is not right.
    identity = made_from(source, codes, selection)
    volume = read_volume(source, selection=selection)
    page = QcPage(volume, compose_preview(volume), candidates_for(volume, codes), identity)
    lines = compose_page(page)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_page_at(path, lines)
    return volume
