"""The shipped schemas: well formed, of one mind with the model, and free of risky patterns."""

import json
import re
from pathlib import Path
from uuid import UUID

import pytest
import yaml
from jsonschema import Draft202012Validator

import spimpack_tasks.schemas as shipped
from spimpack_tasks.manifest.records import OWN_COLUMN, known_columns
from spimpack_tasks.manifest.schema_check import make_validator, property_validator
from spimpack_tasks.manifest.template import compose_manifest, template_files
from spimpack_tasks.model.entities import ENTITIES
from spimpack_tasks.model.orientation import ORIENTATION_CODES
from spimpack_tasks.model.plan import SAMPLE_COLUMNS, SCAN_COLUMNS
from spimpack_tasks.packaging.rules import BIDS_VERSIONS
from spimpack_tasks.schemas import load_schema

NAMES = ("manifest", "scans", "participants", "sidecar", "report", "publication", "stream")


def parts(schema):
    """Yield a schema and all schemas in it."""
    yield schema
    for value in schema.values():
        yield from parts_of(value)


def parts_of(value):
    """Yield all schemas in a value of a schema."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            yield from parts(each)


ALL_PARTS = [part for name in NAMES for part in parts(load_schema(name))]


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_a_schema(name):
    schema = load_schema(name)
    Draft202012Validator.check_schema(schema)
    for key, described in schema["properties"].items():
        assert described["description"][0].isupper() or described["description"].startswith("raw,")
        assert described["description"].endswith("."), key


def test_no_schema_is_named_by_an_address_where_nothing_is():
    """An identifier is no address: an editor has the file itself, and nothing is fetched."""
    schemas = [
        json.loads(path.read_text()) for path in Path(shipped.__file__).parent.glob("*.json")
    ]
    identifiers = [schema["$id"] for schema in schemas]
    assert len(set(identifiers)) == len(schemas) > len(NAMES)
    for identifier in identifiers:
        assert UUID(identifier).urn == identifier
    inner = [part for schema in schemas for each in schema.values() for part in parts_of(each)]
    assert not [part for part in inner if {"$id", "$schema", "$anchor"} & set(part)]
    assert all(part.get("$ref", "#").startswith("#") for part in [*schemas, *inner])


def test_an_editor_finds_the_schema_beside_the_manifest():
    files = template_files()
    first = files["manifest.yml"].split("\n")[0]
    name = first.removeprefix("# yaml-language-server: $schema=./")
    assert json.loads(files[name]) == load_schema("manifest")


def test_optional_lines_of_the_template_have_the_right_kind():
    text = compose_manifest().replace("\n  # ", "\n  ")
    keys = load_schema("manifest")["properties"]["dataset_description"]["properties"]
    lines = [line for line in text.split("\n") if line.split(":")[0].strip() in keys]
    description = yaml.safe_load("\n".join(lines))
    assert description.keys() == keys.keys()
    for name, schema in keys.items():
        kinds = {"array": list, "object": dict}
        kind = kinds.get(str(schema.get("type")), str)
        assert isinstance(description[name], kind), name


def test_examples_are_valid():
    for part in ALL_PARTS:
        for example in part.get("examples", []):
            assert make_validator(part).is_valid(example), (part, example)


def test_patterns_are_linear():
    """No quantifier stands on a group that holds one, so that no text takes long to match."""
    for part in ALL_PARTS:
        pattern = part.get("pattern", "")
        if isinstance(pattern, str):
            assert not re.search(r"\([^)]*[*+][^)]*\)[*+{]", pattern), pattern


@pytest.mark.parametrize("end", ["\n", " ", "\r\n", "x\n"])
@pytest.mark.parametrize(
    ("schema", "column", "good"),
    [
        ("scans", "acq_time", "2026-03-31T14:05:00"),
        ("scans", "derived_from", "sample-a"),
        ("participants", "participant_id", "sub-01"),
        ("participants", "age", "1"),
    ],
)
def test_patterns_match_to_the_very_end(schema, column, good, end):
    validator = property_validator(schema, column)
    assert validator.is_valid(good)
    assert not validator.is_valid(good + end)


def test_the_scans_table_has_the_entities_of_the_model():
    properties = load_schema("scans")["properties"]
    for entity in ENTITIES:
        digits = entity.form == "index"
        pattern = "^[0-9]+$" if digits else "^[A-Za-z0-9]+$"
        assert properties[entity.name]["pattern"] == pattern
        assert (entity.name in load_schema("scans")["required"]) == entity.required
        if entity.short != entity.name:
            assert f"Also: {entity.short}." in properties[entity.name]["description"]


def test_columns_are_known_by_one_name():
    sidecar = load_schema("sidecar")["properties"]
    assert {*SAMPLE_COLUMNS, *SCAN_COLUMNS, *OWN_COLUMN.values()} <= set(known_columns())
    assert set(OWN_COLUMN) <= set(sidecar)
    assert not set(known_columns()) & set(sidecar)


def test_the_orientation_pattern_allows_all_codes():
    validator = property_validator("scans", "orientation_string_xyz")
    assert all(validator.is_valid(code) for code in ORIENTATION_CODES)


def test_the_example_version_is_known():
    version = load_schema("manifest")["properties"]["dataset_description"]["properties"][
        "BIDSVersion"
    ]
    assert set(version["examples"]) <= set(BIDS_VERSIONS)


def test_all_keys_that_bids_lists_for_microscopy_are_in_the_sidecar():
    """BIDS 1.10: sidecar_tables microscopy; PixelSize is [X, Y, Z]."""
    sidecar = load_schema("sidecar")
    assert {"PixelSize", "PixelSizeUnits", "SampleStaining", "BodyPart"} <= set(
        sidecar["properties"]
    )
    dependent = sidecar["dependentRequired"]
    assert {key for keys in dependent.values() for key in keys} <= set(sidecar["properties"])
