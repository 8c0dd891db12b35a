"""Streams in disorder: forks, full disks, kills; and what is said of them, which must be true."""

import errno
import json
import os
import re

import numpy as np
import pytest
from stream_models import append_all, images_of, make_frames, make_settings
from test_stream_zarr import check_image

from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.streams import (
    StreamBehindError,
    StreamClosedError,
    StreamWatch,
    create_stream,
    finish_stream,
    resume_stream,
)
from spimpack_tasks.streams.journal import LineFile
from spimpack_tasks.streams.tiff_file import TiffFile

FORMS = {
    "0.5": ("a.zarr", {}),
    "0.4": ("a.zarr", {"format": "ome-zarr-0.4"}),
    "tiff": ("a.ome.tif", {"format": "ome-tiff"}),
}
each_form = pytest.mark.parametrize(("name", "more"), FORMS.values(), ids=FORMS)
FRAME = np.ones((40, 30), "uint16")
USES = {
    "append": lambda stream: stream.append(FRAME),
    "skip": lambda stream: stream.skip(),
    "flush": lambda stream: stream.flush(),
    "close": lambda stream: stream.close(),
    "read": lambda stream: stream.read_frame(0),
    "view": lambda stream: stream.view()[0],
    "note": lambda stream: stream.set_global_metadata("lab", {"laser": 1}),
    "context": lambda stream: stream.__exit__(None, None, None),
}


