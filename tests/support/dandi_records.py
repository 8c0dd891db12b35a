"""Records of a dataset for tests of the ingest: small, and valid by the schema of DANDI 0.8.0."""

from __future__ import annotations

import json
import os
from pathlib import Path

from spimpack_tasks.publishing.objects import find_items
from spimpack_tasks.state.store import Store

FORMATS = {
    ".json": "application/json",
    ".tsv": "text/tab-separated-values",
    ".zarr": "application/x-zarr",
    ".tif": "image/tiff",
    ".md": "text/markdown",
}
DANDISET = {
    "schemaKey": "Dandiset",
    "schemaVersion": "0.8.0",
    "name": "Brains of mice by light-sheet microscopy",
    "description": "A dataset of a test.",
    "license": ["spdx:CC-BY-4.0"],
    "contributor": [
        {
            "schemaKey": "Person",
            "name": "One, A",
            "identifier": "0000-0002-1825-0097",
            "email": "one@example.org",
            "roleName": ["dcite:Author", "dcite:ContactPerson"],
            "includeInCitation": True,
            "affiliation": [],
        }
    ],
    "keywords": ["light-sheet microscopy"],
}


def asset_record(path: str) -> dict:
    """Return the metadata of an asset without size, digest and identity."""
    record = {
        "schemaKey": "Asset",
        "schemaVersion": "0.8.0",
        "encodingFormat": FORMATS.get(Path(path).suffix, "application/octet-stream"),
        "keywords": ["by a test"],
    }
    subject = path.partition("/")[0].removeprefix("sub-")
    if path.startswith("sub-"):
        about = {"schemaKey": "Participant", "identifier": subject}
        record["wasAttributedTo"] = [about]
    return record


def write_records(folder: Path, bids: Path) -> Path:
    """Write the two records of a packaged dataset; return their folder."""
    items = find_items(Store(os.fspath(bids)))
    assets = {item.name: asset_record(item.name) for item in items}
    inner = folder / "dandi"
    inner.mkdir(parents=True, exist_ok=True)
    (inner / "dandiset.json").write_text(json.dumps(DANDISET, indent=1) + "\n")
    (inner / "assets.json").write_text(json.dumps(assets, indent=1) + "\n")
    return folder
