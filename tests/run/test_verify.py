"""A dataset is proven against its record: quickly by what lstat says, fully by checksums."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import luigi
import pytest
from children import start, wait
from workspace import AS_THEY_ARE, STATE, Workspace, leftovers, small_workspace

import spimpack_tasks
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.files import digests
from spimpack_tasks.state.store import Store
from spimpack_tasks.verification import verify
from spimpack_tasks.verification.verify import Fault, verify_fast, verify_full

IMS = "sub-01/micr/sub-01_sample-brain_acq-4x_SPIM.ims"
SIDECAR = "sub-01/micr/sub-01_sample-brain_acq-4x_SPIM.json"
ZARR = "sub-02/micr/sub-02_sample-brain_acq-4x_SPIM.ome.zarr"
TIFF = "sub-03/micr/sub-03_sample-brain_acq-4x_SPIM.ome.tif"
LINKS = {"symlink"}
COPIES = {"hardlink", "copy"}
ALL = {*AS_THEY_ARE}
SOME = {"symlink", "copy"}

Found = dict[str, str]


def fast(workspace: Workspace) -> Found:
    return {d.path: str(d.fault) for d in verify_fast(Store(str(workspace.out)))}


def full(workspace: Workspace) -> Found:
    return {d.path: str(d.fault) for d in verify_full(Store(str(workspace.out)))}


def keep_times(path: Path, change: Callable[[Path], None]) -> None:
    status = path.stat()
    change(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def flip_bit(path: Path) -> None:
    def flip(path: Path) -> None:
        with path.open("r+b") as file:
            first = file.read(1)[0]
            file.seek(0)
            file.write(bytes([first ^ 1]))

    keep_times(path, flip)


def replace(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@dataclass(frozen=True)
class Case:
    """What is done to a packaged dataset or its sources, and what is found then."""

    name: str
    change: Callable[[Path], object]
    fast: Found
    full: Found
    at: str = ""
    """What is changed: a path of the dataset, or of the sources if it begins with `raw/`."""
    backends: frozenset[str] = frozenset({"symlink"})

    def __str__(self) -> str:
        return self.name


def case(
    name: str,
    at: str,
    change: Callable[[Path], object],
    fast: Fault | None,
    full: Fault | None,
    *,
    path: str = "",
    backends: set[str] = SOME,
) -> Case:
    path = path or at
    return Case(
        name,
        change,
        {path: str(fast)} if fast else {},
        {path: str(full)} if full else {},
        at,
        frozenset(backends),
    )


CASES = [
    Case("nothing", lambda _: None, {}, {}),
    case("flipped bit in a file", IMS, flip_bit, None, Fault.CHECKSUM, backends=ALL),
    case(
        "flipped bit in a chunk",
        f"{ZARR}/0/c/0/0/0/0",
        flip_bit,
        None,
        Fault.CHECKSUM,
        path=ZARR,
        backends=ALL,
    ),
    case("flipped bit in a sidecar", SIDECAR, flip_bit, None, Fault.CHECKSUM),
    case("deleted sidecar", SIDECAR, Path.unlink, Fault.MISSING, Fault.MISSING),
    case("deleted image", IMS, Path.unlink, Fault.MISSING, Fault.MISSING),
    case("deleted table", "samples.tsv", Path.unlink, Fault.MISSING, Fault.MISSING),
    case(
        "deleted chunk",
        f"{ZARR}/0/c/0/0/0/0",
        Path.unlink,
        None,
        Fault.CHECKSUM,
        path=ZARR,
        backends=ALL,
    ),
    case("added chunk", f"{ZARR}/0/c/1", Path.touch, None, Fault.CHECKSUM, path=ZARR),
    case("extra file", "sub-01/micr/notes.txt", Path.touch, Fault.EXTRA, Fault.EXTRA),
    case("extra subject", "sub-99", Path.touch, Fault.EXTRA, Fault.EXTRA),
    case("edited sidecar", SIDECAR, grow, Fault.ALTERED, Fault.ALTERED),
    case("truncated sidecar", SIDECAR, lambda p: os.truncate(p, 3), Fault.ALTERED, Fault.ALTERED),
    case("touched sidecar", SIDECAR, touch, None, None),
    case(
        "sidecar became a pipe",
        SIDECAR,
        lambda p: (p.unlink(), os.mkfifo(p)),
        *[Fault.REPLACED] * 2,
    ),
    case(
        "sidecar became a link to its like",
        SIDECAR,
        lambda p: (shutil.copy(p, p.parents[3] / "x"), replace(p, str(p.parents[3] / "x"))),
        Fault.REPLACED,
        Fault.REPLACED,
    ),
    case(
        "table became a folder",
        "samples.tsv",
        lambda p: (p.unlink(), p.mkdir()),
        *[Fault.REPLACED] * 2,
    ),
    case("README edited", "README.md", grow, None, None),
    case("README deleted", "README.md", Path.unlink, *[Fault.MISSING] * 2),
    case("own line in .bidsignore", ".bidsignore", grow, None, None),
    case(
        "our block of .bidsignore emptied",
        ".bidsignore",
        lambda p: p.write_text(""),
        *[Fault.ALTERED] * 2,
    ),
    case(
        "link to another image",
        IMS,
        lambda p: replace(p, "/elsewhere"),
        *[Fault.RETARGETED] * 2,
        backends=LINKS,
    ),
    case(
        "file for a link",
        IMS,
        lambda p: (p.unlink(), p.touch()),
        *[Fault.REPLACED] * 2,
        backends=LINKS,
    ),
    case("truncated copy", IMS, lambda p: os.truncate(p, 3), *[Fault.ALTERED] * 2, backends=COPIES),
    case("touched copy", IMS, touch, None, None, backends={"copy"}),
    case("touched hard link", IMS, touch, Fault.ALTERED, None, backends={"hardlink"}),
    case(
        "source gone", "raw/a.ims", Path.unlink, *[Fault.SOURCE_GONE] * 2, path=IMS, backends=LINKS
    ),
    case("source of a copy gone", "raw/a.ims", Path.unlink, None, None, backends=COPIES),
    case(
        "store gone",
        "raw/b.ome.zarr",
        shutil.rmtree,
        *[Fault.SOURCE_GONE] * 2,
        path=ZARR,
        backends=LINKS | {"symlink-tree"},
    ),
    case(
        "source of copied store gone", "raw/b.ome.zarr", shutil.rmtree, None, None, backends=COPIES
    ),
    case("source grown", "raw/a.ims", grow, *[Fault.SOURCE_CHANGED] * 2, path=IMS, backends=LINKS),
    case(
        "source touched", "raw/a.ims", touch, Fault.SOURCE_CHANGED, None, path=IMS, backends=LINKS
    ),
    case(
        "source replaced by a pipe",
        "raw/a.ims",
        lambda p: (p.unlink(), os.mkfifo(p)),
        Fault.SOURCE_CHANGED,
        Fault.UNREADABLE,
        path=IMS,
        backends=LINKS,
    ),
]


def package(root: Path, backend: str = "symlink", *, checksum: bool = True) -> Workspace:
    workspace = small_workspace(root)
    assert workspace.run(backend=backend, checksum=checksum).exit_code == ExitCode.OK
    return workspace


@pytest.mark.parametrize(
    ("case", "backend"),
    [(case, backend) for case in CASES for backend in sorted(case.backends)],
    ids=str,
)
def test_what_differs_is_found(case: Case, backend: str, tmp_path: Path) -> None:
    workspace = package(tmp_path, backend)
    root = workspace.root if case.at.startswith("raw/") else workspace.out
    case.change(root / case.at)
    before = workspace.tree() if "pipe" not in case.name else {}
    assert fast(workspace) == case.fast
    assert full(workspace) == case.full
    assert not before or workspace.tree() == before
    assert not (workspace.out / STATE / "verify").exists()


@pytest.mark.parametrize(
    ("path", "change", "detail"),
    [
        (IMS, touch, "its size is as recorded, and its time is another"),
        (IMS, grow, ""),
        (ZARR, lambda path: shutil.rmtree(path / "0"), ""),
        (SIDECAR, grow, ""),
    ],
    ids=["only the time", "another size", "a level is gone", "a sidecar"],
)
def test_a_copy_that_cannot_be_compared_tells_what_is_known(path, change, detail, tmp_path):
    workspace = package(tmp_path, "copy")
    shutil.rmtree(workspace.root / "raw")
    change(workspace.out / path)
    store = Store(str(workspace.out))
    found = [(each.path, each.detail) for each in verify_fast(store) if each.fault is Fault.ALTERED]
    assert found == [(path, detail)]


@pytest.mark.parametrize(
    ("name", "detail"),
    [("/a/chunk", "'/a/chunk': Input/output error"), (None, "Input/output error")],
)
def test_what_cannot_be_read_is_named(name, detail, tmp_path, monkeypatch):
    workspace = package(tmp_path, "copy")

    def fail(path, receipt):
        if path.endswith(IMS):
            raise OSError(errno.EIO, "Input/output error", name)
        return receipt.evidence

    monkeypatch.setattr(verify, "evidence_beside", fail)
    found = [(each.path, each.detail) for each in verify_fast(Store(str(workspace.out)))]
    assert (IMS, detail) in found


@pytest.mark.parametrize("backend", AS_THEY_ARE)
def test_sha256sum_agrees(backend: str, tmp_path: Path) -> None:
    """The lists hold all texts and images, and GNU coreutils find the same."""
    workspace = package(tmp_path, backend)
    (workspace.out / "README.md").write_text("the user's own words")
    done = subprocess.run(
        ["sha256sum", "--strict", "-c", ".spimpack/SHA256SUMS"],
        cwd=workspace.out,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    listed = {line.partition(":")[0] for line in done.stdout.splitlines()}
    users = {"README.md", "CHANGES", ".bidsignore"}
    files = {p for p, (kind, _) in workspace.tree().items() if kind != "directory"}
    assert listed == {p for p in files if not p.startswith(ZARR)} - users
    command = (
        "find -L . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    )
    assert command in str(digests.__doc__)
    tree = subprocess.run(
        ["bash", "-c", command],
        cwd=workspace.out / ZARR,
        capture_output=True,
        text=True,
        check=True,
    )
    line = (workspace.out / STATE / "SHA256SUMS.trees").read_text()
    assert line == f"{tree.stdout.split()[0]}  {ZARR}\n"


NAMES = ["a", "a.b", "a/b", "a-c", "b\nc", "b\\c", "ü", "0/1/2", "0.zarr/x", "Z"]


def test_the_checksum_of_a_tree_of_strange_names(tmp_path: Path) -> None:
    for number, name in enumerate(n for n in NAMES if n != "a"):
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "t" / name).write_bytes(bytes([number]) * number)
    (tmp_path / "t" / os.fsdecode(b"\xff")).write_bytes(b"not UTF-8")
    (tmp_path / "t" / "link").symlink_to("b\nc")
    command = (
        "find -L . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    )
    said = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path / "t", capture_output=True, text=True, check=True
    )
    with digests.DigestLog(None) as log:
        checksum = log.checksum(str(tmp_path / "t"), "t")
    assert checksum.sha256 == said.stdout.split()[0]
    assert checksum.is_tree


class Reads:
    """Counts the files that are read for their digest; may kill the process at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kill_at: int = 0) -> None:
        self.paths: list[str] = []
        self.kill_at = kill_at
        self.read = digests.sha256_of
        monkeypatch.setattr(digests, "sha256_of", self)

    def __call__(self, path: str, on_read: Callable[[int], None] | None = None) -> str:
        self.paths.append(path)
        if len(self.paths) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.read(path, on_read)


