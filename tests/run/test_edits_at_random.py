"""After any edits, a dataset is byte for byte what a new one of the same inputs is.

The same holds for messages. A path is written again only if its content is another one.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import luigi
import pytest
from workspace import Workspace, small_workspace, tree_of

from spimpack_tasks.errors import ConflictError, ExitCode, InputError
from spimpack_tasks.packaging.prepare import prepare_run
from spimpack_tasks.pipelines import package
from spimpack_tasks.state.session import SESSION

VALUES = {
    "subject": ["01", "02", "07", "ab", "aB", "1", "0 1", ""],
    "sample": ["brain", "liver", "brain 2"],
    "acquisition": ["4x", "10x", "n/a", ""],
    "Comment": ["as delivered", "edited", "müde", "", "n/a"],
    "PixelSize": ["1.8;1.8;4", "[1.8, 1.8, 4.0]", "1.8;1.8", "2;2;4", "x", ""],
    "PixelSizeUnits": ["um", "nm", "mm", "parsec"],
    "orientation_string_xyz": ["RPI", "LPI", "rpi", "XYZ"],
    "sample_staining": ["YoPro;Abeta", "Abeta;YoPro", "Abeta", "a;;b"],
    "sample_type": ["tissue", "cell line", ""],
    "acq_time": ["2024-01-01T10:00:00", "yesterday", ""],
    "dataset_id": ["", "one", "two"],
    "Species": ["mouse", "rat", "#N/A"],
    "override_header": ["", "PixelSize", "Colour"],
}
"""Cells by column, right ones and wrong ones."""
SOURCES = ["a.ims", "b.ome.zarr", "c.ome.tif", "d.ome.tif", "e.ims", "f.tif", "nothing.ims"]
STEPS = 14
MINE = "mine\n"
"""The end of a file that somebody has altered."""

Edit = Callable[[Workspace, random.Random], None]


def change_cell(workspace: Workspace, chance: random.Random) -> None:
    column = chance.choice([*VALUES])
    chance.choice(workspace.rows)[column] = chance.choice(VALUES[column])


def change_column(workspace: Workspace, chance: random.Random) -> None:
    column = chance.choice([*VALUES])
    value = chance.choice(VALUES[column])
    for row in workspace.rows:
        row[column] = value


def drop_column(workspace: Workspace, chance: random.Random) -> None:
    column = chance.choice([*VALUES])
    for row in workspace.rows:
        row.pop(column, None)


def add_row(workspace: Workspace, chance: random.Random) -> None:
    row = {**chance.choice(workspace.rows), "subject": f"{chance.randrange(40):02}"}
    row["spim_path"] = f"raw/{chance.choice(SOURCES)}"
    workspace.rows.insert(chance.randrange(len(workspace.rows) + 1), row)


def repeat_row(workspace: Workspace, chance: random.Random) -> None:
    workspace.rows.append({**chance.choice(workspace.rows)})


def remove_row(workspace: Workspace, chance: random.Random) -> None:
    if len(workspace.rows) > 2:
        workspace.rows.pop(chance.randrange(len(workspace.rows)))


def move_rows(workspace: Workspace, chance: random.Random) -> None:
    chance.shuffle(workspace.rows)


def change_source(workspace: Workspace, chance: random.Random) -> None:
    chance.choice(workspace.rows)["spim_path"] = f"raw/{chance.choice(SOURCES)}"


def replace_source(workspace: Workspace, chance: random.Random) -> None:
    """Put an image of another size in bytes, and with other metadata, in the place of one."""
    path = workspace.root / "raw" / chance.choice(["a.ims", "c.ome.tif", "d.ome.tif", "e.ims"])
    content = path.read_bytes() + b" "
    path.unlink()
    path.write_bytes(content.replace(b'PhysicalSizeY="1.8', b'PhysicalSizeY="1.7'))


def change_description(workspace: Workspace, chance: random.Random) -> None:
    key, value = chance.choice(
        [("Name", "Other"), ("Name", "Test"), ("Authors", ["B Two"]), ("DatasetType", "x")]
    )
    workspace.description[key] = value


def change_participants(workspace: Workspace, chance: random.Random) -> None:
    subject = chance.choice(["01", "sub-02", "07", "99"])
    person = {"participant_id": subject, "genotype": chance.choice(["wt", ""])}
    workspace.participants = [*workspace.participants[: chance.randrange(1, 4)], person]


def delete_output(workspace: Workspace, chance: random.Random) -> None:
    (workspace.out / chance.choice(outputs(workspace.out))).unlink()


def alter_output(workspace: Workspace, chance: random.Random) -> None:
    """Write into a sidecar or a table, as somebody else might."""
    written = [p for p in outputs(workspace.out) if p.endswith((".json", ".tsv"))]
    with (workspace.out / chance.choice(written)).open("a") as file:
        file.write(MINE)


EDITS: list[Edit] = [
    *(change_cell, change_cell, change_cell, change_column, drop_column, add_row, add_row),
    *(repeat_row, remove_row, move_rows, change_source, replace_source, change_description),
    *(change_participants, delete_output, alter_output),
]


def outputs(out: Path) -> list[str]:
    """Return the paths of the files and links of a dataset that are ours as a whole."""
    seeds = {"README.md", "CHANGES", ".bidsignore"}
    found = tree_of(out).items()
    return sorted(path for path, (kind, _) in found if kind != "directory" and path not in seeds)


def new_process() -> None:
    """Forget what a new process would not know."""
    SESSION.reset()
    luigi.task_register.Register.clear_instance_cache()


def told_by(workspace: Workspace, out: Path) -> list[str]:
    """Return all messages about the inputs; the place of the dataset is not told from another."""
    prepared = prepare_run(workspace.options(output_dir=str(out)))
    return [line.replace(str(out), "OUT") for line in prepared.report.lines()]


def package_anew(workspace: Workspace, out: Path) -> str:
    """Make a dataset where there is none; return why it was refused."""
    shutil.rmtree(out, ignore_errors=True)
    new_process()
    try:
        package(workspace.options(output_dir=str(out)), 1)
    except InputError as error:
        return str(error).replace(str(out), "OUT")
    return ""


def undo_alteration(workspace: Workspace, right: dict[str, tuple[str, str]]) -> None:
    for path, (kind, text) in tree_of(workspace.out).items():
        if kind == "file" and right.get(path, (kind, text))[1] != text:
            (workspace.out / path).unlink()


def move_away(out: Path, anew: dict[str, tuple[str, str]]) -> None:
    """Remove altered files that no row wants any longer: they stay, and belong to the user."""
    for path, (kind, text) in tree_of(out).items():
        if path not in anew and kind == "file" and text.endswith(MINE):
            (out / path).unlink()
            with suppress(OSError):
                os.removedirs((out / path).parent)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16))
def test_any_edits_end_as_a_new_dataset_does(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    workspace = small_workspace(tmp_path)
    for name in SOURCES[3:-1]:
        workspace.add_source(name)
    assert workspace.run().exit_code == ExitCode.OK
    anew = tmp_path / "anew"
    accepted, right = 0, workspace.tree()
    for _ in range(STEPS):
        rows = [{**row} for row in workspace.rows]
        description, participants = {**workspace.description}, workspace.participants
        for edit in chance.sample(EDITS, chance.randrange(1, 4)):
            edit(workspace, chance)
        workspace.write()
        refused = package_anew(workspace, anew)
        if chance.random() < 0.8:
            new_process()
        said, stamps = "", workspace.stamps()
        try:
            outcome = workspace.run()
        except ConflictError:
            assert right != workspace.tree()  # somebody has altered a file
            undo_alteration(workspace, right)
            stamps = workspace.stamps()
            outcome = workspace.run()
        except InputError as error:
            said = str(error).replace(str(workspace.out), "OUT")
        assert said == refused
        if refused:
            workspace.rows, workspace.description = rows, description
            workspace.participants = participants
            continue
        accepted += 1
        assert outcome.exit_code == ExitCode.OK
        move_away(workspace.out, tree_of(anew))
        right = workspace.tree()
        assert right == tree_of(anew)
        assert told_by(workspace, workspace.out) == told_by(workspace, anew)
        after = workspace.stamps()
        same = {p for p in stamps.keys() & after.keys() if stamps[p][:2] == after[p][:2]}
        assert not {path for path in same if stamps[path] != after[path]}
        new_process()
        again = workspace.run()
        assert again.exit_code == ExitCode.OK
        assert workspace.stamps() == after
        assert os.path.exists(workspace.out / ".spimpack" / "seal")
    assert accepted > STEPS // 5
