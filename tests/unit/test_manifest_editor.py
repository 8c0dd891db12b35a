"""An open manifest: what is edited, checked and saved is the texts of its files."""

from __future__ import annotations

import os
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cases.bad_inputs import CASES
from workspace import small_workspace

from spimpack_tasks.editing import unsaved as drafts
from spimpack_tasks.editing.editor import ManifestEditor, new_manifest, open_manifest
from spimpack_tasks.editing.field_values import (
    item_fields,
    value_as_text,
    value_from_text,
    with_item,
)
from spimpack_tasks.editing.files import OpenFiles
from spimpack_tasks.editing.images import (
    cells_to_fill,
    copied_row,
    describe_header,
    examine_image,
    row_for,
)
from spimpack_tasks.editing.inline_rows import move_inline_rows
from spimpack_tasks.editing.participants import (
    add_participants,
    missing_subjects,
    participants_of,
    remove_participants,
    set_participant_cells,
    unused_participants,
)
from spimpack_tasks.errors import ConflictError, ExitCode, SpimpackError
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.packaging.prepare import prepare_run
from spimpack_tasks.running.preview import preview_run
from spimpack_tasks.running.process import PackagingRun
from spimpack_tasks.running.request import RunRequest
from spimpack_tasks.schemas import load_schema

MANIFEST = """\
# ours
dataset_description:
  Name: Test   # the name
  BIDSVersion: "1.10.0"
  DatasetType: raw
  License: CC0
  Authors: [A One]
scans_tsv: scans.tsv
"""


@pytest.fixture
def space(tmp_path):
    workspace = small_workspace(tmp_path / "study")
    workspace.write()
    workspace.manifest.write_text(MANIFEST)
    return workspace


@pytest.fixture
def editor(space):
    return open_manifest(str(space.manifest), (str(space.root),))


def lines_of(manifest) -> list[str]:
    return prepare_run(Options(str(manifest), "", writes=False)).report.lines()


def files_of(folder) -> dict[str, tuple]:
    return {
        entry.name: (entry.read_bytes(), entry.stat().st_mtime_ns, entry.stat().st_ino)
        for entry in folder.iterdir()
        if entry.is_file()
    }


# --- texts


def test_what_is_not_edited_is_not_written(space, editor):
    before = files_of(space.root)
    editor.set_cells({(0, "subject"): "01"})
    editor.set_value(("dataset_description", "Name"), "Test")
    assert editor.is_saved
    assert editor.save() == []
    assert files_of(space.root) == before


def test_an_edit_taken_back_is_none(editor):
    editor.set_cells({(0, "subject"): "07"})
    assert not editor.is_saved
    editor.set_cells({(0, "subject"): "01"})
    assert editor.is_saved


def test_saving_writes_the_edits_and_nothing_else(space, editor):
    scans = (space.root / "scans.tsv").read_text()
    participants = files_of(space.root)["participants.tsv"]
    editor.set_cells({(1, "subject"): "07", (2, "Species"): "hamster"})
    editor.set_value(("dataset_description", "Name"), "New: name")
    changes = {os.path.basename(c.path): (c.is_new, c.added, c.removed) for c in editor.changes()}
    assert changes == {"manifest.yml": (False, 1, 1), "scans.tsv": (False, 2, 2)}
    told = [change.cells for change in editor.changes()]
    assert told == [(), ("line 3, subject: 02 -> 07", "line 4, Species: rat -> hamster")]
    assert sorted(map(os.path.basename, editor.save())) == ["manifest.yml", "scans.tsv"]
    wanted = scans.replace("\t02\t", "\t07\t").replace("rat", "hamster")
    assert (space.root / "scans.tsv").read_text() == wanted
    assert space.manifest.read_text() == MANIFEST.replace("Name: Test", "Name: 'New: name'")
    assert files_of(space.root)["participants.tsv"] == participants
    assert editor.is_saved
    assert not [name for name in os.listdir(space.root) if name.startswith(".")]


@pytest.mark.parametrize("form", ["CRLF", "byte order mark", "no last line end"])
def test_saving_keeps_the_form_of_a_file(space, form):
    path = space.root / "scans.tsv"
    data = path.read_bytes()
    data = {
        "CRLF": data.replace(b"\n", b"\r\n"),
        "byte order mark": b"\xef\xbb\xbf" + data,
        "no last line end": data.rstrip(b"\n"),
    }[form]
    path.write_bytes(data)
    editor = open_manifest(str(space.manifest), (str(space.root),))
    editor.set_cells({(0, "sample"): "liver"})
    editor.save()
    assert path.read_bytes() == data.replace(b"brain", b"liver", 1)


