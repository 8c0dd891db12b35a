"""Composes what belongs to one image: a function for each step that is about images.

To add something to each image: a row of `model.plan.STEPS`, a function here, and, where it is made
from the image and not composed, a row of `MAKERS` in `packaging.companions`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from hashlib import blake2b
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.manifest.serialise import json_text
from spimpack_tasks.model.orientation import normalise_orientation
from spimpack_tasks.model.plan import (
    SOURCE_FOLDER,
    SPECS,
    STEPS,
    Kind,
    Origin,
    Output,
    Step,
    is_wanted,
)
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.volumes.merged.request import is_merge, merge_of_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from spimpack_tasks.model.plan import Asset, Dataset
    from spimpack_tasks.packaging.backends.base import Backend, Choice

    Composer = Callable[["PlannedImage"], Iterator[Output]]

CONVERTED_FROM = "ConvertedFrom"
"""Key of the sidecar that describes a conversion, unless the user gives one of this name."""
PREVIEW = "_preview.png"


@dataclass(frozen=True, slots=True)
class PlannedDataset:
    """Inputs that the images of one plan share."""

    paths: Mapping[str, str]
    """Of all images, by the keys of their assets."""
    dataset: Dataset
    choice: Choice
    place: str
    """Absolute path of the dataset, links resolved."""
    part_counts: Mapping[str, int] = field(default_factory=dict)
    """Number of parts of each image that workers share, by the key of its asset."""
    texts: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Text and fingerprint of a sidecar by its `id`: many images may share one."""

    @property
    def steps(self) -> list[Step]:
        """The steps that are wanted of each image."""
        backend = self.choice.backend
        wanted = (s for s in STEPS if s.per_image and is_wanted(s, self.dataset, backend))
        return [spec.step for spec in wanted]

    def composers(self) -> list[Composer]:
        """Return the functions that compose the outputs of an image, in the order of the steps."""
        return [_COMPOSERS[step] for step in self.steps]

    @property
    def has_hidden(self) -> bool:
        """Whether outputs besides images may have to be hidden from BIDS validators."""
        return not _NEVER_HIDDEN.issuperset(self.steps)

    def sidecar(self, sidecar: dict[str, Any]) -> tuple[str, str]:
        """Return the text of a sidecar of an asset, and the fingerprint."""
        known = self.texts.get(id(sidecar))
        if known is None:
            known = self.texts[id(sidecar)] = compose_sidecar(sidecar)
        return known


class PlannedImage(NamedTuple):
    """One image of a plan, and what its outputs are composed from."""

    asset: Asset
    path: str
    """Relative to the dataset."""
    whole: PlannedDataset
    conversion: dict[str, Any]
    """The sidecar's description of its conversion; nothing if it is not converted."""

    def folder(self, path: str) -> str | None:
        """Return the absolute folder of a path where relative links are wanted."""
        whole = self.whole
        is_relative = whole.dataset.relative_symlinks
        return os.path.join(whole.place, os.path.dirname(path)) if is_relative else None


def compose_sidecar(sidecar: dict[str, Any]) -> tuple[str, str]:
    """Return the text of a sidecar, and the fingerprint."""
    text = json_text(sidecar)
    return text, _digest_of_text(f"[{SPECS[Step.SIDECARS].version}, {quoted(text)}]")


def _compose_sidecar(image: PlannedImage) -> Iterator[Output]:
    asset = image.asset
    sidecar, origins = asset.sidecar, asset.origins
    if asset.intended_for:
        paths = image.whole.paths
        sidecar = {**sidecar, "IntendedFor": [f"bids::{paths[key]}" for key in asset.intended_for]}
    if image.conversion and CONVERTED_FROM not in sidecar:
        sidecar = dict(sorted({**sidecar, CONVERTED_FROM: image.conversion}.items()))
        origins = {**origins, CONVERTED_FROM: str(Origin.BACKEND)}
    is_own = sidecar is not asset.sidecar
    text, fingerprint = compose_sidecar(sidecar) if is_own else image.whole.sidecar(sidecar)
    yield Output(
        sidecar_path(image.path, asset),
        Step.SIDECARS,
        Kind.TEXT,
        fingerprint=fingerprint,
        text=text,
        asset=asset.key,
        origins=origins,
    )


def fingerprint_image(asset: Asset, backend: Backend, target: str) -> str:
    """Return the digest of what an image is made from."""
    # The target shows the effect of a setting; a setting without effect makes nothing again.
    version, name = SPECS[Step.ASSETS].version, quoted(backend.name)
    stamp = f"[{asset.stamp.replace(' ', ', ')}]"
    return _digest_of_text(f"[{version}, {name}, {backend.version}, {quoted(target)}, {stamp}]")


