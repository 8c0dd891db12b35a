"""Records of the demo, checked by the portals' own validators, each with records that must fail.

The validators are of the extra `portals-test`. That of the BioImage Archive needs Python 3.13 and
an older roc-validator: `BIA_PYTHON` names the interpreter of an environment that has it.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from portal_study import ALL, BLOCK, PortalStudy
from stitched_study import write_study

from spimpack_tasks.cli.main import main
from spimpack_tasks.model.publication import block_of
from spimpack_tasks.publishing.lacks import find_problems
from spimpack_tasks.publishing.publication_block import Places
from spimpack_tasks.publishing.read_facts import read_facts
from spimpack_tasks.publishing.records.portals import PORTALS
from spimpack_tasks.state.store import Store

SUPPORT = Path(__file__).parents[1] / "support"
SUBJECTS = 4
FILES = 20
"""Of the demo, chunks aside."""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return PortalStudy(tmp_path_factory.mktemp("portals"))


@pytest.fixture(scope="module")
def records(study):
    return study.records(ALL, study.folder / "records")


def load(records, name):
    return json.loads((records / name).read_text())


def without(record, *path):
    """Return a copy of a record without the value at a path."""
    changed = copy.deepcopy(record)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return changed


def with_value(record, value, *path):
    """Return a copy of a record with another value at a path."""
    changed = copy.deepcopy(record)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


# DANDI


def whole_asset(path, asset, number=0):
    """Add to an asset what the server gives."""
    uuid = f"00000000-0000-4000-8000-{number:012d}"
    digest = {"dandi:dandi-etag": f"{'0' * 32}-1"}
    if path.endswith(".zarr"):
        digest = {"dandi:dandi-zarr-checksum": f"{'0' * 32}-9--{asset['contentSize']}"}
    given = {"id": f"dandiasset:{uuid}", "identifier": uuid, "digest": digest}
    return asset | given | {"contentUrl": ["https://example.org/asset"]}


def whole_dandiset(dandiset, summary):
    return dandiset | {
        "id": "DANDI:000123/draft",
        "identifier": "DANDI:000123",
        "version": "draft",
        "citation": "given by the server",
        "assetsSummary": summary,
        "manifestLocation": ["https://example.org/manifest"],
    }


@pytest.fixture
def dandischema():
    return pytest.importorskip("dandischema", reason="dandischema is of the extra portals-test")


@pytest.fixture
def assets(records):
    found = load(records, "dandi/assets.json")
    return {path: whole_asset(path, each, n) for n, (path, each) in enumerate(found.items())}


def check_dandi(record, key):
    from dandischema.metadata import validate

    validate(record, schema_key=key, json_validation=True)


@pytest.mark.usefixtures("dandischema")
def test_s21_dandiset_and_all_assets_are_valid(records, assets):
    from dandischema.consts import DANDI_SCHEMA_VERSION
    from dandischema.metadata import aggregate_assets_summary

    assert len(assets) == FILES
    for asset in assets.values():
        assert asset["schemaVersion"] == DANDI_SCHEMA_VERSION
        check_dandi(asset, "Asset")
    dandiset = load(records, "dandi/dandiset.json")
    summary = aggregate_assets_summary(assets.values())
    check_dandi(whole_dandiset(dandiset, summary), "Dandiset")
    assert dandiset["license"] == ["spdx:CC0-1.0"]
    assert [p["email"] for p in dandiset["contributor"] if "email" in p] == ["ada@example.org"]


@pytest.mark.usefixtures("dandischema")
def test_s22_dandi_sums_the_assets_up_with_the_right_subjects(assets):
    from dandischema.metadata import aggregate_assets_summary

    summary = aggregate_assets_summary(assets.values())
    assert summary["numberOfSubjects"] == SUBJECTS
    assert summary["numberOfFiles"] == FILES
    assert summary["numberOfBytes"] == sum(asset["contentSize"] for asset in assets.values())
    assert [s["identifier"] for s in summary["species"]] == [
        "http://purl.obolibrary.org/obo/NCBITaxon_10090"
    ]
    # DANDI counts the label of the file names besides the samples.
    assert summary["numberOfSamples"] == SUBJECTS + 1
    standards = {standard["identifier"] for standard in summary["dataStandard"]}
    assert "RRID:SCR_016124" in standards


@pytest.mark.usefixtures("dandischema")
def test_s22_sizes_in_assets_are_those_of_the_files(study, assets):
    for path, asset in assets.items():
        there = study.bids / path
        files = [f for f in there.rglob("*") if f.is_file()] if there.is_dir() else [there]
        assert asset["contentSize"] == sum(file.stat().st_size for file in files), path


BAD_DANDISETS = {
    "no contact": lambda d: with_value(d, ["dcite:Author"], "contributor", 0, "roleName"),
    "a wrong licence": lambda d: with_value(d, ["spdx:CC-BY-NC-4.0"], "license"),
    "no description": lambda d: without(d, "description"),
    "a name without comma": lambda d: with_value(d, "Ada Example", "contributor", 0, "name"),
    "a long title": lambda d: with_value(d, "t" * 151, "name"),
}


@pytest.mark.usefixtures("dandischema")
@pytest.mark.parametrize("name", BAD_DANDISETS)
def test_s21_a_bad_dandiset_fails(records, assets, name):
    from dandischema.exceptions import ValidationError
    from dandischema.metadata import aggregate_assets_summary

    whole = whole_dandiset(
        load(records, "dandi/dandiset.json"), aggregate_assets_summary(assets.values())
    )
    with pytest.raises((ValidationError, ValueError)):
        check_dandi(BAD_DANDISETS[name](whole), "Dandiset")


BAD_ASSETS = {
    "no size": lambda a: without(a, "contentSize"),
    "no subject": lambda a: without(a, "wasAttributedTo", 0, "identifier"),
    "a sex of no ontology": lambda a: with_value(a, "female", "wasAttributedTo", 0, "sex"),
    "an age without a value": lambda a: with_value(a, 3, "wasAttributedTo", 0, "age"),
}


@pytest.mark.usefixtures("dandischema")
@pytest.mark.parametrize("name", BAD_ASSETS)
def test_s21_a_bad_asset_fails(assets, name):
    from dandischema.exceptions import ValidationError

    image = next(asset for path, asset in assets.items() if path.endswith(".zarr"))
    with pytest.raises((ValidationError, ValueError)):
        check_dandi(BAD_ASSETS[name](image), "Asset")


@pytest.mark.usefixtures("dandischema")
def test_s22_the_types_of_samples_of_bids_end_the_summary(assets):
    from dandischema.metadata import aggregate_assets_summary

    image = next(asset for path, asset in assets.items() if path.endswith(".zarr"))
    bad = with_value(image, "tissue", "wasDerivedFrom", 0, "sampleType", "name")
    with pytest.raises(KeyError):
        aggregate_assets_summary([bad])


# DataCite


@pytest.fixture
def schema45():
    pytest.importorskip("datacite", reason="datacite is of the extra portals-test")
    from datacite import schema45

    return schema45


def test_s21_the_record_for_datacite_is_valid(records, schema45):
    record = load(records, "datacite/datacite.json")
    schema45.validator.validate(record)
    assert b"10.5281/zenodo.1234567" in schema45.tostring(record).encode()
    assert [creator["name"] for creator in record["creators"]] == ["Example, Ada", "Example, Ben"]
    assert record["publicationYear"] == "2026"


BAD_DATACITE = {
    "no creators": lambda r: without(r, "creators"),
    "a publisher as text": lambda r: with_value(r, "Example University", "publisher"),
    "no type": lambda r: without(r, "types", "resourceTypeGeneral"),
    "a key of 4.3": lambda r: with_value(r, [], "identifiers"),
    "an unknown relation": lambda r: with_value(
        r, "Likes", "relatedIdentifiers", 0, "relationType"
    ),
}


@pytest.mark.parametrize("name", BAD_DATACITE)
def test_s21_a_bad_record_for_datacite_fails(records, schema45, name):
    record = load(records, "datacite/datacite.json")
    assert not schema45.validate(BAD_DATACITE[name](record))


# RO-Crate


def crate_findings(folder, profile):
    for library in ("rocrate_validator", "rocrate"):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is of the extra portals-test")
    command = [sys.executable, SUPPORT / "crate_check.py", folder, profile]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def crates(study, records):
    return {
        version: study.crate(study.folder / f"crate-{version}", records / "ro-crate" / version)
        for version in ("1.1", "1.2")
    }


NOT_OURS = {
    "1.1": set(),
    # A contact of each funder is not known, and a DOI leads to the page of the repository.
    "1.2": {"ro-crate-1.2_90.1", "ro-crate-1.2_51.1"},
}


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_s21_a_crate_has_no_required_finding_and_few_recommended_ones(crates, version):
    found = crate_findings(crates[version], f"ro-crate-{version}")
    assert [each for each in found if each["severity"] == "REQUIRED"] == []
    assert {each["check"] for each in found} <= NOT_OURS[version]


def entity(crate, identifier):
    return next(each for each in crate["@graph"] if each["@id"] == identifier)


def drop_root(crate):
    crate["@graph"] = [each for each in crate["@graph"] if each["@id"] != "./"]


def name_a_file_that_is_not_there(crate):
    entity(crate, "participants.tsv")["@id"] = "people.tsv"
    for part in entity(crate, "./")["hasPart"]:
        if part["@id"] == "participants.tsv":
            part["@id"] = "people.tsv"


BAD_CRATES = {
    "no root": drop_root,
    "no licence": lambda crate: entity(crate, "./").pop("license"),
    "no date": lambda crate: entity(crate, "./").pop("datePublished"),
    "a file that is not there": name_a_file_that_is_not_there,
}


@pytest.mark.parametrize("name", BAD_CRATES)
@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_s21_a_bad_crate_fails(crates, tmp_path, study, version, name):
    record = tmp_path / "record"
    record.mkdir()
    crate = load(crates[version], "ro-crate-metadata.json")
    BAD_CRATES[name](crate)
    (record / "ro-crate-metadata.json").write_text(json.dumps(crate))
    found = crate_findings(study.crate(tmp_path / "crate", record), f"ro-crate-{version}")
    assert any(each["severity"] == "REQUIRED" for each in found)


# RO-Crate of a study

PROCESS_RUN = "process-run-crate-0.5"
NOT_KNOWN = {
    # A study does not say who runs it, nor who publishes its folder of products.
    "process-run-crate-0.5_8.6",
    "ro-crate-1.1_22.3",
    # BIDS has names of authors, and no affiliations.
    "ro-crate-1.1_30.2",
    "ro-crate-1.1_30.3",
}


@pytest.fixture(scope="module")
def provenance(tmp_path_factory):
    """Return the folder of a study that was run, with its crate."""
    path = write_study(tmp_path_factory.mktemp("provenance"))
    assert main(["run", str(path)]) == 0
    return path.parent


def test_i22_2_the_provenance_of_a_study_is_a_process_run_crate(provenance):
    found = crate_findings(provenance / "products", PROCESS_RUN)
    assert [each for each in found if each["severity"] == "REQUIRED"] == []
    assert {each["check"] for each in found} <= NOT_KNOWN


def action(crate):
    return entity(crate, "#action-stitch/one/whole")


def rename_a_tile(crate):
    entity(crate, "../tile0.tif")["@id"] = "../tile7.tif"
    for part in entity(crate, "./")["hasPart"]:
        if part["@id"] == "../tile0.tif":
            part["@id"] = "../tile7.tif"


def refer_to_no_program(crate):
    action(crate)["instrument"] = {"@id": "#no-program"}


BAD_PROVENANCE = {
    "no program": (lambda crate: action(crate).pop("instrument"), "REQUIRED"),
    "an unknown program": (refer_to_no_program, "REQUIRED"),
    "no profile": (lambda crate: entity(crate, "./").pop("conformsTo"), "REQUIRED"),
    "a tile that is not there": (rename_a_tile, "REQUIRED"),
    "no result": (lambda crate: action(crate).pop("result"), "RECOMMENDED"),
    "no end": (lambda crate: action(crate).pop("endTime"), "RECOMMENDED"),
    "not mentioned": (lambda crate: entity(crate, "./").pop("mentions"), "RECOMMENDED"),
}


@pytest.mark.parametrize("name", BAD_PROVENANCE)
def test_i22_2_a_bad_provenance_fails(provenance, tmp_path, name):
    change, severity = BAD_PROVENANCE[name]
    copied = tmp_path / "copied"
    shutil.copytree(provenance, copied, symlinks=True)
    path = copied / "products" / "ro-crate-metadata.json"
    crate = json.loads(path.read_text())
    change(crate)
    path.write_text(json.dumps(crate))
    found = crate_findings(path.parent, PROCESS_RUN)
    assert {e["severity"] for e in found if e["check"] not in NOT_KNOWN} >= {severity}


# BioImage Archive


def bia_findings(folder):
    python = os.environ.get("BIA_PYTHON", "")
    if not python and importlib.util.find_spec("bia_ro_crate"):
        python = sys.executable
    if not python:
        pytest.skip("bia-ro-crate-validator needs Python 3.13; BIA_PYTHON names one that has it")
    command = [python, SUPPORT / "bia_check.py", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return [each["message"] for each in found if each["severity"] == "ERROR"]


def test_s21_the_parser_of_the_bioimage_archive_finds_no_error(study, records, tmp_path):
    assert bia_findings(study.crate(tmp_path / "crate", records / "bia")) == []


def refer_to_no_one(crate, _table):
    entity(crate, "./")["author"][0]["@id"] = "#nobody"


def have_an_unknown_class(crate, _table):
    entity(crate, "#channel-YoPro")["@type"] = ["bia:SignalChannelInformation"]


def lack_a_method(crate, _table):
    del entity(crate, "#acquisition-1")["imagingInstrumentDescription"]


BAD_BIA = {
    "a reference to no one": refer_to_no_one,
    "a class of no entity": have_an_unknown_class,
    "no instrument": lack_a_method,
    "an unknown sample": lambda _, table: table.replace("\t#sub-01_sample", "\t#sub-09_sample"),
    "a file twice": lambda _, table: table + table.splitlines()[-1] + "\n",
}


@pytest.mark.parametrize("name", BAD_BIA)
def test_s21_a_bad_record_for_the_bioimage_archive_fails(study, records, tmp_path, name):
    record = tmp_path / "record"
    record.mkdir()
    crate = load(records, "bia/ro-crate-metadata.json")
    table = (records / "bia" / "file_list.tsv").read_text()
    table = BAD_BIA[name](crate, table) or table
    (record / "ro-crate-metadata.json").write_text(json.dumps(crate))
    (record / "file_list.tsv").write_text(table)
    assert bia_findings(study.crate(tmp_path / "crate", record))


def test_s21_the_files_of_the_bioimage_archive_are_there(study, records):
    """Its parser does not look for them."""
    header, *rows = (records / "bia" / "file_list.tsv").read_text().splitlines()
    paths = [row.split("\t")[0] for row in rows]
    assert header.startswith("file_path\tdataset\t")
    assert len(paths) == len(set(paths)) == FILES
    assert all((study.bids / path).exists() for path in paths)
    identifiers = {each["@id"] for each in load(records, "bia/ro-crate-metadata.json")["@graph"]}
    named = {cell for row in rows for cell in row.split("\t") if cell.startswith("#")}
    assert named <= identifiers


# openMINDS


def openminds_failures(graph, path):
    pytest.importorskip("openminds", reason="openMINDS is of the extra portals-test")
    import openminds.v4
    from openminds import Collection

    assert openminds.v4
    path.write_text(json.dumps(graph))
    collection = Collection()
    collection.load(str(path), version="v4")
    return collection.validate()


def test_s21_the_graph_of_openminds_has_no_failure(records, tmp_path):
    graph = load(records, "openminds/openminds.jsonld")
    assert openminds_failures(graph, tmp_path / "graph.jsonld") == {}
    kinds = [each["@type"].rpartition("/")[2] for each in graph["@graph"]]
    for kind in ("Subject", "SubjectState", "TissueSample", "TissueSampleState"):
        assert kinds.count(kind) == SUBJECTS
    assert kinds.count("DatasetVersion") == 1


def test_s21_terms_of_openminds_are_those_of_its_library(records):
    pytest.importorskip("openminds", reason="openMINDS is of the extra portals-test")
    from openminds.v4 import controlled_terms, core

    prefix = "https://openminds.om-i.org/instances/"
    for each in load(records, "openminds/openminds.jsonld")["@graph"]:
        if each["@id"].startswith(prefix):
            name = each["@type"].rpartition("/")[2]
            kind = getattr(controlled_terms, name, None) or getattr(core, name)
            known = {term.id for term in vars(kind).values() if isinstance(term, kind)}
            assert each["@id"] in known


def of_kind(graph, kind):
    return next(e for e in graph["@graph"] if e["@type"].endswith(f"/{kind}"))


BAD_GRAPHS = {
    "no age category": lambda g: of_kind(g, "SubjectState").pop("ageCategory"),
    "no species": lambda g: of_kind(g, "Subject").pop("species"),
    "no release date": lambda g: of_kind(g, "DatasetVersion").pop("releaseDate"),
    "an organ as a species": lambda g: of_kind(g, "TissueSample").update(
        species={"@id": of_kind(g, "Organ")["@id"]}
    ),
}


@pytest.mark.parametrize("name", BAD_GRAPHS)
def test_s21_a_bad_graph_of_openminds_fails(records, tmp_path, name):
    graph = load(records, "openminds/openminds.jsonld")
    BAD_GRAPHS[name](graph)
    assert openminds_failures(graph, tmp_path / "graph.jsonld")


# Other animals, organs, licences

STRAINS = """\
    strains:
      C57BL/6J: {id: "RRID:IMSR_JAX:000664", genetic_type: wildtype}