def test_saving_keeps_permissions_and_links(space):
    real = space.root / "real.tsv"
    path = space.root / "scans.tsv"
    path.rename(real)
    real.chmod(0o640)
    path.symlink_to("real.tsv")
    editor = open_manifest(str(space.manifest), (str(space.root),))
    editor.set_cells({(0, "sample"): "liver"})
    editor.save()
    assert path.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert "liver" in real.read_text()


@pytest.mark.parametrize("way", ["changed", "removed", "appeared"])
def test_what_somebody_else_changed_is_not_overwritten(space, editor, way):
    editor.set_value(("dataset_description", "Name"), "New")
    if way == "appeared":
        (space.root / "participants.tsv").unlink()
        add_participants(editor, [{"participant_id": "sub-09"}])
        (space.root / "participants.tsv").write_text("participant_id\n")
    elif way == "changed":
        editor.set_cells({(0, "sample"): "liver"})
        with (space.root / "scans.tsv").open("a") as file:
            file.write("\n")
    else:
        editor.set_cells({(0, "sample"): "liver"})
        (space.root / "scans.tsv").unlink()
    before = files_of(space.root)
    with pytest.raises(ConflictError, match="changed by someone else"):
        editor.save()
    assert files_of(space.root) == before
    assert not editor.is_saved


def test_f13_of_two_savers_at_one_instant_one_is_told(space):
    """Of 200 rounds not one loses an edit, and not one leaves a file behind."""
    path = str(space.root / "scans.tsv")
    before = files_of(space.root).keys()
    for number in range(200):
        both = [OpenFiles((str(space.root),)) for _ in range(2)]
        for who, files in enumerate(both):
            files.edit(path, f"subject\n{number}by{who}\n")
        barrier = threading.Barrier(2)

        def save(files, barrier=barrier):
            barrier.wait()
            try:
                return files.save()
            except ConflictError:
                return []

        with ThreadPoolExecutor(2) as pool:
            saved = list(pool.map(save, both))
        assert sorted(map(len, saved)) == [0, 1]
        winner = saved.index([path])
        assert (space.root / "scans.tsv").read_text() == f"subject\n{number}by{winner}\n"
    assert files_of(space.root).keys() == before


def test_what_is_not_edited_follows_the_disk(space, editor):
    assert len(editor.rows) == 3
    path = space.root / "scans.tsv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    assert len(editor.rows) == 1


OUTSIDE = {
    "another folder": lambda root: root.parent / "other" / "manifest.yml",
    "dots": lambda root: root / ".." / "other" / "manifest.yml",
    "a folder that begins alike": lambda root: root.parent / "study-2" / "manifest.yml",
    "a link": lambda root: root / "link" / "manifest.yml",
}


@pytest.mark.parametrize("way", OUTSIDE)
@pytest.mark.parametrize("make", [open_manifest, new_manifest])
def test_nothing_outside_the_roots_is_opened_or_begun(space, way, make):
    for name in ("other", "study-2"):
        (space.root.parent / name).mkdir()
        if make is open_manifest:
            (space.root.parent / name / "manifest.yml").write_text(MANIFEST)
    (space.root / "link").symlink_to(space.root.parent / "other")
    with pytest.raises(SpimpackError, match="outside the folders"):
        make(str(OUTSIDE[way](space.root)), (str(space.root),))


SOURCES_OUTSIDE = {
    "a file": "../secret.ims",
    "nothing": "../nothing.ims",
    "an absolute path": lambda root: str(root.parent / "secret.ims"),
    "a folder": "/",
    "a link": lambda root: link_to(root / "raw" / "link.ims", root.parent / "secret.ims"),
    "a link to nothing": lambda root: link_to(root / "raw" / "a2.ims", root.parent / "gone.ims"),
    "in a linked folder": lambda root: f"{link_to(root / 'up', root.parent)}/secret.ims",
    "back by a link": lambda root: f"{link_to(root / 'up', root.parent)}/{root.name}/raw/a.ims",
    "home": "~/a.ims",
}


MERGES_OUTSIDE = {
    "i16-3-list": "../secret_1.ims;../secret_2.ims",
    "i16-3-glob": "../secret_*.ims",
    "i16-3-glob-of-folders": "../*/a.ims",
    "i16-3-back-behind-a-glob": "raw*/../../secret_*.ims",
    "i16-3-back-over-a-link": "raw/out*/secret_*.ims",
    "i16-3-no-such-files": "../none_*.ims",
}


