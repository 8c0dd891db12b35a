"""Methods of other programs, which users install themselves; stitching needs none of them.

Each is known by the choice that names it, the module that it is in, and what pip installs.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Plugin:
    """A method of another program."""

    key: str
    """The option that chooses it."""
    value: str
    """Its name as a choice."""
    module: str
    """The module that is imported."""
    package: str
    """The name that pip installs it by."""

    @property
    def is_installed(self) -> bool:
        """Whether it can be imported."""
        return find_spec(self.module) is not None


PLUGINS = (
    Plugin("align", "multiview", "multiview_stitcher", "multiview-stitcher"),
    Plugin("destripe", "zarrnii", "zarrnii", "'spimpack_tasks[zarrnii]'"),
)


def missing_plugins(chosen: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each chosen method whose program is not installed."""
    for plugin in PLUGINS:
        if chosen.get(plugin.key) == plugin.value and not plugin.is_installed:
            what = f"{plugin.key} is {plugin.value!r}, which needs {plugin.module}"
            yield f"{what}; install it with: pip install {plugin.package}"
