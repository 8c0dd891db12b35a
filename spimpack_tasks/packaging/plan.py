"""Makes the plan of a validated dataset: pybids builds the paths, the rest goes around them."""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.entities import PATH_PATTERN
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
from spimpack_tasks.registry import load_backend
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
    parts = [
        [dataset.backend, *writer_versions(dataset.backend)],
        os.path.realpath(output_dir) if dataset.relative_symlinks else "",
        dataset.description,
        [dataset.participants.columns, sorted(dataset.participants.rows)]
        if dataset.participants
        else [],
        [
            (
                *(a.key, a.dataset_id, a.source, a.stamp, a.extension, a.sidecar, a.sample),
                *(a.scan, a.origins, a.intended_for),
            )
            for a in dataset.assets
        ],
    ]
    return _digest(parts)


def writer_versions(backend: str) -> list[str | int]:
    """Return the versions of all that decides what is made of the same inputs; JSON-ready."""
    return [__version__, *WRITER_VERSIONS.values(), load_backend(backend).version]


def make_plan(dataset: Dataset, plan_id: str, output_dir: str) -> Plan:
    """Return the plan of a dataset."""
    paths = build_paths(dataset.assets)
    outputs = [*_dataset_outputs(dataset, paths)]
    for asset in dataset.assets:
        outputs.extend(_asset_outputs(dataset, asset, paths, output_dir))
    return Plan(plan_id, dataset.backend, tuple(outputs))


def build_paths(assets: tuple[Asset, ...]) -> dict[str, str]:
    """Return the image path of each asset by its key, built by pybids from our pattern.

    The labels must have been validated: pybids takes any text for a label.
    """
    from bids.layout.writing import build_path

    paths: dict[str, str] = {}
    for asset in assets:
        entities = asset.entities | {"suffix": asset.suffix, "extension": asset.extension}
        paths[asset.key] = build_path(entities, [PATH_PATTERN], strict=True)
    return paths


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
    dataset: Dataset, asset: Asset, paths: dict[str, str], output_dir: str
) -> Iterator[Output]:
    path = paths[asset.key]
    sidecar = dict(asset.sidecar)
    if asset.intended_for:
        sidecar["IntendedFor"] = [f"bids::{paths[key]}" for key in asset.intended_for]
    yield _text(_sidecar_path(path, asset), Step.SIDECARS, json_text(sidecar), asset=asset)
    backend = load_backend(dataset.backend)
    relative_to = os.path.join(os.path.realpath(output_dir), os.path.dirname(path))
    target = backend.describe_target(
        asset.source, relative_to if dataset.relative_symlinks else None
    )
    made_from = [
        WRITER_VERSIONS[Step.ASSETS],
        dataset.backend,
        backend.version,
        target,
        asset.stamp,
    ]
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
