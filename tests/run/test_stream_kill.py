"""Streams whose process dies: what was flushed is there, and can be finished or resumed."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
import zarr
from stream_models import append_all, images_of, make_frames, make_settings
from test_stream_zarr import FORMATS, check_image

from spimpack_tasks.cli.main import main
from spimpack_tasks.streams import (
    StreamClosedError,
    create_stream,
    finish_stream,
    resume_stream,
)
from spimpack_tasks.streams import journal as journals

SIZES = {"t": 6, "c": 2, "z": 9, "y": 96, "x": 80}
COUNTS = tuple(SIZES.values())
TOTAL = 6 * 2 * 9
CHILD = """\
import json, sys, time
sys.path[:0] = json.loads(sys.argv[1])
import numpy as np
from stream_models import make_frames, make_settings
from spimpack_tasks.streams import create_stream
path, more, flush_at, counts = json.loads(sys.argv[2])
sizes = dict(zip("tczyx", counts))
stream = create_stream(make_settings(path, sizes, **more))
frames = make_frames(counts).reshape(-1, *counts[-2:])
for number, frame in enumerate(frames):
    stream.append(frame, {"delta_t": number})
    if number + 1 == flush_at:
        stream.flush()
    print(number + 1, flush=True)
    time.sleep(0.0005)
