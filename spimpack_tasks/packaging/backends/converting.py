"""Functions of backends that convert: what BIDS does not hold is converted, the rest linked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.files.filesystems import NO_LINKS
from spimpack_tasks.model.header_values import convert_length
from spimpack_tasks.model.plan import Origin
from spimpack_tasks.packaging.backends.base import Backend, Division, link_text
from spimpack_tasks.packaging.splitting import NEVER, SPLIT_ABOVE, count_parts, read_size
from spimpack_tasks.version import __version__
from spimpack_tasks.volumes.formats import FORMATS, READERS
from spimpack_tasks.volumes.merged.form import find_format
from spimpack_tasks.volumes.merged.request import POLICIES, is_merge, merge_of_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spimpack_tasks.model.plan import Asset, Output
    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.packaging.backends.base import Advance, Settings
    from spimpack_tasks.volumes.conversion import Conversion, Request
    from spimpack_tasks.volumes.formats import Format

_WHICH = MappingProxyType({"convert": ("needed", "all"), "others": ("link", "copy")})
"""Settings of all backends that convert: which images, and what becomes of the others."""
ORIGINAL = ("keep", "drop")
"""Setting: what becomes of the metadata of sources, as texts, in the images that are made."""
_HELD = frozenset(form.name for form in FORMATS if form.valid_in_bids)
"""Names of the formats that BIDS takes as they are."""
_WORK = "spimpack_tasks.packaging.backends.conversion_work"
_MEASURE, _RESUME, _MATCHES, _MAKE_PART = (
    Deferred(f"{_WORK}:{name}") for name in ("measure", "resume", "matches", "make_part")
)
_CAN_REUSE = Deferred(f"{_WORK}:can_reuse")
_CONVERTED = frozenset(form.name for form in (*FORMATS, *READERS.values()))
"""Names of the formats that can be converted: those of images, not of photos."""


@dataclass(frozen=True, kw_only=True)
class ConvertingBackend:
    """How images are converted to one format; the methods are those of a backend."""

    makes: Format
    extension_made: Callable[[Asset], str]
    """Returns the extension of the image that is made."""
    compose_request: Callable[[Asset, Settings], Request]
    convert: Callable[[Conversion, str, Advance, int], None]
    """Makes an image at a path by some threads, or resumes that."""
    is_result: Callable[[Conversion, str], bool]
    """Tells whether a path was made by a conversion."""
    count_bytes: Callable[[str, Format, Selection], int]
    """Returns the number of bytes that converting an image of a source, of a format, will report.
    """
    keeps_extras: bool = False
    """Whether `Asset.extras` are kept in the image that is made."""
    copied_formats: frozenset[str] = frozenset()
    """Formats whose files are unpacked as they are, so that nothing is set and nothing left out."""
    settings: Mapping[str, tuple[str, ...]]
    finish_parts: Callable[[Conversion, str, int], None] | None = None
    """Makes an image whole of which all parts are there."""
    make_part: Callable[[Conversion, str, tuple[int, int], Advance, int], bool] | None = None
    """Makes one part of an image, where the format of what is made allows that."""

    def as_backend(
        self,
        name: str,
        task: str,
        summary: str,
        libraries: tuple[str, ...],
        **more: Any,
    ) -> Backend:
        """Return the backend that converts so, and links or copies the other images."""
        return Backend(
            name=name,
            task=task,
            summary=summary,
            makes=self.makes.name,
            settings=MappingProxyType({**self.settings, **_WHICH}),
            extension_of=self.extension_of,
            recipe=self.recipe,
            describe_conversion=self.describe,
            least_size=self.least_size,
            measure=self.measure,
            resume=self.resume,
            matches=self.matches,
            division=self.division if self.make_part else None,
            makes_symlinks=True,
            impossible_on=NO_LINKS,
            extra="convert",
            libraries=libraries,
            **more,
        )

    def converts(self, asset: Asset, settings: Settings) -> bool:
        """Tell whether BIDS does not hold the image as it is, or all are converted.

        It does not where the format is another, or the image is in several files, or is one of
        several in its file.
        """
        if is_merge(asset.format):
            return True
        if asset.is_photo or asset.format not in _CONVERTED:
            return False
        is_whole = not asset.other_files and not asset.selection.scene
        is_held = asset.format in _HELD and is_whole
        return not is_held or settings.get("convert") == "all"

    def extension_of(self, asset: Asset, settings: Settings) -> tuple[str, bool]:
        """Return the extension of what is made, or that of what is linked."""
        if self.converts(asset, settings):
            return self.extension_made(asset), True
        return asset.extension, asset.valid_in_bids

    def least_size(self, asset: Asset, settings: Settings) -> int:
        """Return how many bytes are written at the least."""
        if not self.converts(asset, settings) or self.compose_request(asset, settings).place:
            return 0
        size = sum(int(stamp.split()[0]) for _, stamp in asset.sources if stamp)
        return find_format(asset.format).least_size(size, self.makes)

    def recipe(self, asset: Asset, relative_to: str | None, settings: Settings) -> str:
        """Return how to convert an image, the text of its link, or nothing if it is copied."""
        if self.converts(asset, settings):
            return self.compose_request(asset, settings).as_text()
        return "" if settings.get("others") == "copy" else link_text(asset, relative_to, settings)

    def describe(self, asset: Asset, settings: Settings) -> dict[str, Any]:
        """Return from what, by what and how an image is converted, if it is."""
        if not self.converts(asset, settings):
            return {}
        set_here: dict[str, str] = {}
        chosen: dict[str, str] = {}
        left_out: list[str] = []
        if asset.format not in self.copied_formats:
            request = self.compose_request(asset, settings)
            sizes = {"chunk": request.chunk_zyx, "shard": request.shard_zyx}
            known = {name: getattr(request, name, "") for name in self.settings}
            known |= {name: ",".join(map(str, each)) for name, each in sizes.items()}
            set_here = {name: value for name, value in known.items() if value}
            chosen = {
                "Scene": request.scene,
                "Axes": request.source_axes.upper(),
                "Reader": request.reader,
            }
            left_out = [*asset.left_out, *(() if self.keeps_extras else asset.extras)]
        return {
            "Format": find_format(asset.format).name,
            "Software": "spimpack_tasks",
            "SoftwareVersion": __version__,
            **({"Merged": _describe_merge(asset.format)} if is_merge(asset.format) else {}),
            **{key: text for key, text in chosen.items() if text},
            **({"Settings": set_here} if set_here else {}),
            **({"LeftOut": left_out} if left_out else {}),
        }

    def measure(self, output: Output) -> int:
        """Return the number of bytes that converting or copying will report."""
        size: int = _MEASURE(self, output)
        return size

    @property
    def division(self) -> Division:
        """How large images are divided."""
        return Division(
            count=self.count_parts,
            make=partial(_MAKE_PART, self),
            can_take_over=_CAN_REUSE,
        )

    def count_parts(self, asset: Asset, settings: Settings) -> int:
        """Return into how many parts a conversion is best divided, 0 for one worker."""
        above = read_size(settings.get(SPLIT_ABOVE, NEVER))
        is_copied = asset.format in self.copied_formats
        if above is None or is_copied or not self.converts(asset, settings):
            return 0
        size = prod(asset.shape_nyx) * asset.itemsize
        is_here = not self.compose_request(asset, settings).place
        return count_parts(size) if is_here and size > above else 0

    def resume(self, output: Output, path: str, advance: Advance) -> None:
        """Convert or copy the source, or resume that; or link it."""
        _RESUME(self, output, path, advance)

    def matches(self, output: Output, path: str) -> bool:
        """Tell whether `path` was made from this source as it is, in this way."""
        is_match: bool = _MATCHES(self, output, path)
        return is_match


def describe_source(request: Request, asset: Asset, settings: Settings) -> Request:
    """Return a request with the facts about an image that every format has a place for."""
    asked = settings.get("original", ORIGINAL[0])
    return replace(
        request,
        name=asset.key,
        channel_names=tuple(asset.sidecar.get("SampleStaining", ())),
        spacing_um_xyz=_spacing_given(asset),
        original=asked if asked != ORIGINAL[0] else "",
        scene=asset.selection.scene,
        source_axes=asset.selection.axes,
        reader=asset.selection.reader,
        other_files=tuple(map(" ".join, asset.other_files)),
        merge=asset.format if is_merge(asset.format) else "",
    )


def _describe_merge(text: str) -> dict[str, Any]:
    """Return along which axis, and how, files are merged; paths are below their common folder."""
    merge = merge_of_text(text)
    choices = asdict(merge.policies)
    chosen = {n.capitalize(): c for n, c in choices.items() if c != POLICIES[n][0]}
    of_files = {"Axes": merge.axes.upper()} if merge.axes else {}
    return {"Axis": merge.axis, "Files": merge.names, **of_files, **chosen}


def _spacing_given(asset: Asset) -> tuple[float | None, ...]:
    """Return the size of a voxel that the user gives, nothing where it is that of the source.

    Image and sidecar must say the same, so the user is believed. Of an OME-TIFF the official
    validator compares them.
    """
    given = asset.sidecar.get("PixelSize", [])
    if not given or asset.origins.get("PixelSize") == Origin.HEADER:
        return ()
    sizes = [convert_length(size, asset.sidecar["PixelSizeUnits"], "um") for size in given]
    return (*sizes, *[None] * (3 - len(sizes)))
