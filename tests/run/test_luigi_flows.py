"""Our tasks in somebody else's flow of Luigi, and somebody else's flow beside our import."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import luigi
import pytest
from cluster import Gate, images_for
from luigi.retcodes import run_with_retcodes
from markdown_blocks import environment_of_tests
from other_user import UID, OtherUser
from workspace import Workspace

from spimpack_tasks import PackageAndValidate, PackageDataset

pytestmark = pytest.mark.filterwarnings("ignore:.*without outputs:UserWarning")

LUIGI = Path(sys.executable).with_name("luigi")


class LabTask(luigi.Task):
    """A task of a lab, that knows where the studies are."""

    task_namespace = "lab"
    folder: luigi.Parameter[str] = luigi.Parameter()

    def package(self, name: str, kind: type[luigi.Task] = PackageDataset) -> luigi.Task:
        place = f"{self.folder}/{name}"
        return kind(manifest=f"{place}/manifest.yml", output_dir=f"{place}/out")


class FailsAfterGood(LabTask):
    def requires(self) -> luigi.Task:
        return self.package("good")

    def run(self) -> None:
        raise ValueError


class FailsAfterValidation(FailsAfterGood):
    def requires(self) -> luigi.Task:
        return self.package("good", PackageAndValidate)


class LeavesNoOutput(LabTask):
    """What Luigi takes for done when it has run."""

    def requires(self) -> luigi.Task:
        return self.package("good")

    def run(self) -> None:
        pass


class NeedsBadValidation(LeavesNoOutput):
    def requires(self) -> luigi.Task:
        return self.package("bad", PackageAndValidate)


class MissingData(luigi.ExternalTask):
    task_namespace = "lab"

    def output(self) -> luigi.Target:
        return luigi.LocalTarget("/nowhere/at/all")


class CannotTell(LabTask):
    def complete(self) -> bool:
        raise ValueError


class CannotRequire(LabTask):
    def requires(self) -> luigi.Task:
        raise ValueError


class Several(LabTask, luigi.WrapperTask):
    names: luigi.Parameter[str] = luigi.Parameter()

    def requires(self) -> Iterator[luigi.Task]:
        others = {
            "missing": MissingData,
            "fails": lambda: FailsAlone(folder=self.folder),
            "cannot-tell": lambda: CannotTell(folder=self.folder),
            "cannot-require": lambda: CannotRequire(folder=self.folder),
        }
        for name in self.names.split(","):
            yield others[name]() if name in others else self.package(name)


class Dynamic(LabTask):
    name: luigi.Parameter[str] = luigi.Parameter()

    def run(self) -> Iterator[luigi.Task]:
        yield self.package(self.name)


class FailsAfterDynamic(LabTask):
    def run(self) -> Iterator[luigi.Task]:
        yield self.package("good")
        raise ValueError


class LabPackageDataset(PackageDataset):
    """A subclass that does more when the dataset is there."""

    task_namespace = "lab"

    def run(self) -> None:
        super().run()
        raise ValueError


class TellsOthersPackageDataset(PackageDataset):
    """A subclass that does more when the dataset is right."""

    task_namespace = "lab"

    def on_success(self) -> None:
        super().on_success()
        raise ValueError


class NeedsTelling(LeavesNoOutput):
    def requires(self) -> luigi.Task:
        return self.package("good", TellsOthersPackageDataset)


class NeedsSubclass(LeavesNoOutput):
    def requires(self) -> luigi.Task:
        return self.package("good", LabPackageDataset)


class FailsAlone(luigi.Task):
    task_namespace = "lab"
    folder: luigi.Parameter[str] = luigi.Parameter()

    def run(self) -> None:
        raise ValueError


class AsksForNothing(luigi.Task):
    """A task without an output, and without one of ours."""

    task_namespace = "lab"
    folder: luigi.Parameter[str] = luigi.Parameter()

    def run(self) -> None:
        pass


class NeedsMissing(luigi.WrapperTask):
    task_namespace = "lab"
    folder: luigi.Parameter[str] = luigi.Parameter()

    def requires(self) -> luigi.Task:
        return MissingData()


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """A folder with studies: one that is good, one with a bad label, one with a conflict."""
    for name in ("good", "bad", "conflict"):
        workspace = Workspace(tmp_path / name)
        workspace.add_row("a.ims", subject="a-b" if name == "bad" else "01")
        workspace.write()
    (tmp_path / "conflict" / "out").mkdir()
    (tmp_path / "conflict" / "out" / "dataset_description.json").write_text("{}")
    return tmp_path


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Take back what the `luigi` command of our own tasks does to its process."""
    handler, hook = signal.getsignal(signal.SIGINT), sys.excepthook
    yield
    signal.signal(signal.SIGINT, handler)
    sys.excepthook = hook