@pytest.mark.parametrize("paths", MERGES_OUTSIDE.values(), ids=MERGES_OUTSIDE)
def test_of_files_outside_the_roots_that_are_merged_nothing_is_told(tmp_path, paths):
    (tmp_path / "root").mkdir()
    space = small_workspace(tmp_path / "root")
    for number in (1, 2):
        secret = tmp_path / f"secret_{number}.ims"
        secret.write_bytes((space.root / "raw" / "a.ims").read_bytes())
    (space.root / "raw" / "outside").symlink_to(tmp_path)
    space.rows[0] |= {"spim_path": paths, "merge_axis": "T"}
    space.write()
    editor = open_manifest(str(space.manifest), (str(space.root),))
    told = [p for p in editor.check().report.sorted() if p.place.line == 2]
    assert {p.code for p in told} == {"source.outside-roots"}
    wholes = [os.path.join(space.root, path) for path in paths.split(";")]
    assert [p.message for p in told] == [
        f"{whole!r} is outside the folders that may be used here" for whole in wholes
    ]


def link_to(path, target):
    path.symlink_to(target)
    return str(path.relative_to(path.parent.parent) if path.parent.name == "raw" else path.name)


@pytest.mark.parametrize("way", SOURCES_OUTSIDE)
def test_f12_of_a_source_outside_the_roots_nothing_is_told(tmp_path, way):
    """What is there, and what its header says, is answered in the same words."""
    (tmp_path / "root").mkdir()
    space = small_workspace(tmp_path / "root")
    space.write()
    (tmp_path / "secret.ims").write_bytes((space.root / "raw" / "a.ims").read_bytes())
    given = SOURCES_OUTSIDE[way]
    path = given if isinstance(given, str) else given(space.root)
    space.rows[0] |= {"spim_path": path, "PixelSize": "", "PixelSizeUnits": ""}
    space.write()
    editor = open_manifest(str(space.manifest), (str(space.root),))
    told = [p for p in editor.check().report.sorted() if p.place.line == 2]
    assert {p.code for p in told} == {"source.outside-roots"}
    whole = os.path.join(space.root, os.path.expanduser(path))
    assert [p.message for p in told] == [f"{whole!r} is outside the folders that may be used here"]
    options = Options(str(space.manifest), str(space.out), roots=(str(space.root),))
    assert "source.outside-roots" in {p.code for p in preview_run(options).report.errors}


def test_f12_a_run_that_a_page_starts_has_the_same_roots(tmp_path):
    (tmp_path / "root").mkdir()
    space = small_workspace(tmp_path / "root")
    (tmp_path / "secret.ims").write_bytes((space.root / "raw" / "a.ims").read_bytes())
    space.rows[0]["spim_path"] = "../secret.ims"
    space.write()
    options = Options(str(space.manifest), str(space.out), roots=(str(space.root),))
    run = PackagingRun(RunRequest(options))
    deadline = time.monotonic() + 60
    while run.is_going_on and time.monotonic() < deadline:
        time.sleep(0.05)
    assert run.exit_code == ExitCode.BAD_INPUT
    assert not space.out.exists()


def test_f12_inside_the_roots_nothing_changes(tmp_path):
    space = small_workspace(tmp_path)
    space.write()
    for roots in [(str(tmp_path),), (str(tmp_path.parent), "/nowhere")]:
        editor = open_manifest(str(space.manifest), roots)
        assert editor.check().report.errors == []


@pytest.mark.parametrize("way", ["a link", "dots in the manifest", "an absolute path"])
def test_a_table_outside_the_roots_is_neither_read_nor_written(space, way):
    outside = space.root.parent / "scans.tsv"
    (space.root / "scans.tsv").rename(outside)
    if way == "a link":
        (space.root / "scans.tsv").symlink_to(outside)
    else:
        name = "../scans.tsv" if way.startswith("dots") else str(outside)
        space.manifest.write_text(MANIFEST.replace("scans.tsv", name))
    editor = open_manifest(str(space.manifest), (str(space.root),))
    before = outside.read_bytes()
    for do in (lambda: editor.rows, lambda: editor.set_cells({(0, "sample"): "liver"})):
        with pytest.raises(SpimpackError, match="outside the folders"):
            do()
    assert editor.save() == []
    assert outside.read_bytes() == before


