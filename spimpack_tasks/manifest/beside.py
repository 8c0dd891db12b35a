"""Facts that an acquisition program wrote beside one image, for commands that look at one alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.manifest.acquisition import AcquisitionReader
from spimpack_tasks.manifest.headers import facts_of

if TYPE_CHECKING:
    from spimpack_tasks.manifest.acquisition import ToldBeside
    from spimpack_tasks.volumes.header import Header


def told_beside(image: str, header: Header) -> ToldBeside | None:
    """Return the facts of a file beside one image, `None` where there is none.

    Parameters
    ----------
    image
        Absolute path, links not resolved.
    header
        The header of the image.
    """
    return AcquisitionReader().join(image, facts_of(header))