def end_of(*arguments: str) -> int:
    """Return the exit code of the `luigi` command, run in this process."""
    with pytest.raises(SystemExit) as ended:
        run_with_retcodes([*arguments, "--local-scheduler", "--no-lock", "--log-level", "INFO"])
    return int(ended.value.code or 0)


FLOWS = {
    "a1-good": ("lab.Several --names good", 0),
    "a1-good-before-one-without-output": ("lab.LeavesNoOutput", 0),
    "a1-dynamic-good": ("lab.Dynamic --name good", 0),
    "a1-lab-fails-after-good": ("lab.FailsAfterGood", 4),
    "a1-lab-fails-after-validation": ("lab.FailsAfterValidation", 4),
    "a1-lab-fails-beside-good": ("lab.Several --names good,fails", 4),
    "a1-lab-fails-after-dynamic": ("lab.FailsAfterDynamic", 4),
    "a1-subclass-fails-at-last": ("lab.NeedsSubclass", 4),
    "a1-subclass-fails-on-success": ("lab.NeedsTelling", 4),
    "a1-second-is-bad": ("lab.Several --names good,bad", 2),
    "a1-first-is-bad": ("lab.Several --names bad,good", 2),
    "a1-the-worst-of-two": ("lab.Several --names conflict,bad", 3),
    "a1-the-worst-of-ours-and-theirs": ("lab.Several --names conflict,bad,fails", 4),
    "a1-bad-validation": ("lab.NeedsBadValidation", 2),
    "a1-dynamic-bad": ("lab.Dynamic --name bad", 2),
    "a1-dynamic-conflict": ("lab.Dynamic --name conflict", 3),
    "a1-missing-beside-good": ("lab.Several --names good,missing", 2),
    "a1-their-complete-raises": ("lab.Several --names good,cannot-tell", 5),
    "a1-their-requires-raises": ("lab.Several --names good,cannot-require", 5),
    "a1-limit-of-tasks": ("lab.Several --names good --worker-task-limit 1", 5),
    # Luigi's own codes, as it exits with where this package is not installed at all.
    "a2-lab-fails": ("lab.FailsAlone", 0),
    "a2-lab-without-output": ("lab.AsksForNothing", 0),
    "a2-lab-needs-missing": ("lab.NeedsMissing", 0),
    "a2-lab-checks-its-output": ("lab.AsksForNothing --worker-check-complete-on-run", 0),
    # What the user chooses stands.
    "a1-chosen-failure-of-ours": ("lab.Several --names bad --retcode-task-failed 43", 43),
    "a1-chosen-failure-of-theirs": ("lab.FailsAfterGood --retcode-task-failed 43", 43),
}


@pytest.mark.few(16)
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(("command", "code"), FLOWS.values(), ids=FLOWS)
def test_exit_code_of_a_flow(command: str, code: int, workers: str, studies: Path) -> None:
    task, *further = command.split()
    arguments = [task, "--folder", str(studies), *further, "--workers", workers]
    assert end_of(*arguments) == code
    # What the subclasses leave behind is right; and a dataset that is there, and is only asked for
    # by a process of Luigi's, is none that this run knows of.
    leaves_it_right = task in {"lab.NeedsSubclass", "lab.NeedsTelling"}
    if not leaves_it_right and (task, workers) != ("lab.FailsAfterDynamic", "2"):
        assert end_of(*arguments) == code, "the second time"


def test_a1_many_bad_datasets_are_bad_input(tmp_path: Path) -> None:
    names = [f"bad{n}" for n in range(6)]
    for name in names:
        workspace = Workspace(tmp_path / name)
        workspace.add_row("a.ims", subject="a-b")
        workspace.write()
    assert end_of("lab.Several", "--folder", str(tmp_path), "--names", ",".join(names)) == 2


