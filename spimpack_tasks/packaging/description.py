"""Composes dataset_description.json, README.md and CHANGES."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import count_of
from spimpack_tasks.manifest.serialise import json_text
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.version import PROJECT_URL, __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.model.plan import Dataset

NAME = "spimpack_tasks"
WORK = "Packaged light-sheet microscopy files into BIDS"

# Ours to read, not for the users of the dataset.
_NOT_WRITTEN = {"RequiredMicroscopyFields"}


def describe_work(conversions: Iterable[dict[str, Any]], made: str) -> str:
    """Return what was done, from the description of each conversion and the name of the result."""
    kinds = set()
    for told in conversions:
        settings = ", ".join(f"{name}={value}" for name, value in told.get("Settings", {}).items())
        kinds.add(told["Format"] + (f" ({settings})" if settings else ""))
    return f"{WORK}, and converted to {made}: {', '.join(sorted(kinds))}." if kinds else f"{WORK}."


def compose_description(description: dict[str, Any], work: str) -> str:
    """Return dataset_description.json: the manifest's keys, and our GeneratedBy entry once."""
    order = list(load_schema("manifest")["properties"]["dataset_description"]["properties"])
    known = [key for key in order if key in description]
    further = sorted(set(description) - set(order))
    data = {key: description[key] for key in [*known, *further] if key not in _NOT_WRITTEN}
    others = [entry for entry in data.get("GeneratedBy", []) if entry.get("Name") != NAME]
    ours = {"Name": NAME, "Version": __version__, "Description": work, "CodeURL": PROJECT_URL}
    data["GeneratedBy"] = [*others, ours]
    return json_text(data)


def compose_readme(dataset: Dataset) -> str:
    """Return a README.md for the user to go on from; BIDS wants more than 150 bytes."""
    description = dataset.description
    lines = [f"# {description['Name']}", ""]
    if description.get("Authors"):
        lines += [f"Authors: {', '.join(description['Authors'])}", ""]
    subjects = {asset.subject_label for asset in dataset.assets}
    lines += [
        f"Light-sheet microscopy (SPIM) of {count_of(len(subjects), 'subject')}, organised as a",
        f"[BIDS](https://bids.neuroimaging.io) {description['BIDSVersion']} dataset.",
        "",
        "Each image lies in `sub-<subject>/[ses-<session>/]micr/`, with a JSON sidecar of the same",
        "name that gives pixel size, orientation and stains. `samples.tsv` lists the samples.",
    ]
    hidden = sorted({asset.extension for asset in dataset.assets if not asset.valid_in_bids})
    if hidden:
        lines += [
            "",
            f"Images in formats that BIDS does not hold ({', '.join(hidden)}) and their sidecars",
            "are listed in `.bidsignore`, so that validators pass over them.",
        ]
    return "\n".join([*lines, "", f"License: {description['License']}", ""])


def compose_changes(description: dict[str, Any]) -> str:
    """Return a CHANGES file in the form of CPAN changelogs, for the user to go on from."""
    return f"1.0.0\n  - First version of {description['Name']}.\n"
