"""Streams that are watched: by another process, and in a stand-in of napari's viewer.

napari and Qt are too large for the tests' environment. The stand-in has what their documentation
names: `Viewer.add_image`, `dims.ndisplay`, `Layer.data`, `Layer.contrast_limits`, `Layer.refresh`,
`run`, and `QTimer` with `timeout.connect`, `start` and `stop`.
"""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from stream_models import append_all, make_frames, make_settings

from spimpack_tasks.cli.main import main
from spimpack_tasks.streams import (
    StreamClosedError,
    StreamWatch,
    create_stream,
    resume_stream,
    show_stream,
)

FORMATS = {
    "chunks": {"chunks": {"t": 1}, "compression": "blosc"},
    "slabs": {"chunks": {"t": 4}, "shards": {"y": 2}},
    "old": {"chunks": {"t": 2}, "format": "ome-zarr-0.4"},
    "tiff": {"format": "ome-tiff"},
    "tiles": {"format": "ome-tiff", "compression": "zlib"},
    "companion": {"format": "ome-tiff", "tiff_files": "companion"},
}
SIZES = {"t": 6, "p": 2, "c": 2, "y": 40, "x": 30}
FRAMES = make_frames(tuple(SIZES.values()))
CHILD = """\
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
from stream_models import append_all, make_frames, make_settings
from spimpack_tasks.streams import create_stream
path, sizes, counts, more = json.loads(sys.argv[2])
stream = create_stream(make_settings(path, sizes, **more))
frames = make_frames(counts)
for step, frame in enumerate(frames):
    append_all(stream, frame)
    stream.flush()
    print(step, flush=True)
    sys.stdin.readline()
stream.close()
print("closed", flush=True)
"""


class Writer:
    """Another process that writes a stream, a time point whenever it is asked for one."""

    def __init__(self, path, sizes, counts, more):
        told = json.dumps([str(path), sizes, counts, more])
        command = [sys.executable, "-c", CHILD, json.dumps(sys.path), told]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.process.stdout.readline()

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@pytest.fixture
def write():
    writers = []

    def start(*told):
        writers.append(Writer(*told))
        return writers[-1]

    yield start
    for writer in writers:
        writer.process.kill()
        writer.process.communicate()


ENDLESS = ("slabs", "tiff")
CASES = [
    pytest.param(
        more,
        is_open,
        id=f"{name}-{'endless' if is_open else 'bounded'}",
        marks=[pytest.mark.slow] if is_open == (name not in ENDLESS) else [],
    )
    for name, more in FORMATS.items()
    for is_open in (False, True)
]


@pytest.mark.few(2)
@pytest.mark.parametrize(("more", "is_open"), CASES)
def test_i18_s07_another_process_sees_what_was_flushed_and_zeros(tmp_path, write, more, is_open):
    path = tmp_path / "a.ome.zarr"
    if more.get("format") == "ome-tiff":
        path = tmp_path / "a"
    sizes = SIZES | ({"t": None} if is_open else {})
    writer = write(path, sizes, [*SIZES.values()], more)
    with StreamWatch(path) as watch:
        for step in range(1, 6):
            whole = watch.view(dynamic_shape=False)
            assert watch.next_frame == watch.frames == step * 4
            np.testing.assert_array_equal(watch.view(), FRAMES[:step])
            if not is_open:
                np.testing.assert_array_equal(whole[:step], FRAMES[:step])
                assert not whole[step:].any()
            assert not watch.is_finished
            assert writer.go_on() == str(step)
            assert watch.refresh()
            assert not watch.refresh()
        before = watch.view()[0]
        assert writer.go_on() == "closed"
        np.testing.assert_array_equal(watch.view()[0], before)
        watch.refresh()
        assert watch.is_finished
        np.testing.assert_array_equal(watch.view(), FRAMES)
    with pytest.raises(StreamClosedError, match="is there already"):
        StreamWatch(path)


class Layer(SimpleNamespace):
    """A layer that keeps what it drew, as napari's image layers read arrays: slice by slice."""

    def refresh(self):
        steps = self.viewer.dims.current_step
        self.drawn.append(np.asarray(self.data[(*steps, slice(None), slice(None))]))


class Viewer:
    def __init__(self, title=""):
        self.title, self.layers = title, []
        self.dims = SimpleNamespace(ndisplay=2, current_step=(0, 0))

    def add_image(self, data, *, multiscale, **told):
        assert not multiscale
        assert (data.ndim, len(data.shape)) == (4, 4)
        self.layers.append(Layer(data=data, drawn=[], viewer=self, **told))
        return self.layers[-1]


