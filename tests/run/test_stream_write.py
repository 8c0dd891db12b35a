"""Frames of a source become an image: folders that grow, files of planes, functions; by the task
`WriteFrames` and by `spimpack stream write`.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import luigi
import numpy as np
import pytest
import tifffile
from stream_models import images_of, make_frames
from test_stream_zarr import check_image

from spimpack_tasks import WriteFrames
from spimpack_tasks.cli.main import main
from spimpack_tasks.streams import create_stream, read_settings, resume_stream
from spimpack_tasks.streams.errors import SourceError, UnfinishedStreamError
from spimpack_tasks.streams.frame_source import EndRule
from spimpack_tasks.streams.sources import open_source
from spimpack_tasks.streams.write_frames import write_frames

SHAPE = (12, 24, 30)
FRAMES = make_frames(SHAPE)


def write_settings(folder, count=12, **more):
    dims = [{"name": "z", "count": count}, {"name": "y", "count": 24}, {"name": "x", "count": 30}]
    data = {"root_path": str(folder / "a.ome.zarr"), "dimensions": dims, **more}
    path = folder / "settings.yml"
    path.write_text(json.dumps(data))  # JSON is YAML
    return path


def write_planes(folder, frames=FRAMES, name="plane_{:03}.tif", first=0, step=1):
    folder.mkdir(exist_ok=True)
    for number, frame in enumerate(frames):
        write_plane(folder / name.format(first + number * step), frame)


def write_plane(path, frame):
    if path.suffix == ".tif":
        tifffile.imwrite(path, frame, compression="zlib")
    else:
        frame.tofile(path)


def run(settings, frames, **rule):
    told = {"settle_s": 0.05} | rule
    return write_frames(read_settings(str(settings)), str(frames), EndRule(**told), lambda *_: None)


def check(folder, frames=FRAMES):
    check_image(folder / "a.ome.zarr", images_of(frames, "zyx")[0])
    assert not (folder / "a.ome.zarr.part").exists()


NAMES = {
    "tiff": ("plane_{:03}.tif", 0, 1),
    "no-zeros": ("plane_{}.tif", 1, 1),
    "raw": ("p{:04}.raw", 5, 1),
    "places": ("{:06}.tif", 0, 20),
}


@pytest.mark.parametrize(("name", "first", "step"), NAMES.values(), ids=NAMES)
def test_i18_folders_are_read_in_the_order_of_their_numbers(tmp_path, name, first, step):
    write_planes(tmp_path / "planes", FRAMES, name, first, step)
    (tmp_path / "planes" / "notes.txt").write_text("no plane")
    (tmp_path / "planes" / ".hidden_999.tif").write_text("no plane")
    assert run(write_settings(tmp_path), tmp_path / "planes").frames == 12
    check(tmp_path)


def test_i18_several_counters_are_taken_in_the_natural_order_when_all_are_there(tmp_path):
    folder = tmp_path / "planes"
    folder.mkdir()
    for number in random.Random(1).sample(range(12), 12):
        write_plane(folder / f"t{number // 3}_z{number % 3 + 9}.tif", FRAMES[number])
    run(grid_settings(tmp_path, {"t": 4, "z": 3}), folder)
    check_image(tmp_path / "a.ome.zarr", FRAMES.reshape(4, 1, 3, 24, 30))


def write_grid(folder, names):
    folder.mkdir(exist_ok=True)
    for number, name in names.items():
        write_plane(folder / name, FRAMES[number])


def grid_settings(folder, sizes, **more):
    path = write_settings(folder, **more)
    data = json.loads(path.read_text())
    data["dimensions"][:1] = [{"name": name, "count": count} for name, count in sizes.items()]
    path.write_text(json.dumps(data))
    return path


GRID = {number: f"t{number // 3}_z{number % 3 + 9}.tif" for number in range(12)}


@pytest.mark.parametrize("lost", [[5], [4, 7], [11]], ids=str)
def test_i18_a_plane_that_a_grid_lacks_leaves_the_others_at_their_places(tmp_path, caplog, lost):
    folder = tmp_path / "planes"
    write_grid(folder, {n: name for n, name in GRID.items() if n not in lost})
    settings = grid_settings(tmp_path, {"t": 4, "z": 3}, allow_incomplete=True)
    result = run(settings, folder, quiet_s=0.2)
    assert result.missing == tuple((n, n) for n in lost)
    for number in lost[:-1] if 11 in lost else lost:
        assert f"no plane {number}" in caplog.text
    wanted = FRAMES.copy()
    wanted[lost] = 0
    check_image(tmp_path / "a.ome.zarr", wanted.reshape(4, 1, 3, 24, 30))


WRONG_GRIDS = {
    "counts": ({"t": 4, "z": 3}, {n: f"t{n // 4}_z{n % 4}.tif" for n in range(12)}),
    "order": ({"t": 3, "c": 4}, {n: f"c{n // 4}_t{n % 4}.tif" for n in range(12)}),
    "letters": ({"t": 3, "z": 4}, {n: f"t{n // 4}_c{n % 4}.tif" for n in range(12)}),
    "one-dimension": ({"z": 12}, {n: f"{n // 4}_{n % 4}.tif" for n in range(12)}),
    "a-step-lacks": ({"t": 3, "z": 4}, {n: f"t{n // 4}_z{n % 4}.tif" for n in range(8)}),
    "one-time": ({"z": 4, "t": 3}, {n: f"z{n}_t0.tif" for n in range(4)}),
    "stray": ({"t": 3, "z": 4}, {n: f"t{n // 4}_z{(n % 4) + 9 * (n > 10)}.tif" for n in range(12)}),
}


@pytest.mark.parametrize(("sizes", "names"), WRONG_GRIDS.values(), ids=WRONG_GRIDS)
def test_i18_a_grid_of_names_that_is_not_that_of_the_dimensions_is_refused(tmp_path, sizes, names):
    write_grid(tmp_path / "planes", names)
    settings = grid_settings(tmp_path, sizes, allow_incomplete=True)
    with pytest.raises(SourceError, match=r"grid of .* but the dimensions"):
        run(settings, tmp_path / "planes", quiet_s=0.2)
    assert not (tmp_path / "a.ome.zarr").exists()


def test_i18_a_step_is_not_taken_while_planes_between_may_come(tmp_path):
    folder = tmp_path / "planes"
    write_grid(folder, {n: f"plane_{n:03}.tif" for n in range(0, 12, 2)})
    settings = write_settings(tmp_path, allow_incomplete=True)
    with pytest.raises(SourceError, match="grow by 2, but 6 of 12"):
        run(settings, folder, quiet_s=0.2)
    write_planes(folder)
    run(settings, folder)
    check(tmp_path)


def test_i18_a_later_run_refuses_planes_that_move_those_of_an_earlier_one(tmp_path):
    folder = tmp_path / "planes"
    write_planes(folder, FRAMES[:4], first=2)
    settings = write_settings(tmp_path)
    with pytest.raises(UnfinishedStreamError):
        run(settings, folder, quiet_s=0.2)
    write_planes(folder)
    with pytest.raises(SourceError, match=r"plane_000.tif belongs where plane_002.tif was taken"):
        run(settings, folder)


def test_i18_planes_that_were_taken_may_be_moved_away_between_runs(tmp_path):
    folder = tmp_path / "planes"
    write_planes(folder, FRAMES[:5])
    settings = write_settings(tmp_path)
    with pytest.raises(UnfinishedStreamError):
        run(settings, folder, quiet_s=0.2)
    write_planes(folder)
    for number in range(5):
        (folder / f"plane_{number:03}.tif").unlink()
    run(settings, folder)
    check(tmp_path)


@pytest.mark.parametrize("names", [("p0.tif", "p00.tif"), ("p0.tif", "P0.tif")])
def test_i18_two_planes_with_the_same_number_are_refused(tmp_path, names):
    write_planes(tmp_path / "planes", name="p{}.tif")
    for name in names:
        write_plane(tmp_path / "planes" / name, FRAMES[0])
    with pytest.raises(SourceError, match="have the same number"):
        run(write_settings(tmp_path), tmp_path / "planes")


def test_i18_a_plane_that_is_waited_for_is_named(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("spimpack_tasks.streams.growing_folder._TELL_S", 0.2)
    folder = tmp_path / "planes"
    write_planes(folder, FRAMES[:11])
    last = threading.Timer(1, write_plane, (folder / "plane_011.tif", FRAMES[11]))
    last.start()
    run(write_settings(tmp_path), folder)
    last.join()
    assert caplog.text.count("plane plane_011.tif is waited for") == 1


class SlowWriter(threading.Thread):
    """A program that writes planes piece by piece, some of them late, and then a marker."""

    def __init__(self, folder, order, marker="", pause=0.02):
        super().__init__()
        folder.mkdir()
        self.folder, self.order, self.marker, self.pause = folder, order, marker, pause

    def run(self):
        for number in self.order:
            whole = self.folder / f"plane_{number:03}.tif"
            aside = self.folder.parent / f"{number}.tif"
            write_plane(aside, FRAMES[number])
            data = aside.read_bytes()
            aside.unlink()
            with open(whole, "wb") as file:
                for at in range(0, len(data), 400):
                    file.write(data[at : at + 400])
                    file.flush()
                    time.sleep(self.pause)
        if self.marker:
            (self.folder / self.marker).write_text("")


RULES = {
    "announced": (12, {}),
    "marker": (None, {"marker": "done.txt"}),
    "quiet": (None, {"quiet_s": 0.8}),
}


@pytest.mark.parametrize(("count", "rule"), RULES.values(), ids=RULES)
def test_i18_a_growing_folder_is_followed_and_no_half_plane_taken(tmp_path, count, rule):
    order = [1, 0, 2, 3, 5, 4, 6, 7, 8, 9, 11, 10]
    writer = SlowWriter(tmp_path / "planes", order, rule.get("marker", ""))
    writer.start()
    settings = write_settings(tmp_path, count)
    if not order.index(0):
        time.sleep(0.1)
    result = run(settings, tmp_path / "planes", **{"settle_s": 0.15} | rule)
    writer.join()
    assert (result.frames, result.missing) == (12, ())
    check(tmp_path)
    assert len(os.listdir(tmp_path / "planes")) == 12 + bool(rule.get("marker"))


def test_i18_a_file_without_end_is_not_taken_though_it_rests(tmp_path):
    """A program that pauses within a plane leaves a file of a stable size."""
    folder = tmp_path / "planes"
    write_planes(folder)
    whole = (folder / "plane_005.tif").read_bytes()
    (folder / "plane_005.tif").write_bytes(whole[: len(whole) // 2])
    (folder / "plane_011.tif").rename(tmp_path / "last")

    def mend():
        time.sleep(0.6)
        (folder / "plane_005.tif").write_bytes(whole)
        (tmp_path / "last").rename(folder / "plane_011.tif")

    threading.Thread(target=mend).start()
    run(write_settings(tmp_path), folder)
    check(tmp_path)


def test_i18_a_gap_in_the_numbers_is_told_and_the_frame_missing(tmp_path, caplog):
    folder = tmp_path / "planes"
    write_planes(folder)
    (folder / "plane_004.tif").unlink()
    (folder / "done").write_text("")
    settings = write_settings(tmp_path)
    with pytest.raises(UnfinishedStreamError, match=r"1 frame missing \(4\).*stream finish"):
        run(settings, folder, marker="done")
    assert "no plane plane_004.tif" in caplog.text
    assert not (tmp_path / "a.ome.zarr").exists()
    settings = write_settings(tmp_path, allow_incomplete=True)
    assert run(settings, folder, marker="done").missing == ((4, 4),)
    frames = FRAMES.copy()
    frames[4] = 0
    check(tmp_path, frames)


def test_i18_a_source_that_ends_early_is_taken_up_when_there_is_more(tmp_path):
    folder = tmp_path / "planes"
    write_planes(folder, FRAMES[:7])
    settings = write_settings(tmp_path)
    with pytest.raises(UnfinishedStreamError, match=r"5 frames missing \(7-11\)"):
        run(settings, folder, quiet_s=0.2)
    write_planes(folder)
    assert run(settings, folder).frames == 12
    check(tmp_path)


def damage_words(folder):
    write_plane(folder / "preview_000.tif", FRAMES[0])


def damage_size(folder):
    write_plane(folder / "plane_003.tif", FRAMES[0, :5])


def damage_type(folder):
    write_plane(folder / "plane_003.tif", FRAMES[0].astype("uint8"))


def damage_stack(folder):
    tifffile.imwrite(folder / "plane_003.tif", FRAMES[:2])


def damage_content(folder):
    (folder / "plane_003.tif").write_text("no picture")


DAMAGE = {
    "words": (damage_words, "differ in more than numbers"),
    "size": (damage_size, r"\(5, 30\) pixels"),
    "type": (damage_type, "type uint8"),
    "stack": (damage_stack, "2 planes"),
    "content": (damage_content, "cannot be read"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_i18_a_wrong_plane_ends_the_stream_and_keeps_what_is_there(tmp_path, damage, message):
    write_planes(tmp_path / "planes")
    damage(tmp_path / "planes")
    with pytest.raises(SourceError, match=message):
        run(write_settings(tmp_path), tmp_path / "planes")
    assert not (tmp_path / "a.ome.zarr").exists()


def test_i18_a_plane_that_comes_before_taken_ones_is_an_error(tmp_path):
    folder = tmp_path / "planes"
    write_planes(folder, FRAMES[:4], first=2)
    source = open_source(str(folder), read_settings(str(write_settings(tmp_path))), EndRule())
    frames = source.frames(0)
    next(frames)
    write_plane(folder / "plane_001.tif", FRAMES[0])
    with pytest.raises(SourceError, match="belongs where"):
        list(frames)


def test_i18_a_folder_without_any_end_is_refused(tmp_path):
    (tmp_path / "planes").mkdir()
    with pytest.raises(SourceError, match="--until-file"):
        run(write_settings(tmp_path, None), tmp_path / "planes")


def test_i18_arrays_and_raw_files_become_images(tmp_path):
    np.save(tmp_path / "a.npy", FRAMES.reshape(3, 4, 24, 30))
    np.save(tmp_path / "big.npy", FRAMES.astype(">u2"))
    FRAMES.tofile(tmp_path / "a.raw")
    for name in ("a.npy", "big.npy", "a.raw"):
        run(write_settings(tmp_path, overwrite=True), tmp_path / name)
        check(tmp_path)


def test_i18_a_raw_file_that_grows_is_followed(tmp_path):
    data = FRAMES.tobytes()
    (tmp_path / "a.raw").write_bytes(data[:1000])

    def grow():
        for at in range(1000, len(data), 2000):
            with open(tmp_path / "a.raw", "ab") as file:
                file.write(data[at : at + 2000])
            time.sleep(0.05)

    threading.Thread(target=grow).start()
    run(write_settings(tmp_path, None), tmp_path / "a.raw", quiet_s=0.6)
    check(tmp_path)


WRONG = {
    "shape": (lambda: np.ones((12, 30, 24), "uint16"), r"planes of \(30, 24\)"),
    "type": (lambda: FRAMES.astype("int32"), "type int32"),
    "many": (lambda: np.ones((13, 24, 30), "uint16"), "13 planes, but 12"),
    "objects": (lambda: np.array([{}], object), "cannot be read"),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_i18_an_array_that_does_not_fit_is_refused(tmp_path, make, message):
    np.save(tmp_path / "a.npy", make())
    with pytest.raises(SourceError, match=message):
        run(write_settings(tmp_path), tmp_path / "a.npy")
    assert sorted(os.listdir(tmp_path)) == ["a.npy", "settings.yml"]


def test_i18_other_sources_that_do_not_fit_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.raw").write_bytes(b"12345")
    for text, message in (
        ("a.raw", "no multiple"),
        ("nothing", "no folder or file"),
        ("no_module_i18:frames", "no module"),
        ("json:frames", "no function frames"),
    ):
        with pytest.raises(SourceError, match=message):
            run(write_settings(tmp_path), text)


CAMERA = """\
import numpy as np
from stream_models import make_frames

