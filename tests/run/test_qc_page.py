"""The page on one image: what is in it, where it may lie, and when it is made anew."""

import gzip
import json
import os
import re
import subprocess
import sys
import time
from base64 import b64decode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import luigi
import numpy as np
import pytest
import tifffile

import spimpack_tasks
from spimpack_tasks import WriteQcReport
from spimpack_tasks.cli.main import main
from spimpack_tasks.demo.images import DemoImage, write_imaris, write_ome_zarr
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.model.orientation import ORIENTATION_CODES
from spimpack_tasks.qc import page_file as making
from spimpack_tasks.qc.page import SOME_CODES
from spimpack_tasks.qc.preview import compose_preview
from spimpack_tasks.qc.volume import read_volume

NASTY = "</script><script>alert(1)</script>"
IMAGE = DemoImage(("autof", NASTY), (8, 20, 30), (4.0, 2.0, 2.0), levels=1)
CODES = "RPI,lps"


class Page(HTMLParser):
    """What stands in a page."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.metas, self.tags, self.attributes = {}, {}, [], []
        self.inside = None
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.attributes.append(given)
        if tag == "script":
            self.inside = given.get("id", "code")
            self.scripts[self.inside] = ""
        if tag == "meta":
            self.metas[given.get("name") or given.get("http-equiv")] = given.get("content")

    def handle_endtag(self, tag):
        self.inside = None if tag == "script" else self.inside

    def handle_data(self, data):
        if self.inside:
            self.scripts[self.inside] += data
        else:
            self.text += data


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "raw" / "mouse <b>A</b>.ims"
    write_imaris(path, IMAGE)
    return path


def write(source, *options):
    assert main(["qc", str(source), *options]) == ExitCode.OK


def test_the_page_holds_the_image_and_needs_nothing_else(source, tmp_path, capsys):
    write(source, "--orientations", CODES)
    path = tmp_path / "spimpack-qc" / f"{source.name}.html"
    assert capsys.readouterr().out.splitlines() == [
        "image: 1 x 2 x 8 x 20 x 30 (t, c, z, y, x), uint16",
        "read: the only level, whole; 0.0 MB",
        "shown: 2 channels of 8 x 20 x 30 voxels (z, y, x)",
        f"wrote {path}",
    ]
    page = Page(path.read_text(encoding="utf-8"))
    facts = json.loads(page.scripts["facts"])
    assert facts["shape"] == [2, 8, 20, 30]
    assert facts["code"] == "RPI"
    voxels = np.frombuffer(gzip.decompress(b64decode(page.scripts["voxels"])), "uint8")
    expected = compose_preview(read_volume(str(source))).voxels
    assert np.array_equal(voxels.reshape(facts["shape"]), expected)
    assert page.tags.count("option") == 48
    assert [a["data-take"] for a in page.attributes if "data-take" in a] == ["RPI", "LPS"]
    assert "x runs to the right, y to the posterior, z to the inferior side" in page.text


def test_nothing_of_the_source_becomes_a_part_of_the_page(source, tmp_path):
    write(source)
    text = next(tmp_path.glob("spimpack-qc/*")).read_text(encoding="utf-8")
    page = Page(text)
    assert list(page.scripts) == ["facts", "voxels", "code"]
    assert NASTY in page.text
    assert source.name in page.text
    assert "<b>A" not in text
    policy = page.metas["Content-Security-Policy"]
    digest = re.search("script-src 'sha256-([^']+)'", policy)[1]
    assert b64decode(digest) == sha256(page.scripts["code"].encode()).digest()
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline';")
    links = [a for a in page.attributes if {"href", "src", "style", "onclick"} & set(a)]
    assert all(a["src"].startswith("data:image/png;base64,") for a in links)
    assert "http" not in re.sub("http-equiv", "", text.replace(page.scripts["voxels"], ""))


@pytest.mark.parametrize("known", [None, "LPS"])
def test_the_candidates_begin_with_what_the_header_says(known, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_ome_zarr(tmp_path / "a.ome.zarr", IMAGE, ngff="0.4")
    attributes = tmp_path / "a.ome.zarr" / ".zattrs"
    if known:
        data = json.loads(attributes.read_text())
        attributes.write_text(json.dumps(data | {"xyz_orientation": known}))
    write("a.ome.zarr")
    page = Page((tmp_path / "spimpack-qc" / "a.ome.zarr.html").read_text())
    shown = [a["data-take"] for a in page.attributes if "data-take" in a]
    assert shown == ([known] if known else []) + [c for c in SOME_CODES if c != known]
    assert set(SOME_CODES) < ORIENTATION_CODES
    said = "The header says LPS." if known else "The header says nothing of its orientation."
    assert said in page.text


def test_the_page_of_noise_stays_below_ten_megabytes(tmp_path, monkeypatch):
    """Noise cannot be packed, so nothing makes a larger page."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(1).integers(0, 65535, (2, 120, 250, 250), "uint16")
    tifffile.imwrite("a.ome.tif", noise, metadata={"axes": "CZYX"}, photometric="minisblack")
    write("a.ome.tif")
    assert 1e6 < (tmp_path / "spimpack-qc" / "a.ome.tif.html").stat().st_size < 10e6