time.sleep(60)
"""


def run_and_kill(path, more, *, flush_at, kill_at):
    """Kill a process when it has appended some frames; return how many."""
    told = json.dumps([str(path), more, flush_at, COUNTS])
    command = [sys.executable, "-c", CHILD, json.dumps(sys.path), told]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        done = 0
        for line in child.stdout:
            done = int(line)
            if done >= kill_at:
                break
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split()
    return int(rest[-1]) if rest else done


CASES = {
    "stacks": {"chunks": {"z": 4, "y": 64, "x": 64}, "compression": "blosc"},
    "frames": {"chunks": {"z": 1, "y": 96, "x": 80}},
    "times": {"chunks": {"t": 4, "c": 2}, "shards": {"y": 1, "x": 1}},
    "old": {"chunks": {"z": 4}, "format": "ome-zarr-0.4", "compression": "gzip"},
}


@pytest.mark.few(3)
@pytest.mark.parametrize("more", CASES.values(), ids=CASES)
@pytest.mark.parametrize("action", ["finish", "resume"])
def test_i18_s06_after_a_kill_nothing_that_was_flushed_is_lost(tmp_path, more, action):
    dice = random.Random(f"{more}{action}")
    flush_at = dice.randrange(5, 60)
    path = tmp_path / "a.zarr"
    done = run_and_kill(path, more, flush_at=flush_at, kill_at=dice.randrange(flush_at, 100))
    assert not path.exists()
    frames = make_frames(COUNTS)
    flat = frames.reshape(-1, *COUNTS[-2:])
    stream = resume_stream(path)
    assert flush_at <= stream.next_frame <= done + 1
    assert all(number >= flush_at for number in stream.lost)
    lost = [*stream.lost]
    if action == "finish":
        lost += range(stream.next_frame, TOTAL)
        stream.abandon()
        result = finish_stream(str(path))
    else:
        for frame in flat[stream.next_frame :]:
            stream.append(frame)
        result = stream.close(allow_incomplete=True)
    assert result.frames == TOTAL - len(lost)
    assert [n for first, last in result.missing for n in range(first, last + 1)] == lost
    flat[lost] = 0
    check_image(path, images_of(frames, "tczyx")[0])
    assert os.listdir(tmp_path) == ["a.zarr"]


TIFFS = {
    "plain": {"format": "ome-tiff"},
    "zlib": {"format": "ome-tiff", "compression": "zlib"},
    "companion": {"format": "ome-tiff", "tiff_files": "companion"},
}


@pytest.mark.few(2)
@pytest.mark.parametrize("more", TIFFS.values(), ids=TIFFS)
@pytest.mark.parametrize("action", ["finish", "resume"])
def test_i18_s06_an_ome_tiff_loses_nothing_that_was_flushed(tmp_path, more, action):
    dice = random.Random(f"{more}{action}")
    flush_at = dice.randrange(5, 60)
    path = tmp_path / ("a" if "tiff_files" in more else "a.ome.tif")
    done = run_and_kill(path, more, flush_at=flush_at, kill_at=dice.randrange(flush_at, 100))
    assert not path.exists()
    flat = make_frames(COUNTS).reshape(-1, *COUNTS[-2:])
    stream = resume_stream(path)
    assert flush_at <= stream.next_frame <= done + 1
    assert all(number >= flush_at for number in stream.lost)
    lost = [*stream.lost]
    if action == "finish":
        lost += range(stream.next_frame, TOTAL)
        stream.abandon(is_quiet=True)
        result = finish_stream(str(path))
    else:
        for frame in flat[stream.next_frame :]:
            stream.append(frame)
        result = stream.close(allow_incomplete=True)
    assert result.frames == TOTAL - len(lost)
    flat[lost] = 0
    file = path / "image.ome.tif" if "tiff_files" in more else path
    with tifffile.TiffFile(file) as opened:
        np.testing.assert_array_equal([page.asarray() for page in opened.pages], flat)
    assert path.name in os.listdir(tmp_path)
    assert not os.path.exists(f"{path}.part")


def test_i18_s06_frames_that_are_chunks_are_safe_without_a_flush(tmp_path):
    path = tmp_path / "a.zarr"
    done = run_and_kill(path, CASES["frames"], flush_at=0, kill_at=50)
    stream = resume_stream(path)
    assert (stream.next_frame - done) in (0, 1)
    assert stream.lost == ()
    stream.abandon()


def test_i18_s08_lines_of_metadata_are_whole_after_a_kill(tmp_path):
    path = tmp_path / "a.zarr"
    done = run_and_kill(path, CASES["frames"], flush_at=0, kill_at=50)
    with open(f"{path}.part/frames.jsonl", "a") as file:
        file.write('{"frame": 9')  # torn
    stream = resume_stream(path)
    stream.append(make_frames((96, 80)), {"delta_t": 77})
    result = stream.close(allow_incomplete=True)
    text = (path / "0" / "frames.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["frame"] for line in lines] == [*range(result.frames)]
    assert lines[-1]["metadata"] == {"delta_t": 77}
    assert len(lines) >= done


def test_i18_s06_skipped_frames_stay_skipped(tmp_path):
    settings = make_settings(tmp_path / "a", {"t": 5, "y": 4, "x": 4}, chunks={"t": 2})
    frames = make_frames((5, 4, 4))
    stream = create_stream(settings)
    append_all(stream, frames[:1])
    stream.skip(2)
    stream.set_global_metadata("lab", {"laser": 1})
    stream.abandon()
    stream = resume_stream(str(tmp_path / "a"))
    assert (stream.next_frame, stream.lost) == (3, (1, 2))
    append_all(stream, frames[3:])
    assert stream.close(allow_incomplete=True).missing == ((1, 2),)
    frames[1:3] = 0
    check_image(tmp_path / "a", images_of(frames, "tyx")[0])
    told = zarr.open_group(str(tmp_path / "a"), mode="r").attrs["spimpack_tasks"]
    assert told["metadata"] == {"lab": {"laser": 1}}


def test_i18_s06_after_a_power_cut_only_synced_frames_count(tmp_path, monkeypatch):
    settings = make_settings(tmp_path / "a", {"t": 5, "y": 4, "x": 4}, chunks={"t": 1})
    stream = create_stream(settings)
    append_all(stream, make_frames((2, 4, 4)))
    stream.flush()
    append_all(stream, make_frames((2, 4, 4)))
    stream._work.pool.settle()
    stream._open.close()
    monkeypatch.setattr(journals, "_boot", lambda: "another")
    stream = resume_stream(str(tmp_path / "a"))
    assert stream.next_frame == 2
    stream.abandon()


def test_i18_s06_a_stream_that_is_written_is_not_picked_up(tmp_path):
    with create_stream(make_settings(tmp_path / "a", {"t": 1, "y": 4, "x": 4})) as stream:
        with pytest.raises(StreamClosedError, match="another process"):
            finish_stream(str(tmp_path / "a"))
        append_all(stream, make_frames((1, 4, 4)))
    with pytest.raises(StreamClosedError, match="is there already"):
        finish_stream(str(tmp_path / "a"))


def run_command(*words):
    with pytest.raises(SystemExit) as ended:
        sys.exit(main([*map(str, words)]))
    return ended.value.code


@pytest.mark.parametrize("form", FORMATS)
def test_i18_s06_the_command_finishes_and_resumes(tmp_path, capsys, form):
    frames = make_frames((5, 4, 4))
    path = tmp_path / "a.zarr"
    stream = create_stream(make_settings(path, {"t": 5, "y": 4, "x": 4}, format=form))
    append_all(stream, frames[:2])
    stream.abandon(is_quiet=True)
    assert run_command("stream", "resume", path) == 0
    assert capsys.readouterr().out == "next frame: 2 of 5\nlost frames: 0\n"
    np.save(tmp_path / "rest.npy", frames[2:4])
    assert run_command("stream", "resume", path, "--frames", tmp_path / "rest.npy") == 0
    assert capsys.readouterr().out == "next frame: 4 of 5\nlost frames: 0\n"
    assert run_command("stream", "finish", path) == 0
    assert capsys.readouterr().out == f"{path}: 4 frames, 1 frame missing\nmissing: 4\n"
    frames[4:] = 0
    check_image(path, images_of(frames, "tyx")[0])
    assert run_command("stream", "finish", path) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.slow
def test_i18_s06_a_hundred_kills(tmp_path):
    for number in range(100):
        path = tmp_path / f"{number}.zarr"
        case = [*CASES.values()][number % len(CASES)]
        kill_at = random.Random(number).randrange(1, TOTAL)
        run_and_kill(path, case, flush_at=kill_at // 2, kill_at=kill_at)
        stream = resume_stream(path)
        assert stream.next_frame >= kill_at // 2
        frames = make_frames(COUNTS).reshape(-1, *COUNTS[-2:])
        lost = [*stream.lost]
        for frame in frames[stream.next_frame :]:
            stream.append(frame)
        stream.close(allow_incomplete=True)
        frames[lost] = 0
        check_image(path, images_of(frames.reshape(COUNTS), "tczyx")[0])
        time.sleep(0)