"""


@pytest.fixture(scope="module")
def variant(tmp_path_factory):
    """Guinea pigs and mice with a strain, of spleens, aged in days, under another licence."""
    study = PortalStudy(tmp_path_factory.mktemp("variant"))
    text = study.text.replace("  License: CC0\n", "  License: CC-BY-4.0\n")
    text = text.replace("BodyPart: BRAIN", "BodyPart: SPLEEN")
    text = text.replace('BRAIN: {id: "UBERON:0000955", name: brain}', "SPLEEN: UBERON:0002106")
    text = text.replace(
        "      mus musculus:", "      cavia porcellus: NCBITaxon:10141\n      mus musculus:"
    )
    study.manifest.write_text(text.replace("    anatomy:\n", f"{STRAINS}    anatomy:\n"))
    rows = [
        "participant_id\tspecies\tage\tsex\tstrain\tstrain_rrid",
        "sub-01\tmus musculus\t90\tF\tC57BL/6J\tRRID:IMSR_JAX:000664",
        "sub-02\tMus musculus\t91.5\tM\tC57BL/6J\tRRID:IMSR_JAX:000664",
        "sub-03\tcavia porcellus\t12\tO\tn/a\tn/a",
        "sub-04\tcavia porcellus\t12\tn/a\tn/a\tn/a",
    ]
    (study.folder / "participants.tsv").write_text("\n".join(rows) + "\n")
    unit = {"age": {"Description": "Age in days.", "Units": "day"}}
    (study.folder / "participants.json").write_text(json.dumps(unit))
    study.package()
    return study.records(ALL, study.folder / "records")


@pytest.mark.usefixtures("dandischema")
def test_s21_assets_of_other_animals_are_valid(variant):
    found = load(variant, "dandi/assets.json")
    for number, (path, asset) in enumerate(found.items()):
        check_dandi(whole_asset(path, asset, number), "Asset")
    people = {
        each["identifier"]: each
        for asset in found.values()
        for each in asset.get("wasAttributedTo", ())
    }
    assert people["01"]["strain"]["identifier"].endswith("/RRID:IMSR_JAX:000664")
    assert people["02"]["age"]["value"] == "P91.5D"
    assert people["03"]["species"]["identifier"].endswith("NCBITaxon_10141")
    assert "sex" not in people["03"]
    assert load(variant, "dandi/dandiset.json")["license"] == ["spdx:CC-BY-4.0"]


def test_s21_a_graph_of_other_animals_has_no_failure(variant, tmp_path):
    graph = load(variant, "openminds/openminds.jsonld")
    assert openminds_failures(graph, tmp_path / "graph.jsonld") == {}
    strain = of_kind(graph, "Strain")
    assert strain["geneticStrainType"]["@id"].endswith("/geneticStrainType/wildtype")
    organ = of_kind(graph, "Organ")
    assert organ["@id"].startswith("_:")
    assert organ["preferredOntologyIdentifier"].endswith("UBERON_0002106")


def test_s21_the_bioimage_archive_takes_other_animals(variant, tmp_path):
    folder = PortalStudy.crate_of(variant.parent / "bids", tmp_path / "crate", variant / "bia")
    assert bia_findings(folder) == []


@pytest.mark.parametrize("sheet", ["Specimen", "Image", "Dataset"])
def test_s21_tables_of_other_animals_pass_the_rules(variant, sheet):
    text = (variant / "bil" / f"{sheet}.tsv").read_text()
    assert list(bil_faults(sheet, text)) == []
    assert sheet != "Specimen" or "\t91.5\tDays\tMale\tC57BL/6J\t" in text


# Blocks that lack something

LEAVES = [
    *((key,) for key in ("title", "description", "version", "publisher", "published", "language")),
    *((key,) for key in ("contributors", "funders", "keywords", "terms", "ethics", "related")),
    *((key,) for key in ("protocols", "ages")),
    *(("contributors", 0, key) for key in ("orcid", "email", "roles", "affiliation")),
    ("contributors", 0, "affiliation", "ror"),
    *(("funders", 0, key) for key in ("ror", "award", "award_title")),
    *(("terms", key) for key in ("species", "anatomy", "stains")),
    ("terms", "anatomy", "BRAIN", "name"),
    ("ethics", 0, "jurisdiction"),
    ("related", 0, "title"),
    *(("protocols", key) for key in ("growth", "preparation", "acquisition")),
]


def is_refused(name, texts, tmp_path):
    """Tell whether the validator of a portal refuses records."""
    if name == "openminds":
        graph = json.loads(texts["openminds.jsonld"])
        return bool(openminds_failures(graph, tmp_path / "graph.jsonld"))
    if name == "datacite":
        from datacite import schema45

        return not schema45.validate(json.loads(texts["datacite.json"]))
    from dandischema.exceptions import ValidationError
    from dandischema.metadata import aggregate_assets_summary

    found = json.loads(texts["assets.json"]).items()
    whole = [whole_asset(path, asset, n) for n, (path, asset) in enumerate(found)]
    dandiset = whole_dandiset(json.loads(texts["dandiset.json"]), aggregate_assets_summary(whole))
    try:
        check_dandi(dandiset, "Dandiset")
        for asset in whole:
            check_dandi(asset, "Asset")
    except (ValidationError, ValueError):
        return True
    return False


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: ".".join(map(str, leaf)))
@pytest.mark.parametrize("name", ["dandi", "datacite", "openminds"])
def test_s23_what_is_missing_is_reported_or_the_record_is_valid(study, tmp_path, name, leaf):
    for library in ("dandischema", "datacite", "openminds"):
        pytest.importorskip(library, reason=f"{library} is of the extra portals-test")
    block = without(yaml.load(BLOCK, yaml.BaseLoader)["publication"], *leaf)
    facts = read_facts(Store(str(study.bids)), block_of(block))
    portal = PORTALS[name]
    if not find_problems(facts, [portal], Places(None, 0)).errors:
        assert not is_refused(name, portal.compose(facts), tmp_path)


REFUSED = {
    "dandi": [("description",), ("contributors", 0, "email"), ("contributors", 0, "roles")],
    "datacite": [("publisher",), ("published",)],
    "openminds": [("ages",), ("published",), ("version",), ("terms", "species"), ("related",)],
}
"""Of each portal, keys without which its own validator refuses the record."""


@pytest.mark.parametrize(
    ("name", "leaf"), [(name, leaf) for name, leaves in REFUSED.items() for leaf in leaves]
)
def test_s23_the_validator_refuses_what_we_report(study, tmp_path, name, leaf):
    """Otherwise a need of ours would be more than the portal wants."""
    for library in ("dandischema", "datacite", "openminds"):
        pytest.importorskip(library, reason=f"{library} is of the extra portals-test")
    block = without(yaml.load(BLOCK, yaml.BaseLoader)["publication"], *leaf)
    facts = read_facts(Store(str(study.bids)), block_of(block))
    assert find_problems(facts, [PORTALS[name]], Places(None, 0)).errors
    assert is_refused(name, PORTALS[name].compose(facts), tmp_path)


# Brain Image Library: its checks are in its site, so these are rules of ours, from its source.

REQUIRED = {
    "Contributors": (0, 1, 2, 3, 4, 5, 6, 7, 8),
    "Funders": (0, 1, 2, 3, 4),
    "Publication": (),
    "Instrument": (0,),
    "Dataset": (0, 1, 5, 6, 7, 10, 12),
    "Specimen": (1, 2, 3, 4, 5, 9),
    "Image": (0, 4, 8, 16, 17, 20, 21),
}
"""Columns in which the site refuses an empty cell, counted from 0; nameType is Personal here."""
SIDES = ("right-to-left", "left-to-right", "anterior-to-posterior", "posterior-to-anterior")
AXES = {*SIDES, "superior-to-inferior", "inferior-to-superior", "oblique", "NA", "N/A", "na"}
CHOICES = {
    ("Contributors", 1): {"Yes", "No"},
    ("Contributors", 2): {
        *("ProjectLeader", "ResearchGroup", "ContactPerson", "DataCollector", "DataCurator"),
        *("ProjectManager", "ProjectMember", "RelatedPerson", "Researcher", "Other"),
    },
    ("Contributors", 3): {"Personal", "Organizational"},
    ("Contributors", 5): {"ORCID", "ISNI", "ROR", "GRID", "RRID"},
    ("Funders", 2): {"ROR", "GRID", "ORCID", "ISNI"},
    ("Publication", 3): {"IsCitedBy", "IsDocumentedBy"},
    ("Dataset", 9): {
        *("cell morphology", "connectivity", "population imaging", "spatial transcriptomics"),
        *("other", "anatomy", "histology imaging", "multimodal"),
    },
    ("Dataset", 10): {"other"},
    ("Specimen", 5): {"Male", "Female", "Unknown"},
    **{("Image", column): AXES for column in (0, 4, 8)},
}
WIDTHS = {"Contributors": 9, "Funders": 5, "Publication": 5, "Instrument": 12}
WIDTHS |= {"Dataset": 15, "Specimen": 12, "Image": 33}
ROWS = {"Contributors": 2, "Funders": 1, "Publication": 1, "Instrument": 1, "Dataset": 1}
ROWS |= {"Specimen": 4, "Image": 4}


def bil_faults(sheet, text):
    """Yield row and column of what the site would refuse."""
    rows = [line.split("\t") for line in text.splitlines()]
    heading = 2 if sheet == "Contributors" else 3
    if len(rows[heading]) != WIDTHS[sheet] or not all(rows[heading]):
        yield heading, 0
    for number, row in enumerate(rows[6:], start=6):
        yield from ((number, c) for c in REQUIRED[sheet] if not row[c].strip())
        for (name, column), allowed in CHOICES.items():
            if name == sheet and row[column] not in allowed:
                yield number, column


@pytest.mark.parametrize("sheet", REQUIRED)
def test_s21_a_table_of_the_brain_image_library_passes_its_rules(records, sheet):
    text = (records / "bil" / f"{sheet}.tsv").read_text()
    assert list(bil_faults(sheet, text)) == []
    assert len(text.splitlines()) == 6 + ROWS[sheet]


BAD_TABLES = {
    "Contributors": ("ORCID", ""),
    "Dataset": ("CC0-1.0", ""),
    "Specimen": ("Female", "F"),
    "Image": ("left-to-right", "left to right"),
    "Funders": ("funderName", ""),
}


@pytest.mark.parametrize("sheet", BAD_TABLES)
def test_s21_a_bad_table_of_the_brain_image_library_fails(records, sheet):
    text = (records / "bil" / f"{sheet}.tsv").read_text()
    assert list(bil_faults(sheet, text.replace(*BAD_TABLES[sheet])))


def test_s21_orientation_and_sizes_are_told_as_the_library_has_them(records):
    heading, row = [
        line.split("\t") for line in (records / "bil" / "Image.tsv").read_text().splitlines()
    ][3:7:3]
    told = dict(zip(heading, row, strict=True))
    # RPI: x runs to the right, y to the back, z downwards. The demo is 96 x 64 x 16 voxels.
    assert [told[axis] for axis in ("xAxis", "yAxis", "zAxis")] == [
        *("left-to-right", "anterior-to-posterior", "superior-to-inferior")
    ]
    assert [told[key] for key in ("Xsize", "Ysize", "Zsize", "Channels")] == ["96", "64", "16", "2"]
    assert [told[f"stepSize{axis}"] for axis in "XYZ"] == ["1.8", "1.8", "4"]


# schema.org


def test_s21_the_record_for_search_engines_has_what_they_ask_for(records):
    record = load(records, "schema-org/schema-org.jsonld")
    assert record["@context"] == "https://schema.org/"
    assert record["@type"] == "Dataset"
    assert 50 <= len(record["description"]) <= 5_000
    assert record["license"] == "https://creativecommons.org/publicdomain/zero/1.0/"
    assert [creator["@id"] for creator in record["creator"]] == [
        "https://orcid.org/0000-0002-1825-0097",
        "https://orcid.org/0000-0002-1694-233X",
    ]
