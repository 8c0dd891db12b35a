"""Pictures in the report of a dataset: read once, kept, paged, and written in little memory."""

import os
import re
import sys
import tracemalloc
from base64 import b64decode
from dataclasses import replace
from io import BytesIO

import pytest
from merge_sources import write_ome
from PIL import Image
from workspace import SHARED, Workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.demo.images import DemoImage, write_imaris, write_ome_tiff, write_ome_zarr
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.qc.pictures import STRIP_SIZE, draw_strip
from spimpack_tasks.qc.preview import compose_preview
from spimpack_tasks.qc.volume import read_volume
from spimpack_tasks.report import thumbnails
from spimpack_tasks.report.data import gather_data
from spimpack_tasks.report.gallery import ON_A_PAGE
from spimpack_tasks.report.page import compose_page
from spimpack_tasks.report.thumbnails import Thumbnail, make_thumbnails
from spimpack_tasks.report.writing import write_report
from spimpack_tasks.state.store import Store

IMAGE = DemoImage(("YoPro", "Abeta"), (6, 20, 30), (4.0, 1.8, 1.8), levels=1)
CODES = ("RPI", "LAS", "SRA")
WRITERS = {
    "a.ims": write_imaris,
    "b.ome.tif": write_ome_tiff,
    "c.ome.zarr": lambda path, image: write_ome_zarr(path, image, ngff="0.4"),
}


@pytest.fixture
def workspace(tmp_path):
    """Three images of three formats and orientations, packaged."""
    made = Workspace(tmp_path)
    for number, (name, write) in enumerate(WRITERS.items()):
        made.add_row(name, subject=f"{number}", orientation_string_xyz=CODES[number])
        target = tmp_path / "raw" / name
        if target.is_file():
            target.unlink()
        write(target, IMAGE)
    made.run()
    return made


def report(workspace, *options):
    assert main(["report", str(workspace.out), *options]) == ExitCode.OK
    return (workspace.out / ".spimpack" / "report.html").read_text(encoding="utf-8")


def strips(page):
    return [b64decode(data) for data in re.findall('data:image/jpeg;base64,([^"]+)', page)]


def kept(workspace):
    folder = workspace.out / ".spimpack" / "thumbnails"
    return sorted(folder.iterdir()) if folder.exists() else []


def count_reads(monkeypatch):
    read = []

    def reading(path, **named):
        read.append(os.path.basename(path))
        return read_volume(path, **named)

    monkeypatch.setattr(thumbnails, "read_volume", reading)
    return read


def test_each_image_is_shown_as_its_row_says(workspace):
    shown = strips(report(workspace, "--thumbnails"))
    expected = []
    for name, code in zip(WRITERS, CODES, strict=True):
        preview = compose_preview(read_volume(str(workspace.root / "raw" / name)))
        expected.append(draw_strip(preview, code))
    assert shown == expected
    assert len(set(shown)) == 3
    for strip in shown:
        with Image.open(BytesIO(strip)) as picture:
            assert picture.size == STRIP_SIZE


def test_a_file_that_is_merged_makes_the_picture_anew(tmp_path):
    """Of files along z, each has a part of the picture."""
    made = Workspace(tmp_path)
    for number in (1, 2):
        write_ome(tmp_path / f"raw/z{number}.ome.tif", seed=number)
    paths = "raw/z1.ome.tif;raw/z2.ome.tif"
    row = {"subject": "01", "spim_path": paths, "merge_axis": "Z", "orientation_string_xyz": "RPI"}
    made.rows.append(SHARED | {"sample_staining": "A"} | row)
    made.run(backend="ome-zarr")
    before = strips(report(made, "--thumbnails"))
    write_ome(tmp_path / "raw/z2.ome.tif", seed=9)
    made.run(backend="ome-zarr")
    after = strips(report(made, "--thumbnails"))
    assert len(before) == len(after) == 1
    assert before != after


def test_the_plain_report_reads_no_image(workspace, monkeypatch):
    read = count_reads(monkeypatch)
    assert not strips(report(workspace))
    assert not read
    assert not kept(workspace)


def test_a_second_report_reads_no_image(workspace, monkeypatch):
    read = count_reads(monkeypatch)
    first = report(workspace, "--thumbnails")
    assert sorted(read) == sorted(WRITERS)
    read.clear()
    assert strips(report(workspace, "--thumbnails")) == strips(first)
    assert not read


def test_only_what_changed_is_read_again_and_the_old_is_forgotten(workspace, monkeypatch):
    report(workspace, "--thumbnails")
    before = kept(workspace)
    read = count_reads(monkeypatch)
    os.utime(workspace.root / "raw" / "b.ome.tif")
    report(workspace, "--thumbnails")
    assert read == ["b.ome.tif"]
    workspace.rows[0]["orientation_string_xyz"] = "LPI"
    workspace.run()
    report(workspace, "--thumbnails")
    assert read == ["b.ome.tif", "a.ims"]
    del workspace.rows[1:]
    workspace.run()
    report(workspace, "--thumbnails")
    assert len(kept(workspace)) == 1
    assert not set(kept(workspace)) & set(before)


def test_an_image_that_cannot_be_read_is_told_in_its_place(workspace):
    source = workspace.root / "raw" / "a.ims"
    os.truncate(source, 3000)
    (workspace.root / "raw" / "b.ome.tif").unlink()
    page = report(workspace, "--thumbnails")
    assert len(strips(page)) == 1
    assert "is not a sound Imaris file" in page
    assert "does not exist" in page
    write_imaris(source, IMAGE)
    assert len(strips(report(workspace, "--thumbnails"))) == 2


def test_photos_have_no_slices(workspace):
    facts = gather_data(Store(str(workspace.out)))
    photo = replace(facts.images[0], path="sub-0/micr/sub-0_sample-brain_photo.jpg")
    facts = replace(facts, images=(*facts.images, photo))
    made = list(make_thumbnails(Store(str(workspace.out)), facts))
    assert [thumbnail.code for thumbnail in made] == list(CODES)


def test_a_missing_library_ends_it_in_one_line(workspace, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    assert main(["report", str(workspace.out), "--thumbnails"]) == ExitCode.BAD_INPUT
    assert "PIL.Image is not installed" in capsys.readouterr().err
    assert not list(workspace.out.glob(".spimpack/tmp/**/*.*"))


def test_thousands_of_pictures_are_paged_and_written_in_little_memory(workspace):
    store = Store(str(workspace.out))
    facts = gather_data(store)
    count, size = 5000, 6000
    image = facts.images[0]
    made = (
        Thumbnail(replace(image, path=f"sub-{n:04}/micr/sub-{n:04}_SPIM.ims"), "RPI", data, "")
        for n in range(count)
        for data in [os.urandom(size)]
    )
    tracemalloc.start()
    path = write_report(store, compose_page(facts, made))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert os.path.getsize(path) > count * size
    assert peak < 3 * ON_A_PAGE * size
    with open(path, encoding="utf-8") as file:
        page = file.read()
    assert page.count("<details>") == count / ON_A_PAGE
    assert "<details open" not in page
    assert page.count('loading="lazy"') == count
    assert "4,901 to 5,000" in page
