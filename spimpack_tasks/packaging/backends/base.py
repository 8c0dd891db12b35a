"""A backend: a record of how images get into a dataset.

A backend makes one image at a path that it is given, and tells whether what is at a path is what
it would make. It owns neither names nor receipts, and neither replaces nor removes anything: those
are the same for all backends. It knows nothing of Luigi; `packaging.tasks.backends` has a task for
each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

from spimpack_tasks.files.trees import size_below
from spimpack_tasks.packaging.backends.bugs import PlanningBugs

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Asset, Output

Settings: TypeAlias = Mapping[str, str]
"""The user's settings, each one of those of the backend."""
Advance: TypeAlias = Callable[[int], None]
"""Called with a number of bytes after each piece of an image, once a second at least.

It raises an error when the run is over; let it pass."""

R = TypeVar("R")

NO_SETTINGS: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def _keep_extension(asset: Asset, _: Settings) -> tuple[str, bool]:
    return asset.extension, asset.valid_in_bids


def _need_no_more(_asset: Asset, _relative_to: str | None, _settings: Settings) -> str:
    return ""


def _convert_nothing(_asset: Asset, _settings: Settings) -> dict[str, Any]:
    return {}


def _has_no_fault(setting: str, value: str) -> str:
    return f"{value!r} is not a value of {setting}"


def _fit_together(_settings: Settings) -> Iterator[tuple[str, str]]:
    yield from ()


def _size_is_unknown(_asset: Asset, _settings: Settings) -> int:
    return 0


def link_text(asset: Asset, relative_to: str | None, _settings: Settings) -> str:
    """Return the text of the link to an image."""
    return os.path.relpath(asset.source, relative_to) if relative_to else asset.source


def missing(*_: Any) -> NoReturn:
    """Stand for a function that the author of a backend has to give."""
    raise NotImplementedError


def size_of_source(output: Output) -> int:
    """Return the number of bytes of the source of an image."""
    return size_below(output.source)


@dataclass(frozen=True, kw_only=True)
class Companion:
    """A small file that a backend makes beside each image, such as a checksum."""

    ending: str
    """It replaces the extension of the image, as `.sha256`; no other output ends so."""
    make: Callable[[str, Output, str], None]
    """Makes the file: absolute path of the image in the dataset, output, path that is free."""
    matches: Callable[[str, Output, str], bool]
    """Tells whether a path, which exists, is what `make` would make there."""
    is_hidden: bool = True
    """Whether BIDS has no place for it, so that validators must pass over it."""
    version: int = 1
    """Raise it when `make` makes something else from the same image."""


@dataclass(frozen=True, kw_only=True)
class Division:
    """How the slow work for one large image is divided into parts, which workers share."""

    count: Callable[[Asset, Settings], int]
    """Returns into how many parts an image is best divided, 0 to leave it to one worker."""
    make: Callable[[Output, str, int, Advance], bool]
    """Makes the part of a number, from 0 on, at the path of the image, or resumes that. Other
    processes make other parts there. Tells whether it did; else the image is made by `resume`."""
    can_take_over: Callable[[Output, str], bool]
    """Tells whether `take_over` will make the image of an earlier one, by the path of that."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One way to get images into a dataset; either `make` or `resume` is given."""

    name: str
    """The name after `--backend`."""
    summary: str
    """The result for an image, in one line for lists of backends."""
    matches: Callable[[Output, str], bool]
    """Tells whether a path, which exists, is what the backend would make there."""
    make: Callable[[Output, str], None] | None = None
    """Makes an image at a path that is free, on the disk of the dataset. It may be killed anywhere:
    what it leaves is thrown away."""
    resume: Callable[[Output, str, Advance], None] | None = None
    """For slow work: makes an image, or resumes what an earlier call has left at the path. That was
    started from the same source, of the same size and modification time."""
    measure: Callable[[Output], int] = size_of_source
    """Returns the number of bytes that `resume` will report."""
    take_over: Callable[[Output, str, str], bool] | None = None
    """Makes an image from an earlier one of the same source where that is quick, and tells whether
    it did: output, path of the earlier image, which is only to be read, path of the new one."""
    division: Division | None = None
    """How large images are divided. `resume` gets those whose parts are there, to finish them."""
    extension_of: Callable[[Asset, Settings], tuple[str, bool]] = _keep_extension
    """Returns the extension of an image in the dataset, and whether BIDS allows it."""
    recipe: Callable[[Asset, str | None, Settings], str] = _need_no_more
    """Returns what `make` needs to know besides the source; it becomes `Output.target`.

    The second argument is the absolute folder of the image where relative links are wanted."""
    describe_conversion: Callable[[Asset, Settings], dict[str, Any]] = _convert_nothing
    """Returns the sidecar's description of a conversion; nothing if an image is not converted.
    """
    least_size: Callable[[Asset, Settings], int] = _size_is_unknown
    """Returns how many bytes an image takes on the disk at the least, 0 if that is unknown."""
    companions: tuple[Companion, ...] = ()
    """Files that are made beside each image, when the image is in its place."""
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: NO_SETTINGS)
    """The settings of `--backend NAME:SETTING=VALUE` with their values, defaults first."""
    fault_of: Callable[[str, str], str] = _has_no_fault
    """Returns what is wrong with a value that is not among those of a setting, nothing if it may be
    another one: name of the setting, value."""
    misfits: Callable[[Settings], Iterator[tuple[str, str]]] = _fit_together
    """Yields which settings, each of which may be, cannot be together: name of one, what is wrong
    and what to do."""
    task: str = ""
    """The name of the task class, which a class of another package fills in itself."""
    version: int = 1
    """Raise it when the backend makes something else from the same source."""
    makes: str = ""
    """The name of the format that images are converted to; empty where none is converted."""
    makes_symlinks: bool = False
    """Whether images become symbolic links, which may be relative."""
    same_disk: bool = False
    """Whether sources must lie on the disk of the output."""
    impossible_on: frozenset[str] = frozenset()
    """Types of file systems on which the backend cannot work."""
    extra: str = ""
    """The extra of this package without which the backend cannot work."""
    libraries: tuple[str, ...] = ()
    """The modules that are there when the extra is installed."""

    def __post_init__(self) -> None:
        """Refuse a record that does not say how an image is made, or has companions in its way."""
        if self.make is None and self.resume is None:
            message = f"the backend {self.name!r} has neither make nor resume"
            raise ValueError(message)
        endings = [companion.ending for companion in self.companions]
        for ending in endings:
            is_usable = ending.startswith(".") and "/" not in ending and ending != ".json"
            if not is_usable or endings.count(ending) > 1:
                message = f"the backend {self.name!r} has a companion that cannot end in {ending!r}"
                raise ValueError(message)

    @property
    def is_slow(self) -> bool:
        """Whether each image is a task of its own, which can be watched and resumed."""
        return self.resume is not None

    def companion_of(self, output: Output) -> Companion:
        """Return what makes an output that is a companion."""
        return next(each for each in self.companions if each.ending == output.target)

    def make_image(self, output: Output, path: str) -> None:
        """Make an image at a path that is free."""
        if self.make is not None:
            self.make(output, path)
        elif self.resume is not None:
            self.resume(output, path, lambda _: None)


