"""The demo study: run in a process of its own, in a network that ends at this machine."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tifffile
from object_server import find_program, start_server
from PIL import Image

from spimpack_tasks.api import open_image
from spimpack_tasks.validation.bids_validator import run_bids_validator

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("publishing")]

ALONE = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
"""Starts a command in a network of its own, which has loopback and nothing else."""
ROWS_UM = {
    "ProbeA": ((1861, -1800, -968), (2161, -2200, -4568)),
    "ProbeB": ((-1339, -700, -868), (-739, -1300, -4768)),
}
"""Ends of the tracks from bregma, to the right, to the front and up. In the CCF, whose bregma is at
5739, 5400 and 332 µm, they are (7.6, 7.2, 1.3) to (7.9, 7.6, 4.9) mm, and (4.4, 6.1, 1.2) to
(5.0, 6.7, 5.1) mm."""
INPUTS = ("study.yml", "participants.tsv", "raw", "alignment")
STEM = "sub-01_sample-brain_stain"


class Made(NamedTuple):
    folder: Path
    told: str
    content: dict[str, bytes]


def isolated() -> list[str]:
    try:
        tried = subprocess.run([*ALONE, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return []
    return ALONE if tried.returncode == 0 else []


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command beside a folder, without a network and without anybody's credentials."""
    command = [*isolated(), sys.executable, "-m", "spimpack_tasks.cli.main", *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return subprocess.run(
        command,
        cwd=folder.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def make(folder: Path, *options: str) -> Made:
    find_program()  # without the server's program a part is left out, so this is skipped
    done = run(folder, "demo", folder.name, "--study", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return Made(folder, done.stdout, read_results(folder))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("study") / "demo")


def read_results(folder: Path) -> dict[str, bytes]:
    """Return volumes, dataset and derivative by path, without records, which hold times."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    names = {str(path.relative_to(folder)): path for path in files}
    results = ("products/stitched/", "bids/", "derivatives/", "raw/", "alignment/")
    return {
        name: path.read_bytes()
        for name, path in sorted(names.items())
        if name.startswith(results) and not re.search(r"/\.spimpack/|/_state/|\.work/", name)
    }


def look(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return inode, size and time of all that there is."""
    found = {str(path): path.lstat() for path in folder.rglob("*")}
    return {name: (s.st_ino, s.st_size, s.st_mtime_ns) for name, s in found.items()}


def test_i22_4_all_stages_are_made_and_the_page_has_pictures(made):
    stages = re.findall(r"^made +(\w+)", made.told, re.MULTILINE)
    assert stages == [
        *("stitch", "stitch", "package", "align", "validate", "validate", "publish", "report")
    ]
    page = made.folder / "study.html"
    assert f"with pictures: {page}\n" in made.told
    assert "spimpack plan demo/study.yml" in made.told
    assert made.told.endswith("Make it, with its own store:  spimpack demo demo --study\n")
    text = page.read_text()
    assert "<script" not in text
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert len(pictures) >= 6
    for data in pictures:
        assert np.asarray(Image.open(BytesIO(b64decode(data)))).max() > 200


def test_i22_4_dataset_and_derivative_are_valid(made):
    for name in ("bids", "derivatives/alignment"):
        assert [each for each in run_bids_validator(made.folder / name).errors if each.code] == []
    images = sorted((made.folder / "bids/sub-01/micr").glob("*.ome.zarr"))
    assert [image.name for image in images] == [
        f"{STEM}-{stain}_SPIM.ome.zarr" for stain in ("NeuN", "cFos")
    ]
    assert json.loads((made.folder / "bids/.spimpack/validation.json").read_text())["warnings"] == 0


@pytest.mark.parametrize("stain", ["NeuN", "cFos"])
def test_i22_4_the_error_of_the_stage_is_taken_out(made, stain):
    stitched = made.folder / f"products/stitched/brain/{stain}.ome.zarr"
    aligned = json.loads((Path(f"{stitched}.work") / "align.json").read_text())
    first, second = (tile["correction_frc"] for tile in aligned["tiles"])
    assert first == pytest.approx([0, 0, 0], abs=1e-9)
    # The second tile lies 1.3 frames, 1.4 rows and 1.1 columns further than the stage says.
    assert second == pytest.approx([1.3, 1.4, 1.1], abs=0.1)
    frames = tifffile.imread(made.folder / f"raw/{stain}_0.ome.tif")
    count, _, columns = frames.shape
    with open_image(str(stitched)) as volume:
        voxels = volume.levels[0][0, :, 0]
    # Last sample of the second tile: column 1.1 + 123, row 64 + 1.4 + 87, and x at frame 1.3 + 211
    # and that column.
    assert voxels.shape == (125, 153, 337)
    for depth in (0, 31, columns - 1):
        # Rows of the first tile alone: each column lies one frame further along x.
        found = voxels[depth, :60, depth : depth + count]
        assert np.array_equal(found, frames[:, :60, depth].T)


@pytest.mark.parametrize("probe", ROWS_UM)
def test_i22_4_probes_lie_where_the_closed_form_says(made, probe):
    (path,) = (made.folder / "derivatives").rglob(f"{probe}/xyz_picks.json")
    picks = np.array(json.loads(path.read_text())["xyz_picks"])
    start, end = np.array(ROWS_UM[probe], float)
    wanted = start + np.linspace(0, 1, len(picks))[:, None] * (end - start)
    assert len(picks) == 9
    assert np.abs(picks - wanted).max() < 0.05
    lines = path.with_name("regions.tsv").read_text().splitlines()
    rows = [*csv.DictReader(lines, delimiter="\t")]
    labels = {int(row["region_id"]) for row in rows}
    assert {"ProbeA": 1089, "ProbeB": -549}[probe] in labels
    assert all((label > 0) is (probe == "ProbeA") for label in labels - {0})


def test_i22_4_the_published_objects_are_those_of_the_dataset(made, tmp_path):
    shutil.copytree(made.folder / "store", tmp_path / "store")
    server = start_server(tmp_path / "store")
    try:
        objects = server.files("brain")
    finally:
        server.stop()
    dataset = {}
    for folder, _, names in os.walk(made.folder / "bids", followlinks=True):
        for name in names:
            path = Path(folder, name)
            dataset[str(path.relative_to(made.folder / "bids"))] = path.read_bytes()
    shown = {name: data for name, data in dataset.items() if not name.startswith(".spimpack/")}
    assert {name: data for name, data in objects.items() if name[0] != "."} == shown
    inventory = json.loads(objects[".spimpack/inventory.json"])
    assert set(inventory["objects"]) == set(shown)


def test_i22_4_a_second_call_touches_nothing(made):
    before = look(made.folder)
    done = run(made.folder, "demo", "demo", "--study")
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^unchanged ", done.stdout, re.MULTILINE)) == 8
    assert not re.search(r"^made ", done.stdout, re.MULTILINE)
    assert run(made.folder, "plan", "demo/study.yml", "--exit-code").returncode == 0
    assert look(made.folder) == before


def test_i22_4_a_killed_publication_is_taken_up(made):
    """The server ends with the program that has started it, so that its port is free again."""
    shutil.rmtree(made.folder / "bids/.spimpack/publications")
    log = made.folder / "products/study-log.jsonl"
    before = log.read_text()
    command = [*isolated(), sys.executable, "-m", "spimpack_tasks.cli.main", "demo", "demo"]
    with subprocess.Popen([*command, "--study"], cwd=made.folder.parent) as process:
        while "publish" not in log.read_text().removeprefix(before):
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    done = run(made.folder, "demo", "demo", "--study")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^made +publish store ", done.stdout, re.MULTILINE)
    assert run(made.folder, "plan", "demo/study.yml", "--exit-code").returncode == 0


def test_i22_4_no_secret_is_left(made):
    for path in made.folder.rglob("*"):
        if path.is_file() and not path.is_relative_to(made.folder / "store"):
            assert b"AWS_SECRET" not in path.read_bytes()
    assert not list(made.folder.rglob("users.json"))


def test_i22_4_two_workers_make_equal_bytes(made, tmp_path):
    """Of the same inputs: the identities that volumes keep name their files with times."""
    aside = tmp_path / "aside"
    made.folder.rename(aside)
    made.folder.mkdir()
    try:
        for name in INPUTS:
            (aside / name).rename(made.folder / name)
        again = make(made.folder, "--workers", "2")
        assert sorted(again.content) == sorted(made.content)
        different = [name for name, data in made.content.items() if again.content[name] != data]
        assert different == []
    finally:
        for name in INPUTS:
            (made.folder / name).rename(aside / name)
        shutil.rmtree(made.folder)
        aside.rename(made.folder)
