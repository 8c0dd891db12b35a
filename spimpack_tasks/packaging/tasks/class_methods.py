"""The class methods by which a backend was made before version 1.0, for subclasses that use them.

A subclass may call them by `super()`. Delete this module when such backends are no longer taken
(see `packaging.backends.classes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Asset, Output
    from spimpack_tasks.packaging.backends.base import Advance, Backend, Settings


class ClassMethods:
    """Hands each method to the record that a class inherits."""

    definition: ClassVar[Backend]

    @classmethod
    def extension_of(cls, asset: Asset, settings: Settings) -> tuple[str, bool]:
        """Return the extension of an image in the dataset, and whether BIDS allows it."""
        return cls.definition.extension_of(asset, settings)

    @classmethod
    def least_room(cls, asset: Asset, settings: Settings) -> int:
        """Return how many bytes an image takes on the disk at the least."""
        return cls.definition.least_size(asset, settings)

    @classmethod
    def describe_target(cls, asset: Asset, relative_to: str | None, settings: Settings) -> str:
        """Return what `make` needs to know besides the source."""
        return cls.definition.recipe(asset, relative_to, settings)

    @classmethod
    def describe_conversion(cls, asset: Asset, settings: Settings) -> dict[str, Any]:
        """Return the sidecar's description of the conversion of an image."""
        return cls.definition.describe_conversion(asset, settings)

    @classmethod
    def make(cls, output: Output, path: str) -> None:
        """Make the image of `output` at `path`, which is free."""
        cls.definition.make_image(output, path)

    @classmethod
    def matches(cls, output: Output, path: str) -> bool:
        """Tell whether `path`, which exists, is what `make` would make."""
        return cls.definition.matches(output, path)

    @classmethod
    def measure(cls, output: Output) -> int:
        """Return how many bytes `resume` will report."""
        return cls.definition.measure(output)

    @classmethod
    def resume(cls, output: Output, path: str, advance: Advance) -> None:
        """Make the image of `output` at `path`, or resume what an earlier call has left there."""
        if cls.definition.resume is None:
            raise NotImplementedError
        cls.definition.resume(output, path, advance)

    @classmethod
    def take_over(cls, output: Output, earlier: str, path: str) -> bool:
        """Make the image of `output` at `path` of one in the dataset, where that is quick."""
        known = cls.definition.take_over
        return known is not None and known(output, earlier, path)
