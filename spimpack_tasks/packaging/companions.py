"""Makes the files that lie beside images, and tells whether they are as planned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.model.plan import Step
from spimpack_tasks.packaging.previews import is_preview

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.model.plan import Output
    from spimpack_tasks.packaging.backends.base import Backend, Choice


@dataclass(frozen=True, slots=True)
class CompanionMaker:
    """How the outputs of one step are made."""

    make: Callable[[str, Output, str], None]
    """Makes a file: absolute path of the image, output, path that is free."""
    matches: Callable[[str, Output, str], bool]
    """Tells whether a path, which exists, is what `make` would make there."""


MAKERS = {
    Step.PREVIEWS: CompanionMaker(
        Deferred("spimpack_tasks.packaging.draw_preview:make_preview"), is_preview
    )
}


def make_output(backend: Backend, root: str, output: Output, path: str) -> None:
    """Make an output of a dataset at a path that is free.

    Parameters
    ----------
    backend
        The backend of the run.
    root
        Absolute path of the dataset.
    output, path
        What to make, and where.
    """
    image = f"{root}/{output.text}"
    if output.step is Step.ASSETS:
        backend.make_image(output, path)
    elif output.step is Step.COMPANIONS:
        backend.companion_of(output).make(image, output, path)
    else:
        MAKERS[output.step].make(image, output, path)


def matches_output(choice: Choice, root: str, output: Output, path: str) -> bool:
    """Tell whether a path, which exists, is as planned."""
    image = f"{root}/{output.text}"
    if output.step is Step.ASSETS:
        return choice.matches(output, path)
    try:
        if output.step is Step.COMPANIONS:
            return choice.matches_companion(image, output, path)
        return MAKERS[output.step].matches(image, output, path)
    except OSError:  # the image, or the file itself, is not there or cannot be read
        return False