@dataclass(frozen=True)
class Choice:
    """A backend with the settings of a run, parsed once where the options are read."""

    text: str
    """As the user gave it, such as `ome-zarr:codec=blosc`; plans and state hold it."""
    backend: Backend
    settings: Settings
    is_foreign: bool = False
    """Whether the backend is of another package."""
    bugs: PlanningBugs | None = None
    """Collects bugs of the backend; without it they are raised as they are."""

    def collecting_bugs(self) -> Choice:
        """Return the same choice with a collection of bugs of its own."""
        return replace(self, bugs=PlanningBugs(self.backend.name))

    def extension_of(self, asset: Asset) -> tuple[str, bool]:
        """Return the extension of an image in the dataset, and whether BIDS allows it."""
        as_it_is = asset.extension, asset.valid_in_bids
        return self._ask(self.backend.extension_of, asset.key, as_it_is, asset, self.settings)

    def recipe(self, asset: Asset, relative_to: str | None) -> str:
        """Return what making an image needs to know besides its source."""
        about = asset, relative_to, self.settings
        return self._ask(self.backend.recipe, asset.key, "", *about)

    def describe_conversion(self, asset: Asset) -> dict[str, Any]:
        """Return the sidecar's description of the conversion of an image; nothing if it is none."""
        if not self.backend.makes:
            return {}
        nothing: dict[str, Any] = {}
        about = asset, self.settings
        return self._ask(self.backend.describe_conversion, asset.key, nothing, *about)

    def least_size(self, asset: Asset) -> int:
        """Return how many bytes an image takes on the disk at the least."""
        return self._ask(self.backend.least_size, asset.key, 0, asset, self.settings)

    def matches(self, output: Output, path: str) -> bool:
        """Tell whether a path, which exists, is what the backend would make there."""
        return self._ask(self.backend.matches, output.asset, False, output, path)  # noqa: FBT003

    def matches_companion(self, image: str, output: Output, path: str) -> bool:
        """Tell whether a path, which exists, is the companion that is made of an image."""
        companion = self.backend.companion_of(output)
        return self._ask(companion.matches, output.asset, False, image, output, path)  # noqa: FBT003

    def count_parts(self, asset: Asset) -> int:
        """Return into how many parts making an image is best divided, 0 for one worker."""
        division = self.backend.division
        if division is None:
            return 0
        return self._ask(division.count, asset.key, 0, asset, self.settings)

    def _ask(self, function: Callable[..., R], key: str, instead: R, *args: Any) -> R:
        if self.bugs is None:
            return function(*args)
        return self.bugs.ask(function, key, instead, *args)