def frames():
    for number, frame in enumerate(make_frames((12, 24, 30))):
        yield frame, {"delta_t": number}

def later(first):
    yield from make_frames((12, 24, 30))[first:]
"""


@pytest.mark.parametrize("name", ["frames", "later"])
def test_i18_a_function_yields_frames_with_metadata(tmp_path, monkeypatch, name):
    (tmp_path / "i18_camera.py").write_text(CAMERA)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    stream = create_stream(read_settings(str(write_settings(tmp_path))))
    for frame in FRAMES[:5]:
        stream.append(frame)
    stream.abandon(is_quiet=True)
    run(write_settings(tmp_path), f"i18_camera:{name}")
    check(tmp_path)
    lines = tmp_path / "a.ome.zarr" / "0" / "frames.jsonl"
    assert lines.exists() == (name == "frames")


def test_i18_frames_that_a_kill_has_lost_are_read_again(tmp_path):
    write_planes(tmp_path / "planes")
    settings = read_settings(str(write_settings(tmp_path)))
    stream = create_stream(settings)
    for frame in FRAMES[:3]:
        stream.append(frame)
    stream.flush()
    stream._log.close()
    stream._open.close()
    part = tmp_path / "a.ome.zarr.part"
    lines = (part / "journal.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if '"spooled":[0,0,0,1]' not in line]
    assert len(kept) == len(lines) - 1
    (part / "journal.jsonl").write_text("".join(kept))
    stream = resume_stream(settings.root_path)
    assert (stream.next_frame, stream.lost) == (3, (1,))
    with pytest.raises(ValueError, match="not one that was lost"):
        stream.refill(0, FRAMES[0])
    stream.abandon(is_quiet=True)
    assert run(tmp_path / "settings.yml", tmp_path / "planes").missing == ()
    check(tmp_path)


def build(tmp_path, workers, **more):
    task = WriteFrames(
        settings=str(tmp_path / "settings.yml"),
        frames=str(tmp_path / "planes"),
        settle_s=0.05,
        **more,
    )
    return luigi.build([task], local_scheduler=True, workers=workers, log_level="ERROR")


@pytest.mark.parametrize("workers", [1, 2])
def test_i18_the_task_writes_once_and_takes_up_what_was_begun(tmp_path, workers):
    write_planes(tmp_path / "planes", FRAMES[:5])
    write_settings(tmp_path)
    assert not build(tmp_path, workers, quiet_s=0.2)
    write_planes(tmp_path / "planes")
    assert build(tmp_path, workers, quiet_s=0.2)
    check(tmp_path)
    before = os.stat(tmp_path / "a.ome.zarr")
    assert build(tmp_path, workers)
    assert os.stat(tmp_path / "a.ome.zarr") == before
    write_settings(tmp_path, 11)
    assert not build(tmp_path, workers), "an image of other settings is not this one"


def luigi_command(*words):
    command = [*(sys.executable, "-m", "luigi", "--module", "spimpack_tasks", "WriteFrames")]
    command += ["--settings", "settings.yml", "--frames", "planes", "--settle-s", "0.05"]
    return [*command, *words, "--local-scheduler"]


CODES = {
    "good": ({}, "planes", 0),
    "settings": ({"dtype": "uint17"}, "planes", 2),
    "source": pytest.param({}, "nowhere", 2, marks=pytest.mark.slow),
    "short": ({"dimensions": None}, "planes", 4),
}


@pytest.mark.parametrize(("more", "frames", "code"), CODES.values(), ids=CODES)
def test_i18_luigi_finds_the_task_and_exits_truthfully(tmp_path, more, frames, code):
    write_planes(tmp_path / "planes")
    count = 13 if "dimensions" in more else 12
    write_settings(tmp_path, count, **{k: v for k, v in more.items() if v})
    command = luigi_command("--quiet-s", "0.2")
    command[command.index("planes")] = frames
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if not code:
        check(tmp_path)


def test_i18_the_task_goes_on_after_kill_9(tmp_path):
    frames = make_frames((60, 24, 30))
    write_planes(tmp_path / "planes", frames[:40])
    write_settings(tmp_path, 60)
    with subprocess.Popen(luigi_command(), cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        part = tmp_path / "a.ome.zarr.part" / "journal.jsonl"
        deadline = time.monotonic() + 60
        while not part.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "a.ome.zarr").exists()
    write_planes(tmp_path / "planes", frames)
    done = subprocess.run(luigi_command(), cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    check(tmp_path, frames)
    assert max(os.listdir(tmp_path / "planes")) == "plane_059.tif"


def test_i18_the_command_writes_and_tells(tmp_path, capsys):
    write_planes(tmp_path / "planes")
    settings = write_settings(tmp_path)
    words = ["stream", "write", str(settings), str(tmp_path / "planes"), "--settle", "0.05"]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{tmp_path}/a.ome.zarr: 12 frames\n"
    check(tmp_path)


def test_i18_sources_are_never_written_to(tmp_path):
    folder = tmp_path / "planes"
    write_planes(folder)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    for path in folder.iterdir():
        path.chmod(0o444)
    Path(folder).chmod(0o555)
    try:
        run(write_settings(tmp_path), folder)
    finally:
        Path(folder).chmod(0o755)
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert after == before


def save_text(path):
    path.write_text("no array")


def save_archive(path):
    with open(path, "wb") as file:
        np.savez(file, FRAMES)


BAD_REST = {
    "missing": (lambda _: None, "No such file"),
    "text": (save_text, "cannot be read as an array"),
    "archive": (save_archive, "archive"),
    "shape": (lambda path: np.save(path, FRAMES[:2, :5]), "planes of (5, 30)"),
    "type": (lambda path: np.save(path, FRAMES[:2].astype("uint8")), "type uint8"),
    "number": (lambda path: np.save(path, FRAMES[:10]), "9 of 12 frames are left"),
    "whole": (lambda path: np.save(path, FRAMES), "give those from number 3 on"),
}


@pytest.mark.parametrize(("save", "message"), BAD_REST.values(), ids=BAD_REST)
def test_i18_s06_resume_appends_nothing_unless_all_files_fit(tmp_path, capsys, save, message):
    path = tmp_path / "a.ome.zarr"
    stream = create_stream(read_settings(str(write_settings(tmp_path))))
    for frame in FRAMES[:3]:
        stream.append(frame)
    stream.abandon(is_quiet=True)
    np.save(tmp_path / "good.npy", FRAMES[3:5])
    save(tmp_path / "bad.npy")
    files = [word for name in ("good", "bad") for word in ("--frames", f"{tmp_path}/{name}.npy")]
    assert main(["stream", "resume", str(path), *files]) == 2
    assert message in capsys.readouterr().err
    stream = resume_stream(path)
    assert stream.next_frame == 3
    stream.abandon(is_quiet=True)


@pytest.mark.parametrize("name", ["a.tif", "a.raw", "a.h5", "a.npz", "a.txt"])
@pytest.mark.parametrize("first", [b"II*\0", b"MM\0+", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"])
def test_i18_a_file_with_a_header_is_not_taken_for_planes(tmp_path, name, first):
    path = tmp_path / name
    path.write_bytes(first + FRAMES.tobytes()[len(first) :])
    with pytest.raises(SourceError, match="give the folder of planes"):
        run(write_settings(tmp_path), path)
    assert not (tmp_path / "a.ome.zarr.part").exists()
