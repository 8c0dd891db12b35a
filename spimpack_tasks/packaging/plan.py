"""Makes the plan of a validated dataset: each path with what belongs there."""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.stamps import write_stamp
from spimpack_tasks.manifest.serialise import json_text
from spimpack_tasks.model.plan import (
    SOURCE_FOLDER,
    Dataset,
    Kind,
    Origin,
    Output,
    Plan,
    Step,
)
from spimpack_tasks.packaging.bidsignore import compose_bidsignore
from spimpack_tasks.packaging.description import (
    compose_changes,
    compose_description,
    compose_readme,
    describe_work,
)
from spimpack_tasks.packaging.tables import compose_participants, compose_samples, compose_scans
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.model.plan import Asset
    from spimpack_tasks.packaging.backends.base import Backend, Choice

CONVERTED_FROM = "ConvertedFrom"
"""Key of the sidecar that tells of a conversion, unless the user gives one of this name."""

WRITER_VERSIONS = dict.fromkeys(Step, 1) | {Step.DESCRIPTION: 2}
"""Raise a step's number when it writes other bytes from the same inputs: its outputs are redone."""


def identify(dataset: Dataset, output_dir: str, backend: Backend) -> str:
    """Return the identity of the plan of a dataset, without making the plan.

    It covers everything that the outputs are made from, the versions of the writers included, so
    two plans with one identity are equal. The place of the output matters to relative links, and to
    originals that may lie where links to them would.
    """
    is_placed = dataset.relative_symlinks or dataset.keep_source_links
    head = [
        [dataset.backend, *writer_versions(backend)],
        os.path.realpath(output_dir) if is_placed else "",
        dataset.keep_source_links,
        dataset.description,
        [dataset.participants.columns, sorted(dataset.participants.rows)]
        if dataset.participants
        else [],
    ]
    head += [dataset.described_participants] if dataset.described_participants else []
    digest = blake2b(json.dumps(head).encode(), digest_size=8)
    for a in dataset.assets:
        values = (
            *(a.key, a.dataset_id, a.source, a.stamp, a.extension, a.sidecar, a.sample),
            *(a.scan, a.origins, a.intended_for, a.source_extension),
        )
        digest.update(json.dumps(values).encode())
        if a.other_files or a.left_out:
            digest.update(json.dumps([a.other_files, a.left_out]).encode())
        if a.extras:
            digest.update(json.dumps(a.extras).encode())
    return digest.hexdigest()


def writer_versions(backend: Backend) -> list[str | int]:
    """Return the versions of all that decides what is made of the same inputs; JSON-ready."""
    return [__version__, *WRITER_VERSIONS.values(), backend.version]


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
    outputs = [*_dataset_outputs(dataset, paths, conversions, choice.backend.makes)]
    place = os.path.realpath(output_dir)
    root = place if dataset.relative_symlinks else None
    for asset in dataset.assets:
        conversion = conversions.get(asset.key, {})
        outputs.extend(_asset_outputs(choice, asset, paths, root, conversion))
        if conversion and dataset.keep_source_links:
            link = _source_link(asset, paths[asset.key], root)
            # The original may lie there itself.
            outputs += [link] if asset.source != f"{place}/{link.path}" else []
    return Plan(plan_id, dataset.backend, tuple(outputs))


def _conversions(dataset: Dataset, choice: Choice) -> dict[str, dict[str, Any]]:
    """Return what the sidecar says of each image that is converted, by its key."""
    if not choice.backend.makes:
        return {}
    described = {asset.key: choice.describe_conversion(asset) for asset in dataset.assets}
    return {key: conversion for key, conversion in described.items() if conversion}


def _dataset_outputs(
    dataset: Dataset, paths: dict[str, str], conversions: dict[str, dict[str, Any]], makes: str
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
    hidden = [
        (paths[asset.key], _sidecar_path(paths[asset.key], asset))
        for asset in dataset.assets
        if not asset.valid_in_bids
    ]
    block = compose_bidsignore(hidden)
    if block:
        yield _text(".bidsignore", Step.BIDSIGNORE, block, Kind.BLOCK)


def _asset_outputs(
    choice: Choice,
    asset: Asset,
    paths: dict[str, str],
    root: str | None,
    conversion: dict[str, Any],
) -> Iterator[Output]:
    path = paths[asset.key]
    sidecar, origins = dict(asset.sidecar), asset.origins
    if asset.intended_for:
        sidecar["IntendedFor"] = [f"bids::{paths[key]}" for key in asset.intended_for]
    if conversion and CONVERTED_FROM not in sidecar:
        sidecar = dict(sorted({**sidecar, CONVERTED_FROM: conversion}.items()))
        origins = {**origins, CONVERTED_FROM: str(Origin.BACKEND)}
    text = json_text(sidecar)
    yield Output(
        _sidecar_path(path, asset),
        Step.SIDECARS,
        Kind.TEXT,
        fingerprint=_digest([WRITER_VERSIONS[Step.SIDECARS], text]),
        text=text,
        asset=asset.key,
        origins=origins,
    )
    relative_to = None if root is None else os.path.join(root, os.path.dirname(path))
    target = choice.recipe(asset, relative_to)
    # What a setting changes shows in the target; one that changes nothing makes nothing anew.
    versions = [WRITER_VERSIONS[Step.ASSETS], choice.backend.name, choice.backend.version]
    yield Output(
        path,
        Step.ASSETS,
        Kind.IMAGE,
        fingerprint=_digest([*versions, target, asset.stamp]),
        source=asset.source,
        stamp=write_stamp(*asset.stamp),
        target=target,
        asset=asset.key,
        dataset_id=asset.dataset_id,
        format=asset.format,
    )


def _source_link(asset: Asset, path: str, root: str | None) -> Output:
    """Return the link to the original of an image that is converted."""
    at = f"{SOURCE_FOLDER}/{path.removesuffix(asset.extension)}{asset.source_extension}"
    text = asset.source
    if root is not None:
        text = os.path.relpath(text, os.path.join(root, os.path.dirname(at)))
    return Output(
        at,
        Step.SOURCES,
        Kind.LINK,
        fingerprint=_digest([WRITER_VERSIONS[Step.SOURCES], text, asset.stamp]),
        text=text,
        source=asset.source,
        stamp=write_stamp(*asset.stamp),
        asset=asset.key,
        dataset_id=asset.dataset_id,
    )


def _text(path: str, step: Step, text: str, kind: Kind = Kind.TEXT) -> Output:
    return Output(path, step, kind, _digest([WRITER_VERSIONS[step], text]), text)


def _sidecar_path(path: str, asset: Asset) -> str:
    return path.removesuffix(asset.extension) + ".json"


def _digest(data: Any) -> str:
    return blake2b(json.dumps(data).encode(), digest_size=8).hexdigest()