def _compose_image(image: PlannedImage) -> Iterator[Output]:
    asset, choice = image.asset, image.whole.choice
    target = choice.recipe(asset, image.folder(image.path))
    yield Output(
        image.path,
        Step.ASSETS,
        Kind.IMAGE,
        fingerprint=fingerprint_image(asset, choice.backend, target),
        source=asset.source,
        stamp=asset.stamp,
        target=target,
        asset=asset.key,
        dataset_id=asset.dataset_id,
        format=asset.format,
        selection=asset.selection,
        is_converted=bool(image.conversion),
        part_count=image.whole.part_counts.get(asset.key, 0),
    )


def _compose_source_link(image: PlannedImage) -> Iterator[Output]:
    """Yield the link to the original of an image that is converted, or to each that is merged."""
    if not image.conversion:
        return
    asset = image.asset
    stamps = dict(asset.sources)
    for source, name in _originals(asset):
        at = f"{SOURCE_FOLDER}/{image.path.removesuffix(asset.extension)}{name}"
        if source == f"{image.whole.place}/{at}":  # the original may lie there itself
            continue
        folder, stamp = image.folder(at), stamps[source]
        text = source if folder is None else os.path.relpath(source, folder)
        numbers = [int(number) for number in stamp.split()]
        yield Output(
            at,
            Step.SOURCES,
            Kind.LINK,
            fingerprint=digest_of([SPECS[Step.SOURCES].version, text, numbers]),
            text=text,
            source=source,
            stamp=stamp,
            asset=asset.key,
            dataset_id=asset.dataset_id,
        )


def _originals(asset: Asset) -> Iterator[tuple[str, str]]:
    """Yield the path of each original, and what its link is called behind the name of the image.

    Files that are merged lie in a folder with that name, as below the folder that holds them all.
    """
    if not is_merge(asset.format):
        yield asset.source, asset.source_extension
        return
    merge = merge_of_text(asset.format)
    for (path, _), name in zip(merge.members, merge.names, strict=True):
        yield path, f"/{name}"


def _compose_companions(image: PlannedImage) -> Iterator[Output]:
    """Yield the files that a backend makes beside an image."""
    backend = image.whole.choice.backend
    made = next(_compose_image(image)).fingerprint
    for companion in backend.companions:
        path = image.path.removesuffix(image.asset.extension) + companion.ending
        versions = [SPECS[Step.COMPANIONS].version, companion.ending, companion.version]
        yield _companion(image, Step.COMPANIONS, path, [*versions, made], companion.ending)


def _compose_preview(image: PlannedImage) -> Iterator[Output]:
    """Yield the picture of an image whose orientation is known; photos are pictures."""
    asset = image.asset
    code = normalise_orientation(str(asset.sidecar.get("OrientationStringXYZ", "")))
    if code and not asset.is_photo:
        path = image.path.removesuffix(f"_{asset.suffix}{asset.extension}") + PREVIEW
        made_from: list[Any] = [SPECS[Step.PREVIEWS].version, asset.stamp_numbers, code]
        if asset.selection != WHOLE:
            made_from += asset.selection.parts
        made_from += [asset.format, asset.other_files] if is_merge(asset.format) else []
        yield _companion(image, Step.PREVIEWS, path, made_from, code)


def _companion(
    image: PlannedImage, step: Step, path: str, made_from: list[Any], target: str
) -> Output:
    asset = image.asset
    return Output(
        path,
        step,
        Kind.COMPANION,
        fingerprint=digest_of(made_from),
        text=image.path,
        source=asset.source,
        stamp=asset.stamp,
        target=target,
        asset=asset.key,
        dataset_id=asset.dataset_id,
        format=asset.format,
        selection=asset.selection,
    )


_COMPOSERS: dict[Step, Composer] = {
    Step.SIDECARS: _compose_sidecar,
    Step.ASSETS: _compose_image,
    Step.SOURCES: _compose_source_link,
    Step.COMPANIONS: _compose_companions,
    Step.PREVIEWS: _compose_preview,
}


_NEVER_HIDDEN = frozenset({Step.SIDECARS, Step.ASSETS, Step.SOURCES})


def is_hidden(output: Output, backend: Backend) -> bool:
    """Tell whether an output is to be hidden from BIDS validators, besides its image."""
    if output.step is Step.COMPANIONS:
        return backend.companion_of(output).is_hidden
    return output.step is Step.PREVIEWS


def sidecar_path(path: str, asset: Asset) -> str:
    """Return the path of the sidecar of an image."""
    return path.removesuffix(asset.extension) + ".json"


def digest_of(data: Any) -> str:
    """Return the digest of what an output is made from."""
    return _digest_of_text(json.dumps(data))


def _digest_of_text(text: str) -> str:
    """Return the digest of what an output is made from, as JSON."""
    return blake2b(text.encode(), digest_size=8).hexdigest()