def in_a_fork(do):
    """Return what a function returns in a fork of this process."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, do().encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        told = file.read().decode()
    os.waitpid(child, 0)
    return told


@each_form
def test_i18_s04_a_fork_is_told_that_the_stream_is_not_its_own(tmp_path, name, more):
    frames = make_frames((5, 40, 30))
    stream = create_stream(make_settings(tmp_path / name, {"z": 5, "y": 40, "x": 30}, **more))
    append_all(stream, frames[:2])

    def use_all():
        told = []
        for use in USES.values():
            try:
                use(stream)
            except StreamClosedError as error:
                told.append(str(error))
        stream.__exit__(KeyError, KeyError(), None)
        told.append("kept")
        return "\n".join(told)

    *refused, last = in_a_fork(use_all).splitlines()
    assert len(refused) == len(USES)
    assert all(f"belongs to process {os.getpid()}" in each for each in refused)
    assert last == "kept"
    append_all(stream, frames[2:])
    assert stream.close().is_complete
    if name == "a.zarr":
        check_image(tmp_path / name, images_of(frames, "zyx")[0])


@each_form
def test_i18_s04_after_its_end_a_stream_takes_nothing(tmp_path, name, more):
    stream = create_stream(make_settings(tmp_path / name, {"t": 1, "y": 40, "x": 30}, **more))
    stream.append(FRAME)
    stream.close()
    for use in ("append", "skip", "flush", "note"):
        with pytest.raises(StreamClosedError, match="is closed"):
            USES[use](stream)


FAILING = {
    **{key: (*FORMS[key], LocalPlace, "put", 2) for key in ("0.5", "0.4")},
    "tiff": (*FORMS["tiff"], TiffFile, "append", 4),
    "zlib": ("a.ome.tif", FORMS["tiff"][1] | {"compression": "zlib"}, TiffFile, "append", 4),
}


@pytest.mark.parametrize("case", FAILING.values(), ids=FAILING)
def test_i18_s06_after_a_failure_no_more_frames_are_promised_than_are_there(
    tmp_path, monkeypatch, caplog, case
):
    name, more, owner, method, most = case
    write, calls = getattr(owner, method), []

    def fail_later(*words):
        calls.append(0)
        if len(calls) > most:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(*words)

    chunks = None if name.endswith(".tif") else {"z": 2, "y": 40, "x": 30}
    settings = make_settings(
        tmp_path / name, {"z": 24, "y": 40, "x": 30}, chunks=chunks, pyramid=False, **more
    )
    frames = make_frames((24, 40, 30))
    stream = create_stream(settings)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):  # noqa: PT012
        patch.setattr(owner, method, fail_later)
        append_all(stream, frames)
        stream.flush()
    stream.abandon()
    (said,) = re.findall(r"([0-9]+) frames are kept", caplog.text)
    assert int(said) == 4
    assert finish_stream(tmp_path / name).frames == 4


def drop_notes(part, wanted):
    """Take the lines of some slabs out of a journal, as if the process had died before them."""
    lines = (part / "journal.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line).get("slab") not in wanted]
    assert len(kept) == len(lines) - len(wanted)
    (part / "journal.jsonl").write_text("".join(kept))


def die(stream):
    """Let a stream go as a kill does, but with all that was handed to its threads written."""
    stream._work.pool.settle()
    stream._open.close()


# Form, chunks, and whether a shard is whole as soon as it has its name.
UNNOTED = {
    "frames": ({}, {"z": 1, "y": 40, "x": 30}, True),
    "slabs": ({"compression": "blosc"}, {"z": 2, "y": 40, "x": 30}, True),
    "shards": ({"compression": "gzip"}, {"z": 2, "y": 16, "x": 16}, True),
    "flat": ({"pyramid": False}, {"z": 2, "y": 40, "x": 30}, True),
    "old-frames": ({"format": "ome-zarr-0.4"}, {"z": 1, "y": 40, "x": 30}, False),
    "old-slabs": ({"format": "ome-zarr-0.4"}, {"z": 2, "y": 16, "x": 16}, False),
}
each_unnoted = pytest.mark.parametrize(("more", "chunks", "is_kept"), UNNOTED.values(), ids=UNNOTED)


def write_unnoted(path, more, chunks):
    """Write six of eight planes, whose fifth is in a file that the journal does not name."""
    sizes = {"z": 8, "y": 40, "x": 30}
    frames = make_frames((8, 40, 30))
    stream = create_stream(make_settings(path, sizes, chunks=chunks, **more))
    append_all(stream, frames[:6])
    die(stream)
    drop_notes(path.with_name("a.zarr.part"), [[0, 0, 0, 0, 4 // chunks["z"]]])
    return frames


@each_unnoted
@pytest.mark.parametrize("boot", ["same", "another"])
def test_i18_s06_missing_frames_are_zeros(tmp_path, more, chunks, is_kept, boot):
    path = tmp_path / "a.zarr"
    frames = write_unnoted(path, more, chunks)
    if boot == "another":  # a power cut, after which a file may have its name and be torn
        journal = tmp_path / "a.zarr.part" / "journal.jsonl"
        lines = journal.read_text().splitlines()[1:]
        journal.write_text("\n".join([json.dumps({"boot": "b"}), *lines, '{"synced":1}\n']))
        is_kept = False
    result = finish_stream(path)
    lost = [] if is_kept else [4, 5][: chunks["z"]]
    missing = [n for first, last in result.missing for n in range(first, last + 1)]
    assert missing == [*lost, 6, 7]
    frames[missing] = 0
    check_image(path, images_of(frames, "zyx")[0])


@each_unnoted
def test_i18_s06_a_resumed_stream_takes_up_only_what_is_whole(tmp_path, more, chunks, is_kept):
    path = tmp_path / "a.zarr"
    image = path.with_name("a.zarr.part") / "image"
    frames = write_unnoted(path, more, chunks)
    written = [each for each in image.glob("0/**/*") if each.is_file()]
    (written[0].parent / "0.part").write_bytes(b"torn")
    stream = resume_stream(path)
    assert not [*image.glob("**/*.part")]
    assert len([each for each in image.glob("0/**/*") if each.is_file()]) <= len(written)
    lost = [] if is_kept else [4, 5][: chunks["z"]]
    assert [*stream.lost, *range(stream.next_frame, 8)] == [*lost, 6, 7]
    die(stream)  # once more
    stream = resume_stream(path)
    with StreamWatch(path) as watch:
        assert watch.frames == 6 - len(lost)
    for number in stream.lost:
        stream.refill(number, frames[number])
    append_all(stream, frames[stream.next_frame :])
    assert stream.close().is_complete
    check_image(path, images_of(frames, "zyx")[0])


def test_i18_s06_a_slab_that_lacks_a_shard_is_not_taken_up(tmp_path):
    path = tmp_path / "a.zarr"
    frames = write_unnoted(path, {}, {"z": 2, "y": 2, "x": 30})  # 20 chunks, so several shards
    shards = sorted((tmp_path / "a.zarr.part/image/0/c/2").rglob("0"))
    files = [each for each in shards if each.is_file()]
    assert len(files) > 1
    files[0].unlink()
    result = finish_stream(path)
    assert result.missing == ((4, 7),)
    frames[4:] = 0
    check_image(path, images_of(frames, "zyx")[0])


@each_form
def test_i18_s08_a_frame_has_one_line_after_a_kill(tmp_path, name, more):
    frames = make_frames((8, 40, 30))
    path = tmp_path / name
    chunks = {} if name.endswith(".tif") else {"chunks": {"z": 4, "y": 40, "x": 30}}
    stream = create_stream(make_settings(path, {"z": 8, "y": 40, "x": 30}, **chunks, **more))
    append_all(stream, frames[:4], lambda number: {"try": 1, "number": number})
    stream.flush()
    append_all(stream, frames[4:7], lambda number: {"try": 1, "number": 4 + number})
    die(stream)
    if name.endswith(".tif"):  # its planes were written at once
        journal = tmp_path / "a.ome.tif.part" / "journal.jsonl"
        lines = journal.read_text().splitlines(keepends=True)
        planes = [line for line in lines if '"plane"' in line]
        journal.write_text("".join(line for line in lines if line not in planes[4:]))
    stream = resume_stream(path)
    assert stream.next_frame == 4
    append_all(stream, frames[4:], lambda number: {"try": 2, "number": 4 + number})
    assert stream.close().is_complete
    beside = path / "0" / "frames.jsonl" if path.is_dir() else tmp_path / "a.frames.jsonl"
    lines = [json.loads(line) for line in beside.read_text().splitlines()]
    assert [line["frame"] for line in lines] == [*range(8)]
    assert [line["metadata"]["try"] for line in lines] == [1] * 4 + [2] * 4


def test_i18_s08_a_frame_that_is_tried_again_has_one_line(tmp_path):
    stream = create_stream(make_settings(tmp_path / "a", {"z": 2, "y": 40, "x": 30}))
    write, calls = stream._images[0].write, []

    def fail_once(*words):
        calls.append(0)
        if len(calls) == 1:
            raise StreamBehindError(1)
        write(*words)

    stream._images[0].write = fail_once
    with pytest.raises(StreamBehindError):
        stream.append(FRAME, {"a": 1})
    append_all(stream, make_frames((2, 40, 30)), lambda _: {"a": 1})
    lines = (tmp_path / "a.part" / "frames.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 1]
    stream.close()


def test_i18_s08_a_full_disk_leaves_no_torn_line(tmp_path, monkeypatch):
    lines = LineFile(str(tmp_path / "a"))
    lines.add(b"1")
    write = os.write

    def write_half(file, data):
        if len(data) < 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[:-4])

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):  # noqa: PT012
        patch.setattr(os, "write", write_half)
        lines.add(b"22222222")
    lines.add(b"3")
    assert (tmp_path / "a").read_text() == "1\n3\n"
