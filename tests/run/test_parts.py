"""A run for a few subjects or images, of a table that lists more."""

from __future__ import annotations

import pytest
from workspace import Workspace, small_workspace

from spimpack_tasks import PackageDataset
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.luigi_run import build_alone
from spimpack_tasks.state.session import SESSION

SECOND = "sub-01_ses-2_sample-brain_acq-4x_SPIM"


@pytest.fixture
def space(tmp_path, capsys) -> Workspace:
    made = small_workspace(tmp_path)
    for row in made.rows:
        row["session"] = "1"
    made.add_row("d.ome.tif", subject="01", session="2", acquisition="4x", Species="mouse")
    made.write()
    capsys.readouterr()
    return made


def run(space: Workspace, command: str, *options: str) -> int:
    SESSION.reset()  # as in another process
    return main([command, str(space.manifest), str(space.out), *options])


def images(space: Workspace) -> set[str]:
    """Return subject and session of each image in the dataset."""
    found = space.out.glob("sub-*/ses-*/micr/*_SPIM.json")
    return {f"{path.parts[-4]}/{path.parts[-3]}" for path in found}


def subjects(space: Workspace) -> list[str]:
    lines = (space.out / "participants.tsv").read_text().splitlines()[1:]
    return [line.split("\t")[0] for line in lines]


PARTS = {
    "i15-7-subject": (("--subject", "02"), {"sub-02/ses-1"}),
    "i15-7-subject-with-prefix": (("--subject", "sub-02"), {"sub-02/ses-1"}),
    "i15-7-two-subjects": (("--subject", "02", "03"), {"sub-02/ses-1", "sub-03/ses-1"}),
    "i15-7-option-twice": (
        ("--subject", "02", "--subject", "03"),
        {"sub-02/ses-1", "sub-03/ses-1"},
    ),
    "i15-7-all-images-of-a-subject": (("--subject", "01"), {"sub-01/ses-1", "sub-01/ses-2"}),
    "i15-7-image-by-its-name": (("--image", SECOND), {"sub-01/ses-2"}),
    "i15-7-image-by-its-path-in-the-dataset": (
        ("--image", f"sub-01/ses-2/micr/{SECOND}.ome.tif"),
        {"sub-01/ses-2"},
    ),
    "i15-7-image-by-its-source": (("--image", "raw/d.ome.tif"), {"sub-01/ses-2"}),
    "i15-7-image-by-the-name-of-its-source": (("--image", "d.ome.tif"), {"sub-01/ses-2"}),
    "i15-7-both": (("--image", "d.ome.tif", "--subject", "03"), {"sub-01/ses-2", "sub-03/ses-1"}),
}


@pytest.mark.parametrize(("options", "wanted"), PARTS.values(), ids=PARTS)
def test_only_these_are_added(space, options, wanted):
    assert run(space, "package", *options) == ExitCode.OK
    assert images(space) == wanted
    assert subjects(space) == sorted({name.split("/")[0] for name in wanted})
    before = space.stamps()
    assert run(space, "plan", "--exit-code", *options) == ExitCode.OK
    assert run(space, "package", *options) == ExitCode.OK
    assert space.stamps() == before


def test_what_is_there_stays_and_the_whole_comes_to_the_same(space, tmp_path):
    for part, count in (("02", 1), ("01", 3), ("02", 3)):
        assert run(space, "package", "--subject", part) == ExitCode.OK
        assert len(images(space)) == count
    assert run(space, "package") == ExitCode.OK
    in_parts = space.tree()
    SESSION.reset()
    whole = tmp_path / "whole"
    assert main(["package", str(space.manifest), str(whole)]) == ExitCode.OK
    space.out.rename(tmp_path / "parts")
    whole.rename(space.out)
    # Times of the record differ; the dataset does not.
    assert {p: w for p, w in space.tree().items() if not p.startswith(".spimpack")} == {
        p: w for p, w in in_parts.items() if not p.startswith(".spimpack")
    }


def test_mistakes_in_other_rows_do_not_count(space):
    space.rows[2]["orientation_string_xyz"] = "XXX"  # of sub-03
    space.write()
    assert run(space, "package", "--subject", "02") == ExitCode.OK
    assert run(space, "package", "--subject", "03") == ExitCode.BAD_INPUT
    assert images(space) == {"sub-02/ses-1"}
    assert run(space, "package") == ExitCode.BAD_INPUT


def test_a_mistake_in_a_row_of_an_image_that_is_there_counts(space):
    assert run(space, "package", "--subject", "03") == ExitCode.OK
    space.rows[2]["orientation_string_xyz"] = "XXX"
    space.write()
    assert run(space, "package", "--subject", "02") == ExitCode.BAD_INPUT
    assert images(space) == {"sub-03/ses-1"}


UNKNOWN = {
    "subject": (("--subject", "0l"), "--subject: no row has the subject '0l'"),
    "image": (("--image", "e.ome.tif"), "--image: no row has the image 'e.ome.tif'"),
    "name": (("--image", "sub-09_SPIM"), "--image: no row has the image 'sub-09_SPIM'"),
    "name of a known subject": (
        ("--subject", "02", "--image", "sub-01_ses-9_SPIM"),
        "--image: no row has the image 'sub-01_ses-9_SPIM'",
    ),
}


@pytest.mark.parametrize(("options", "message"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_part_that_no_row_has_is_refused(space, capsys, options, message):
    assert run(space, "package", *options) == ExitCode.BAD_INPUT
    assert message in capsys.readouterr().err
    assert not space.out.exists()


def test_luigi_has_it(space):
    SESSION.reset()
    where = {"manifest": str(space.manifest), "output_dir": str(space.out)}
    task = PackageDataset(**where, subjects=["02"], images=["d.ome.tif"])
    build_alone(task, 1)
    assert task.end() is ExitCode.OK
    assert images(space) == {"sub-02/ses-1", "sub-01/ses-2"}
