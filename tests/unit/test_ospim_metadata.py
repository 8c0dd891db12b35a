"""`metadata.txt` of oblique microscopes: lengths, directions, microscope, by version."""

from __future__ import annotations

import pytest

from spimpack_tasks.acquisition.facts import AcquisitionFileError
from spimpack_tasks.acquisition.ospim import read_oblique
from spimpack_tasks.acquisition.programs import FileFinder

TABLE = "Power\tLeft\tRight\n488\t20\t20\n561\t20\t20\nX\tY\tZ\tLaser\tSide\tExposure\n"
NAMES = "Obj\tRes\tµm/pix\tX/Z Step (µm)"
# The values are those of spimstitch's own tests.
NEGATIVE = f"{NAMES}\tNoOffset02152022\t\nTL 2x\t2048\t3.456\t2.444\t\t\n{TABLE}"
POSITIVE = f"{NAMES}\t\t\nLCT 4x\t2048\t1.732\t1.225\t\t\n{TABLE}-91830\t-07100\t2827\t1\t0\t2\n"
V21 = f"{NAMES}\toSPIM3\tv2.1\nTL 2x\t2048\t3.226\t2.281\t\tNoOffset02152022\n{TABLE}"
V21_POSITIVE = V21.replace("NoOffset02152022", "")

SAMPLES = {
    "negative": (NEGATIVE, (1, 0), 3.456, 2.444, True, "oSPIM1"),
    "positive": (POSITIVE, (1, 0), 1.732, 1.225, False, "oSPIM1"),
    "v2.1": (V21, (2, 1), 3.226, 2.281, True, "oSPIM3"),
    "v2.1 positive": (V21_POSITIVE, (2, 1), 3.226, 2.281, False, "oSPIM3"),
    "v2.0": (POSITIVE.replace("\t\t\nLCT", "\t\tv2.0\nLCT"), (2, 0), 1.732, 1.225, False, "oSPIM1"),
    "further columns": (
        "Obj\tRes\tµm/pix\tScan\tX/Z Step (µm)\nA\t2048\t1.8\tFast\t1.28\n",
        (1, 0), 1.8, 1.28, False, "oSPIM1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_i19_21_metadata(tmp_path, sample, ending, encoding):
    text, version, pitch, step, is_negative, machine = sample
    path = tmp_path / "metadata.txt"
    path.write_bytes(text.replace("\n", ending).encode(encoding))
    found = read_oblique(str(path))
    assert (found.version, found.pitch_um, found.step_um) == (version, pitch, step)
    assert (found.is_y_negative, found.machine) == (is_negative, machine)


FLIPS = {
    "488": ("Ex_488_Em_1", True),
    "561": ("Ex_561_Em_2", False),
    "642": ("Ex_642_Em_2", False),
    "523": ("Ex_523_Em_2", True),
    "525": ("Ex_525_Em_2", False),
    "640": ("brain_Ex_640_Em_3", False),
    "emission is not asked": ("Ex_642_Em_488", False),
}


@pytest.mark.parametrize(("channel", "flips"), FLIPS.values(), ids=FLIPS)
def test_i19_21_rows_are_turned_round_by_the_laser(tmp_path, channel, flips):
    path = tmp_path / "metadata.txt"
    path.write_text(V21, encoding="latin-1")
    assert read_oblique(str(path)).flips_rows(channel) is flips
    path.write_text(NEGATIVE, encoding="latin-1")
    assert read_oblique(str(path)).flips_rows(channel) is True


def test_i19_21_a_channel_without_a_wavelength(tmp_path):
    path = tmp_path / "metadata.txt"
    path.write_text(V21, encoding="latin-1")
    with pytest.raises(AcquisitionFileError, match="'green' has no wavelength"):
        read_oblique(str(path)).flips_rows("green")


REFUSED = {
    "v3": (V21.replace("v2.1", "v3.0"), ["1: is of version 'v3.0'; known are v2.0, v2.1"]),
    "v2.2": (V21.replace("v2.1", "v2.2"), ["1: is of version 'v2.2'"]),
    "v2.x": (V21.replace("v2.1", "v2.x"), ["1: is of version 'v2.x'"]),
    "one line": (NAMES, ["1: has no line of values"]),
    "all at once": (
        "Obj\tRes\tµm/pix\tv9\nA\t2048\t-1\n",
        ["1: is of version 'v9'", "2: has '-1' for 'um/pix'", "1: has no column 'x/z step (um)'"],
    ),
    "no number": (POSITIVE.replace("1.225", "fast"), ["2: has 'fast' for 'x/z step (um)'"]),
    "infinite": (POSITIVE.replace("1.225", "inf"), ["2: has 'inf' for 'x/z step (um)'"]),
    "short": (f"{NAMES}\nA\t2048\n", ["2: has '' for 'um/pix'", "2: has '' for 'x/z step (um)'"]),
    "no machine": (V21.replace("oSPIM3\t", ""), ["1: the microscope has no name"]),
    "mark in the other line": (
        V21.replace("oSPIM3", "NoOffset1\toSPIM3"), ["1: 'NoOffset…' stands here"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "told"), REFUSED.values(), ids=REFUSED)
def test_i19_21_what_is_refused(tmp_path, text, told):
    path = tmp_path / "metadata.txt"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(AcquisitionFileError) as refused:
        read_oblique(str(path))
    lines = str(refused.value).splitlines()
    assert len(lines) == len(told)
    for line, wanted in zip(sorted(lines), sorted(told), strict=True):
        assert line.startswith(f"{path}:{wanted}"), line


def test_i19_21_a_stack_of_frames_is_no_volume_of_smartspim(tmp_path):
    (tmp_path / "metadata.txt").write_text(V21, encoding="latin-1")
    image = f"{tmp_path}/Ex_561_Em_2/000000/000000_-12000/000000.dcimg"
    found = FileFinder().find(image)
    assert (found.path, found.program.name) == (f"{tmp_path}/metadata.txt", "oSPIM")
    facts = found.read(image)
    assert facts.spacing_um_xyz == (3.226, 3.226, None)
    assert facts.sidecar == {"ManufacturersModelName": "oSPIM3", "ExcitationWavelengths": [561.0]}
    assert facts.settings == ("oblique light sheet", "step along x in um 2.281")
    planes = f"{tmp_path}/Ex_561_Em_2/000000/000000_-12000"
    assert FileFinder().find(planes).program.name == "SmartSPIM"
    (tmp_path / "metadata.txt").write_text(V21.replace("v2.1", "v4"), encoding="latin-1")
    assert "is of version 'v4'" in found.read(image).doubts[0]
