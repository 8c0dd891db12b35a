"""Runs commands on made sources, and tells of each file that they left what it is.

A golden of tests/golden/goldens holds the answer for one case of tests/support/golden_cases.py:
a line for each path, a digest of all voxels, and the reports in JSON. Write them anew after a
change that is meant to change bytes, all of them or some, and look at the diff:

    python tests/support/goldens.py
    python tests/support/goldens.py symlink convert-ims

With `--keep FOLDER` no golden is written, but the normalised files go there. Do so at two commits,
and `diff -r` shows what the digests hide.

All cases run below `/tmp/spimpack-goldens`, since links, plans and their identities hold absolute
paths. Sources and tables have one time, which identities hold as well. What honestly varies in a
state is given a name before it is digested:

- times other than that one, as `{time}`, the inodes of directories, as `{inode}`, and digests of
  the times of all files in a directory, as `{times}`,
- in `seal`, the digests of inodes and times, as `{trace}`,
- in `runs`, the name of the file, all times, the versions of other programs, and the order of
  tasks; and times, durations and these versions in reports.

Compressed bytes differ from version to version of the libraries. With others than those that a
golden was written with, only what they do not touch is compared: what there is and its kind, links,
texts, and the voxels.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

GOLDENS = Path(__file__).parents[1] / "golden" / "goldens"
PLACE = Path("/tmp/spimpack-goldens")
PATIENCE_S = 120
TIME_NS = 1_700_000_000_123_456_789
LIBRARIES = (
    "deflate",
    "h5py",
    "hdf5plugin",
    "imagecodecs",
    "nibabel",
    "numcodecs",
    "numpy",
    "pillow",
    "tifffile",
    "zarr",
)
STATE = ".spimpack"
SOURCES = ("raw/", "demo/microscope/")
METADATA = ("zarr.json", ".zattrs", ".zgroup", ".zarray", ".zmetadata")
Step = Callable[[Path], None] | tuple[str, ...]
Golden = dict[str, Any]


def libraries() -> dict[str, str]:
    """Return the versions of all that has a part in bytes of images."""
    return {name: version(name) for name in LIBRARIES} | {"zlib": zlib.ZLIB_RUNTIME_VERSION}


@contextmanager
def place_of(name: str) -> Iterator[Path]:
    """Give an empty folder of a fixed path, to one process at a time; nothing stays in it."""
    root = PLACE / name
    for folder in (PLACE, root):
        folder.mkdir(exist_ok=True)
        if folder.stat().st_uid == os.getuid():
            folder.chmod(0o1777)
    lock = os.open(root, os.O_RDONLY)
    mask, before = os.umask(0o022), Path.cwd()
    try:
        _wait_for(lock)
        _clear(root)
        os.chdir(root)
        yield root
    finally:
        os.chdir(before)
        os.umask(mask)
        _clear(root)
        os.close(lock)


def _wait_for(lock: int) -> None:
    """Lock a folder, which another checkout may use for a few seconds."""
    for _ in range(PATIENCE_S * 10):
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.1)
    raise TimeoutError(f"somebody else has used a folder of {PLACE} for {PATIENCE_S} s")


def _clear(root: Path) -> None:
    for entry in root.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def set_times(root: Path, *names: str) -> None:
    """Give all that is in a folder the one time, or all of these names; links themselves too."""
    tops = [root / name for name in names] or list(root.iterdir())
    for top in tops:
        for path in [*_paths(top), top]:
            os.utime(path, ns=(TIME_NS, TIME_NS), follow_symlinks=False)


def run_steps(root: Path, steps: tuple[Step, ...], workers: int = 1) -> list[Golden]:
    """Run the steps, and return the exit codes of commands, and what they print as JSON."""
    from spimpack_tasks.cli.main import main

    reports = []
    for step in steps:
        if callable(step):
            step(root)
            continue
        out, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(errors):
            code = main([*step, *(["--workers", str(workers)] if step[0] == "package" else [])])
        report: Golden = {"command": " ".join(step), "exit code": code}
        if {"json", "--neuroglancer"} & set(step):
            report["lines"] = [_normalise_line(line) for line in out.getvalue().splitlines()]
        reports.append(report)
    return reports


def observe(
    root: Path, reports: list[Golden], keep: Path | None = None, *, is_readable: bool = True
) -> Golden:
    """Return what is in a folder, and what was reported; voxels if images are whole."""
    files: dict[str, str] = {}
    voxels: dict[str, str] = {}
    for path in _paths(root):
        name = str(path.relative_to(root))
        shown, content = _normalise(root, name)
        files[shown] = _describe(path, content)
        if keep and content is not None:
            (keep / shown).parent.mkdir(parents=True, exist_ok=True)
            (keep / shown).write_bytes(content)
        if is_readable and not path.is_symlink() and not name.startswith(SOURCES):
            voxels |= _digest_voxels(path, shown)
    return {"files": files, "libraries": libraries(), "reports": reports, "voxels": voxels}


def _paths(root: Path) -> Iterator[Path]:
    for folder, directories, files in os.walk(root):
        yield from (Path(folder, name) for name in sorted(directories + files))


def _describe(path: Path, content: bytes | None) -> str:
    if path.is_symlink():
        return f"link {path.readlink()}"
    mode = f"{stat.S_IMODE(path.lstat().st_mode):o}"
    if content is None:
        return f"directory {mode}"
    return f"file {mode} {_digest(content)}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _normalise(root: Path, name: str) -> tuple[str, bytes | None]:
    """Return the name and the bytes of a file, free of what varies."""
    path = root / name
    if path.is_symlink() or path.is_dir():
        return name, None
    content = path.read_bytes()
    _, is_state, inside = name.partition(f"{STATE}/")
    if not is_state:
        return name, content
    text = _normalise_times(content.decode(errors="surrogateescape"))
    if inside == "seal":
        text = re.sub(r'("(?:source|output)_trace": )"\w+"', r'\1"{trace}"', text)
    if inside.startswith("runs/"):
        head, *tasks = text.splitlines()
        number = sorted(os.listdir(path.parent)).index(path.name) + 1
        return str(Path(name).with_name(f"{{run {number}}}")), "\n".join(
            [_normalise_versions(head), *sorted(tasks)]
        ).encode()
    return name, text.encode(errors="surrogateescape")


def _normalise_times(text: str) -> str:
    text = re.sub(r"\b1\d{18}\b", lambda m: m[0] if int(m[0]) == TIME_NS else "{time}", text)
    text = re.sub(r"\b1\d{9}\.\d+\b", "{time}", text)
    text = re.sub(r"\bdirectory \d+ (?=\{time\}|\d)", "directory {inode} ", text)
    return re.sub(
        r'("directory \{inode\}[^]]*, )"[0-9a-f]{32}"(?=, "[^"]*", "[^"]*"\])', r'\1"{times}"', text
    )


def _normalise_line(line: str) -> str:
    """Return a line of a report without times and versions."""
    line = re.sub(r'"(made|started)": "[^"]*"', r'"\1": "{time}"', _normalise_times(line))
    line = re.sub(r'"(seconds|longest)": [\d.e-]+', r'"\1": {seconds}', line)
    return _normalise_versions(line)


def _normalise_versions(text: str) -> str:
    return re.sub(r'"(python|luigi)": "[^"]*"', r'"\1": "{version}"', text)


def _digest_voxels(path: Path, name: str) -> dict[str, str]:
    """Read an image that was made with a library that had no part in it, level by level."""
    if path.suffix == ".zarr":
        import zarr

        levels = {level.name: zarr.open_array(level, mode="r")[:] for level in _levels(path)}
    elif path.name.endswith((".ome.tif", ".ome.btf")):
        import tifffile

        with tifffile.TiffFile(path) as tiff:
            found = tiff.series[0].levels
            levels = {str(number): level.asarray() for number, level in enumerate(found)}
    else:
        return {}
    return {
        f"{name} {level}": f"{voxels.dtype.str} {voxels.shape} {_digest(voxels.tobytes())}"
        for level, voxels in levels.items()
    }


def _levels(store: Path) -> list[Path]:
    return sorted(path for path in store.iterdir() if path.name.isdigit() and path.is_dir())


def compare(golden: Golden, now: Golden) -> list[str]:
    """Return what differs, a line for each path or report."""
    if golden["libraries"] != now["libraries"]:
        golden, now = _without_bytes(golden), _without_bytes(now)
    lines = []
    for part in ("files", "voxels"):
        old, new = golden[part], now[part]
        lines += [f"gone: {path}" for path in old.keys() - new.keys()]
        lines += [f"new: {path}" for path in new.keys() - old.keys()]
        changed = [path for path in old.keys() & new.keys() if old[path] != new[path]]
        lines += [f"changed: {path}: {old[path]} -> {new[path]}" for path in changed]
    for old, new in zip(golden["reports"], now["reports"], strict=True):
        if old != new:
            lines += [f"report of {old['command']}:", f"- {old}", f"+ {new}"]
    return lines


def _without_bytes(golden: Golden) -> Golden:
    """Return what libraries for images do not touch."""
    files = {}
    for path, what in golden["files"].items():
        before, is_state, inside = path.partition(f"{STATE}/")
        shown = before + is_state + re.sub(r"\b[0-9a-f]{16}\b", "{plan}", inside)
        kind, _, mode = what.partition(" ")
        is_text = not is_state and Path(path).suffix in {".json", ".tsv", ".md", ".yml", ""}
        is_chunk = ".zarr/" in path and Path(path).name not in METADATA
        is_kept = kind != "file" or (is_text and not is_chunk and not path.startswith(SOURCES))
        files[shown] = what if is_kept else f"{kind} {mode.split()[0]}"
    reports = [{**report, "lines": []} for report in golden["reports"]]
    return golden | {"files": files, "reports": reports}


def read_golden(name: str) -> Golden:
    return json.loads((GOLDENS / f"{name}.json").read_text())


def write_golden(name: str, golden: Golden) -> None:
    GOLDENS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(golden, indent=1, sort_keys=True, ensure_ascii=False)
    (GOLDENS / f"{name}.json").write_text(f"{text}\n")


def play(name: str, keep: Path | None = None, workers: int = 1) -> Golden:
    """Run a case in its place and return what came of it."""
    from golden_cases import CASES

    case = CASES[name]
    with place_of(name) as root:
        case.make(root)
        set_times(root)
        reports = run_steps(root, case.steps, workers)
        return observe(root, reports, keep, is_readable=not case.is_damaged)


def main() -> None:
    from golden_cases import CASES

    parser = argparse.ArgumentParser(description="write goldens anew")
    parser.add_argument("names", nargs="*", metavar="CASE", help="those to write (default: all)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write files there instead")
    arguments = parser.parse_args()
    for name in arguments.names or CASES:
        golden = play(name, arguments.keep and arguments.keep / name)
        if not arguments.keep:
            write_golden(name, golden)


if __name__ == "__main__":
    main()
