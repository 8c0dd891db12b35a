"""Makes the plan of a validated dataset: each path with what belongs there."""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.plan import Dataset, Kind, Output, Plan, Step
from spimpack_tasks.packaging.bidsignore import compose_bidsignore
from spimpack_tasks.packaging.description import (
    compose_changes,
    compose_description,
    compose_readme,
)
from spimpack_tasks.packaging.serialise import json_text
from spimpack_tasks.packaging.tables import compose_participants, compose_samples, compose_scans
from spimpack_tasks.readers.formats import write_stamp
from spimpack_tasks.registry import load_backend, split_settings
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.model.plan import Asset

WRITER_VERSIONS = dict.fromkeys(Step, 1)
"""Raise a step's number when it writes other bytes from the same inputs: its outputs are redone."""


def identify(dataset: Dataset, output_dir: str) -> str:
    """Return the identity of the plan of a dataset, without making the plan.

    It covers everything that the outputs are made from, the versions of the writers included, so
    two plans with one identity are equal. The place of the output matters to relative links only.
    """
    head = [
        [dataset.backend, *writer_versions(dataset.backend)],
        os.path.realpath(output_dir) if dataset.relative_symlinks else "",
        dataset.description,
        [dataset.participants.columns, sorted(dataset.participants.rows)]
        if dataset.participants
        else [],
    ]
    digest = blake2b(json.dumps(head).encode(), digest_size=8)
    for a in dataset.assets:
        values = (
            *(a.key, a.dataset_id, a.source, a.stamp, a.extension, a.sidecar, a.sample),
            *(a.scan, a.origins, a.intended_for),
        )
        digest.update(json.dumps(values).encode())
    return digest.hexdigest()


def writer_versions(backend: str) -> list[str | int]:
    """Return the versions of all that decides what is made of the same inputs; JSON-ready."""
    return [__version__, *WRITER_VERSIONS.values(), load_backend(backend).version]


def make_plan(dataset: Dataset, plan_id: str, output_dir: str, paths: dict[str, str]) -> Plan:
    """Return the plan of a dataset, given the path of each image by the key of its asset."""
    outputs = [*_dataset_outputs(dataset, paths)]
    root = os.path.realpath(output_dir) if dataset.relative_symlinks else None
    for asset in dataset.assets:
        outputs.extend(_asset_outputs(dataset.backend, asset, paths, root))
    return Plan(plan_id, dataset.backend, tuple(outputs))


def _dataset_outputs(dataset: Dataset, paths: dict[str, str]) -> Iterator[Output]:
    description = dataset.description
    yield _text("dataset_description.json", Step.DESCRIPTION, compose_description(description))
    yield _text("README.md", Step.README, compose_readme(dataset), Kind.SEED)
    yield _text("CHANGES", Step.README, compose_changes(description), Kind.SEED)
    if dataset.participants:
        for path, text in compose_participants(dataset.participants, is_raw=dataset.is_raw):
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
    name: str, asset: Asset, paths: dict[str, str], root: str | None
) -> Iterator[Output]:
    path = paths[asset.key]
    sidecar = dict(asset.sidecar)
    if asset.intended_for:
        sidecar["IntendedFor"] = [f"bids::{paths[key]}" for key in asset.intended_for]
    yield _text(_sidecar_path(path, asset), Step.SIDECARS, json_text(sidecar), asset=asset)
    backend = load_backend(name)
    relative_to = None if root is None else os.path.join(root, os.path.dirname(path))
    target = backend.describe_target(asset, relative_to, split_settings(name)[1])
    made_from = [WRITER_VERSIONS[Step.ASSETS], name, backend.version, target, asset.stamp]
    yield Output(
        path,
        Step.ASSETS,
        Kind.IMAGE,
        fingerprint=_digest(made_from),
        source=asset.source,
        stamp=write_stamp(*asset.stamp),
        target=target,
        asset=asset.key,
        dataset_id=asset.dataset_id,
    )


def _text(
    path: str, step: Step, text: str, kind: Kind = Kind.TEXT, asset: Asset | None = None
) -> Output:
    fingerprint = _digest([WRITER_VERSIONS[step], text])
    key, origins = (asset.key, asset.origins) if asset else ("", {})
    return Output(path, step, kind, fingerprint, text, asset=key, origins=origins)


def _sidecar_path(path: str, asset: Asset) -> str:
    return path.removesuffix(asset.extension) + ".json"


def _digest(data: Any) -> str:
    return blake2b(json.dumps(data).encode(), digest_size=8).hexdigest()