REFUSED = {
    "a code": (["--orientations", "RPX"], "'RPX' is no orientation"),
    "two letters of one axis": (["--orientations", "RLS"], "'RLS' is no orientation"),
    "other file": (["--output", "notes.html"], "is there already, and is no page of ours"),
    "link to a page": (["--output", "link.html"], "is there already, and is no page of ours"),
    "folder": (["--output", "raw"], "is a directory"),
    "in a dataset": (["--output", "bids/page.html"], "would be a part of the dataset"),
    "source itself": (["--output", "raw/a.ims"], "would be a part of the image"),
    "in the source": (["--output", "raw/a.ome.zarr/page.html"], "would be a part of the image"),
    "page of another": ([], "is the page of another image of that name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_page_is_refused_where_it_does_harm(case, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options, says = REFUSED[case]
    is_zarr = case == "in the source"
    source = tmp_path / "raw" / ("a.ome.zarr" if is_zarr else "a.ims")
    (tmp_path / "other").mkdir()
    write_imaris(tmp_path / "other" / "a.ims", IMAGE)
    if is_zarr:
        write_ome_zarr(source, IMAGE, ngff="0.5")
    else:
        write_imaris(source, IMAGE)
    (tmp_path / "notes.html").write_text("<p>mine</p>")
    (tmp_path / "bids").mkdir()
    (tmp_path / "bids" / "dataset_description.json").write_text("{}")
    write(tmp_path / "other" / "a.ims")
    (tmp_path / "link.html").symlink_to("spimpack-qc/a.ims.html")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    capsys.readouterr()
    assert main(["qc", str(source), *options]) == ExitCode.BAD_INPUT
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_an_earlier_page_is_replaced(source, tmp_path):
    write(source, "--output", "page.html", "--orientations", "RPI")
    write(source, "--output", "page.html", "--orientations", "LPS")
    assert Page((tmp_path / "page.html").read_text()).text.count("LPS") > 2
    assert [p.name for p in tmp_path.iterdir() if p.name != "raw"] == ["page.html"]


def test_what_cannot_be_read_leaves_no_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.ims").write_bytes(b"no image")
    assert main(["qc", "a.ims", "--output", "page.html"]) == ExitCode.BAD_INPUT
    assert "is not a sound Imaris file" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.ims"]


def test_a_missing_library_is_one_line(source, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    assert main(["qc", str(source), "--output", "page.html"]) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err == (
        "spimpack: PIL.Image is not installed; install it with: "
        "pip install 'spimpack_tasks[images]'\n"
    )


def build(source, page, workers, **options):
    task = WriteQcReport(source=str(source), page=str(page), **options)
    done = luigi.build([task], local_scheduler=True, workers=workers, log_level="ERROR")
    return done, task


@pytest.mark.parametrize("workers", [1, 2])
def test_the_task_does_again_what_is_no_longer_right(workers, source, tmp_path):
    page = tmp_path / "out" / "page.html"
    done, task = build(source, page, workers)
    assert done
    assert task.complete()

    def stamp():
        return (page.stat().st_mtime_ns, page.stat().st_ino) if page.exists() else None

    first = stamp()
    assert build(source, page, workers)[0]
    assert stamp() == first

    def is_redone(change, **options):
        change()
        before = stamp()
        assert not WriteQcReport(source=str(source), page=str(page), **options).complete()
        assert build(source, page, workers, **options)[0]
        assert WriteQcReport(source=str(source), page=str(page), **options).complete()
        return stamp() not in {None, before}

    assert is_redone(lambda: os.utime(source))
    assert is_redone(lambda: os.truncate(page, page.stat().st_size - 10))
    assert is_redone(page.unlink)
    assert is_redone(lambda: None, orientations=CODES)
    assert os.listdir(page.parent) == ["page.html"]


def test_a_name_that_is_no_text_is_known_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = os.fsdecode(b"caf\xe9 \xe2\x80\xae.ims")
    write_imaris(tmp_path / source, IMAGE)
    assert build(source, "page.html", 1)[0]
    assert WriteQcReport(source=source, page="page.html").complete()
    write(source)
    write(source)
    (page,) = tmp_path.glob("spimpack-qc/*")
    assert r"caf\udce9" in page.read_text(encoding="utf-8")


def test_another_version_makes_the_page_anew(source, tmp_path, monkeypatch):
    page = tmp_path / "page.html"
    assert build(source, page, 1)[0]
    monkeypatch.setattr(making, "__version__", "9")
    assert not WriteQcReport(source=str(source), page=str(page)).complete()


def test_a_page_by_other_axes_is_another_one(tmp_path):
    source, page = tmp_path / "a.tif", tmp_path / "page.html"
    tifffile.imwrite(source, np.zeros((5, 20, 30), "uint16"), photometric="minisblack")
    command = ["qc", str(source), "--output", str(page)]
    assert main([*command, "--axes", "TYX"]) == ExitCode.OK
    assert not WriteQcReport(source=str(source), page=str(page)).complete()
    assert main(command) == ExitCode.OK
    assert WriteQcReport(source=str(source), page=str(page)).complete()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_task_that_fails_leaves_nothing(workers, tmp_path):
    (tmp_path / "a.ims").write_bytes(b"no image")
    done, task = build(tmp_path / "a.ims", tmp_path / "page.html", workers)
    assert not done
    assert not task.complete()
    assert os.listdir(tmp_path) == ["a.ims"]


def test_each_run_has_tasks_of_its_own(source):
    """So a central scheduler does not take a source that has changed for one that is done."""
    first = WriteQcReport(source=str(source), page="page.html")
    assert WriteQcReport(source=str(source), page="page.html") == first
    time.sleep(0.01)
    os.utime(source)
    assert WriteQcReport(source=str(source), page="page.html") != first


def test_the_luigi_command_writes_the_page(source, tmp_path):
    command = [Path(sys.executable).parent / "luigi", "--module", "spimpack_tasks"]
    command += ["WriteQcReport", "--source", source, "--page", "page.html", "--local-scheduler"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / "page.html").is_file()
    assert spimpack_tasks.WriteQcReport is WriteQcReport