def test_a_disk_that_takes_nothing_leaves_everything(space, editor, monkeypatch):
    editor.set_cells({(0, "sample"): "liver"})
    editor.set_value(("dataset_description", "Name"), "New")
    before = files_of(space.root)
    made = []

    def fail(aside, data):
        if made:
            raise OSError(28, "No space left on device")
        made.append(aside)
        with open(aside, "wb") as file:
            file.write(data)

    monkeypatch.setattr("spimpack_tasks.files.atomic.write_new", fail)
    with pytest.raises(OSError, match="No space"):
        editor.save()
    assert files_of(space.root) == before


UNREADABLE = {
    "no file": (lambda path: path.unlink(), "does not exist"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "not a regular file"),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe\x00"), "not UTF-8"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_opened_says_why(space, what):
    spoil, message = UNREADABLE[what]
    spoil(space.manifest)
    with pytest.raises(SpimpackError, match=message):
        open_manifest(str(space.manifest), (str(space.root),))


def test_a_table_that_is_none_is_not_written_over(space, editor):
    (space.root / "scans.tsv").write_text("subject,sample\n01,brain\n")
    with pytest.raises(SpimpackError, match="tab-separated"):
        editor.add_rows([{"subject": "02"}])
    assert editor.is_saved


# --- undo and drafts


def test_undo_goes_back_edit_by_edit(editor):
    texts = [dict(editor.files.edited)]
    for subject in ("07", "08", "09"):
        editor.set_cells({(0, "subject"): subject})
        texts.append(dict(editor.files.edited))
    editor.discard()
    assert editor.is_saved
    for wanted in reversed(texts):
        editor.undo()
        assert editor.files.edited == wanted
    assert not editor.can_undo


def test_a_draft_survives_and_still_knows_what_it_was_made_from(
    space, editor, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    roots = (str(space.root),)
    assert drafts.find_unsaved(str(space.manifest), roots) is None
    editor.set_cells({(0, "sample"): "liver"})
    add_participants(editor, [{"participant_id": "sub-09"}])
    drafts.keep_unsaved(editor)
    found = drafts.find_unsaved(str(space.manifest), roots)
    assert found.edited == editor.files.edited
    (space.root / "scans.tsv").write_text("somebody else's")
    with pytest.raises(ConflictError):
        ManifestEditor(str(space.manifest), found).save()
    drafts.drop_unsaved(str(space.manifest))
    assert drafts.find_unsaved(str(space.manifest), roots) is None


def test_a_draft_is_kept_beside_what_a_killed_process_left(space, editor, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    editor.set_cells({(0, "sample"): "liver"})
    drafts.keep_unsaved(editor)
    (kept,) = (tmp_path / "state/spimpack/drafts").iterdir()
    kept.with_name(f".{kept.name}.{os.getpid()}").write_text("half")
    editor.set_cells({(0, "sample"): "heart"})
    drafts.keep_unsaved(editor)
    found = drafts.find_unsaved(str(space.manifest), (str(space.root),))
    assert found.edited == editor.files.edited


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 0}', '{"version": 1}'])
def test_a_broken_draft_is_none(space, tmp_path, monkeypatch, text):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    editor = open_manifest(str(space.manifest), (str(space.root),))
    editor.set_cells({(0, "sample"): "liver"})
    drafts.keep_unsaved(editor)
    (kept,) = (tmp_path / "state/spimpack/drafts").iterdir()
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    kept.write_text(text)
    assert drafts.find_unsaved(str(space.manifest), (str(space.root),)) is None


# --- checking


@pytest.mark.few(120)
@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_edits_are_checked_as_the_command_line_checks_files(case, study):
    """What is typed and not saved gives, word for word, the problems that it gives when saved."""
    manifest = study.path("manifest.yml")
    paths = [manifest, study.path("scans.tsv"), study.path("participants.tsv")]
    good = {path: path.read_bytes() for path in paths}
    case.spoil(study)
    wanted = lines_of(manifest)
    typed = {path: _typed(path, data) for path, data in good.items()}
    for path, text in typed.items():
        if text is not None:
            path.write_bytes(good[path])
    try:
        editor = open_manifest(str(manifest), ("/",))
    except SpimpackError:
        assert case.place.startswith("manifest.yml") or case.id == "option-manifest"
        return  # what cannot be opened cannot be edited
    for path, text in typed.items():
        if text is not None:
            editor.edit(str(path), text)
    assert editor.check().report.lines() == wanted


def _typed(path, before) -> str | None:
    """Return the text of a file that was changed, `None` for what nobody can type."""
    if not path.is_file() or path.is_symlink() or path.stat().st_size > 1_000_000:
        return None
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    return text if data != before and "\0" not in text else None


# --- rows


def test_rows_go_by_canonical_names(space):
    path = space.root / "scans.tsv"
    path.write_text(path.read_text().replace("subject", "sub", 1))
    editor = open_manifest(str(space.manifest), (str(space.root),))
    assert [row.cells["subject"] for row in editor.rows] == ["01", "02", "03"]
    assert editor.rows[0].source == str(space.root / "raw/a.ims")
    editor.set_cells({(0, "subject"): "07", (1, "session"): "a"})
    editor.add_rows([{"subject": "08", "session": "b"}])
    assert [row.cells["subject"] for row in editor.rows] == ["07", "02", "03", "08"]
    assert [row.cells["session"] for row in editor.rows] == ["", "a", "", "b"]
    assert "subject" not in editor.scans.table.columns
    editor.remove_rows([1, 2])
    editor.remove_column("session")
    assert [row.cells["subject"] for row in editor.rows] == ["07", "08"]


def test_a_row_for_an_image_has_what_is_certain(space):
    folder = space.root
    image = folder / "raw" / "sub-04" / "sub-04_ses-2_brain.ome.zarr"
    space.add_source(str(image.relative_to(folder / "raw")))
    row = row_for(str(image), str(folder))
    assert row["spim_path"] == "raw/sub-04/sub-04_ses-2_brain.ome.zarr"
    assert (row["subject"], row["session"]) == ("04", "2")
    assert row["PixelSizeUnits"] == "um"
    elsewhere = row_for(str(image), str(folder / "tables"))
    assert elsewhere["spim_path"] == str(image)
    assert "sample" not in row


def test_what_a_header_tells_fills_empty_cells_only(space):
    header, trouble = examine_image(str(space.root / "raw/b.ome.zarr"))
    assert not trouble
    told = cells_to_fill(header, {"PixelSizeUnits": "mm", "PixelSize": " "})
    assert "PixelSize" in told
    assert "PixelSizeUnits" not in told
    assert "voxels" in describe_header(header)


@pytest.mark.parametrize("name", ["none.ims", "no-image.txt"])
def test_an_image_that_cannot_be_read_says_why(space, name):
    (space.root / "no-image.txt").write_text("")
    header, trouble = examine_image(str(space.root / name))
    assert header is None
    assert trouble
    assert row_for(str(space.root / name), str(space.root)) == {"spim_path": name}


def test_a_copied_row_leaves_out_what_tells_images_apart():
    cells = {"spim_path": "a", "subject": "01", "acq_time": "t", "sample": "brain", "Custom": "x"}
    assert copied_row(cells) == {"sample": "brain", "Custom": "x"}


def test_inline_images_move_into_the_table(space):
    space.manifest.write_text(
        MANIFEST.replace("scans_tsv: scans.tsv\n", "")
        + """\
datasets:
- dataset_id: one   # first
  assets:
  - subject: "01"
    sample: brain
    spim_path: raw/a.ims
    orientation_string_xyz: RPI
    sample_staining: [YoPro, Abeta]
    PixelSize: [1.8, 1.8, 4]
    PixelSizeUnits: um
    metadata: {NumericalAperture: 0.6, ChannelNote: x}
"""
    )
    (space.root / "scans.tsv").unlink()
    (space.root / "participants.tsv").unlink()
    editor = open_manifest(str(space.manifest), (str(space.root),))
    before = editor.check()
    move_inline_rows(editor)
    after = editor.check()
    assert not after.report.errors
    assert after.dataset.assets == before.dataset.assets
    assert editor.rows[0].cells["dataset_id"] == "one"
    assert editor.files.text(editor.manifest) == MANIFEST.replace("scans_tsv: scans.tsv\n", "")


# --- beginning


def test_a_new_manifest_is_written_when_it_is_saved(tmp_path):
    (tmp_path / "scans.tsv").write_text("subject\tsample\n01\tbrain\n")
    editor = new_manifest(str(tmp_path / "new.yml"), (str(tmp_path),))
    assert [row.cells["sample"] for row in editor.rows] == ["brain"]
    assert os.listdir(tmp_path) == ["scans.tsv"]
    editor.save()
    assert sorted(os.listdir(tmp_path)) == ["new.yml", "scans.tsv"]
    with pytest.raises(ConflictError, match="is there already"):
        new_manifest(str(tmp_path / "new.yml"), (str(tmp_path),))


def test_a_new_manifest_begins_a_scans_table(tmp_path):
    editor = new_manifest(str(tmp_path / "manifest.yml"), (str(tmp_path),))
    assert editor.rows == []
    editor.save()
    assert (tmp_path / "scans.tsv").read_text().startswith("subject\t")


# --- participants


def test_participants_follow_the_scans_when_asked_to(editor):
    table = participants_of(editor)
    assert missing_subjects(editor.rows, table) == []
    editor.set_cells({(0, "subject"): "10", (1, "subject"): "9"})
    assert missing_subjects(editor.rows, table) == ["9", "10"]
    assert unused_participants(editor.rows, table) == [0, 1]
    add_participants(editor, [{"participant_id": "sub-9"}, {"participant_id": "sub-10"}])
    remove_participants(editor, unused_participants(editor.rows, participants_of(editor)))
    set_participant_cells(editor, {(1, "age"): "0.5"})
    text = editor.files.text(editor.participants_table)
    assert text == "participant_id\tgenotype\tage\nsub-03\t5xFAD\t\nsub-9\t\t0.5\nsub-10\t\t\n"


def test_a_table_of_participants_begins_where_there_is_none(space, editor):
    (space.root / "participants.tsv").unlink()
    assert missing_subjects(editor.rows, participants_of(editor)) == ["01", "02", "03"]
    assert editor.is_saved
    add_participants(editor, [{"participant_id": "sub-01"}])
    editor.save()
    text = (space.root / "participants.tsv").read_text()
    assert text == "participant_id\tspecies\tstrain\tage\tsex\nsub-01\t\t\t\t\n"


# --- fields of the description

DESCRIBED = {
    "text": ("Name", "A name", "A name"),
    "names": ("Authors", "A\n\n B ", ["A", "B"]),
    "one text or several": ("HEDVersion", "8.3.0", "8.3.0"),
    "several texts": ("HEDVersion", "8.3.0\nsc:1", ["8.3.0", "sc:1"]),
    "a mapping": ("DatasetLinks", '{"a": "b"}', {"a": "b"}),
    "nothing": ("Authors", " \n", None),
}


@pytest.mark.parametrize("case", DESCRIBED)
def test_what_is_typed_is_a_value_and_back(case):
    name, text, value = DESCRIBED[case]
    schema = load_schema("manifest")["properties"]["dataset_description"]["properties"][name]
    assert value_from_text(schema, text) == value
    assert value_from_text(schema, value_as_text(schema, value)) == value


def test_what_is_no_json_says_how_to_write_it():
    schema = load_schema("manifest")["properties"]["dataset_description"]["properties"]
    with pytest.raises(SpimpackError, match="write it like"):
        value_from_text(schema["DatasetLinks"], "a: b")


def test_items_of_a_list_are_edited_text_by_text():
    schema = load_schema("manifest")["properties"]["dataset_description"]["properties"]
    names = [field.label for field in item_fields(schema["SourceDatasets"], None)]
    assert names == ["URL", "DOI", "Version"]
    assert item_fields(schema["SourceDatasets"], "x") == []
    assert item_fields(schema["Authors"], None) == []
    items = with_item([], 0, ("URL",), " u ")
    assert items == [{"URL": "u"}]
    items = with_item([*items, {"DOI": "d", "Other": 1}], 1, ("DOI",), "")
    assert items == [{"URL": "u"}, {"Other": 1}]
    assert with_item(items, 0, ("URL",), "") == [{"Other": 1}]


def test_i17_8_fields_of_a_mapping_in_an_item():
    schema = load_schema("publication")["properties"]["contributors"]
    fields = {field.label: field for field in item_fields(schema, None)}
    assert list(fields) == [
        "name",
        "orcid",
        "email",
        "roles",
        "affiliation name",
        "affiliation ror",
    ]
    person = {"name": "A, B", "affiliation": {"name": "U"}}
    assert fields["affiliation name"].value_in(person) == "U"
    assert fields["affiliation ror"].value_in({"affiliation": 3}) is None
    changed = with_item([person], 0, ("affiliation", "ror"), "r")
    assert changed == [{"name": "A, B", "affiliation": {"name": "U", "ror": "r"}}]
    assert with_item([person], 0, ("affiliation", "name"), "") == [{"name": "A, B"}]
    assert with_item([person], 0, ("roles",), ["contact"])[0]["roles"] == ["contact"]
    assert with_item([{"roles": ["contact"]}], 0, ("roles",), []) == []
    assert person == {"name": "A, B", "affiliation": {"name": "U"}}
