"""Patterns take whole names, and paths name labels as whole tokens."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spimpack_tasks.files.natural_order import natural
from spimpack_tasks.scanning.headers import decimal_text, header_cells
from spimpack_tasks.scanning.labels import as_label, tokens_of
from spimpack_tasks.scanning.patterns import read_glob, read_pattern
from spimpack_tasks.volumes.header import Header

# Pattern, path, and what is captured; `None` where the pattern does not fit.
READINGS = {
    "one-name": ("sub-{subject}.ims", "sub-01.ims", {"subject": "01"}),
    "short-name": ("{sub}/{acq}.ims", "m1/4x.ims", {"subject": "m1", "acquisition": "4x"}),
    "b50-longer-number": ("exp_TP001/*", "exp_TP0010/a.ims", None),
    "b50-sub-1-is-not-sub-10": ("sub-1/{session}.ims", "sub-10/a.ims", None),
    "b50-text-before": ("sub-1/*", "xsub-1/a.ims", None),
    "b50-text-behind": ("sub-1/*", "sub-1x/a.ims", None),
    "b50-letter-case": ("sub-{subject}/*", "Sub-1/a.ims", None),
    "b50-a-point-is-a-point": ("a.ims", "axims", None),
    "b50-whole-depth": ("{subject}/*.ims", "a/b/c.ims", None),
    "b50-not-the-end-alone": ("*.ims", "a/b.ims", None),
    "b50-line-end": ("a.ims", "a.ims\n", None),
    "b50-regex": ("exp_{ses:TP[0-9]{3}}/*", "exp_TP001/a.ims", {"session": "TP001"}),
    "b50-regex-is-whole": ("exp_{ses:TP[0-9]{3}}/*", "exp_TP0010/a.ims", None),
    "b50-regex-of-choices": ("{sample:brain|liver}.ims", "liver.ims", {"sample": "liver"}),
    "b50-regex-of-choices-is-whole": ("{sample:brain|liver}.ims", "brains.ims", None),
    "star-may-be-empty": ("a*.ims", "a.ims", {}),
    "capture-may-not": ("a{run}.ims", "a.ims", None),
    "capture-with-separators": (
        "{subject}.ims",
        "mouse 01-a_b.c.ims",
        {"subject": "mouse 01-a_b.c"},
    ),
    "up-to-the-separator": ("{subject}_*.ims", "m1_a_b.ims", {"subject": "m1"}),
    "from-the-separator": ("*_{subject}.ims", "a_b_m1.ims", {"subject": "m1"}),
    "between-separators": ("{subject}_*_{run}.ims", "m1_a_b_2.ims", {"subject": "m1", "run": "2"}),
    "separator-within-a-capture": ("{subject}_{session}.ims", "a_b_c.ims", None),
    "separator-of-several-letters": (
        "{subject}_exp_{session}.ims",
        "a_b_exp_c_d.ims",
        {"subject": "a_b", "session": "c_d"},
    ),
    "separator-that-overlaps-itself": (
        "{subject}__{session}.ims",
        "a___b.ims",
        {"subject": "a", "session": "_b"},
    ),
    "same-text-twice": ("sub-{subject}/{sub}.ims", "sub-01/01.ims", {"subject": "01"}),
    "other-text-the-second-time": ("sub-{subject}/{sub}.ims", "sub-01/02.ims", None),
    "no-folder": ("**/{subject}.ims", "a.ims", {"subject": "a"}),
    "many-folders": ("**/{subject}.ims", "x/y/z/a.ims", {"subject": "a"}),
    "folders-at-the-end": ("{subject}/**", "a/x/y/b.ims", {"subject": "a"}),
    "slash-at-the-end": ("{subject}.ome.zarr/", "a.ome.zarr", {"subject": "a"}),
    "signs-of-expressions": ("[a]+(b)|^$/{subject}", "[a]+(b)|^$/c.ims", {"subject": "c"}),
    "no-ascii": ("Maus ä/{subject}_µ.ims", "Maus ä/1_µ.ims", {"subject": "1"}),
}


@pytest.mark.parametrize(("text", "path", "captured"), READINGS.values(), ids=READINGS)
def test_a_pattern_takes_whole_names(text, path, captured):
    assert read_pattern(text).readings(path) == ([] if captured is None else [captured])


def test_two_readings_are_both_told():
    assert read_pattern("**/{subject}/**").readings("a/b/c.ims") == [
        {"subject": "a"},
        {"subject": "b"},
    ]


names = st.text("ab_-. 1é", min_size=1, max_size=6).filter(lambda name: name.strip("."))


@given(subject=names, session=names)
def test_what_is_put_into_a_pattern_comes_out_or_nothing_does(subject, session):
    readings = read_pattern("x/{subject}_ses-{session}.ims").readings(
        f"x/{subject}_ses-{session}.ims"
    )
    unique = "_ses-" not in f"{subject}_ses-{session}".replace("_ses-", "", 1)
    assert readings == ([{"subject": subject, "session": session}] if unique else [])


GLOBS = {
    "name": ("*preview*", "my preview.tif", True),
    "not-a-part": ("preview", "my preview.tif", False),
    "path": ("a/*.tif", "a/b.tif", True),
    "other-path": ("a/*.tif", "c/a/b.tif", False),
    "any-depth": ("**/a/*.tif", "c/a/b.tif", True),
}


@pytest.mark.parametrize(("text", "path", "fits"), GLOBS.values(), ids=GLOBS)
def test_a_glob_takes_whole_names(text, path, fits):
    assert bool(read_glob(text).fullmatch(path)) is fits


# Path, and the texts of entities in it.
TOKENS = {
    "file": ("sub-01_sample-brain_acq-4x_run-2.ome.zarr", "sub-01_sample-brain_acq-4x_run-2"),
    "folders": ("sub-01/ses-a/image.ims", "sub-01_ses-a"),
    "folders-and-file": ("sub-01/sub-01_sample-b.ims", "sub-01_sample-b"),
    "long-names": ("subject-01/session-2/a.ims", "sub-01_ses-2"),
    "in-a-longer-name": ("x_sub-01_y/z.ims", "sub-01"),
    "b50-no-part-of-a-word": ("resub-01/xsub-02.ims", ""),
    "ending-in-capitals": ("sub-01.OME.TIF", "sub-01"),
    "the-ending-is-no-label": ("sub-01.ome.tiff", "sub-01"),
    "unknown-words": ("res-1_raw_foo-2/image.ims", ""),
    "capital-words": ("Sub-01/a.ims", ""),
    "contradiction": ("sub-01/sub-02.ims", ""),
    "run-away": ("run-away/sub-1.ims", "sub-1"),
    "a-blank-is-no-separator": ("sub-01 b.ims", "sub-01 b"),
}


@pytest.mark.parametrize(("path", "expected"), TOKENS.values(), ids=TOKENS)
def test_tokens_name_labels(path, expected):
    pairs = (token.split("-") for token in expected.split("_") if token)
    long = {"sub": "subject", "ses": "session", "acq": "acquisition"}
    assert tokens_of(path)[0] == {long.get(name, name): text for name, text in pairs}


@pytest.mark.parametrize("path", ["sub-01/sub-02.ims", "run-away/a.ims", "sub-日本.ims"])
def test_what_is_left_open_is_told(path):
    texts, (note,) = tokens_of(path)
    assert not texts
    assert note.endswith("left open")


LABELS = {
    "mouse 01-a": "mouse01a",
    "01": "01",
    "Müller_é": "Mullere",
    "a+b": "ab",
    "µ": "",
    "½": "12",
}


@pytest.mark.parametrize(("text", "label"), LABELS.items(), ids=LABELS)
def test_a_text_becomes_a_label(text, label):
    assert as_label("subject", text) == label


@given(st.text())
def test_a_label_is_always_well_formed(text):
    assert re.fullmatch("[A-Za-z0-9]*", as_label("sample", text))
    assert as_label("run", text) in {text, ""}


def test_order_is_natural():
    paths = ["a10/x", "a2/x", "a2/x10", "a2/x9", "A/x", "a/x", "a 1/x", "02", "2", "b"]
    assert sorted(paths, key=natural) == [
        *("02", "2", "A/x", "a/x", "a2/x"),
        *("a2/x9", "a2/x10", "a10/x", "a 1/x", "b"),
    ]


@given(st.lists(st.text("a1/", max_size=8)))
def test_any_paths_have_an_order(paths):
    assert len(sorted(paths, key=natural)) == len(paths)


@given(st.floats(min_value=1e-9, max_value=1e12, allow_subnormal=False))
def test_a_number_is_written_in_full_and_read_back(number):
    text = decimal_text(number)
    assert re.fullmatch(r"[0-9]+(\.[0-9]*[1-9])?", text)
    assert float(text) == number


@pytest.mark.parametrize(
    ("number", "text"), [(4.0, "4"), (0.3467, "0.3467"), (1e-5, "0.00001"), (100.0, "100")]
)
def test_a_number_is_short(number, text):
    assert decimal_text(number) == text


def cells(**facts):
    image = {"axes": tuple("czyx"), "shapes": ((2, 4, 8, 8),), "dtype": "uint16"}
    return header_cells(Header(**image | facts))


def test_a_header_that_says_nothing_gives_empty_cells():
    assert set(cells().values()) == {""}


def test_a_header_gives_what_it_says():
    told = cells(
        spacing_um_xyz=(0.5, 1.0, 4.0),
        channel_names=("a b", "c"),
        orientation_xyz="RPI",
        acquired_at="2024-01-02T03:04:05Z",
    )
    assert told == {
        "sample_staining": "a b;c",
        "orientation_string_xyz": "RPI",
        "PixelSize": "0.5;1;4",
        "PixelSizeUnits": "um",
        "acq_time": "2024-01-02T03:04:05Z",
    }


SILENT = {
    "a-channel-without-a-name": ("sample_staining", {"channel_names": ("a", "")}),
    "a-semicolon-in-a-name": ("sample_staining", {"channel_names": ("a;b", "c")}),
    "a-comma-in-a-name": ("sample_staining", {"channel_names": ("a,b",)}),
    "a-line-end-in-a-name": ("sample_staining", {"channel_names": ("a\nb",)}),
    "z-unknown": ("PixelSize", {"spacing_um_xyz": (1.0, 1.0, None)}),
    "no-unit-without-a-size": ("PixelSizeUnits", {"spacing_um_xyz": (1.0, 1.0, None)}),
    "odd-zone": ("acq_time", {"acquired_at": "2024-01-02T03:04:05+01:00:30"}),
}


@pytest.mark.parametrize(("column", "facts"), SILENT.values(), ids=SILENT)
def test_what_is_not_known_stays_empty(column, facts):
    assert cells(**facts)[column] == ""


@pytest.mark.parametrize(("axes", "shape"), [("yx", (8, 8)), ("zyx", (1, 8, 8))])
def test_an_image_without_depth_has_two_sizes(axes, shape):
    facts = {"axes": tuple(axes), "shapes": (shape,), "spacing_um_xyz": (2.0, 3.0, None)}
    assert cells(**facts)["PixelSize"] == "2;3"
