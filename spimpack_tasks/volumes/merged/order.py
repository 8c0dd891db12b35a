"""The order of merged files on a command line, or in a call, where the user does not say it.

A shell puts the names of `t*.tif` letter by letter, `t10` before `t2`, and so does a sort of texts,
which is no order of time points or planes. A list whose words differ, such as `pre.tif post.tif`,
was written on purpose.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING

from spimpack_tasks.files.natural_order import find_fall, words_of
from spimpack_tasks.volumes.errors import SourceRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence


def order_of_arguments(paths: Sequence[str]) -> str:
    """Return the order of files: `natural`, or `table`, as they are given.

    Parameters
    ----------
    paths
        As they are given.

    Raises
    ------
    SourceRefusedError
        Several wildcards of a shell seem to have made the list: neighbours are in the order of
        letters, and not of their numbers.
    """
    if _is_by_letters(paths):
        return "natural"
    fall = find_fall(paths)
    if fall is not None and _is_by_letters(fall) and _is_of_wildcards(paths):
        is_folder = os.path.basename(fall[0]) == os.path.basename(fall[1])
        one, other = (path if is_folder else os.path.basename(path) for path in fall)
        message = f"the files are in no clear order: {one!r} comes before {other!r}"
        hint = "merge_order=natural sorts them by their numbers, merge_order=table keeps this"
        raise SourceRefusedError("source.merge", message, hint)
    return "table"


def _is_of_wildcards(paths: Sequence[str]) -> bool:
    """Tell whether a list falls into parts that a shell may have sorted: of words, or of pairs."""
    lengths = [1]
    for before, after in pairwise(paths):
        if before < after:
            lengths[-1] += 1
        else:
            lengths.append(1)
    return len(set(map(words_of, paths))) > 1 or min(lengths) > 1


def _is_by_letters(paths: Sequence[str]) -> bool:
    """Tell whether paths are sorted by bytes, or as shells of other languages do."""
    return [*paths] in (sorted(paths), sorted(paths, key=_letters_and_digits))


def _letters_and_digits(path: str) -> str:
    return "".join(sign for sign in path.casefold() if sign.isalnum())
