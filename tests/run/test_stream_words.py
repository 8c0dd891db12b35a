"""What users read of mistakes: in functions that yield frames, in frames, in command lines."""

import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import zarr
from stream_models import images_of, make_frames, make_settings
from test_stream_write import run, write_planes, write_settings
from test_stream_zarr import check_image

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode, InputError
from spimpack_tasks.streams import FrameError, create_stream, read_settings
from spimpack_tasks.streams.errors import SourceError
from spimpack_tasks.streams.frame_source import EndRule

FUNCTIONS = """\
import numpy as np

FRAME = np.ones((24, 30), "uint16")

def none():
    return None

def number():
    return 5

def text():
    return "frames"

def fails():
    raise RuntimeError("the camera is off")

def fails_later():
    yield FRAME
    yield FRAME
    raise RuntimeError("the camera is off")

def needs(exposure, gain, *, first=0):
    yield FRAME

def yields_none():
    yield FRAME
    yield None

def triple():
    yield FRAME, {}, 3

def wrong_metadata():
    yield FRAME, 7

def wrong_type():
    yield FRAME.astype(float)

def endless():
    while True:
        yield FRAME
"""
# The function, words of the message, frames that are kept, and the exit code.
MISTAKES = {
    "none": ("returns None; let it yield frames", 0, 2),
    "number": ("returns 5; let it yield", 0, 2),
    "text": ("returns 'frames'; let it yield", 0, 2),
    "fails": (r"failed at frame 0: RuntimeError: the camera is off \(.*, line 15\)", 0, 4),
    "fails_later": (r"failed at frame 2: RuntimeError: the camera is off \(.*, line 20\)", 2, 4),
    "needs": ("needs exposure, gain; give it no parameters", 0, 2),
    "yields_none": ("yields nothing .* as frame 1", 1, 2),
    "triple": ("yields 3 values as frame 0", 0, 2),
    "wrong_metadata": ("metadata are a mapping", 0, 2),
    "wrong_type": ("float64 was given", 0, 2),
    "endless": ("all 12 announced frames are there", 12, 2),
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    (tmp_path / "i18_words.py").write_text(FUNCTIONS)
    (tmp_path / "i18_fails.py").write_text("1 / 0")
    (tmp_path / "i18_lacks.py").write_text("import no_module_i18")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in ("i18_words", "i18_fails", "i18_lacks"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(("name", "mistake"), MISTAKES.items(), ids=MISTAKES)
def test_i18_a_mistake_in_a_function_is_told_in_a_sentence(modules, name, mistake):
    message, kept, code = mistake
    with pytest.raises((SourceError, FrameError, IndexError), match=message) as caught:
        run(write_settings(modules), f"i18_words:{name}")
    assert caught.value.exit_code == ExitCode(code)
    assert os.path.exists("a.ome.zarr.part") == (kept > 0)  # nothing keeps the next attempt back
    if kept:
        assert main(["stream", "finish", "a.ome.zarr"]) == 0
        assert zarr.open_array("a.ome.zarr/0", mode="r")[:kept].all()


IMPORTS = {
    "i18_fails:a": "cannot be imported: ZeroDivisionError: division by zero .*i18_fails.py, line 1",
    "i18_lacks:a": "cannot be imported: ModuleNotFoundError: No module named 'no_module_i18'",
    "i18_words:FRAME": "is no function",
}


@pytest.mark.parametrize(("source", "message"), IMPORTS.items(), ids=IMPORTS)
def test_i18_a_module_that_fails_is_told_in_a_sentence(modules, source, message):
    with pytest.raises(SourceError, match=message):
        run(write_settings(modules), source)
    assert not os.path.exists("a.ome.zarr.part")


PIXELS = make_frames((40, 30))
with warnings.catch_warnings(action="ignore"):  # numpy says that matrices are not recommended
    MATRIX = np.asmatrix(PIXELS)
FRAMES = {
    "list": (PIXELS.tolist(), "int64 .list. was given"),
    "rows": ([[1, 2], [3]], "a frame is an array"),
    "none": (None, "object .NoneType. was given"),
    "bytes": (PIXELS.tobytes(), "was given"),
    "view": (memoryview(PIXELS), ""),
    "matrix": (MATRIX, ""),
    "store": (zarr.array(PIXELS), ""),
    "flat": (memoryview(PIXELS.reshape(-1)), r"\(1200,\) of type uint16"),
    "turned": (MATRIX.T, r"\(30, 40\)"),
    "masked": (np.ma.masked_less(PIXELS, 100), "masked pixels"),
    "unmasked": (np.ma.masked_less(PIXELS, 0), ""),
    "order": (PIXELS.astype(">u2"), ">u2 was given"),
}


@pytest.mark.parametrize("form", ["ome-zarr", "ome-zarr-0.4", "ome-tiff"])
@pytest.mark.parametrize(("frame", "message"), FRAMES.values(), ids=FRAMES)
def test_i18_s04_what_is_not_an_array_is_taken_only_without_a_guess(tmp_path, form, frame, message):
    settings = make_settings(tmp_path / "a", {"z": 2, "y": 40, "x": 30}, format=form)
    stream = create_stream(settings)
    if message:
        with pytest.raises(FrameError, match=message):
            stream.append(frame)
    else:
        stream.append(frame)
        np.testing.assert_array_equal(stream.read_frame(0), PIXELS)
    for _ in range(stream.next_frame, 2):
        stream.append(PIXELS)
    assert stream.close().is_complete
    if form != "ome-tiff":
        check_image(tmp_path / "a", images_of(np.stack([PIXELS, PIXELS]), "zyx")[0])


def test_i18_s04_a_list_of_just_the_announced_type_is_a_frame(tmp_path):
    settings = make_settings(tmp_path / "a", {"z": 1, "y": 40, "x": 30}, dtype="int64")
    with create_stream(settings) as stream:
        stream.append(PIXELS.tolist())
    np.testing.assert_array_equal(zarr.open_array(f"{tmp_path}/a/0", mode="r")[0], PIXELS)


SETTINGS = {
    "latin": ("root_path: \xe9.zarr\n".encode("latin-1"), "not UTF-8 text; save it as UTF-8"),
    "wide": ("root_path: a".encode("utf-16"), "is UTF-16 text"),
    "list": (b"[1, 2]", "must be a mapping"),
    "nothing": (b"", "is empty"),
    "broken": (b"{", "is not valid YAML"),
    "escaped": (
        b'{root_path: "a\\0", dimensions: [{name: y, count: 1}, {name: x}]}',
        "1:13: root_",
    ),
}


@pytest.mark.parametrize(("content", "message"), SETTINGS.values(), ids=SETTINGS)
def test_i18_s11_a_file_that_is_no_settings_is_told_in_a_sentence(tmp_path, content, message):
    path = tmp_path / "settings.yml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_settings(str(path))


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
@pytest.mark.parametrize("key", ["quiet_s", "settle_s"])
def test_i18_a_time_that_never_passes_is_refused(key, seconds):
    with pytest.raises(SourceError, match="must be seconds, 0 or more"):
        EndRule(**{key: seconds})


LINES = {
    "nothing": ([], "required: ACTION"),
    "no-source": (["write", "settings.yml"], "required: FRAMES"),
    "swapped": (["write", "planes", "settings.yml"], "the settings come first"),
    "no-file": (["write", "no.yml", "planes"], "no.yml: does not exist"),
    "negative": (["write", "settings.yml", "planes", "--quiet", "-3"], "'-3' is not a number of"),
    "never": (["write", "settings.yml", "planes", "--settle", "nan"], "--settle: 'nan' is not"),
    "words": (["write", "settings.yml", "planes", "--quiet", "soon"], "'soon' is not"),
    "another": (["finish", "a", "--quiet", "3"], "no argument --quiet"),
    "too-many": (["finish", "a", "b"], "'b' is one path too many"),
    "frames": (["write", "settings.yml", "planes", "--frames", "a"], "no argument --frames"),
    "none": (["resume", "a"], "there is no unfinished stream"),
}


def run_command(*words):
    try:
        return main(["stream", *words])
    except SystemExit as ended:
        return ended.code


@pytest.mark.parametrize(("words", "message"), LINES.values(), ids=LINES)
def test_i18_the_command_refuses_wrong_lines(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    write_planes(tmp_path / "planes")
    write_settings(tmp_path)
    before = sorted(os.listdir())
    assert run_command(*words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert sorted(os.listdir()) == before


HELP = {
    "write": ("SETTINGS", "FRAMES", "--until-file", "--quiet", "--settle", "settings.yml planes"),
    "finish": ("PATH", "stream finish image.ome.zarr"),
    "resume": ("PATH", "--frames", "stream resume image.ome.zarr --frames rest.npy"),
}


@pytest.mark.parametrize("action", HELP)
def test_i18_each_action_of_the_command_has_its_own_help(capsys, action):
    assert run_command(action, "--help") == 0
    said = capsys.readouterr().out
    assert "example: spimpack stream" in said
    others = {word for words in HELP.values() for word in words if word.startswith("--")}
    for word in HELP[action]:
        assert word in said
    for word in others - {*HELP[action]}:
        assert word not in said


def test_i18_shells_complete_the_options_of_actions():
    done = subprocess.run(
        [sys.executable, "-m", "spimpack_tasks.cli.main", "completion", "bash"],
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = (line for line in done.stdout.splitlines() if line.strip().startswith("stream) "))
    for word in ("write finish resume", "--until-file", "--frames"):
        assert word in line


def test_i18_settings_of_json_are_read_with_a_mark(tmp_path):
    settings = write_settings(tmp_path)
    settings.write_text(json.dumps(json.loads(settings.read_text())), "utf-8-sig")
    assert read_settings(str(settings)).num_frames == 12