def test_a1_the_users_configuration_stands(studies: Path) -> None:
    config = luigi.configuration.get_config()
    config.set("retcode", "task_failed", "77")
    try:
        for task in ("FailsAfterGood", "Several --names bad", "FailsAlone"):
            name, *further = task.split()
            assert end_of(f"lab.{name}", "--folder", str(studies), *further) == 77
    finally:
        config.remove_section("retcode")


LOOK = """
import decimal, importlib, json, locale, logging, os, signal, sys, threading, warnings
import luigi, luigi.cmdline, luigi.retcodes, luigi.interface, luigi.worker
def look():
    config = luigi.configuration.get_config()
    loggers = [logging.getLogger(name) for name in ("", "luigi", "luigi-interface")]
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    return {
        "config": {name: sorted(config.items(name)) for name in config.sections()},
        "codes": luigi.retcodes.retcode().to_str_params(),
        "core": [luigi.interface.core().to_str_params(),
                 sorted(luigi.interface.core.ignore_unconsumed)],
        "worker": luigi.worker.worker().to_str_params(),
        "class": str(type(luigi.retcodes.retcode())),
        "handlers": [[str(each) for each in logger.handlers] for logger in loggers],
        "filters": [[str(each) for each in logger.filters] for logger in loggers],
        "levels": [logger.level for logger in loggers],
        "signals": [str(signal.getsignal(number)) for number in numbers],
        "hook": [str(sys.excepthook), str(threading.excepthook), str(warnings.showwarning)],
        "warnings": [str(each) for each in warnings.filters],
        "environment": sorted(os.environ.items()),
        "events": [str(luigi.Task._event_callbacks), str(sorted(luigi.Event.__dict__))],
        "path": [sys.path[:], str(sys.meta_path), str(sys.path_hooks)],
        "locale": locale.setlocale(locale.LC_ALL),
        "decimals": str(decimal.getcontext()),
        "threads": [each.name for each in threading.enumerate()],
        "limits": [sys.getrecursionlimit(), sys.get_int_max_str_digits()],
    }
before = look()
importlib.import_module(sys.argv[1])
after = look()
print(json.dumps([name for name in before if before[name] != after[name]]))
"""