def large_store(root: Path) -> Workspace:
    """One store of 23 files, beside one image that is a file."""
    workspace = Workspace(root)
    workspace.add_row("a.ims", subject="01")
    workspace.add_row("b.ome.zarr", subject="02")
    for number in range(20):
        (root / "raw/b.ome.zarr/0/c/0/0/0" / str(number)).write_bytes(bytes([number]))
    return workspace


@pytest.mark.parametrize("backend", AS_THEY_ARE)
def test_hashing_goes_on_where_it_was_killed(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = large_store(tmp_path)
    workspace.run(backend=backend)

    def killed() -> int:
        Reads(monkeypatch, kill_at=15)
        return workspace.run(backend=backend, checksum=True).exit_code

    assert wait(start(killed)) == -signal.SIGKILL
    assert leftovers(workspace.out) == []
    reads = Reads(monkeypatch)
    assert workspace.run(backend=backend, checksum=True).exit_code == ExitCode.OK
    assert len(reads.paths) == 23 - 14
    assert list((workspace.out / STATE / "checksums" / "partial").iterdir()) == []
    assert full(workspace) == {}
    reads.paths.clear()
    assert workspace.run(backend=backend, checksum=True).exit_code == ExitCode.OK
    assert reads.paths == []


def test_verification_goes_on_where_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = large_store(tmp_path)
    workspace.run(checksum=True)
    reads = Reads(monkeypatch)
    assert full(workspace) == {}
    whole = len(reads.paths)

    def killed(at: int) -> int:
        Reads(monkeypatch, kill_at=at)
        full(workspace)
        return 0

    assert wait(start(lambda: killed(12))) == -signal.SIGKILL
    assert (workspace.out / STATE / "verify").exists()
    # What has changed since is read again, and what was not reached yet.
    changed = tmp_path / "raw/b.ome.zarr/0/c/0/0/0/0"
    changed.write_bytes(b"other")
    assert wait(start(lambda: killed(6))) == -signal.SIGKILL
    reads.paths.clear()
    found = full(workspace)
    assert list(found.values()) == [str(Fault.CHECKSUM)]
    # Known by then: 11 files and 4 more. The one that changed stands twice, and is read again.
    assert len(reads.paths) == whole - (11 + 4) + 1
    assert not (workspace.out / STATE / "verify").exists()


def test_a_torn_log_costs_no_more_than_reading_again(tmp_path: Path) -> None:
    workspace = package(tmp_path)
    log = workspace.out / STATE / "verify"
    log.write_text('["sub-01/micr/x", [1, 2\n\n12\n["a"]\n{"b": 1}\n["sub-02')
    assert full(workspace) == {}
    assert not log.exists()


def test_a_log_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    workspace = package(tmp_path)
    (workspace.out / STATE / "verify").mkdir()
    assert full(workspace) == {}
    flip_bit(workspace.out / IMS)
    assert full(workspace) == {IMS: "checksum differs"}


def test_without_checksum_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = Reads(monkeypatch)
    workspace = package(tmp_path, checksum=False)
    assert reads.paths == []
    assert not (workspace.out / STATE / "checksums").exists()
    assert not (workspace.out / STATE / "SHA256SUMS").exists()
    unrecorded = dict.fromkeys([IMS, ZARR, TIFF], "no checksum recorded")
    assert full(workspace) == unrecorded


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_only_what_changed_is_read_again(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = small_workspace(tmp_path)
    log = tmp_path / "reads"
    read = digests.sha256_of

    def note(path: str, on_read: Callable[[int], None] | None = None) -> str:
        with log.open("a") as file:  # from whichever process
            file.write(f"{path}\n")
        return read(path, on_read)

    monkeypatch.setattr(digests, "sha256_of", note)

    def run(*, checksum: bool = True) -> set[str]:
        log.write_text("")
        assert workspace.run(workers, checksum=checksum).exit_code == ExitCode.OK
        return {line.removeprefix(f"{workspace.out}/") for line in log.read_text().splitlines()}

    assert len(run()) == 5
    assert run() == set()
    workspace.rows[0]["Species"] = "rat"
    assert run() == set()
    grow(tmp_path / "raw/a.ims")
    assert run(checksum=False) == set()
    # The lists stay true without reading: what has no checksum any more has no line.
    assert IMS not in (workspace.out / STATE / "SHA256SUMS").read_text()
    assert full(workspace) == {IMS: "no checksum recorded"}
    assert run() == {IMS}
    assert full(workspace) == {}
    workspace.rows.pop(0)
    workspace.participants.pop(0)
    assert run() == set()
    lists = "".join(p.read_text() for p in (workspace.out / STATE).glob("SHA256SUMS*"))
    assert "sub-01" not in lists
    assert "sub-01" not in "".join(
        p.read_text() for p in (workspace.out / STATE / "checksums").glob("*.json")
    )
    subprocess.run(
        ["sha256sum", "--quiet", "-c", ".spimpack/SHA256SUMS"], cwd=workspace.out, check=True
    )


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", ["RecordChecksums", "WriteChecksumLists"])
def test_a_step_runs_alone_by_name(name: str, workers: int, tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.write()
    task = getattr(spimpack_tasks, name)(manifest=workspace.manifest, output_dir=workspace.out)
    assert luigi.build([task], local_scheduler=True, workers=workers, log_level="ERROR")
    assert task.complete()
    assert (workspace.out / STATE / "SHA256SUMS").exists() == (name == "WriteChecksumLists")


@pytest.mark.parametrize("backend", ["copy", "symlink"])
def test_an_image_that_changes_while_it_is_read_gets_no_checksum(
    backend: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    workspace = small_workspace(tmp_path)
    read = digests.sha256_of

    def change_meanwhile(path: str, on_read: Callable[[int], None] | None = None) -> str:
        if path.endswith(".ims"):
            touch(Path(path))
        return read(path, on_read)

    monkeypatch.setattr(digests, "sha256_of", change_meanwhile)
    outcome = workspace.run(backend=backend, checksum=True)
    assert outcome.exit_code == ExitCode.FAILED
    assert outcome.counts["failed"] == 1
    assert f"{IMS}: changed while its checksum was made" in caplog.text
    assert not (workspace.out / STATE / "SHA256SUMS").exists()


def test_a_run_with_other_inputs_need_not_wait_for_a_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an image is read, another run takes over; then the checksum is not recorded."""
    workspace = small_workspace(tmp_path)
    other = Workspace(tmp_path, [{**workspace.rows[0], "Species": "rat"}])
    read = digests.sha256_of
    codes = []

    def take_over(path: str, on_read: Callable[[int], None] | None = None) -> str:
        if not codes:
            codes.append(wait(start(lambda: other.run().exit_code)))
        return read(path, on_read)

    monkeypatch.setattr(digests, "sha256_of", take_over)
    assert workspace.run(checksum=True).exit_code == ExitCode.SUPERSEDED
    assert codes == [ExitCode.OK]
    tree = workspace.tree()
    assert sorted(p for p in tree if p.endswith(".json") and "micr" in p) == [SIDECAR]
    assert fast(workspace) == {}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = package(tmp_path)
    out = str(workspace.out)
    assert main(["verify", out]) == ExitCode.OK
    assert main(["verify", out, "--checksum", "full"]) == ExitCode.OK
    assert capsys.readouterr().out == f"{out}: 0 deviations\n" * 2
    flip_bit(workspace.out / IMS)
    (workspace.out / SIDECAR).unlink()
    assert main(["verify", out, "--checksum", "full", "--format", "json"]) == ExitCode.CONFLICT
    said = capsys.readouterr()
    found = [json.loads(line) for line in said.out.splitlines()]
    is_now = hashlib.sha256((workspace.out / IMS).read_bytes()).hexdigest()
    assert [(item["path"], item["fault"]) for item in found] == [
        (IMS, "checksum differs"),
        (SIDECAR, "missing"),
    ]
    assert found[0]["detail"].endswith(f"is {is_now}")
    assert said.err == ""
    assert main(["verify", out]) == ExitCode.CONFLICT
    said = capsys.readouterr()
    assert said.out == f"missing: {SIDECAR}\n{out}: 1 deviation\n"
    assert said.err == "spimpack: missing: spimpack package writes it again\n"


def test_images_without_checksum_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = package(tmp_path, checksum=False)
    assert main(["verify", str(workspace.out), "--checksum", "full"]) == ExitCode.FAILED
    said = capsys.readouterr().out
    assert f"no checksum recorded: {ZARR}\n" in said
    assert said.endswith(": 0 deviations, 3 images without checksum\n")


def test_the_summary_counts_checksums_and_other_files(tmp_path: Path) -> None:
    workspace = package(tmp_path, checksum=False)
    assert workspace.run(checksum=True).lines("out") == [
        "Packaged out: 3 unchanged, 3 checksums made"
    ]
    assert workspace.run(checksum=True).lines("out") == ["Nothing to do: 3 unchanged in out"]
    (workspace.out / "samples.tsv").unlink()
    assert workspace.run().lines("out") == ["Packaged out: 3 unchanged, 1 other file"]


def test_a_folder_without_record_is_said_to_be_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tmp_path)]) == ExitCode.BAD_INPUT
    said = capsys.readouterr().err
    assert "is no dataset that was packaged here (no .spimpack, " in said
    assert "give the directory that spimpack package wrote" in said
    (tmp_path / "dataset_description.json").write_text("{}")
    assert main(["verify", str(tmp_path)]) == ExitCode.FAILED
    assert "holds no record of a run (no .spimpack)" in capsys.readouterr().err


def test_progress_is_shown_on_a_terminal_only(tmp_path: Path) -> None:
    workspace = package(tmp_path)
    spimpack = Path(sys.executable).with_name("spimpack")
    command = f"{spimpack} verify {workspace.out} --checksum full"
    piped = subprocess.run(command.split(), capture_output=True, text=True, check=True)
    assert piped.stderr == ""
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        command.split(),
        stdout=subprocess.DEVNULL,
        stderr=inside,
        env=os.environ | {"TERM": "xterm", "NO_COLOR": ""},
    )
    os.close(inside)
    seen = os.read(terminal, 1000)
    assert process.wait() == ExitCode.OK
    os.close(terminal)
    assert seen.startswith(b"\r")
    assert b"\n" not in seen
