"""Pictures beside images, and files that a backend makes beside them."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from test_graph import real_graph
from workspace import Workspace, small_workspace

from spimpack_tasks import LinkAssets, MakeAssets
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ConflictError, ExitCode, InputError
from spimpack_tasks.model.plan import SPECS, Output, Step
from spimpack_tasks.packaging import plan
from spimpack_tasks.packaging.backends.base import Companion
from spimpack_tasks.packaging.backends.ome_zarr import OME_ZARR
from spimpack_tasks.packaging.backends.registry import BACKENDS
from spimpack_tasks.packaging.backends.symlink import SYMLINK
from spimpack_tasks.packaging.prepare import look, prepare_run
from spimpack_tasks.qc.pictures import STRIP_VERSION
from spimpack_tasks.report.data import gather_data
from spimpack_tasks.report.graph import task_graph
from spimpack_tasks.state.session import SESSION
from spimpack_tasks.state.store import Store
from spimpack_tasks.validation.bids_validator import run_bids_validator
from spimpack_tasks.verification.verify import verify_fast, verify_full

STEMS = [f"sub-0{n}/micr/sub-0{n}_sample-brain_acq-4x" for n in (1, 2, 3)]
PREVIEWS = {f"{stem}_preview.png" for stem in STEMS}


def previews_of(space: Workspace) -> dict[str, str]:
    return {path: text for path, (_, text) in space.tree().items() if path in PREVIEWS}


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return small_workspace(tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("backend", ["symlink", "ome-zarr"])
def test_each_image_has_a_picture(space: Workspace, backend: str, workers: int) -> None:
    outcome = space.run(workers, backend=backend, previews=True)
    assert outcome.lines("out")[0] == "Packaged out: 3 new"
    assert previews_of(space).keys() == PREVIEWS
    for path in PREVIEWS:
        with Image.open(space.out / path) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert picture.mode == "RGB"
            assert picture.getextrema() != ((0, 0),) * 3
        assert os.path.getsize(space.out / path) < 50_000
    before = space.stamps()
    outcome = space.run(workers, backend=backend, previews=True)
    assert outcome.lines("out")[0] == "Nothing to do: 3 unchanged in out"
    assert space.stamps() == before


def test_equal_input_gives_equal_bytes(space: Workspace) -> None:
    space.run(previews=True)
    first = previews_of(space)
    shutil.rmtree(space.out)
    space.run(previews=True, workers=2)
    assert previews_of(space) == first


def test_a_new_version_of_the_step_draws_anew(space: Workspace, monkeypatch) -> None:
    space.run(previews=True)
    before = space.stamps()
    newer = replace(SPECS[Step.PREVIEWS], version=99)
    monkeypatch.setitem(SPECS, Step.PREVIEWS, newer)
    steps = tuple(newer if spec.step is Step.PREVIEWS else spec for spec in plan.STEPS)
    monkeypatch.setattr(plan, "STEPS", steps)
    SESSION.reset()
    assert space.run(previews=True).counts["changed"] == 3
    now = space.stamps()
    assert {path for path in now if now[path] != before[path]} == PREVIEWS


def test_a_strip_that_looks_different_is_drawn_anew() -> None:
    assert SPECS[Step.PREVIEWS].version == STRIP_VERSION


def test_switching_it_on_and_off_touches_nothing_else(space: Workspace) -> None:
    space.run()
    before = space.stamps()
    outcome = space.run(previews=True)
    assert {k: n for k, n in outcome.counts.items() if n} == {"changed": 3}
    on = space.stamps()
    assert on.keys() - before.keys() == PREVIEWS
    assert all(on[path] == before[path] for path in before if path != ".bidsignore")
    outcome = space.run(previews=False)
    assert outcome.exit_code == ExitCode.OK
    assert outcome.counts["other files removed"] == 3
    assert space.stamps().keys() == before.keys()


def turn(space: Workspace) -> None:
    space.rows[0]["orientation_string_xyz"] = "LPI"


def touch(space: Workspace) -> None:
    os.utime(space.root / "raw/a.ims", ns=(1, 1))


def remove(space: Workspace) -> None:
    (space.out / min(PREVIEWS)).unlink()


CHANGES = {
    "orientation": (turn, "is drawn again"),
    "source": (touch, "is drawn again"),
    "removed": (remove, "is gone"),
    "another cell": (lambda space: space.rows[0].update(Species="rat"), ""),
}


@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
def test_a_picture_is_drawn_again_only_where_it_must(space, change, reason) -> None:
    space.run(previews=True)
    before = space.stamps()
    change(space)
    space.write()
    _, changes, refusal = look(space.options(previews=True))
    assert refusal is None
    reasons = [text for each in changes for text in each.reasons if "preview" in text]
    assert [text.endswith(reason) for text in reasons] == [True] * bool(reason)
    assert space.run(previews=True).exit_code == ExitCode.OK
    now = space.stamps()
    drawn = {path for path in PREVIEWS if now[path] != before[path]}
    assert drawn == ({min(PREVIEWS)} if reason else set())


def test_what_the_row_says_is_how_it_is_turned(space: Workspace) -> None:
    """Across an axial slice of RAS, x is to the right; of LAS it is mirrored."""
    import numpy as np

    space.add_row("d.ome.zarr", subject="04", Species="rat")
    space.participants.append({"participant_id": "04", "genotype": ""})
    chunk = space.root / "raw/d.ome.zarr/0/c/0/0/0/0"
    voxels = np.zeros((2, 2, 8, 8), "<u2")
    voxels[..., 4:] = 1000  # the half of larger x is bright
    chunk.write_bytes(voxels.tobytes())
    brightness = {}
    for code in ("RAS", "LAS"):
        space.rows[-1]["orientation_string_xyz"] = code
        space.run(previews=True)
        with Image.open(space.out / "sub-04/micr/sub-04_sample-brain_preview.png") as picture:
            pixels = np.asarray(picture.convert("L"), int)
        axial = pixels[20:118, 20:118]  # inside of the letters
        brightness[code] = axial[:, :49].sum(), axial[:, 49:].sum()
    left, right = brightness["RAS"]
    assert right > 5 * left
    left, right = brightness["LAS"]
    assert left > 5 * right


def test_with_its_state_lost_no_picture_is_drawn(space: Workspace) -> None:
    space.run(previews=True)
    before = space.stamps()
    shutil.rmtree(space.out / ".spimpack")
    assert space.run(previews=True).lines("out")[0].startswith("Nothing to do")
    assert space.stamps() == before


def test_what_the_user_changed_or_put_there_stays(space: Workspace) -> None:
    space.run(previews=True)
    picture = space.out / min(PREVIEWS)
    data = picture.read_bytes()
    picture.write_bytes(data[:-1] + b"x")  # what it was made from still stands in it
    with pytest.raises(ConflictError, match=r"conflict\.altered"):
        space.run(previews=True)
    assert picture.read_bytes() != data
    assert space.run(previews=True, overwrite=True).exit_code == ExitCode.OK
    assert picture.read_bytes() == data
    picture.unlink()
    space.run(previews=False)
    picture.write_bytes(b"mine")
    with pytest.raises(ConflictError, match=r"conflict\.foreign"):
        space.run(previews=True)
    assert picture.read_bytes() == b"mine"


def test_verification_knows_them(space: Workspace) -> None:
    space.run(previews=True, checksum=True)
    store = Store(str(space.out))
    assert list(verify_fast(store)) == []
    assert list(verify_full(store)) == []
    assert min(PREVIEWS) in (space.out / ".spimpack/SHA256SUMS").read_text()
    (space.out / min(PREVIEWS)).write_bytes(b"other")
    for verify in (verify_fast, verify_full):
        (deviation,) = verify(store)
        assert (deviation.path, str(deviation.fault)) == (min(PREVIEWS), "altered")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pybids' own
def test_others_take_no_picture_for_an_image(space: Workspace) -> None:
    import bids
    import bids2table

    space.run(previews=True)
    assert run_bids_validator(space.out).errors == ()
    assert len(bids.BIDSLayout(space.out, validate=False).get(suffix="SPIM")) == 6  # and sidecars
    indexed = bids2table.index_dataset(space.out).to_pylist()
    assert sum(row["suffix"] == "SPIM" and row["ext"] != ".json" for row in indexed) == 3
    store = Store(str(space.out))
    assert store.load_plan(store.current_plan_id()).asset_count == 3


def test_the_report_and_the_graph_know_the_step(space: Workspace) -> None:
    space.run(previews=True)
    (space.out / min(PREVIEWS)).unlink()
    options = space.options(previews=True)
    draft = prepare_run(options)
    nodes = task_graph(draft, draft.sweep())
    states, _ = real_graph(space, previews=True)
    assert {node.name: node.units for node in nodes} == states
    assert list(states["WritePreviews"].values()).count(False) == 1
    tasks = {node.name: node for node in gather_data(Store(str(space.out))).tasks}
    assert tasks["WritePreviews"].done == 2


def test_voxels_that_cannot_be_read_fail_alone(space: Workspace) -> None:
    shutil.rmtree(space.root / "raw/b.ome.zarr/0")
    assert space.run(previews=True).exit_code == ExitCode.FAILED
    assert previews_of(space).keys() == PREVIEWS - {f"{STEMS[1]}_preview.png"}
    assert space.tree().keys() >= {f"{stem}_SPIM.json" for stem in STEMS}


def test_a_missing_library_is_told_before(space: Workspace, monkeypatch) -> None:
    monkeypatch.setattr("spimpack_tasks.packaging.option_rules.PICTURES", ("no_such_library",))
    with pytest.raises(InputError, match=r"--previews: needs no_such_library.*backend\.extra"):
        space.run(previews=True)
    assert not space.out.exists()


def test_the_command_line_has_it(space: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    space.write()
    where = ["--manifest", str(space.manifest), "--output-dir", str(space.out)]
    assert main(["package", *where, "--previews"]) == ExitCode.OK
    assert main(["plan", *where, "--no-previews"]) == ExitCode.OK
    assert f"{min(PREVIEWS)}\n          no longer wanted" in capsys.readouterr().out
    assert main(["status", *where, "--previews"]) == ExitCode.OK


def sum_of(image: str) -> bytes:
    """Return a line of `sha256sum` on an image, or on the names in a store."""
    data = os.listdir(image) if os.path.isdir(image) else Path(image).read_bytes()
    digest = hashlib.sha256(repr(data).encode()).hexdigest()
    return f"{digest}  {os.path.basename(image)}\n".encode()


def write_sum(image: str, output: Output, path: str) -> None:
    del output
    Path(path).write_bytes(sum_of(image))


def is_sum(image: str, output: Output, path: str) -> bool:
    del output
    return Path(path).read_bytes() == sum_of(image)


SUM = Companion(ending=".sha256", make=write_sum, matches=is_sum)
SUMMED = replace(SYMLINK, name="summed", task="SummedAssets", companions=(SUM,))
SUMMED_ZARR = replace(OME_ZARR, name="summed-zarr", task="SummedZarrAssets", companions=(SUM,))


class SummedAssets(LinkAssets):
    definition = SUMMED


class SummedZarrAssets(MakeAssets):
    definition = SUMMED_ZARR


@pytest.fixture(params=[SUMMED, SUMMED_ZARR], ids=["summed", "summed-zarr"])
def summed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(BACKENDS, request.param.name, request.param)
    return request.param.name


@pytest.mark.few(2)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_backend_has_companions(space: Workspace, summed: str, workers: int) -> None:
    outcome = space.run(workers, backend=summed)
    assert outcome.lines("out")[0] == "Packaged out: 3 new"
    sums = {f"{stem}_SPIM.sha256" for stem in STEMS}
    assert {path for path in space.tree() if path.endswith(".sha256")} == sums
    image = next((space.out / "sub-01/micr").glob("*_SPIM.[io]*"))
    assert (space.out / min(sums)).read_bytes() == sum_of(str(image))
    assert all(f"/{path}\n" in (space.out / ".bidsignore").read_text() for path in sums)
    assert run_bids_validator(space.out).errors == ()
    assert list(verify_fast(Store(str(space.out)))) == []
    before = space.stamps()
    assert space.run(workers, backend=summed).lines("out")[0].startswith("Nothing to do")
    shutil.rmtree(space.out / ".spimpack")
    assert space.run(workers, backend=summed).lines("out")[0].startswith("Nothing to do")
    assert space.stamps() == before


@pytest.mark.parametrize("endings", [(".json",), ("sha256",), (".a/b",), (".a", ".a")], ids=str)
def test_an_ending_that_cannot_be_is_refused(endings: tuple[str, ...]) -> None:
    companions = tuple(replace(SUM, ending=ending) for ending in endings)
    with pytest.raises(ValueError, match="companion"):
        replace(SUMMED, companions=companions)


def test_a_new_version_of_a_companion_is_made_anew(space, summed, monkeypatch) -> None:
    space.run(backend=summed)
    before = space.stamps()

    def write_other(*arguments: Any) -> None:
        Path(arguments[-1]).write_text("other")

    other = replace(SUM, make=write_other, matches=lambda *_: False, version=2)
    monkeypatch.setitem(BACKENDS, summed, replace(BACKENDS[summed], companions=(other,)))
    SESSION.reset()
    assert space.run(backend=summed).counts["changed"] == 3
    now = space.stamps()
    changed = {path for path in now if now[path] != before[path]}
    assert changed == {f"{stem}_SPIM.sha256" for stem in STEMS}


def test_a_companion_follows_its_image(space: Workspace, summed: str) -> None:
    space.run(backend=summed)
    before = space.stamps()
    os.utime(space.root / "raw/a.ims", ns=(1, 1))
    assert space.run(backend=summed).counts["changed"] == 1
    now = space.stamps()
    sums = [path for path in now if path.endswith(".sha256")]
    assert [path for path in sums if now[path] != before[path]] in ([], [f"{STEMS[0]}_SPIM.sha256"])
    del space.rows[0], space.participants[0]
    assert space.run(backend=summed).exit_code == ExitCode.OK
    assert not (space.out / "sub-01").exists()
    draft = prepare_run(space.options(backend=summed))
    states, _ = real_graph(space, backend=summed)
    assert {node.name: node.units for node in task_graph(draft, draft.sweep())} == states
    assert Step.COMPANIONS in {output.step for output in draft.plan().outputs}
    assert (
        space.run(backend="symlink").counts["other files removed"] == 3
    )  # two companions, and .bidsignore
    assert not [path for path in space.tree() if path.endswith(".sha256")]
