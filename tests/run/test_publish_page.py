"""The page Publish: the block of the manifest, missing facts, and publishing to a real server."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from object_server import READER, WRITER, ObjectServer, start_server
from portal_study import PortalStudy

pytest.importorskip("streamlit", reason="needs the extra ui")
from streamlit.testing.v1 import AppTest

from spimpack_tasks.running.publishing import PUBLICATIONS, PublishRequest

PATIENCE_S = 120
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def show(manifest: str, root: str) -> None:
    import streamlit as st

    from spimpack_tasks.editing.editor import open_manifest
    from spimpack_tasks.ui import session
    from spimpack_tasks.ui.shell import show_page
    from spimpack_tasks.ui.views import publish

    names = ("run", "save", "publish")
    pages = {name: st.Page(lambda: None, title=name, url_path=name) for name in names}
    st.session_state["pages"] = pages
    st.navigation(list(pages.values()), position="hidden")
    editor = st.session_state.setdefault("editor", open_manifest(manifest, (root,)))
    session.show_notice()
    show_page(publish, editor)


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> PortalStudy:
    return PortalStudy(tmp_path_factory.mktemp("publish") / "study")


@pytest.fixture
def study(packaged: PortalStudy, monkeypatch: pytest.MonkeyPatch) -> Iterator[PortalStudy]:
    """A dataset whose manifest has no block, and a user without credentials."""
    packaged.manifest.write_text(packaged.plain)
    shutil.rmtree(packaged.bids / ".spimpack" / "publications", ignore_errors=True)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    yield packaged
    run = PUBLICATIONS.find(str(packaged.bids))
    if run is not None:
        run.stop()
        run.wait(PATIENCE_S)
        PUBLICATIONS._by_folder.clear()


def open_page(study: PortalStudy) -> AppTest:
    arguments = (str(study.manifest), str(study.folder.parent))
    return well(AppTest.from_function(show, args=arguments, default_timeout=60).run())


def well(page: AppTest) -> AppTest:
    assert not page.exception, [each.value for each in page.exception]
    return page


def press(page: AppTest, key: str) -> AppTest:
    return well(page.button(key=key).click().run())


def keys(page: AppTest) -> set[str | None]:
    return {button.key for button in page.button}


def manifest_of(page: AppTest) -> str:
    editor = page.session_state["editor"]
    return editor.files.text(editor.manifest)


def block_of(page: AppTest) -> str:
    return manifest_of(page).partition("publication:\n")[2]


def save(page: AppTest) -> AppTest:
    page.session_state["editor"].save()
    return well(page.run())


def choose(page: AppTest, *portals: str) -> AppTest:
    return well(page.multiselect(key="publish-portals").set_value(list(portals)).run())


def problems(page: AppTest) -> dict[str, list[str]]:
    """Return the problems of each portal, as the page shows them."""
    found = {}
    for each in page.expander:
        if each.table:
            name = re.sub(r"[*\\]", "", each.label).partition(":")[0]
            frame = each.table[0].value
            found[name] = [
                "; ".join(text.replace("\\", "") for text in row)
                for row in frame[["Where", "What", "Remedy"]].to_numpy()
            ]
    return found


def everything(page: AppTest) -> str:
    """Return all that a browser gets, and all that the session keeps."""
    protos, blocks = [], [page._tree]
    while blocks:
        block = blocks.pop()
        protos.append(str(getattr(block, "proto", "")))
        blocks += getattr(block, "children", {}).values()
    return "\n".join([*protos, repr(page.session_state._state.filtered_state)])


# --- the block


def test_i17_8_fields_edit_the_block(study: PortalStudy) -> None:
    page = open_page(study)
    page.text_input(key="publication-title").set_value("Four: brains").run()
    page.text_area(key="publication-description").set_value("Whole brains.").run()
    page.text_input(key="publication-version").set_value("1.0").run()
    page.text_area(key="publication-keywords").set_value("one\ntwo\n").run()
    page.text_input(key="publication-contributors-0-name").set_value("Example, Ada").run()
    page.text_input(key="publication-contributors-0-affiliation-name").set_value("Example U").run()
    roles = ["author", "contact"]
    page.multiselect(key="publication-contributors-0-roles").set_value(roles).run()
    page.text_input(key="publication-funders-0-award").set_value("EX-1").run()
    page.selectbox(key="publication-ethics-0-jurisdiction").set_value("EU").run()
    page.selectbox(key="publication-ages-category").set_value("adult").run()
    well(page.text_area(key="publication-protocols-growth").set_value("In groups.").run())
    assert block_of(page) == (
        "  title: 'Four: brains'\n  description: Whole brains.\n  version: '1.0'\n"
        "  keywords:\n  - one\n  - two\n"
        "  contributors:\n  - name: Example, Ada\n    affiliation:\n      name: Example U\n"
        "    roles:\n    - author\n    - contact\n"
        "  funders:\n  - award: EX-1\n  ethics:\n  - jurisdiction: EU\n"
        "  ages:\n    category: adult\n  protocols:\n    growth: In groups.\n"
    )
    assert study.manifest.read_text() == study.plain
    page.session_state["editor"].undo()
    assert page.text_area(key="publication-protocols-growth").value == "In groups."
    well(page.run())
    assert page.text_area(key="publication-protocols-growth").value == ""
    assert "protocols" not in block_of(page)


def test_i17_8_a_block_whose_last_field_is_emptied_is_gone(study: PortalStudy) -> None:
    page = open_page(study)
    well(page.selectbox(key="publication-ages-category").set_value("adult").run())
    well(page.selectbox(key="publication-ages-category").set_value(None).run())
    assert manifest_of(page) == study.plain


def test_i17_8_fields_show_a_whole_block_and_change_nothing(study: PortalStudy) -> None:
    study.manifest.write_text(study.text)
    page = open_page(study)
    assert page.text_input(key="publication-contributors-1-orcid").value == "0000-0002-1694-233X"
    home = page.text_input(key="publication-contributors-0-affiliation-ror")
    assert home.value == "https://ror.org/05dxps055"
    assert home.placeholder == "such as https://ror.org/05dxps055"
    assert "Research Organization Registry" in home.help
    assert page.multiselect(key="publication-contributors-1-roles").value == [
        "author",
        "data-curator",
    ]
    assert page.text_input(key="publication-published").value == "2026-03-31"
    assert page.session_state["editor"].is_saved


@pytest.mark.parametrize(
    "block",
    ["3", "[a]", "{contributors: 3, terms: x, ages: [a]}", "{contributors: [{affiliation: 3}]}",
     "{terms: {species: [a], stains: {YoPro: 3}, imaging: [a]}, version: 1.0}",
     "{contributors: [{roles: contact, name: 3}], keywords: a, protocols: {growth: [1]}}"],
)  # fmt: skip
def test_i17_8_a_block_of_other_types_is_shown_with_its_problems(
    study: PortalStudy, block: str
) -> None:
    study.manifest.write_text(f"{study.plain}publication: {block}\n")
    page = open_page(study)
    assert page.session_state["editor"].is_saved
    assert any("publication" in text for table in page.table for text in table.value["What"])


def test_i17_8_terms_of_the_words_in_the_tables(study: PortalStudy) -> None:
    page = open_page(study)
    found = {
        each.key: each.placeholder
        for each in page.text_input
        if each.key.startswith("publication-terms-") and each.key.endswith("-id")
    }
    assert found["publication-terms-species-mus musculus-id"] == "such as NCBITaxon:10090"
    assert found["publication-terms-anatomy-BRAIN-id"] == "such as UBERON:0000955"
    assert found["publication-terms-stains-YoPro-id"] == "such as CHEBI:52293"
    page.text_input(key="publication-terms-anatomy-BRAIN-id").set_value("UBERON:0000955").run()
    page.text_input(key="publication-terms-stains-YoPro-target").set_value("nucleus").run()
    well(page.text_input(key="publication-terms-stains-YoPro-id").set_value("CHEBI:52293").run())
    assert block_of(page) == (
        "  terms:\n    anatomy:\n      BRAIN: UBERON:0000955\n"
        "    stains:\n      YoPro:\n        target: nucleus\n        id: CHEBI:52293\n"
    )


def test_i17_8_words_are_found_where_the_tables_have_errors(study: PortalStudy) -> None:
    page = open_page(study)
    before = {each.key for each in page.text_input if "-terms-" in each.key}
    page.session_state["editor"].set_cells({(0, "subject"): "*_1"})
    page.session_state["editor"].set_cells({(1, "sample_staining"): "NeuN"})
    page = well(page.run())
    after = {each.key for each in page.text_input if "-terms-" in each.key}
    assert after - before == {f"publication-terms-stains-NeuN-{part}" for part in ("id", "target")}


def test_i17_8_terms_that_the_manifest_has(study: PortalStudy) -> None:
    terms = "{species: {Mus Musculus: {id: 'NCBITaxon:1', name: mouse}, rat: 'NCBITaxon:10116'}}"
    study.manifest.write_text(f"{study.plain}publication: {{terms: {terms}}}\n")
    page = open_page(study)
    labels = {each.key: each.label for each in page.text_input if "-species-" in each.key}
    assert labels == {
        "publication-terms-species-Mus Musculus-id": "Mus Musculus",
        "publication-terms-species-rat-id": "rat (not in the tables)",
    }
    field = page.text_input(key="publication-terms-species-Mus Musculus-id")
    well(field.set_value("NCBITaxon:10090").run())
    block = page.session_state["editor"].data["publication"]["terms"]["species"]
    assert block["Mus Musculus"] == {"id": "NCBITaxon:10090", "name": "mouse"}
    well(page.text_input(key="publication-terms-species-rat-id").set_value("").run())
    assert "rat" not in page.session_state["editor"].data["publication"]["terms"]["species"]


# --- what is missing


def test_i17_8_missing_facts_of_each_portal_appear_and_vanish(study: PortalStudy) -> None:
    page = choose(open_page(study), "datacite", "dandi")
    found = problems(page)
    assert list(found) == ["DataCite", "DANDI"]
    end = len(study.plain.splitlines())
    assert (
        f"manifest.yml:{end}:1; publication.publisher: is missing [publication.missing]; "
        "name the organization that publishes the dataset"
    ) in found["DataCite"]
    assert any(line.startswith("participants.tsv:2:") for line in found["DANDI"])
    assert f"spimpack records {study.bids} --for datacite,dandi" in page.code[0].value
    page.text_input(key="publication-publisher").set_value("Example University").run()
    well(page.text_input(key="publication-published").set_value("2026-03-31").run())
    assert "Save your edits first" in page.warning[0].value
    assert problems(page) == found
    page = save(page)
    assert "DataCite" not in problems(page)
    assert any("DataCite: nothing is missing" in each.value for each in page.success)
    study.manifest.write_text(study.text)
    assert problems(choose(open_page(study), "dandi", "openminds", "bia")) == {}


def test_i17_8_a_wrong_value_stands_once_for_all_portals(study: PortalStudy) -> None:
    study.manifest.write_text(study.text.replace("0000-0002-1825-0097", "0000-0002-1825-0098"))
    found = problems(choose(open_page(study), "dandi", "datacite"))
    assert list(found) == ["Wrong for every portal"]
    (line,) = found["Wrong for every portal"]
    assert "publication.contributors[0].orcid" in line


def test_i17_8_a_dataset_that_is_not_packaged_leads_to_run(
    study: PortalStudy, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    shutil.copytree(study.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("bids"))
    arguments = (str(folder / "manifest.yml"), str(tmp_path))
    page = well(AppTest.from_function(show, args=arguments, default_timeout=60).run())
    assert "There is no dataset in" in page.info[0].value
    assert "Go to Run" in [link.proto.label for link in page.get("page_link")]
    assert keys(page) == set()
    assert page.text_input(key="publication-title").value == ""


# --- where to


def to(page: AppTest, url: str, endpoint: str = "") -> AppTest:
    page.text_input(key="publish-endpoint").set_value(endpoint).run()
    return well(page.text_input(key="publish-url").set_value(url).run())


def test_i17_8_a_wrong_address_is_refused_on_one_line(study: PortalStudy) -> None:
    page = to(open_page(study), "s3:/lab")
    (error,) = page.error
    assert "missing its scheme" in error.value.replace("\\", "")
    assert "\n" not in error.value
    assert "publish-look" not in keys(page)


def test_i17_8_missing_credentials_are_one_line(study: PortalStudy) -> None:
    page = to(open_page(study), "s3://lab/study")
    assert "there are no credentials for S3" in page.warning[0].value
    page = press(page, "publish-look")
    (error,) = page.error
    assert "there are no credentials for S3" in error.value
    assert "\n" not in error.value
    assert "publish-start" not in keys(page)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("publish-url", f"s3://AKIAEXAMPLE:{SECRET}@lab/study"),
        ("publish-url", f"AKIAEXAMPLE:{SECRET}@lab"),
        ("publish-url", f"s3://lab/study?X-Amz-Signature={SECRET}"),
        ("publish-endpoint", f"https://AKIAEXAMPLE:{SECRET}@s3.example.org"),
    ],
)
def test_i17_8_a_secret_in_an_address_is_forgotten(study: PortalStudy, key: str, text: str) -> None:
    page = well(open_page(study).text_input(key=key).set_value(text).run())
    assert page.text_input(key=key).value == ""
    assert "The field is emptied" in page.info[0].value
    for secret in (SECRET, SECRET.partition("/")[0], SECRET.partition("/")[2]):
        assert secret not in everything(page)


def test_i17_8_a_link_out_of_the_roots_is_not_published(
    study: PortalStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("AWS_ACCESS_KEY_ID", "K"), ("AWS_SECRET_ACCESS_KEY", "S")):
        monkeypatch.setenv(name, value)
    image = next(path for path in study.bids.rglob("*_SPIM.*") if path.is_symlink())
    before = image.readlink()
    image.unlink()
    image.symlink_to("/etc/hostname")
    try:
        page = press(to(open_page(study), "s3://lab/study", "http://127.0.0.1:9"), "publish-look")
        (error,) = page.error
        assert "outside the folders" in error.value
    finally:
        image.unlink()
        image.symlink_to(before)


# --- a real server


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    started = start_server()
    yield started
    started.stop()


def sign_in(monkeypatch: pytest.MonkeyPatch, server: ObjectServer, user=WRITER) -> None:
    for name, value in server.credentials(user).items():
        monkeypatch.setenv(name, value)


def metrics(page: AppTest) -> dict[str, str]:
    return {each.label: each.value for each in page.metric}


@pytest.mark.slow
@pytest.mark.xdist_group("publishing")
def test_i17_8_first_what_would_be_sent_then_the_publication(
    study: PortalStudy, server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch, server)
    server.write("page/mine.txt", b"mine")
    page = to(open_page(study), server.url("page"), server.endpoint)
    assert any("environment (AWS_ACCESS_KEY_ID)" in c.value.replace("\\", "") for c in page.caption)
    assert "publish-start" not in keys(page)
    page = press(page, "publish-look")
    seen = metrics(page)
    assert int(seen["objects to send"]) > 10
    assert "PUT" in seen["requests"]
    assert any("mine.txt" in info.value.replace("\\", "") for info in page.info)
    assert list(server.files("page")) == ["mine.txt"]
    page = press(page, "publish-start")
    run = PUBLICATIONS.find(str(study.bids))
    assert run is not None
    assert run.wait(PATIENCE_S) == 0, run.messages()
    page = well(page.run())
    assert page.success[0].value.startswith("The dataset is published.")
    there = set(server.files("page"))
    assert {"mine.txt", "dataset_description.json", ".spimpack/inventory.json"} <= there
    assert len([n for n in there if not n.startswith(".spimpack/")]) == 1 + int(
        seen["objects to send"]
    )
    assert any("this state" in each.value for each in page.markdown)
    links = [link.proto.url for link in page.get("link_button")]
    assert any("neuroglancer" in link for link in links), links
    page = press(page, "publish-look")
    assert "Nothing to do" in page.success[0].value
    assert "publish-start" not in keys(page)
    for secret in (WRITER[1], WRITER[0]):
        assert secret not in everything(page)
        assert secret not in "\n".join([*run.summary(), *run.messages(), run.request.line()])
    again = open_page(study)  # another tab, or the page reloaded
    assert again.text_input(key="publish-url").value == server.url("page")
    PUBLICATIONS._by_folder.clear()  # as after a restart of the server of the pages
    again = open_page(study)
    assert again.text_input(key="publish-url").value == server.url("page")
    assert again.text_input(key="publish-endpoint").value == server.endpoint


@pytest.mark.slow
@pytest.mark.xdist_group("publishing")
def test_i17_8_an_object_that_is_in_the_way_stops_it(
    study: PortalStudy, server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch, server)
    image = next(study.bids.rglob("*_SPIM.ome.zarr")).relative_to(study.bids)
    server.write(f"way/{image}/mine.txt", b"mine")
    page = press(to(open_page(study), server.url("way"), server.endpoint), "publish-look")
    assert "nothing can be published" in page.error[0].value
    assert "publish-start" not in keys(page)


@pytest.mark.slow
@pytest.mark.xdist_group("publishing")
def test_i17_8_a_refusal_of_the_service_is_one_line(
    study: PortalStudy, server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch, server, ("NOBODYKEY0000000", SECRET))
    page = press(to(open_page(study), server.url("refused"), server.endpoint), "publish-look")
    (error,) = page.error
    assert "\n" not in error.value
    assert "publish-start" not in keys(page)
    assert SECRET not in everything(page)
    sign_in(monkeypatch, server, READER)
    page = press(page, "publish-look")
    page = press(page, "publish-start")
    run = PUBLICATIONS.find(str(study.bids))
    assert run is not None
    assert run.wait(PATIENCE_S)
    page = well(page.run())
    assert page.error[0].value
    assert READER[1] not in everything(page)


@pytest.mark.slow
@pytest.mark.xdist_group("publishing")
def test_i17_8_a_publication_is_found_after_a_reload_and_stopped(
    study: PortalStudy, server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch, server)
    page = to(open_page(study), server.url("slow"), server.endpoint)
    well(page.number_input(key="publish-rate").set_value(0.01).run())
    page = press(press(page, "publish-look"), "publish-start")
    assert "publish-stop" in keys(page)
    again = open_page(study)
    assert "publish-stop" in keys(again)
    assert "publish-look" not in keys(again)
    assert "--limit-rate=10000" in again.code[-1].value
    (bar,) = again.get("progress")
    assert " of " in bar.proto.text
    press(again, "publish-stop")
    run = PUBLICATIONS.find(str(study.bids))
    assert run is not None
    assert run.wait(PATIENCE_S)
    again = well(again.run())
    assert "Stopped. Objects that have arrived are kept" in again.warning[0].value
    assert "publish-look" in keys(again)


def test_i17_8_the_command_line_is_that_of_the_request(
    study: PortalStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    secret = f"aws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = {SECRET}\n"
    config.write_text(f"[profile lab]\nregion = eu-central-1\n{secret}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    page = open_page(study)
    page.number_input(key="publish-rate").set_value(5.0).run()
    page = to(page, "s3://lab/my study")
    assert page.selectbox(key="publish-profile").options == ["none", "lab"]
    page = well(page.selectbox(key="publish-profile").set_value("lab").run())
    line = PublishRequest(str(study.bids), "s3://lab/my study", "", "lab", 5_000_000).line()
    assert line.endswith("'s3://lab/my study' --profile=lab --limit-rate=5000000")
    assert page.code[-1].value == line
    assert any("profile 'lab'" in each.value.replace("\\", "") for each in page.caption)
    assert "AKIAEXAMPLE" not in everything(page)
    assert SECRET not in everything(page)


def test_i17_8_the_service_of_the_environment_is_part_of_the_place(
    study: PortalStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.example.org")
    request = PublishRequest(str(study.bids), "s3://lab/study")
    assert request.target().endpoint_url == "https://s3.example.org"
    assert "s3.example.org" not in request.line()


def test_i17_8_a_secret_on_the_page_would_be_found(study: PortalStudy) -> None:
    page = well(open_page(study).text_input(key="publication-title").set_value(SECRET).run())
    assert SECRET in everything(page)