class Timer:
    made = None

    def __init__(self):
        self.timeout = SimpleNamespace(connect=self.connect)
        self.interval, self.is_active = None, False
        self.made.append(self)

    def connect(self, function):
        self.function = function

    def start(self, interval):
        self.interval, self.is_active = interval, True

    def stop(self):
        self.is_active = False

    def fire(self):
        if self.is_active:
            self.function()


@pytest.fixture
def timers(monkeypatch):
    Timer.made = []
    monkeypatch.setitem(sys.modules, "qtpy", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "qtpy.QtCore", SimpleNamespace(QTimer=Timer))
    return Timer.made


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ome.zarr.part", "a.ome.zarr.part/"])
def test_i18_s07_spimpack_view_follows_a_running_stream(tmp_path, write, timers, monkeypatch, name):
    sizes = {"t": None, "p": 2, "c": ["DAPI", "GFP"], "y": 40, "x": 30}
    writer = write(tmp_path / "a.ome.zarr", sizes, [*SIZES.values()], {"chunks": {"t": 1}})
    viewer = Viewer()

    def wait():
        """Do what a user sees while the window is open."""
        (timer,) = timers
        names = ["0: DAPI", "0: GFP", "1: DAPI", "1: GFP"]
        assert [layer.name for layer in viewer.layers] == names
        for step in range(1, 6):
            assert writer.go_on() == str(step)
            viewer.dims.current_step = (step, 0)
            timer.fire()
            for number, layer in enumerate(viewer.layers):
                wanted = FRAMES[step, number // 2, number % 2]
                assert layer.data.shape == (step + 1, 1, 40, 30)
                np.testing.assert_array_equal(layer.drawn[-1], wanted)
        low, high = viewer.layers[0].contrast_limits
        assert 1 <= low < 10
        assert 240 < high <= 255
        assert timer.is_active
        assert writer.go_on() == "closed"
        timer.fire()
        assert not timer.is_active
        np.testing.assert_array_equal(np.asarray(viewer.layers[3].data)[:, 0], FRAMES[:, 1, 1])

    napari = SimpleNamespace(Viewer=lambda **_: viewer, run=wait)
    monkeypatch.setitem(sys.modules, "napari", napari)
    assert main(["view", f"{tmp_path}/{name}"]) == 0


def test_i18_s07_a_stream_of_this_process_is_shown_until_it_is_finished(tmp_path, timers):
    viewer = Viewer()
    settings = make_settings(tmp_path / "a.zarr", {"t": 6, "z": 2, "y": 40, "x": 30})
    frames = make_frames((6, 2, 40, 30))
    with create_stream(settings) as stream:
        show_stream(viewer, stream)
        (layer,) = viewer.layers
        assert not np.asarray(layer.data).any()
        append_all(stream, frames[:3])
        timers[0].fire()
        np.testing.assert_array_equal(layer.drawn[-1], frames[0, 0])
        assert not layer.data[4].any()
        append_all(stream, frames[3:])
    timers[0].fire()
    assert not timers[0].is_active
    np.testing.assert_array_equal(layer.data, frames)


@pytest.mark.parametrize("form", ["ome-zarr", "ome-tiff"])
def test_i18_s07_a_view_goes_on_when_the_image_is_finished_or_left(tmp_path, form):
    frames = make_frames((6, 2, 40, 30))
    settings = make_settings(tmp_path / "a", {"t": 6, "c": 2, "y": 40, "x": 30}, format=form)
    stream = create_stream(settings)
    append_all(stream, frames[:3])
    stream.abandon(is_quiet=True)
    np.testing.assert_array_equal(stream.view(), frames[:3])
    stream = resume_stream(settings.root_path)
    append_all(stream, frames[3:])
    stream.close()
    np.testing.assert_array_equal(stream.view(), frames)


def test_i18_s07_neuroglancer_is_refused_while_the_stream_runs(tmp_path, capsys):
    path = tmp_path / "a.ome.zarr"
    with create_stream(make_settings(path, {"t": 1, "y": 4, "x": 4})) as stream:
        append_all(stream, make_frames((1, 4, 4)))
        assert main(["view", str(path), "--neuroglancer"]) == 2
        assert "still being written" in capsys.readouterr().err
