"""`spimpack records`: problems with their places, equal bytes everywhere, nothing that leaks."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from portal_study import ALL, BLOCK, LICENCE, PortalStudy, every_file, run_spimpack

from spimpack_tasks.errors import ConflictError, Report
from spimpack_tasks.manifest.column_descriptions import AGE_UNITS
from spimpack_tasks.model.publication import block_of
from spimpack_tasks.publishing.facts import FileFacts, Sample
from spimpack_tasks.publishing.lacks import find_problems
from spimpack_tasks.publishing.needs import NEEDS
from spimpack_tasks.publishing.publication_block import Places
from spimpack_tasks.publishing.read_facts import YEARS, read_facts
from spimpack_tasks.publishing.records import writing
from spimpack_tasks.publishing.records.portals import (
    PORTALS,
    Portal,
    choose_portals,
    compose_records,
)
from spimpack_tasks.publishing.records.writing import write_records
from spimpack_tasks.state.store import Store

RECORD_CODES = {
    "conflict.records",
    "portal.broken",
    "portal.unknown",
    "publication.date",
    "publication.doi",
    "publication.length",
    "publication.licence",
    "publication.missing",
    "publication.name",
    "publication.orcid",
    "publication.ror",
    "publication.term",
    "publication.term-id",
    "records.unreadable",
}
"""Codes of which this module has a case each."""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return PortalStudy(tmp_path_factory.mktemp("portals"))


def keys_of(problems):
    return {(p["code"], p["key"], p["file"].rpartition("/")[2], p["line"]) for p in problems}


def test_s23_without_a_block_each_missing_fact_is_one_problem_at_the_end_of_the_manifest(study):
    manifest = study.other("plain.yml", study.plain)
    problems = study.problems("dandi,datacite,openminds", "--manifest", manifest)
    end = len(study.plain.splitlines())
    missing = "publication.missing"
    wanted = {
        *((missing, f"publication.{key}", "plain.yml", end) for key in (
            *("description", "contributors", "publisher", "published", "version", "related"),
            *("ethics", "ages.category"),
        )),
        ("publication.term", "publication.terms.anatomy", "plain.yml", end),
        ("publication.term", "species", "participants.tsv", 2),
    }  # fmt: skip
    assert wanted <= keys_of(problems)
    # A DOI belongs into the description of the dataset, which there is.
    assert {key for _, key, _, _ in keys_of(problems) - wanted} <= {
        "dataset_description.DatasetDOI"
    }
    assert all(problem["line"] and problem["column"] for problem in problems)
    titles = {p["key"]: p["message"] for p in problems}
    assert titles["publication.contributors"].endswith("for DANDI, openMINDS")
    assert titles["publication.publisher"].endswith("for DataCite")


def test_s23_a_word_without_a_term_is_named_by_the_cell_of_the_users_table(study):
    manifest = study.changed(
        '      mus musculus: {id: "NCBITaxon:10090", name: Mus musculus}\n', ""
    )
    assert "species:\n" in manifest.read_text()
    manifest.write_text(manifest.read_text().replace("    species:\n", ""))
    (problem,) = study.problems("dandi", "--manifest", manifest)
    assert (problem["code"], problem["file"]) == ("publication.term", "participants.tsv")
    # participant_id<TAB>species: the first row is line 2, its second cell begins at column 8.
    assert (problem["line"], problem["column"]) == (2, 8)


def test_s23_packaging_never_needs_the_block_and_an_edit_reruns_nothing(study):
    before = every_file(study.bids)
    current = (study.bids / ".spimpack" / "current").read_text()
    try:
        study.manifest.write_text(study.text.replace("Amyloid in whole", "Something in whole"))
        edited = study.package().stdout
        study.manifest.write_text(study.text.replace(BLOCK, ""))
        without = study.package().stdout
    finally:
        study.manifest.write_text(study.text)
        study.package()
    assert edited.startswith("Nothing to do: 4 unchanged")
    assert without.startswith("Nothing to do: 4 unchanged")
    assert (study.bids / ".spimpack" / "current").read_text() == current
    after = every_file(study.bids)
    ours = {name for name in before if not name.startswith(".spimpack/")}
    assert {name: after[name] for name in ours} == {name: before[name] for name in ours}


VALUES = {
    "ORCID": ("0000-0002-1825-0097", "0000-0002-1825-0098", "orcid", "orcid"),
    "ORCID with X": ("0000-0002-1694-233X", "0000-0002-1694-2331", "orcid", "orcid"),
    "ROR": ("https://ror.org/01cwqze88", "https://ror.org/01cwqze89", "ror", "ror"),
    "date": ("published: 2026-03-31", "published: 2026-02-30", "date", "published"),
    "DOI": ("10.1234/example.5678", "11.1234/example", "doi", "doi"),
    "term": ('"UBERON:0000955"', "brain", "term-id", "BRAIN"),
    "title": ("Light-sheet images of four", f"{'Long ' * 40}images of", "length", "title"),
    "name": ("name: Example, Ben", "name: Example, Ben ☃", "name", "name"),
    "stain": ("YoPro: {", "YoProX: {", "term", "stains"),
}


@pytest.mark.parametrize("name", VALUES)
def test_s23_a_wrong_value_is_one_problem_at_its_place(study, name):
    old, new, code, key = VALUES[name]
    manifest = study.changed(old, new)
    (problem,) = study.problems("dandi,bia", "--manifest", manifest)
    assert problem["code"] == f"publication.{code}"
    assert problem["key"].endswith(key)
    line = manifest.read_text().splitlines()[problem["line"] - 1]
    assert new in line or line.strip() == f"{key}:" or line.strip().startswith("YoProX")


def test_s23_a_licence_that_dandi_does_not_take_is_named_where_it_stands(tmp_path):
    study = PortalStudy(tmp_path / "study")
    study.text = study.text.replace(LICENCE, "  License: CC-BY-NC-4.0\n")
    study.manifest.write_text(study.text)
    study.package()
    (problem,) = study.problems("dandi,bia")
    assert (problem["code"], problem["line"]) == (
        "publication.licence",
        study.line_of("License:"),
    )
    assert problem["message"] == "'CC-BY-NC-4.0' is not accepted, for DANDI"


def test_s23_a_malformed_block_is_refused_with_its_place_by_packaging_too(study):
    manifest = study.changed("  language: en", "  langauge: en")
    line = study.line_of("language:")
    (problem,) = study.problems("datacite", "--manifest", manifest)
    assert (problem["code"], problem["line"], problem["column"]) == ("key.unknown", line, 3)
    done = run_spimpack("package", manifest, study.folder / "elsewhere")
    assert done.returncode == 2
    assert f"changed.yml:{line}:3: publication.langauge" in done.stderr


def test_s23_problems_are_a_page_for_people_and_a_line_of_json_each(study):
    manifest = study.other("plain.yml", study.plain)
    words = ("records", study.bids, "--for", "datacite", "--manifest", manifest)
    done = run_spimpack(*words, cwd=study.folder)
    assert done.returncode == 2
    end = len(study.plain.splitlines())
    want = "is missing, for DataCite"
    date, name = "give the date as 2026-03-01", "name the organization that publishes the dataset"
    assert done.stderr.splitlines() == [
        f"plain.yml:{end}:1: publication.published: {want}; {date} [publication.missing]",
        f"plain.yml:{end}:1: publication.publisher: {want}; {name} [publication.missing]",
        "2 errors",
    ]


def test_s23_without_any_manifest_the_dataset_is_the_place(study, tmp_path):
    copy = shutil.copytree(study.bids, tmp_path / "bids")
    (copy / ".spimpack" / "manifest").unlink()
    words = ("--for", "datacite", "--format", "json")
    done = run_spimpack("records", copy, *words, cwd=tmp_path)
    assert done.returncode == 2
    problems = [json.loads(line) for line in done.stdout.splitlines()]
    assert {problem["file"] for problem in problems} == {"dataset_description.json"}


def test_s23_an_unknown_portal_is_reported_with_a_suggestion(study):
    (problem,) = study.problems("datacit")
    assert (problem["code"], problem["hint"]) == ("portal.unknown", "did you mean 'datacite'?")


def test_s23_problems_of_all_kinds_come_at_once(study):
    manifest = study.changed("  language: en", "  langauge: en")
    problems = study.problems("datacit,dandi", "--manifest", manifest)
    assert {problem["code"] for problem in problems} == {"portal.unknown", "key.unknown"}


def test_s24_records_are_equal_bytes_elsewhere(study, tmp_path):
    here = every_file(study.records(ALL, tmp_path / "here"))
    again = every_file(study.records(ALL, tmp_path / "here"))
    moved = tmp_path / "other place" / "moved"
    shutil.copytree(study.folder, moved, symlinks=False)
    done = run_spimpack(
        *("records", moved / "bids", "--for", ALL, "-o", tmp_path / "there"),
        *("--manifest", moved / "manifest.yml"),
    )
    assert done.returncode == 0, done.stderr
    assert here == again == every_file(tmp_path / "there")
    assert len(here) == 17  # of seven portals, and the list of what was written


def test_s24_nothing_leaks(study, tmp_path):
    folder = study.records(ALL, tmp_path / "out")
    text = b"\n".join(every_file(folder).values()).decode()
    for leak in (
        *(str(study.folder), str(Path.home()), socket.gethostname(), "ben@example.org"),
        *("../microscope", "SourceDatasets", "5xFAD", "genotype", "spim1", f"{os.sep}tmp{os.sep}"),
    ):  # fmt: skip
        assert leak not in text, leak
    assert "ada@example.org" in text


@pytest.mark.parametrize(
    ("word", "term"),
    [
        ("Human", {}),
        ("H. sapiens", {}),
        ("patient", {"patient": {"id": "NCBITaxon:9606"}}),
        ("donor", {"donor": "http://purl.obolibrary.org/obo/NCBITaxon_9606"}),
    ],
)
def test_s24_humans_are_known_by_word_and_by_term(study, tmp_path, word, term):
    copy = tmp_path / "bids"
    shutil.copytree(study.bids, copy, symlinks=True)
    table = copy / "participants.tsv"
    head = "participant_id\tspecies\tage\tsex\tstrain\tstrain_rrid"
    rows = [f"sub-0{n}\t{word}\t95\tF\tsecret\tsecret" for n in range(1, 5)]
    table.write_text("\n".join([head, *rows, ""]))
    people = read_facts(Store(str(copy)), block_of({"terms": {"species": term}})).participants
    assert {(person.age, person.strain, person.strain_rrid) for person in people} == {
        (None, "", "")
    }


def test_s24_of_humans_no_strain_and_no_high_age_is_told(study, tmp_path):
    copy = shutil.copytree(study.bids, tmp_path / "bids")
    rows = ["participant_id\tspecies\tage\tsex\tstrain\tdiagnosis"]
    for number, age in enumerate((89, 90, 30, 41), start=1):
        rows.append(f"sub-0{number}\thomo sapiens\t{age}\tF\tsecret\tsecret")
    (copy / "participants.tsv").write_text("\n".join(rows) + "\n")
    (human, old, *_) = read_facts(Store(str(copy)), block_of({})).participants
    assert (str(human.age), human.strain, human.sex) == ("89 years", "", "female")
    assert (old.age, old.strain) == (None, "")
    facts = read_facts(Store(str(copy)), block_of({}))
    texts = "".join(t for n in ("bia", "dandi") for t in PORTALS[n].compose(facts).values())
    assert "secret" not in texts
    assert "P90Y" not in texts
    assert "sex" not in PORTALS["bia"].compose(facts)["ro-crate-metadata.json"]


def test_a_file_of_someone_else_is_never_replaced(study, tmp_path):
    folder = tmp_path / "out"
    (folder / "datacite").mkdir(parents=True)
    theirs = folder / "datacite" / "datacite.json"
    theirs.write_text("theirs")
    words = ("records", study.bids, "--for", "datacite,schema-org", "-o", folder)
    done = run_spimpack(*words)
    assert done.returncode == 3
    assert "[conflict.records]" in done.stderr
    assert every_file(folder) == {"datacite/datacite.json": b"theirs"}
    theirs.unlink()
    assert run_spimpack(*words).returncode == 0
    ours = theirs.read_bytes()
    # An older record of ours is replaced, and an equal one stays.
    manifest = study.changed("Light-sheet images of four", "Images of four")
    assert run_spimpack(*words, "--manifest", manifest).returncode == 0
    assert theirs.read_bytes() != ours
    theirs.write_text("edited since")
    assert run_spimpack(*words).returncode == 3
    assert theirs.read_text() == "edited since"


def test_the_default_place_is_beside_the_dataset(study):
    done = run_spimpack("records", study.bids, "--for", "schema-org")
    assert done.returncode == 0
    folder = study.folder / "bids.records"
    assert (folder / "schema-org" / "schema-org.jsonld").is_file()
    shutil.rmtree(folder)


def test_an_image_that_cannot_be_read_is_a_problem(study, tmp_path):
    copy = shutil.copytree(study.bids, tmp_path / "bids")
    broken = next(copy.rglob("*.ims"))
    broken.unlink()
    broken.write_bytes(b"no image")
    done = run_spimpack("records", copy, "--for", "datacite", "--manifest", study.manifest)
    assert done.returncode == 2
    assert "[records.unreadable]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_no_dataset_is_refused_in_one_line(tmp_path):
    done = run_spimpack("records", tmp_path, "--for", "datacite")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


class Entry:
    """An entry point of another package."""

    def __init__(self, loaded):
        self.loaded, self.value = loaded, "lab:PORTAL"

    def load(self):
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded


def fails(_facts):
    message = "of the lab"
    raise KeyError(message)


FOREIGN = [
    (ImportError("no lab"), "cannot be imported from lab:PORTAL: ImportError: no lab"),
    ("text", "is a str, and not a Portal"),
    (Portal("other", "Lab", fails), "calls itself 'other'"),
    (Portal("lab", "Lab", fails, ("money",)), "needs 'money', which is not known"),
    (Portal("lab", "Lab", fails), "fails: KeyError: 'of the lab'"),
    (Portal("lab", "Lab", lambda _: "text"), "fails: AttributeError"),
    (Portal("lab", "Lab", lambda _: {"../x": "text"}), "names the file 'lab/../x'"),
]


@pytest.mark.parametrize(("loaded", "says"), FOREIGN, ids=[says[:20] for _, says in FOREIGN])
def test_a_broken_portal_of_another_package_is_a_problem(study, monkeypatch, loaded, says):
    plug_ins = {"lab": Entry(loaded)}
    monkeypatch.setattr("spimpack_tasks.publishing.records.portals._plug_ins", lambda: plug_ins)
    report = Report()
    portals = choose_portals(["lab"], report)
    compose_records(read_facts(Store(str(study.bids)), block_of({})), portals, report)
    (problem,) = report.problems
    assert problem.code == "portal.broken"
    assert says in problem.message


def test_a_portal_of_another_package_is_used(study, monkeypatch):
    portal = Portal("lab", "Lab", lambda facts: {"a.txt": facts.title}, ("description",))
    monkeypatch.setattr(
        "spimpack_tasks.publishing.records.portals._plug_ins", lambda: {"lab": Entry(portal)}
    )
    report = Report()
    (found,) = choose_portals(["lab"], report)
    facts = read_facts(Store(str(study.bids)), block_of({}))
    assert compose_records(facts, [found], report) == {"lab/a.txt": "spimpack demo"}
    (problem,) = find_problems(facts, [found], Places(None, 0)).problems
    assert problem.message == "is missing, for Lab"


def test_ages_have_the_unit_of_the_description(study, tmp_path):
    copy = shutil.copytree(study.bids, tmp_path / "bids")
    described = json.loads((copy / "participants.json").read_text())
    described["age"] = {"Description": "Age.", "Units": "week"}
    (copy / "participants.json").write_text(json.dumps(described))
    facts = read_facts(Store(str(copy)), block_of({}))
    assert str(facts.participants[0].age) == "0.4 weeks"
    assets = json.loads(PORTALS["dandi"].compose(facts)["assets.json"])
    ages = {each["wasAttributedTo"][0]["age"]["value"] for each in assets.values()
            if "wasAttributedTo" in each}  # fmt: skip
    assert ages == {"P0.4W", "P0.5W"}
    graph = json.loads(PORTALS["openminds"].compose(facts)["openminds.jsonld"])["@graph"]
    state = next(each for each in graph if each["@type"].endswith("/SubjectState"))
    assert state["age"]["value"] == 0.4
    assert state["age"]["unit"]["@id"].endswith("/week")
    table = PORTALS["bil"].compose(facts)["Specimen.tsv"]
    assert "\t0.4\tWeeks\t" in table


def test_photos_are_files_and_no_images(study, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(study.folder, folder, ignore=shutil.ignore_patterns("bids*"))
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff" + bytes(20))
    (folder / "photos.tsv").write_text("subject\tsample\tphoto_path\n01\tbrain\tphoto.jpg\n")
    done = run_spimpack("package", folder / "manifest.yml", folder / "bids")
    assert done.returncode == 0, done.stderr
    facts = read_facts(Store(str(folder / "bids")), block_of({}))
    photo = next(file for file in facts.files if file.path.endswith("_photo.jpg"))
    assert not photo.is_image
    assert len(facts.images) == 4


def test_ages_are_known_in_the_units_of_bids():
    assert tuple(YEARS) == AGE_UNITS


def test_records_of_many_images_take_time_in_proportion(study):
    """Nothing is searched for in a list for each image."""
    facts = read_facts(
        Store(str(study.bids)), block_of(yaml.load(BLOCK, yaml.BaseLoader)["publication"])
    )
    seconds = []
    for count in (500, 4_000):
        images, samples, people, files = [], [], [], []
        for number in range(count):
            label, path = f"{number:05}", f"sub-{number:05}/micr/sub-{number:05}_SPIM.ims"
            images.append(replace(facts.images[0], path=path, participant=label))
            samples.append(Sample(label, "brain", "tissue"))
            people.append(replace(facts.participants[0], label=label))
            files.append(FileFacts(path, 1, is_store=False, is_image=True))
        parts = {"images": images, "samples": samples, "participants": people, "files": files}
        many = replace(facts, **{name: tuple(values) for name, values in parts.items()})
        start = time.process_time()
        for portal in PORTALS.values():
            portal.compose(many)
        seconds.append(time.process_time() - start)
    assert seconds[1] < 24 * seconds[0]


@pytest.mark.parametrize("name", PORTALS)
def test_a_record_of_few_facts_holds_no_empty_identifier(study, tmp_path, name):
    """Those who compose without a look at the lacks get what there is, and nothing made up."""
    copy = shutil.copytree(study.bids, tmp_path / "bids")
    (copy / "participants.tsv").write_text("participant_id\tspecies\n")
    description = json.loads((copy / "dataset_description.json").read_text())
    few = {**description, "License": "as you like", "Authors": [], "DatasetDOI": "none"}
    (copy / "dataset_description.json").write_text(json.dumps(few))
    texts = PORTALS[name].compose(read_facts(Store(str(copy)), block_of({})))
    for text in texts.values():
        for bad in ('doi.org/"', 'licenses/"', 'orcid.org/"', 'spdx:"', '-"', '""', "None"):
            assert bad not in text, bad


def test_the_needs_of_portals_are_known_and_used():
    wanted = {need for portal in PORTALS.values() for need in portal.needs}
    assert wanted == set(NEEDS)


def test_a_killed_run_leaves_nothing_that_the_next_one_does_not_know(tmp_path, monkeypatch):
    old, new = {"a/one": "1", "b/two": "2"}, {"a/one": "10", "b/two": "20"}
    for stop in range(4):
        folder = tmp_path / str(stop)
        write_records(str(folder), old)
        write, count = writing._write, iter(range(10))

        def killed(*arguments, write=write, count=count, stop=stop):
            if next(count) == stop:
                raise KeyboardInterrupt
            write(*arguments)

        monkeypatch.setattr(writing, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            write_records(str(folder), new)
        monkeypatch.undo()
        again = {"a/one": "100", "b/two": "2"}
        write_records(str(folder), again)
        found = every_file(folder)
        assert {path: found[path].decode() for path in again} == again


def test_a_list_of_someone_else_is_never_replaced(tmp_path):
    (tmp_path / writing.LIST_FILE).write_text("theirs")
    with pytest.raises(ConflictError):
        write_records(str(tmp_path), {"a": "1"})
    assert every_file(tmp_path) == {writing.LIST_FILE: b"theirs"}


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "write-records-for-portals.md"


def blocks_of(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_block_of_the_page_is_enough_for_the_records_that_it_shows(study, tmp_path):
    (block,) = blocks_of("yaml")
    manifest = study.other("page.yml", study.plain + block)
    folder = study.records("dandi,datacite", tmp_path / "out", "--manifest", manifest)
    shown = re.findall(r"^records/(\S+)$", blocks_of("console")[1], re.MULTILINE)
    assert set(shown) == set(every_file(folder)) - {writing.LIST_FILE}


def test_the_page_has_all_portals():
    names = re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert names == list(PORTALS)


def test_the_portal_of_the_page_works(study):
    (code,) = blocks_of("python")
    namespace = {}
    exec(code, namespace)
    report = Report()
    facts = read_facts(Store(str(study.bids)), block_of({}))
    texts = compose_records(facts, [namespace["ARCHIVE"]], report)
    assert texts == {"archive/record.txt": "spimpack demo\n"}
    assert not report.problems


def test_i17_11_without_portals_they_are_listed(study):
    done = run_spimpack("records", study.bids)
    assert done.returncode == 2
    assert [name for name in (*PORTALS, "or all") if name not in done.stderr] == []


def test_i17_11_all_stands_for_all_portals(study, tmp_path):
    folder = study.records("all", tmp_path / "all")
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {*PORTALS}


def test_i17_11_remedies_say_what_to_write_and_to_package_again(study):
    manifest = study.other("plain.yml", study.plain)
    hints = {p["key"]: p["hint"] for p in study.problems("openminds", "--manifest", manifest)}
    assert hints["publication.ethics"] == "give jurisdiction: EU, US or not required"
    if "dataset_description.DatasetDOI" in hints:
        assert hints["dataset_description.DatasetDOI"].endswith("; then package the dataset again")


def test_i17_11_a_doi_that_was_not_packaged_is_told(study):
    facts = replace(read_facts(Store(str(study.bids)), block_of({})), description={"Name": "x"})
    portal = replace(PORTALS["openminds"], needs=("doi",))
    (problem,) = find_problems(facts, [portal], Places(None, 0)).problems
    assert problem.hint.endswith("then package the dataset again")
