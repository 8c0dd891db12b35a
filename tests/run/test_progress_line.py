"""The progress line: in a terminal, right with any number of workers, and nowhere else."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from imaris_variants import Variant, write_variant
from workspace import Workspace, small_workspace

from spimpack_tasks.cli.progress_line import shows_lines
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.model.buckets import bucket_of
from spimpack_tasks.state.run_progress import UNKNOWN, RunProgress, Work
from spimpack_tasks.state.runs import TaskRun

SPIMPACK = Path(sys.executable).with_name("spimpack")
HIDDEN = {"NO_COLOR", "TERM", "COLUMNS"}
BASE = {key: value for key, value in os.environ.items() if key not in HIDDEN}
TERMINAL = BASE | {"TERM": "xterm-256color"}
SLOW = """\
import sys, time
from dataclasses import replace
from spimpack_tasks.cli.main import main
from spimpack_tasks.packaging.backends.registry import BACKENDS
from spimpack_tasks.packaging.backends.symlink import SYMLINK
def slowly(output, path):
    time.sleep(0.15)
    SYMLINK.make(output, path)
BACKENDS["symlink"] = replace(SYMLINK, make=slowly)
sys.exit(main())
"""


def slow_workspace(root: Path) -> Workspace:
    workspace = small_workspace(root)
    for number in range(4, 21):
        workspace.add_row(f"{number}.ome.zarr", subject=f"{number:02}")
        workspace.participants.append({"participant_id": f"{number:02}"})
    workspace.rows[1]["sample_staining"] = "Abeta;YoPro;Iba1"  # of an image with two channels
    workspace.write()
    return workspace


def run_in_terminal(command: list[object], environment: dict[str, str]) -> tuple[int, str]:
    """Run a command in a terminal of its own, and return its exit code and all that it sent."""
    master, slave = pty.openpty()
    shown = bytearray()

    def read() -> None:
        try:
            while piece := os.read(master, 65536):
                shown.extend(piece)
        except OSError:  # the other end was closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    done = subprocess.run(
        list(map(str, command)),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
        check=False,
    )
    os.close(slave)
    reader.join(timeout=10)
    os.close(master)
    return done.returncode, shown.decode()


def what_is_left(shown: str) -> list[str]:
    """Return the lines that a terminal shows in the end, given what was sent to it."""
    lines = []
    for line in shown.split("\n"):
        last = re.split(r"\r\x1b\[2K", line)[-1]
        lines.append(last.strip("\r"))
    return lines


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_line_counts_the_images(workers: str, tmp_path: Path) -> None:
    workspace = slow_workspace(tmp_path)
    options = ["--manifest", workspace.manifest, "--output-dir", workspace.out]
    command = [sys.executable, "-c", SLOW, "package", *options, "--workers", workers]
    code, shown = run_in_terminal(command, TERMINAL)
    assert code == 0, shown
    counts = [int(n) for n in re.findall(r"(\d+) of 20 images", shown)]
    assert counts == sorted(counts)
    assert len(set(counts)) > 1  # as often as a busy machine gets to it
    assert 0 < counts[-1] <= 20
    assert re.search(r"0:00:0[0-9]", shown)
    assert "\033[?25l" not in shown  # a cursor that is hidden stays so when a run is killed
    left = what_is_left(shown)
    assert f"Packaged {workspace.out}: 20 new" in left
    assert not any("of 20 images" in line for line in left)
    assert any(line.startswith(f"{tmp_path}/scans.tsv:3:") for line in left)
    assert len(left) <= 25


@pytest.mark.parametrize(
    "name",
    [
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("dumb", "no terminal type", "no colour")
        ),
        "piped",
    ],
)
def test_nothing_is_drawn(name: str, tmp_path: Path) -> None:
    workspace = slow_workspace(tmp_path)
    options = ["--manifest", workspace.manifest, "--output-dir", workspace.out]
    command = [sys.executable, "-c", SLOW, "package", *options]
    environments = {
        "dumb": BASE | {"TERM": "dumb"},
        "no terminal type": BASE,
        "no colour": TERMINAL | {"NO_COLOR": "1"},
    }
    if name == "piped":
        command = ["bash", "-c", '"$@" | cat', "bash", *command]
    code, shown = run_in_terminal(command, environments.get(name, TERMINAL))
    assert code == 0, shown
    assert "\033" not in shown
    assert "Packaged" in shown


def test_a_refusal_is_shown_as_ever(tmp_path: Path) -> None:
    workspace = slow_workspace(tmp_path)
    workspace.rows[0]["subject"] = "0-1"
    workspace.write()
    options = ["--manifest", workspace.manifest, "--output-dir", workspace.out]
    code, shown = run_in_terminal([SPIMPACK, "package", *options], TERMINAL)
    assert code == 2
    assert "Traceback" not in shown
    assert what_is_left(shown)[-2] == "1 error, 1 warning"


def done(task: str, unit: str, error: str = "") -> TaskRun:
    return TaskRun(task, unit, 1, 0, 1, error)


def test_units_are_counted_once_and_by_what_was_to_be_done() -> None:
    keys = [f"sub-{n:02}_sample-brain_SPIM" for n in range(10)]
    progress = RunProgress(Work(dict.fromkeys(keys[:4], 0), dict.fromkeys(keys[:2], UNKNOWN)))
    assert (progress.step, progress.counted, progress.share) == ("Placing images", (0, 4), 0)
    progress.add(done("BuildPaths", ""))
    progress.add(done("WriteSidecars", keys[0]))
    assert (progress.step, progress.counted) == ("Placing images", (0, 4))
    for key in [*keys, keys[0]]:
        progress.add(done("WriteSidecars", key))
        progress.add(done("LinkSources", key))
        progress.add(done("CopyAssets", key, "full disk"))
    assert (progress.step, progress.counted, progress.share) == ("Reading images", (0, 2), 0.8)
    progress.add(done("RecordChecksums", keys[0]))
    progress.add(done("RecordChecksums", keys[1]))
    assert (progress.step, progress.counted, progress.share) == ("Finishing", (4, 4), 1)


@pytest.mark.parametrize("digits", [2, 3], ids=["light step", "slow step"])
def test_a_bucket_stands_for_its_images(digits: int) -> None:
    keys = [f"sub-{n:03}_sample-brain_SPIM" for n in range(200)]
    progress = RunProgress(Work(dict.fromkeys(keys, 0), {}))
    for bucket in sorted({bucket_of(key) for key in keys}):
        progress.add(done("WriteSidecars", bucket))
    for bucket in sorted({bucket_of(key, digits) for key in keys}):
        progress.add(done("Assets", bucket))
    assert (progress.counted, progress.share) == ((200, 200), 1)


def test_nobody_looks_at_a_pipe() -> None:
    assert not shows_lines({"TERM": "xterm"})


@pytest.mark.parametrize("target", ["a.ome.zarr", "a.ome.tif"])
def test_a_conversion_by_itself_says_how_far_it_is(tmp_path: Path, target: str) -> None:
    write_variant(tmp_path / "a.ims", Variant(channels=2))
    command = [sys.executable, "-m", "spimpack_tasks.cli.main", "convert"]
    paths = [tmp_path / "a.ims", tmp_path / target]
    code, shown = run_in_terminal([*command, *paths], TERMINAL)
    assert code == ExitCode.OK
    assert re.search(r"100%.*B/s", shown), shown
    assert shown.splitlines()[-1].partition("Made ")[2].startswith(str(paths[1]))