@pytest.mark.parametrize(
    "module", ["spimpack_tasks", "spimpack_tasks.api", "spimpack_tasks.cli.main"]
)
def test_a2_an_import_changes_nothing_for_others(tmp_path: Path, module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, module],
        cwd=tmp_path,
        env=environment_of_tests(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == []


def test_a2_a_run_of_ours_leaves_the_configuration_as_it_was(studies: Path) -> None:
    config = luigi.configuration.get_config()
    before = {name: config.items(name) for name in config.sections()}
    place = studies / "good"
    where = ["--manifest", str(place / "manifest.yml"), "--output-dir", str(place / "out")]
    assert end_of("PackageDataset", *where) == 0
    assert {name: config.items(name) for name in config.sections()} == before
    assert end_of("lab.AsksForNothing", "--folder", str(studies)) == 0
    assert end_of("lab.FailsAlone", "--folder", str(studies)) == 0


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("place", ["process", "thread"])
def test_a1_luigi_build(
    place: str, workers: int, studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []

    def build() -> None:
        for name in ("FailsAfterGood", "Several"):
            task = globals()[name]
            further = {"names": "good"} if name == "Several" else {}
            flow = task(folder=str(studies), **further)
            done.append(luigi.build([flow], workers=workers, local_scheduler=True))

    if place == "thread":
        # Luigi itself wants this in a thread.
        monkeypatch.setattr(luigi.worker.worker.no_install_shutdown_handler, "_default", True)
        thread = threading.Thread(target=build)
        thread.start()
        thread.join(60)
    else:
        build()
    assert done == [False, True]
    assert (studies / "good" / "out" / "dataset_description.json").is_file()


def test_a1_luigi_run(studies: Path) -> None:
    arguments = ["--local-scheduler", "--no-lock", "--folder", str(studies)]
    assert luigi.run(["lab.Several", *arguments, "--names", "good"])
    assert not luigi.run(["lab.FailsAfterGood", *arguments])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a2_ours_check_their_output_without_a_setting(
    workers: str, studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PackageDataset.requires.__globals__["PruneStale"], "run", lambda _: None)
    stale = studies / "good"
    where = ["--manifest", str(stale / "manifest.yml"), "--output-dir", str(stale / "out")]
    assert end_of("PackageDataset", *where) == 0
    table = stale / "scans.tsv"
    table.write_text(table.read_text().replace("\t01", "\t02"))
    assert end_of("PackageDataset", *where, "--workers", workers) == 4


@pytest.mark.few(1)
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("program", ["luigi", "spimpack"])
def test_a5_an_interrupt_is_one_line(program: str, workers: str, tmp_path: Path) -> None:
    workspace = images_for(tmp_path / "data", 3)
    gate = Gate(tmp_path / "gate")
    commands = {
        "luigi": "luigi --module spimpack_tasks PackageDataset --local-scheduler",
        "spimpack": "spimpack package",
    }
    arguments = ["--manifest", "manifest.yml", "--output-dir", "out", "--backend", "gated"]
    # Where the tests run in the background, programs are begun deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*commands[program].split(), *arguments, "--workers", workers],
        cwd=workspace.root,
        env=environment_of_tests() | gate.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(gate.begun()) < int(workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    # What a terminal does at Ctrl-C: all processes of the group get it.
    os.killpg(process.pid, signal.SIGINT)
    try:
        shown = process.communicate(timeout=60)[0]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode in {130, -signal.SIGINT}
    assert shown.splitlines()[-1].endswith("interrupted; run it again to go on")
    assert "Traceback" not in shown
    assert len(shown.splitlines()) <= 4, shown
    assert gate.processes() == {}


@pytest.mark.few(1)
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("taken", ["nothing", "luigi", "luigi and the user's own", "link"])
def test_a3_a_second_user_of_the_machine(taken: str, other_user: OtherUser, tmp_path: Path) -> None:
    own = other_user.temporary / f"luigi-{UID}"
    if taken != "nothing":
        (other_user.temporary / "luigi").mkdir(mode=0o700, exist_ok=True)
    if taken == "luigi and the user's own":
        own.mkdir(mode=0o700)
    if taken == "link":
        own.symlink_to(other_user.temporary / "luigi")
    workspace = Workspace(other_user.folder / tmp_path.name)
    workspace.add_row("a.ims", subject="01")
    workspace.write()
    os.chown(workspace.root, UID, UID)
    command = "luigi --module spimpack_tasks PackageDataset --local-scheduler --output-dir out"
    arguments = ["--manifest", "manifest.yml"]
    done = other_user.run(*command.split(), *arguments, cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (workspace.out / "dataset_description.json").is_file()
    if taken == "luigi":
        assert own.stat().st_uid == UID
    if own.is_symlink():
        own.unlink()
    elif own.exists():
        shutil.rmtree(own)


class WritesManifest(LabTask):
    def output(self) -> luigi.Target:
        return luigi.LocalTarget(f"{self.folder}/later/manifest.yml")

    def run(self) -> None:
        workspace = Workspace(Path(self.folder) / "later")
        workspace.add_row("a.ims", subject="01")
        workspace.write()


class ListsBoth(LeavesNoOutput):
    def requires(self) -> list[luigi.Task]:
        return [WritesManifest(folder=self.folder), self.package("later")]


class YieldsLater(LabTask):
    def requires(self) -> luigi.Task:
        return WritesManifest(folder=self.folder)

    def run(self) -> Iterator[luigi.Task]:
        yield self.package("later")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a4_a_manifest_that_another_task_makes(
    workers: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = ["--folder", str(tmp_path), "--workers", workers]
    assert end_of("lab.ListsBoth", *arguments) == 2
    if workers == "1":  # what another process logs is not seen here
        assert "yield PackageDataset in run()" in caplog.text
        assert "page 'Package in your own flow'" in caplog.text
    assert end_of("lab.YieldsLater", *arguments) == 0
    assert (tmp_path / "later" / "out" / "dataset_description.json").is_file()


def test_a4_who_packages_alone_is_told_of_no_flow(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    where = ["--manifest", str(tmp_path / "no.yml"), "--output-dir", str(tmp_path / "out")]
    assert end_of("PackageDataset", *where) == 2
    shown = caplog.text
    assert "[file.missing]" in shown
    assert "yield" not in shown
