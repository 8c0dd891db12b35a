"""Streams in disorder: forked processes, full disks, and statements about them that must be true."""

import errno
import os
import re

import numpy as np
import pytest
from stream_models import append_all, images_of, make_frames, make_settings
from test_stream_zarr import check_image

from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.streams import StreamClosedError, create_stream, finish_stream
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
        try:
            with stream:
                raise KeyError
        except KeyError:
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


@pytest.mark.parametrize(
    ("name", "more", "owner", "method", "most"), FAILING.values(), ids=FAILING
)
def test_i18_s06_after_a_failure_no_more_frames_are_promised_than_are_there(
    tmp_path, monkeypatch, caplog, name, more, owner, method, most
):
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
    with monkeypatch.context() as patch:
        patch.setattr(owner, method, fail_later)
        with pytest.raises(OSError, match="No space"), create_stream(settings) as stream:
            append_all(stream, frames)
            stream.flush()
    (said,) = re.findall(r"([0-9]+) frames are kept", caplog.text)
    assert int(said) == 4
    assert finish_stream(tmp_path / name).frames == 4
