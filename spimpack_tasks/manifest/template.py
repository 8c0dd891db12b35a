"""The manifest and the table that `spimpack init` starts a user with, made from the schemas."""

from __future__ import annotations

import json
import textwrap
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spimpack_tasks.manifest.further_columns import KEY
from spimpack_tasks.schemas import load_schema

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

SCHEMA_FILE = "manifest.schema.json"

_EXAMPLES = {"BIDSVersion": "1.10.0", "DatasetType": "raw"}

NOTHING_GIVEN: Mapping[str, str] = MappingProxyType({})

_SHARED_KEYS = (
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "Manufacturer",
    "ManufacturersModelName",
    "BodyPart",
    "SampleEnvironment",
)
"""Sidecar keys that are the same for all images of most datasets."""


_RUN_CHOICES = {
    "backend": "symlink",
    "settings": "{}",
    "relative_symlinks": "false",
    "keep_source_links": "false",
    "previews": "false",
    "checksum": "false",
    "strict": "false",
}
"""Choices for a run, as they are where neither the manifest nor a command line makes them."""


def template_files(given: Mapping[str, str] = NOTHING_GIVEN) -> dict[str, str]:
    """Return file names and contents; `given` are values of the dataset description."""
    return {
        "manifest.yml": compose_manifest(given=given),
        "scans.tsv": compose_scans_header(),
        SCHEMA_FILE: compose_schema(),
    }


def compose_schema() -> str:
    """Return the schema of the manifest, which a text editor reads beside it."""
    return json.dumps(load_schema("manifest"), indent=2, ensure_ascii=False) + "\n"


def compose_manifest(
    tables: Container[str] = ("scans_tsv",),
    origin: str = "",
    given: Mapping[str, str] = NOTHING_GIVEN,
    scan: Mapping[str, Any] = NOTHING_GIVEN,
) -> str:
    """Return a manifest with every key, the optional ones as comments.

    Parameters
    ----------
    tables
        Keys of the tables that there are.
    origin
        A comment on where the manifest comes from.
    given
        Values of the dataset description, such as its name. A licence is the user's to choose, so
        there is no other one.
    scan
        How the images were found, for the next time.
    """
    properties = load_schema("manifest")["properties"]
    description = properties["dataset_description"]
    lines = [
        f"# yaml-language-server: $schema=./{SCHEMA_FILE}",
        "# What to package. Lines with a # in front are optional.",
        *([f"# {origin}"] if origin else []),
        "dataset_description:",
    ]
    for name, schema in description["properties"].items():
        optional = "" if name in description["required"] else "# "
        lines += [f"  # {line}" for line in textwrap.wrap(schema.get("description", ""), 92)]
        value = json.dumps(given[name], ensure_ascii=False) if given.get(name) else ""
        lines.append(f"  {optional}{name}: {value or _example(name, schema)}".rstrip())
    for name in ("scans_tsv", "participants_tsv", "participants_json", "photos_tsv"):
        lines += ["", *(f"# {line}" for line in textwrap.wrap(properties[name]["description"], 94))]
        optional = "" if name in tables else "# "
        lines.append(f"{optional}{name}: {name.replace('_', '.')}")
    shared = properties["sidecar_defaults"]["description"]
    lines += ["", *(f"# {line}" for line in textwrap.wrap(shared, 94)), "# sidecar_defaults:"]
    lines += [f'#   {key}: ""' for key in _SHARED_KEYS]
    columns = properties[KEY]["description"]
    lines += ["", *(f"# {line}" for line in textwrap.wrap(columns, 94)), f"# {KEY}: []"]
    lines += ["", "# How a run makes the dataset, where its command line does not say otherwise:"]
    lines += [f"# {key}: {value}" for key, value in _RUN_CHOICES.items()]
    if scan:
        about = properties["scan"]["description"]
        lines += ["", *(f"# {line}" for line in textwrap.wrap(about, 94)), "scan:"]
        lines += [f"  {k}: {json.dumps(v, ensure_ascii=False)}" for k, v in scan.items()]
    return "\n".join(lines) + "\n"


def compose_scans_header() -> str:
    """Return the header of a scans table with the columns that most datasets have."""
    required = load_schema("scans")["required"]
    return "\t".join([*required, "session", "acquisition"]) + "\n"


def _example(name: str, schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if name in _EXAMPLES:
        return _EXAMPLES[name]
    if kind == "array":
        return "[]"
    return "{}" if kind == "object" else '""'
