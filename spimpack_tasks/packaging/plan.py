"""Makes the plan of a validated dataset: each path with what belongs there."""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.plan import SPECS, STEPS, Dataset, Kind, Output, Plan, Step, is_wanted
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.packaging.bidsignore import compose_bidsignore
from spimpack_tasks.packaging.description import (
    NAME,
    compose_changes,
    compose_description,
    compose_readme,
    describe_work,
)
from spimpack_tasks.packaging.image_outputs import (
    PlannedDataset,
    PlannedImage,
    digest_of,
    is_hidden,
    sidecar_path,
)
from spimpack_tasks.packaging.splitting import spread_parts
from spimpack_tasks.packaging.tables import compose_participants, compose_samples, compose_scans
from spimpack_tasks.version import __version__
from spimpack_tasks.volumes.merged.request import is_merge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.packaging.backends.base import Backend, Choice
    from spimpack_tasks.packaging.options import Options


_MOST_TEXTS = 4096
"""Texts that are kept: where most images have their own, keeping more is of no use."""


def identify(dataset: Dataset, output_dir: str, backend: Backend) -> str:
    """Return the identity of the plan of a dataset, without making the plan.

    It covers everything that the outputs are made from, the versions of the writers included, so
    two plans with one identity are equal. The place of the output matters to relative links, and to
    originals that may lie where links to them would.
    """
    is_placed = dataset.relative_symlinks or dataset.keep_source_links
    head = [
        [dataset.backend, *writer_versions(dataset, backend)],
        os.path.realpath(output_dir) if is_placed else "",
        dataset.keep_source_links,
        dataset.description,
        [dataset.participants.columns, sorted(dataset.participants.rows)]
        if dataset.participants
        else [],
    ]
    head += [dataset.described_participants] if dataset.described_participants else []
    head += [dataset.kept_versions] if dataset.kept_versions else []
    digest = blake2b(json.dumps(head).encode(), digest_size=8)
    shared = SharedTexts()
    for a in dataset.assets:
        # As `json.dumps` writes a list of these, in a sixth of its time.
        of_source = f"{quoted(a.source)}, [{a.stamp.replace(' ', ', ')}], {quoted(a.extension)}"
        of_row = shared.texts(a.sidecar, a.sample, a.scan, a.origins, a.intended_for)
        names, last = f"{quoted(a.key)}, {quoted(a.dataset_id)}", quoted(a.source_extension)
        digest.update(f"[{names}, {of_source}, {of_row}, {last}]".encode())
        if a.other_files or a.left_out:
            digest.update(json.dumps([a.other_files, a.left_out]).encode())
        if is_merge(a.format):
            digest.update(a.format.encode())
        if a.extras:
            digest.update(json.dumps(a.extras).encode())
        if a.selection != WHOLE:
            digest.update(json.dumps(a.selection.parts).encode())
    return digest.hexdigest()


class SharedTexts:
    """JSON texts of values that many images share, by the `id` of the value."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}
        self._joined: dict[tuple[int, ...], str] = {}

    def texts(self, *values: object) -> str:
        """Return the JSON texts of values that live on, with commas between them."""
        key = tuple(map(id, values))
        known = self._joined.get(key)
        if known is None:
            known = ", ".join(map(self.text, values))
            if len(self._joined) < _MOST_TEXTS:
                self._joined[key] = known
        return known

    def text(self, value: object) -> str:
        """Return the JSON text of a value that lives on."""
        known = self._known.get(id(value))
        if known is None:
            known = json.dumps(value)
            if len(self._known) < _MOST_TEXTS:
                self._known[id(value)] = known
        return known


def writer_versions(options: Options | Dataset, backend: Backend) -> list[str | int]:
    """Return the versions of all that decides what is made of the same inputs; JSON-ready."""
    always = [spec.version for spec in STEPS if not spec.is_later]
    asked = [s for s in STEPS if s.is_later and is_wanted(s, options, backend)]
    further = [f"{spec.step} {spec.version}" for spec in asked]
    further += [f"{companion.ending} {companion.version}" for companion in backend.companions]
    return [__version__, *always, backend.version, *further]


def make_plan(
    dataset: Dataset, plan_id: str, output_dir: str, paths: dict[str, str], choice: Choice
) -> Plan:
    """Return the plan of a dataset.

    Parameters
    ----------
    dataset, plan_id, output_dir
        What to plan, its identity, and where it is to lie.
    paths
        The path of each image by the key of its asset.
    choice
        The backend that makes the images.
    """
    conversions = _conversions(dataset, choice)
    divided = dataset.assets if choice.backend.division else ()
    parts = spread_parts({asset.key: choice.count_parts(asset) for asset in divided})
    whole = PlannedDataset(paths, dataset, choice, os.path.realpath(output_dir), parts)
    composers = whole.composers()
    of_images: list[Output] = []
    for asset in dataset.assets:
        image = PlannedImage(asset, paths[asset.key], whole, conversions.get(asset.key, {}))
        for compose in composers:
            of_images.extend(compose(image))
    hidden: list[tuple[str, ...]] = [
        (paths[asset.key], sidecar_path(paths[asset.key], asset))
        for asset in dataset.assets
        if not asset.valid_in_bids
    ]
    if whole.has_hidden:
        hidden += [(output.path,) for output in of_images if is_hidden(output, choice.backend)]
    of_dataset = _dataset_outputs(dataset, paths, conversions, choice.backend.makes, hidden)
    return Plan(plan_id, dataset.backend, (*of_dataset, *of_images))


def _conversions(dataset: Dataset, choice: Choice) -> dict[str, dict[str, Any]]:
    """Return the sidecar's description of the conversion of each image, by its key."""
    if not choice.backend.makes:
        return {}
    described = {asset.key: choice.describe_conversion(asset) for asset in dataset.assets}
    for key, version in dataset.kept_versions.items():
        if described[key].get("Software") == NAME:
            described[key] = {**described[key], "SoftwareVersion": version}
    return {key: conversion for key, conversion in described.items() if conversion}


def _dataset_outputs(
    dataset: Dataset,
    paths: dict[str, str],
    conversions: dict[str, dict[str, Any]],
    makes: str,
    hidden: list[tuple[str, ...]],
) -> Iterator[Output]:
    description = dataset.description
    text = compose_description(description, describe_work(conversions.values(), makes))
    yield _text("dataset_description.json", Step.DESCRIPTION, text)
    yield _text("README.md", Step.README, compose_readme(dataset), Kind.SEED)
    yield _text("CHANGES", Step.README, compose_changes(description), Kind.SEED)
    if dataset.participants:
        told = dataset.described_participants
        for path, text in compose_participants(dataset.participants, told, is_raw=dataset.is_raw):
            yield _text(path, Step.PARTICIPANTS, text)
    for path, text in compose_samples(dataset.assets, is_raw=dataset.is_raw):
        yield _text(path, Step.SAMPLES, text)
    for path, text in compose_scans(dataset.assets, paths):
        yield _text(path, Step.SCANS, text)
    block = compose_bidsignore(hidden)
    if block:
        yield _text(".bidsignore", Step.BIDSIGNORE, block, Kind.BLOCK)


def _text(path: str, step: Step, text: str, kind: Kind = Kind.TEXT) -> Output:
    return Output(path, step, kind, digest_of([SPECS[step].version, text]), text)
