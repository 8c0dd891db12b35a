"""Images converted straight into an object store (acceptance statement 19)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from dandi_records import write_records
from dandi_server import TOKEN, DandiServer
from killed_runs import run_until
from test_publishing import (
    STATE,
    clean_environment,
    demo,
    proxy,
    publish,
    run,
    server,
)

__all__ = ["demo", "proxy", "server"]  # fixtures

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("publishing")]

RECORD = "elsewhere.json"
FREE = b'{"owner": "", "host": "", "process": 0, "round": 1}'
"""A lease that was given back, or whose time is over."""
ROOTS = ("zarr.json", ".zattrs", ".zgroup")


@pytest.fixture
def study(demo, tmp_path):
    """A copy of the demo without its dataset; another image is larger than a shard."""
    folder = tmp_path / "demo"
    shutil.copytree(demo, folder, symlinks=True)
    shutil.rmtree(folder / "bids")
    return folder


def backend(url: str, *settings: str) -> str:
    return ",".join([f"ome-zarr:convert=all,place={url}", *settings])


def package(study: Path, bids: str, name: str, variables: dict[str, str] | None = None):
    command = ["package", str(study / "manifest.yml"), str(study / bids), "--backend", name]
    return run(command, variables or {})


def images_at(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*.ome.zarr/**/*")
        if path.is_file() and ".spimpack" not in path.parts
    }


def images_there(server, prefix: str) -> dict[str, bytes]:
    return {name: data for name, data in server.files(prefix).items() if ".ome.zarr/" in name}


def without_origin(data: bytes) -> dict:
    """Return metadata without what tells where the image was made for."""
    found = json.loads(data)
    attributes = found.get("attributes", found)
    attributes["spimpack_tasks"].pop("made_from")
    return found


def assert_equal_images(here: dict[str, bytes], there: dict[str, bytes]) -> None:
    assert sorted(here) == sorted(there)
    for name, data in here.items():
        if name.endswith(ROOTS) and name.count("/") == 3 and not name.endswith(".zgroup"):
            assert without_origin(there[name]) == without_origin(data), name
        else:
            assert there[name] == data, name


@pytest.mark.parametrize("ngff", ["0.5", "0.4"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_s19_streamed_images_are_those_that_are_made_here(server, proxy, study, ngff, workers):
    prefix = f"stream-{ngff}-{workers}"
    name = backend(server.url(prefix), f"ngff={ngff}")
    assert package(study, "here", f"ome-zarr:convert=all,ngff={ngff}").returncode == 0
    variables = server.environment(proxy.endpoint)
    command = [*("package", str(study / "manifest.yml"), str(study / "bids")), "--workers", workers]
    done = run([*command, "--backend", name], variables)
    assert done.returncode == 0, done.stderr
    assert_equal_images(images_at(study / "here"), images_there(server, prefix))
    # Nothing but records is here.
    assert {Path(each).name for each in images_at(study / "bids")} == {RECORD}
    assert max(path.stat().st_size for path in (study / "bids").rglob("*")) < 2**20
    proxy.begin()
    again = run([*command, "--backend", name], variables)
    assert "Nothing to do" in again.stdout
    assert proxy.requests == []
    # The metadata at the root of an image are its last object.
    done = publish(study, server.url(prefix), variables)
    assert done.returncode == 0, done.stderr
    sent = [key for key in proxy.keys("PUT") if STATE not in key]
    assert [key for key in sent if ".ome.zarr/" in key] == []
    done = run(["verify", server.url(prefix), "--checksum", "full"], variables)
    assert done.returncode == 0, done.stdout
    assert f"{len(server.files(prefix))}" != "0"
    assert [each for each in server.files(prefix) if "/unfinished/" in each] == []


def test_s19_metadata_at_the_root_come_last(server, proxy, study):
    url, variables = server.url("last"), server.environment(proxy.endpoint)
    assert package(study, "bids", backend(url), variables).returncode == 0
    keys = [key.removeprefix("last/") for key in proxy.keys("PUT") if ".ome.zarr/" in key]
    for image in {key.partition(".ome.zarr/")[0] for key in keys}:
        own = [key for key in keys if key.startswith(f"{image}.ome.zarr/")]
        assert own[-1] == f"{image}.ome.zarr/zarr.json"


def add_large_source(study: Path, seed: int) -> Path:
    """Put an OME-TIFF of several shards in place of the first image."""
    voxels = np.random.default_rng(seed).integers(0, 2**16, (40, 700, 700), "u2")
    path = study / "microscope" / "large.ome.tif"
    tifffile.imwrite(
        path,
        voxels,
        metadata={"axes": "ZYX"},
        photometric="minisblack",
    )
    lines = (study / "scans.tsv").read_text().splitlines()
    column = lines[0].split("\t").index("spim_path")
    cells = lines[1].split("\t")
    cells[column] = "microscope/large.ome.tif"
    (study / "scans.tsv").write_text("\n".join([lines[0], "\t".join(cells)]) + "\n")
    people = (study / "participants.tsv").read_text().splitlines()
    kept = [people[0], *(line for line in people if line.startswith(f"sub-{cells[0]}"))]
    (study / "participants.tsv").write_text("\n".join(kept) + "\n")
    return path


def kill_before(proxy, study: Path, name: str, variables: dict[str, str], number: int) -> None:
    """Package, and kill all processes before the n-th object of an image is written."""
    count = [0]

    def is_due(request):
        count[0] += request.kind == "PUT" and ".ome.zarr/" in request.key
        return count[0] >= number

    words = ["package", str(study / "manifest.yml"), str(study / "bids"), "--backend", name]
    code = run_until(proxy, words, clean_environment() | variables, is_due)
    assert code == -signal.SIGKILL
    proxy.begin()


@pytest.mark.parametrize(
    ("ngff", "number"), [*(("0.5", n) for n in (2, 4, 6)), *(("0.4", n) for n in (9, 30, 60, 90))]
)
def test_s19_after_a_kill_only_what_lacks_is_sent(server, proxy, study, ngff, number):
    add_large_source(study, 1)
    prefix, variables = f"kill-{ngff}-{number}", server.environment(proxy.endpoint)
    name = backend(server.url(prefix), f"ngff={ngff}")
    kill_before(proxy, study, name, variables, number)
    there = images_there(server, prefix)
    assert not [e for e in there if e.endswith((".ome.zarr/zarr.json", ".ome.zarr/.zattrs"))]
    done = package(study, "bids", name, variables)
    assert done.returncode == 0, done.stderr
    sent = [key for key in proxy.keys("PUT") if ".ome.zarr/" in key]
    shards = {each for each in there if "/c/" in each}
    again = {key.removeprefix(f"{prefix}/") for key in sent} & shards
    assert len(again) <= 2  # those that were on their way: one for each thread
    assert package(study, "here", f"ome-zarr:convert=all,ngff={ngff}").returncode == 0
    assert_equal_images(images_at(study / "here"), images_there(server, prefix))


@pytest.mark.parametrize("state", ["interrupted", "published", "notes lost"])
def test_s19_another_source_never_mixes(server, proxy, study, state):
    source = add_large_source(study, 1)
    prefix, variables = f"mix-{state.partition(' ')[0]}", server.environment(proxy.endpoint)
    name = backend(server.url(prefix))
    if state == "published":
        assert package(study, "bids", name, variables).returncode == 0
        assert publish(study, server.url(prefix), variables).returncode == 0
    else:
        kill_before(proxy, study, name, variables, 4)
    if state == "notes lost":
        shutil.rmtree(study / "bids")
        server.write(f"{prefix}/{STATE}lock.json", FREE)
    source.unlink()
    add_large_source(study, 2)
    done = package(study, "bids", name, variables)
    assert done.returncode == 0, done.stderr
    assert package(study, "here", "ome-zarr:convert=all").returncode == 0
    assert_equal_images(images_at(study / "here"), images_there(server, prefix))
    done = publish(study, server.url(prefix), variables)
    assert done.returncode == 0, done.stderr
    assert run(["verify", server.url(prefix), "--checksum", "full"], variables).returncode == 0


@pytest.mark.parametrize("ngff", ["0.5", "0.4"])
def test_s19_another_name_of_a_stain_writes_metadata_alone(server, proxy, study, ngff):
    url, variables = server.url(f"stain-{ngff}"), server.environment(proxy.endpoint)
    name = backend(url, f"ngff={ngff}")
    assert package(study, "bids", name, variables).returncode == 0
    table = study / "scans.tsv"
    assert "Abeta" in table.read_text()
    table.write_text(table.read_text().replace("Abeta", "Iba1"))
    proxy.begin()
    done = package(study, "bids", name, variables)
    assert done.returncode == 0, done.stderr
    sent = [key for key in proxy.keys("PUT") if ".ome.zarr/" in key]
    assert {key.rpartition("/")[2] for key in sent} <= {*ROOTS, ".zarray"}
    assert package(study, "here", f"ome-zarr:convert=all,ngff={ngff}").returncode == 0
    assert_equal_images(images_at(study / "here"), images_there(server, f"stain-{ngff}"))


def test_s19_objects_of_others_stop_it(server, study):
    first = next(iter(sorted((study / "scans.tsv").read_text().splitlines()[1:])))
    subject = first.split("\t")[0]
    url = server.url("strangers")
    key = f"strangers/sub-{subject}/micr/sub-{subject}_sample-brain_acq-4x_SPIM.ome.zarr/notes"
    server.write(key, b"of a colleague")
    done = package(study, "bids", backend(url), server.environment())
    assert done.returncode == 4, done.stderr
    assert "not of ours" in done.stderr
    assert server.read(key) == b"of a colleague"


@pytest.mark.parametrize("variables", [{"AWS_SECRET_ACCESS_KEY": "wrong"}, {}], ids=["key", "none"])
def test_s19_a_refusal_of_the_service_is_told(server, study, variables):
    given = server.environment() | variables if variables else {"AWS_EC2_METADATA_DISABLED": "true"}
    done = package(study, "bids", backend(server.url("refused")), given)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "secret" in done.stderr or "credentials" in done.stderr


@pytest.mark.parametrize("place", ["bucket", "s3://user:secret@lab/x", "ftp://lab/x", ""])
def test_a_wrong_place_is_a_problem_of_the_setting(study, place):
    done = package(study, "bids", f"ome-zarr:place={place}")
    assert done.returncode == 2
    assert "[option.setting]" in done.stdout + done.stderr
    assert "secret@" not in done.stdout + done.stderr


def test_what_is_not_here_is_not_compared_and_cannot_be_opened(server, study):
    url, variables = server.url("elsewhere"), server.environment()
    assert package(study, "bids", backend(url), variables).returncode == 0
    bids = study / "bids"
    for options, code in (([], 0), (["--pixels"], 4), (["--checksum", "full"], 4)):
        done = run(["verify", str(bids), *options], {})
        assert done.returncode == code, done.stdout + done.stderr
        assert "differ" not in done.stdout
    image = next(bids.rglob("*.ome.zarr"))
    for command in ("info", "qc"):
        done = run([command, str(image)], {})
        assert done.returncode == 2
        assert "object store" in done.stderr
    done = run(["publish", str(bids), server.url("another-place")], variables)
    assert done.returncode == 3
    assert url in done.stderr


def test_an_image_that_is_elsewhere_is_not_ingested(server, study, tmp_path):
    assert (
        package(study, "bids", backend(server.url("ingest")), server.environment()).returncode == 0
    )
    archive = DandiServer()
    write_records(tmp_path / "records", study / "bids")
    words = ["ingest", str(study / "bids"), "dandi:000123", "--instance", archive.api]
    done = run([*words, "--records", str(tmp_path / "records")], {"DANDI_API_KEY": TOKEN})
    archive.stop()
    assert done.returncode != 0
    assert "lies in an object store, and not here" in done.stderr
    assert archive.content() == {}


def test_s19_two_runs_into_one_place_are_kept_apart(server, study, tmp_path):
    """The second one ends, and one image is there as a whole."""
    other = tmp_path / "other"
    shutil.copytree(study, other, symlinks=True)
    add_large_source(study, 1)
    add_large_source(other, 2)
    for each in (study, other):
        assert package(each, "here", "ome-zarr:convert=all").returncode == 0
    for number in range(4):
        prefix = f"two-{number}"
        name = backend(server.url(prefix))
        runs = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "spimpack_tasks.cli.main", "package"),
                    *(str(each / "manifest.yml"), str(each / f"b{number}"), "--backend", name),
                ],
                env=clean_environment() | server.environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for each in (study, other)
        ]
        outputs = [each.communicate(timeout=120)[0] for each in runs]
        codes = [each.returncode for each in runs]
        assert sorted(code == 0 for code in codes) == [False, True], outputs
        winner = (study, other)[codes.index(0)]
        assert_equal_images(images_at(winner / "here"), images_there(server, prefix))
        assert "being published by" in outputs[1 - codes.index(0)]


def test_s19_a_source_that_changes_meanwhile_leaves_nothing_to_open(server, proxy, study):
    source = add_large_source(study, 1)
    variables = server.environment(proxy.endpoint)

    def change(request):
        if request.kind == "PUT" and request.key.endswith("/0/c/0/0/0/0"):
            with source.open("r+b") as file:
                file.seek(-2, os.SEEK_END)
                file.write(b"xx")
        return ""

    proxy.begin(change)
    done = package(study, "bids", backend(server.url("changes")), variables)
    assert done.returncode == 4, done.stderr
    assert "changed" in done.stderr
    assert not [n for n in images_there(server, "changes") if n.endswith(".ome.zarr/zarr.json")]


@pytest.mark.parametrize("inner", ["notes.txt", "roi/labels.bin", "OME/METADATA.ome.xml"])
def test_s19_objects_of_others_are_left_after_a_kill_as_well(server, proxy, study, inner):
    add_large_source(study, 1)
    prefix, variables = f"left-{inner[0]}", server.environment(proxy.endpoint)
    name = backend(server.url(prefix))
    kill_before(proxy, study, name, variables, 4)
    image = next(iter(images_there(server, prefix))).partition(".ome.zarr/")[0] + ".ome.zarr"
    server.write(f"{prefix}/{image}/{inner}", b"of a colleague")
    done = package(study, "bids", name, variables)
    assert done.returncode == 4, done.stderr
    assert "not of ours" in done.stderr
    assert server.read(f"{prefix}/{image}/{inner}") == b"of a colleague"


def test_s19_images_of_another_dataset_below_a_place_are_left(server, study, tmp_path):
    """Another dataset has streamed, and not published yet."""
    other = tmp_path / "other"
    shutil.copytree(study, other, symlinks=True)
    keep_subjects(study, ("01", "02"))
    keep_subjects(other, ("03", "04"))
    url, variables = server.url("several"), server.environment()
    lock = f"several/{STATE}lock.json"
    assert package(other, "bids", backend(url), variables).returncode == 0
    before = images_there(server, "several")
    server.write(lock, FREE)
    assert package(study, "bids", backend(url), variables).returncode == 0
    done = publish(study, url, variables)
    assert done.returncode == 0, done.stderr
    after = images_there(server, "several")
    assert {name: after.get(name) for name in before} == before
    server.write(lock, FREE)
    done = publish(other, url, variables)
    assert done.returncode == 0, done.stderr


def keep_subjects(study: Path, labels: tuple[str, ...]) -> None:
    for name, start in (("scans.tsv", "{}\t"), ("participants.tsv", "sub-{}")):
        head, *lines = (study / name).read_text().splitlines()
        kept = [x for x in lines if x.startswith(tuple(start.format(label) for label in labels))]
        (study / name).write_text("\n".join([head, *kept]) + "\n")


@pytest.mark.parametrize("harm", ["empty", "text", "no objects", "fewer objects"])
def test_a_damaged_record_is_told_and_the_remedy_works(server, study, harm):
    url, variables = server.url(f"damaged-{harm[0]}{len(harm)}"), server.environment()
    assert package(study, "bids", backend(url), variables).returncode == 0
    record = next((study / "bids").rglob(RECORD))
    data = json.loads(record.read_text())
    if harm == "fewer objects":
        data["objects"].pop(next(key for key in data["objects"] if "/c/" in key))
    elif harm == "no objects":
        data["objects"] = {}
    record.write_text({"empty": "", "text": "x"}.get(harm, json.dumps(data)))
    done = run(["verify", str(study / "bids")], {})
    assert done.returncode == 3, done.stdout
    done = publish(study, url, variables)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    shutil.rmtree(record.parent)
    done = package(study, "bids", backend(url), variables)
    assert done.returncode == 0, done.stderr
    assert publish(study, url, variables).returncode == 0
    assert run(["verify", url, "--checksum", "full"], variables).returncode == 0


@pytest.mark.parametrize("change", ["codec", "stain"])
def test_s19_a_replacement_that_is_killed_and_taken_back_leaves_no_wrong_record(
    server, proxy, study, change
):
    add_large_source(study, 1)
    prefix, variables = f"back-{change}", server.environment(proxy.endpoint)
    name = backend(server.url(prefix))
    assert package(study, "bids", name, variables).returncode == 0
    assert publish(study, server.url(prefix), variables).returncode == 0
    before = images_there(server, prefix)
    table = study / "scans.tsv"
    text = table.read_text()
    if change == "stain":
        table.write_text(text.replace("Abeta", "Iba1"))
    other = backend(server.url(prefix), "codec=gzip") if change == "codec" else name
    kill_before(proxy, study, other, variables, 3 if change == "codec" else 1)
    table.write_text(text)
    done = package(study, "bids", name, variables)
    assert done.returncode == 0, done.stderr
    assert images_there(server, prefix) == before
    assert publish(study, server.url(prefix), variables).returncode == 0
    done = run(["verify", server.url(prefix), "--checksum", "full"], variables)
    assert done.returncode == 0, done.stdout
