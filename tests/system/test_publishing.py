"""Publishing to a real S3 server on loopback. Numbers are those of the acceptance statements.

The server's own file service, which has no part in S3, tells what is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from fault_proxy import FaultProxy
from killed_runs import run_until
from object_server import READER, WRITER, start_server

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("publishing")]

STATE = ".spimpack/"
ROOTS = re.compile(r"[^/]*\.ome\.zarr/(zarr\.json|\.zattrs|\.zgroup)")


@pytest.fixture(scope="module")
def server():
    started = start_server()
    yield started
    started.stop()


@pytest.fixture
def proxy(server):
    started = FaultProxy(server.port)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A packaged dataset with two OME-Zarr, an OME-TIFF and an Imaris file, by links."""
    folder = tmp_path_factory.mktemp("study") / "demo"
    done = run(["demo", str(folder)], {})
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def study(demo, tmp_path):
    """A copy of the dataset, with images of its own."""
    folder = tmp_path / "demo"
    shutil.copytree(demo, folder, symlinks=True)
    package(folder)
    shutil.rmtree(folder / "bids" / STATE / "publications", ignore_errors=True)
    return folder


def package(folder: Path, *options: str) -> None:
    done = run(["package", str(folder / "manifest.yml"), str(folder / "bids"), *options], {})
    assert done.returncode == 0, done.stderr + done.stdout


def run(arguments: list[str], variables: dict[str, str], **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "spimpack_tasks.cli.main", *arguments]
    return subprocess.run(
        command,
        env=clean_environment() | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )


def clean_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "AZURE_", "GOOGLE_"))}


def publish(study: Path, url: str, variables: dict[str, str], *options: str):
    return run(["publish", str(study / "bids"), url, *options], variables)


def local_files(bids: Path) -> dict[str, bytes]:
    """Return what a published dataset consists of, links followed."""
    found = {}
    for folder, names, files in os.walk(bids, followlinks=True):
        names[:] = [name for name in names if name not in {".spimpack", "sourcedata"}]
        for name in files:
            path = Path(folder, name)
            found[str(path.relative_to(bids))] = path.read_bytes()
    return found


def published(server, prefix: str) -> dict[str, bytes]:
    return {n: data for n, data in server.files(prefix).items() if not n.startswith(STATE)}


def assert_published(server, prefix: str, bids: Path) -> None:
    """Compare what is there with the files, and with the inventory by hashlib."""
    there, here = published(server, prefix), local_files(bids)
    assert sorted(there) == sorted(here)
    assert [name for name in here if there[name] != here[name]] == []
    text = server.read(f"{prefix}/{STATE}inventory.json")
    objects = json.loads(text)["objects"]
    assert list(objects) == sorted(here)
    for name, (size, digest, _) in objects.items():
        assert (size, digest) == (len(here[name]), hashlib.sha256(here[name]).hexdigest()), name
    identity = hashlib.sha256(text).hexdigest()
    assert server.read(f"{prefix}/{STATE}inventories/{identity}.json") == text


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("program", ["spimpack", "luigi"])
def test_a_dataset_is_published_and_a_second_run_does_nothing(
    server, proxy, study, workers, program
):
    url = server.url(f"first-{program}-{workers}")
    variables = server.environment(proxy.endpoint)

    def start():
        if program == "spimpack":
            return publish(study, url, variables, "--workers", workers)
        command = [
            *(sys.executable, "-m", "luigi", "--module", "spimpack_tasks", "PublishDataset"),
            *("--dataset", str(study / "bids"), "--url", url, "--local-scheduler"),
            *("--workers", workers),
        ]
        return subprocess.run(
            command,
            env=clean_environment() | variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    done = start()
    assert done.returncode == 0, done.stderr
    assert_published(server, server.prefix(url), study / "bids")
    proxy.begin()
    done = start()
    assert done.returncode == 0, done.stderr
    assert [each.kind for each in proxy.requests if each.written] == []
    assert len(proxy.requests) <= 1 + 3, proxy.counts()  # s3: a page of the listing, and 3 more


def test_s4_lost_state_sends_nothing(server, proxy, study):
    variables = server.environment(proxy.endpoint)
    assert publish(study, server.url("lost"), variables).returncode == 0
    shutil.rmtree(study / "bids" / STATE / "publications")
    proxy.begin()
    assert publish(study, server.url("lost"), variables).returncode == 0
    assert [key for key in proxy.keys("PUT") if f"/{STATE}" not in key] == []
    assert_published(server, "lost", study / "bids")


def test_s5_an_edited_cell_sends_what_it_touches(server, proxy, study):
    variables = server.environment(proxy.endpoint)
    assert publish(study, server.url("edit"), variables).returncode == 0
    table = study / "participants.tsv"
    text = table.read_text()
    assert "\tF\t" in text
    table.write_text(text.replace("\tF\t", "\tM\t", 1))
    package(study)
    proxy.begin()
    assert publish(study, server.url("edit"), variables).returncode == 0
    sent = [key for key in proxy.keys("PUT") if f"/{STATE}" not in key]
    assert sent == ["edit/participants.tsv"]
    # Google replaces by a version, which is read first.
    extra = server.url("").startswith("gs:")
    assert len(proxy.requests) <= 1 + 10 + extra, proxy.counts()
    assert_published(server, "edit", study / "bids")


def test_s7_objects_are_sent_in_their_order(server, proxy, study):
    variables = server.environment(proxy.endpoint)
    assert publish(study, server.url("order"), variables).returncode == 0
    assert_in_order([key.removeprefix("order/") for key in proxy.keys("PUT")])


def assert_in_order(keys: list[str]) -> None:
    """Each stage is whole before the next one begins, image by image."""
    stages = {}
    first, *others = [key for key in keys if key != f"{STATE}lock.json"]
    assert first.startswith(f"{STATE}unfinished/")
    for position, key in enumerate(others):
        stages.setdefault(stage_of(key), []).append(position)
    for image in {image for image, _ in stages if image}:
        ranks = sorted(rank for which, rank in stages if which == image)
        for first, second in pairwise(ranks):
            assert max(stages[image, first]) < min(stages[image, second]), image
    whole = [max(p for (image, _), some in stages.items() if image for p in some)]
    for rank in ("3 texts", "4 description", "5 inventories", "6 inventory"):
        assert min(stages["", rank]) > whole[-1], rank
        whole.append(max(stages["", rank]))


def stage_of(key: str) -> tuple[str, str]:
    image = re.match(r".*?\.ome\.zarr", key)
    if image:
        inner = key[image.end() + 1 :]
        if inner in {"zarr.json", ".zattrs", ".zgroup"}:
            return image[0], "2 root"
        is_metadata = inner.endswith(("zarr.json", ".zarray", ".zattrs", ".zgroup"))
        return image[0], "1 arrays" if is_metadata else "0 chunks"
    if key.endswith((".tif", ".ims")):
        return key, "0 chunks"
    if key.startswith(f"{STATE}inventories/"):
        return "", "5 inventories"
    names = {"dataset_description.json": "4 description", f"{STATE}inventory.json": "6 inventory"}
    return "", names.get(key, "3 texts")


def replace_image(study: Path) -> str:
    """Give the first image other voxels, and a chunk less; return its path in the dataset."""
    source = next((study / "microscope").glob("*A.ome.zarr"))
    chunks = sorted(p for p in source.rglob("*") if p.is_file() and p.name.isdigit())
    chunks[0].unlink()
    chunks[1].write_bytes(chunks[2].read_bytes())
    attributes = source / ".zattrs"
    attributes.write_text(attributes.read_text() + "\n")
    package(study)
    return "sub-01/micr/sub-01_sample-brain_acq-4x_SPIM.ome.zarr"


def test_s7_a_replaced_image_cannot_be_opened_meanwhile(server, proxy, study):
    variables = server.environment(proxy.endpoint)
    assert publish(study, server.url("replace"), variables).returncode == 0
    image = f"replace/{replace_image(study)}"
    proxy.begin()
    assert publish(study, server.url("replace"), variables).returncode == 0
    assert_published(server, "replace", study / "bids")
    events = [e for e in proxy.requests if e.kind in {"PUT", "DELETE"} and f"/{STATE}" not in e.key]
    deleted = [e for e in events if e.kind == "DELETE"]
    assert b".zattrs" in deleted[0].body or deleted[0].key.endswith((".zattrs", ".zgroup"))
    assert deleted[0] is events[0]
    sent = [e.key.removeprefix(f"{image}/") for e in events if e.key.startswith(image)]
    assert sent[-2:] in ([".zattrs", ".zgroup"], [".zgroup", ".zattrs"])


FAULTS = ["slow", "drop", "lose"]


@pytest.mark.parametrize("fault", [*FAULTS, "all"])
def test_s8_faults_of_the_network_end_right(server, proxy, study, fault):
    variables = server.environment(proxy.endpoint)
    url = server.url(f"faults-{fault}")
    random_ = random.Random(7)

    def inject(request):
        if fault == "all":
            return random_.choice(FAULTS) if random_.random() < 0.03 else ""
        return fault if request.number % 5 == 0 else ""

    proxy.begin(inject)
    done = publish(study, url, variables)
    assert done.returncode == 0, done.stderr
    proxy.begin()
    assert_published(server, server.prefix(url), study / "bids")
    done = run(["verify", url, "--checksum", "full"], variables)
    assert (done.returncode, "0 deviations" in done.stdout) == (0, True)


def test_s9_a_flipped_bit_is_found(server, proxy, study):
    variables = server.environment(proxy.endpoint)
    wanted = "sub-03_sample-brain_acq-4x_SPIM.ome.tif"

    def flip(request):
        return "flip" if request.kind == "PUT" and request.key.endswith(wanted) else ""

    proxy.begin(flip)
    done = publish(study, server.url("flip"), variables)
    assert done.returncode == 4
    assert wanted in done.stderr
    assert "Traceback" not in done.stderr
    assert f"{STATE}inventory.json" not in server.files("flip")
    proxy.begin()
    assert publish(study, server.url("flip"), variables).returncode == 0
    assert_published(server, "flip", study / "bids")


def test_content_is_digested_once_where_the_tag_proves_it(server, proxy, study):
    variables = server.environment(proxy.endpoint)
    for name, setting in (("once", {}), ("twice", {"AWS_UNSIGNED_PAYLOAD": "false"})):
        proxy.begin()
        assert publish(study, server.url(name), variables | setting).returncode == 0
        sent = [e for e in proxy.requests if e.kind == "PUT" and f"/{STATE}" not in e.key]
        assert sent
        for each in sent:
            digest = hashlib.sha256(each.body).hexdigest() if setting else "UNSIGNED-PAYLOAD"
            assert each.content_digest == digest, each.key
        assert_published(server, name, study / "bids")


def test_s10_a_source_that_changes_meanwhile_is_named(server, proxy, study):
    variables = server.environment(proxy.endpoint)
    source = next((study / "microscope").glob("*.ims"))

    def touch(request):
        if request.kind == "PUT" and request.key.endswith(".ims"):
            return ""
        if request.kind == "PUT" and request.key.endswith(f"{STATE}lock.json"):
            with source.open("ab") as file:
                file.write(b"more")
        return ""

    proxy.begin(touch)
    done = publish(study, server.url("changed"), variables)
    assert done.returncode == 4, done.stderr
    assert "sub-04" in done.stderr
    assert f"{STATE}inventory.json" not in server.files("changed")


REFUSALS = {
    "wrong secret": ({"AWS_SECRET_ACCESS_KEY": "wrong-secret"}, "s3://lab/x", "secret"),
    "unknown key": ({"AWS_ACCESS_KEY_ID": "NOBODY"}, "s3://lab/x", "unknown"),
    "read-only": (
        dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), READER, strict=True)),
        "s3://lab/x",
        "may not",
    ),
    "no bucket": ({}, "s3://no-such-bucket/x", "no such bucket"),
    "unreachable": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "s3://lab/x", "cannot be reached"),
    "no profile": ({"AWS_PROFILE": "nobody"}, "s3://lab/x", "nobody"),
    "half a key": ({"AWS_SECRET_ACCESS_KEY": ""}, "s3://lab/x", "AWS_SECRET_ACCESS_KEY"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_s11_refusals_are_one_line(server, study, case):
    variables, url, said = REFUSALS[case]
    begin = time.monotonic()
    done = publish(study, url, server.environment() | variables)
    assert time.monotonic() - begin < 30
    assert done.returncode in {2, 4}
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert said in lines[0]
    assert server.files("x") == {}


def test_s11_expired_credentials(server, proxy, study):
    proxy.begin(lambda _: "expire")
    done = publish(study, server.url("x"), server.environment(proxy.endpoint))
    assert done.returncode in {2, 4}
    assert "expired" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_s12_no_secret_is_left_anywhere(server, study):
    secret = WRITER[1]
    configuration = study / "luigi.cfg"
    configuration.write_text("[core]\nlog_level=DEBUG\n")
    variables = server.environment() | {"LUIGI_CONFIG_PATH": str(configuration)}
    command = [
        *(sys.executable, "-m", "luigi", "--module", "spimpack_tasks", "PublishDataset"),
        *("--dataset", str(study / "bids"), "--url", server.url("secret"), "--local-scheduler"),
    ]
    shown = []
    with subprocess.Popen(
        command,
        env=clean_environment() | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=study,
    ) as process:
        for entry in Path(f"/proc/{process.pid}").parent.glob("[0-9]*/cmdline"):
            try:
                shown.append(entry.read_bytes())
            except OSError:
                continue
        output = process.stdout.read()
    assert process.returncode == 0, output
    bad = publish(study, f"s3://user:{secret}@lab/x", variables)
    report = run(["report", str(study / "bids")], variables)
    assert report.returncode == 0
    texts = [output, *shown, bad.stdout.encode(), bad.stderr.encode(), report.stdout.encode()]
    texts += [path.read_bytes() for path in study.rglob("*") if path.is_file()]
    texts += list(server.files("secret").values())
    assert bad.returncode == 2
    assert [text[:200] for text in texts if secret.encode() in text] == []


def test_s13_two_publishers_do_not_mix(server, study, tmp_path):
    """Of two datasets for one place, one is there as a whole; the other one says so."""
    other = tmp_path / "other"
    shutil.copytree(study, other, symlinks=True)
    table = other / "participants.tsv"
    table.write_text(table.read_text().replace("\tF\t", "\tM\t", 1))
    package(other)
    shutil.rmtree(other / "bids" / STATE / "publications", ignore_errors=True)
    for number in range(20):
        prefix = f"race-{number}"
        command = [sys.executable, "-m", "spimpack_tasks.cli.main", "publish"]
        runs = [
            subprocess.Popen(
                [*command, str(each / "bids"), server.url(f"{prefix}")],
                env=clean_environment() | server.environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for each in (study, other)
        ]
        outputs = [each.communicate(timeout=120)[0] for each in runs]
        codes = [each.returncode for each in runs]
        assert 0 in codes, outputs
        assert set(codes) <= {0, 3, 6, 7}, outputs
        there = published(server, prefix)
        wholes = [local_files(each / "bids") for each in (study, other)]
        assert there in wholes, (codes, outputs)


def test_s14_only_own_unchanged_objects_are_pruned(server, study):
    variables = server.environment()
    assert publish(study, server.url("prune"), variables).returncode == 0
    server.write("prune/sub-02/notes-of-a-colleague.txt", b"hello")
    server.write("prune/sub-02/micr/sub-02_sample-brain_acq-4x_SPIM.json", b"{}")
    table = study / "scans.tsv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if not line.startswith("02\t")))
    people = study / "participants.tsv"
    kept = [x for x in people.read_text().splitlines(keepends=True) if not x.startswith("sub-02")]
    people.write_text("".join(kept))
    package(study)
    done = publish(study, server.url("prune"), variables)
    assert done.returncode == 0, done.stderr
    left = {name for name in published(server, "prune") if "sub-02" in name}
    assert left == {
        "sub-02/notes-of-a-colleague.txt",
        "sub-02/micr/sub-02_sample-brain_acq-4x_SPIM.json",
    }
    for name in left:
        assert name in done.stdout


HARM = {
    "missing": lambda server, key: server.remove(key),
    "altered": lambda server, key: server.write(key, bytes(len(server.read(key)))),
    "truncated": lambda server, key: server.write(key, server.read(key)[:-1]),
    "extra": lambda server, key: server.write(f"{key}.part", b"x"),
}
WORDS = {"missing": "missing", "altered": "altered", "truncated": "another size", "extra": "extra"}


@pytest.mark.parametrize("harm", HARM)
def test_s15_verify_finds(server, proxy, study, harm):
    variables = server.environment(proxy.endpoint)
    prefix = f"verify-{harm}"
    assert publish(study, server.url(f"{prefix}"), variables).returncode == 0
    key = f"{prefix}/sub-03/micr/sub-03_sample-brain_acq-4x_SPIM.ome.tif"
    HARM[harm](server, key)
    proxy.begin()
    done = run(["verify", server.url(f"{prefix}")], variables)
    assert done.returncode == 3
    assert done.stdout.splitlines()[0].startswith(f"{WORDS[harm]}: sub-03/micr/")
    assert len(proxy.requests) == 2


@pytest.mark.parametrize("state", ["fresh", "edited", "replaced", "lost", "nothing"])
def test_s16_a_dry_run_tells_what_the_run_does(server, proxy, study, state):
    variables = server.environment(proxy.endpoint)
    url = server.url(f"dry-{state}")
    if state != "fresh":
        assert publish(study, url, variables).returncode == 0
    if state == "edited":
        table = study / "participants.tsv"
        table.write_text(table.read_text().replace("\tF\t", "\tM\t", 1))
        package(study)
    elif state == "replaced":
        replace_image(study)
    elif state == "lost":
        shutil.rmtree(study / "bids" / STATE / "publications")
    proxy.begin()
    before = {p: p.read_bytes() for p in (study / "bids" / STATE).rglob("*") if p.is_file()}
    done = publish(study, url, variables, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert [each.kind for each in proxy.requests if each.written] == []
    after = {p: p.read_bytes() for p in (study / "bids" / STATE).rglob("*") if p.is_file()}
    assert before == after
    if state == "nothing":
        assert done.stdout.startswith("Nothing to do")
        return
    planned = read_counts(done.stdout)
    proxy.begin()
    assert publish(study, url, variables).returncode == 0
    assert planned == proxy.counts(), done.stdout
    sent = [e for e in proxy.requests if e.kind == "PUT" and f"/{STATE}" not in e.key]
    number = int(re.search(r"to send: ([\d,]+) object", done.stdout)[1].replace(",", ""))
    assert number == len(sent)


def read_counts(text: str) -> dict[str, int]:
    line = re.search(r"^requests: (.*)$", text, re.MULTILINE)[1]
    return {
        kind: int(count.replace(",", "")) for count, kind in re.findall(r"(\d[\d,]*) (\w+)", line)
    }


def test_s17_others_open_the_image_by_its_address(server, study):
    script = """
import sys, zarr, obstore
from obstore.store import S3Store
from zarr.storage import ObjectStore
store = S3Store("lab", prefix=sys.argv[1], client_options={"allow_http": True})
image = zarr.open_group(ObjectStore(store, read_only=True), mode="r")
print(image["0"][:].sum(), obstore.get(store, sys.argv[2]).attributes["Content-Type"])
"""
    import zarr

    variables = server.environment()
    assert publish(study, server.url("open"), variables).returncode == 0
    for image, root in (("sub-01", ".zattrs"), ("sub-02", "zarr.json")):
        path = f"{image}/micr/{image}_sample-brain_acq-4x_SPIM.ome.zarr"
        done = subprocess.run(
            [sys.executable, "-c", script, f"open/{path}", root],
            env=clean_environment() | variables,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        voxels = zarr.open_group(str(study / "bids" / path), mode="r")["0"][:]
        assert done.stdout.split() == [str(voxels.sum()), "application/json"]


def test_s18_strange_names_round_trip(server, study):
    variables = server.environment()
    folder = study / "bids" / "extra files"
    folder.mkdir()
    names = ["a b", "a+b", "a%20b", "a#b", "ä ö", "a?b", "a&b=c", "~tilde", "a'b", "(a)"]
    for name in names:
        (folder / f"{name}.txt").write_text(name)
    done = publish(study, server.url("na me+%20ü"), variables, "--include", "extra files")
    assert done.returncode == 0, done.stderr
    there = published(server, "na me+%20ü")
    expected = {f"extra files/{name}.txt": name.encode() for name in names}
    assert {n: data for n, data in there.items() if n.startswith("extra")} == expected
    done = run(["verify", server.url("na me+%20ü"), "--checksum", "full"], variables)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["0/0/0/0/0.part", ".dandidownload/x", "notes.txt"])
def test_s18_a_stranger_in_a_zarr_is_refused_by_name(server, study, name):
    source = next((study / "microscope").glob("*A.ome.zarr"))
    (source / name).parent.mkdir(parents=True, exist_ok=True)
    (source / name).write_text("x")
    package(study)
    done = publish(study, server.url("stranger"), server.environment())
    assert done.returncode == 3
    assert name in done.stderr
    assert server.files("stranger") == {}


def opens(there: dict[str, bytes], image: str) -> bool:
    return any(f"{image}/{name}" in there for name in ("zarr.json", ".zattrs", ".zgroup"))


@pytest.mark.parametrize("moment", range(20))
def test_s6_kill_anywhere_leaves_old_or_new(server, proxy, study, moment):
    """Killed before its n-th request, a run leaves no image that can be opened and is not whole."""
    variables = server.environment(proxy.endpoint)
    prefix = f"kill-{moment}"
    url = server.url(prefix)
    if moment % 2:
        assert publish(study, url, variables).returncode == 0
    old = local_files(study / "bids") if moment % 2 else {}
    if moment % 2:
        replace_image(study)
    new = local_files(study / "bids")
    before = server.files(prefix).get(f"{STATE}inventory.json")
    at = 3 + moment * 2
    words = ["publish", str(study / "bids"), url]
    environment = clean_environment() | variables
    code = run_until(proxy, words, environment, lambda request: request.number == at)
    assert code == -signal.SIGKILL or at > len(proxy.requests)
    there = server.files(prefix)
    inventory = there.get(f"{STATE}inventory.json")
    images = {re.match(r".*\.ome\.zarr", name)[0] for name in new if ".ome.zarr/" in name}
    for image in images:
        if opens(there, image):
            now = {n: d for n, d in there.items() if n.startswith(f"{image}/")}
            wholes = [
                {n: d for n, d in each.items() if n.startswith(f"{image}/")} for each in (old, new)
            ]
            roots_left = {n: d for n, d in now.items() if not ROOTS.search(n)}
            chunks = [{n: d for n, d in each.items() if not ROOTS.search(n)} for each in wholes]
            assert now in wholes or roots_left in chunks, image
    assert inventory == before or json.loads(inventory)["objects"].keys() == new.keys()
    proxy.begin()
    begin = time.monotonic()
    done = publish(study, url, variables)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin < 60  # its own lease does not hold it up
    assert_published(server, prefix, study / "bids")
    sent = [key for key in proxy.keys("PUT") if f"/{STATE}" not in key]
    assert len(sent) <= len(new)


def test_status_and_report_know_where_it_was_published(server, study):
    variables = server.environment()
    bids, url = study / "bids", server.url("known")
    assert publish(study, url, variables).returncode == 0

    def told() -> tuple[dict, str, str]:
        words = [str(study / "manifest.yml"), str(bids)]
        status = run(["status", *words], {}).stdout
        as_json = json.loads(run(["status", *words, "--format", "json"], {}).stdout)
        assert (
            run(
                ["report", str(bids), "--file", str(study / "page.html"), "--overwrite"], {}
            ).returncode
            == 0
        )
        return as_json["publications"], status, (study / "page.html").read_text()

    publications, status, page = told()
    text = server.read(f"known/{STATE}inventory.json")
    assert [(p["location"], p["inventory"], p["objects"]) for p in publications] == [
        (url, hashlib.sha256(text).hexdigest(), len(json.loads(text)["objects"]))
    ]
    assert f"published: {url}" in status
    assert "this state" in status
    assert "neuroglancer-demo.appspot.com" in page
    assert f"{server.endpoint}/lab/known" in page
    table = study / "participants.tsv"
    table.write_text(table.read_text().replace("\tF\t", "\tM\t", 1))
    package(study)
    _, status, page = told()
    assert "an earlier state" in status
    assert "an earlier state" in page


def test_a_published_image_is_viewed_by_links(server, study):
    """The links of Neuroglancer hold its state; a dataset leads to its images."""
    variables = server.environment()
    assert publish(study, server.url("view"), variables).returncode == 0
    image = "sub-01/micr/sub-01_sample-brain_acq-4x_SPIM.ome.zarr"
    address = f"{server.endpoint}/lab/view"
    for url in (server.url("view"), server.url(f"view/{image}")):
        done = run(["view", url], variables)
        assert done.returncode == 0, done.stderr
        state = json.loads(unquote(re.search(r"#!(\S+)", done.stdout)[1]))
        assert [layer["source"] for layer in state["layers"]] == [f"zarr://{address}/{image}"]
        assert f"?source={address}/{image}" in done.stdout
    assert run(["view", server.url("nothing")], variables).returncode == 4


def test_a_public_bucket_is_told_from_a_closed_one(server, study):
    variables = server.environment()
    assert publish(study, server.url("public"), variables).returncode == 0
    done = run(["verify", server.url("public"), "--check-public"], variables)
    assert done.returncode == 3
    assert "NO   anybody can read" in done.stdout


def test_an_inventory_of_a_later_version_is_left_alone(server, study):
    variables = server.environment()
    assert publish(study, server.url("later"), variables).returncode == 0
    key = f"later/{STATE}inventory.json"
    text = server.read(key).replace(b'"version": 1', b'"version": 2')
    server.write(key, text)
    done = publish(study, server.url("later"), variables)
    assert done.returncode == 4
    assert "later spimpack_tasks" in done.stderr
    assert server.read(key) == text


def test_objects_that_another_program_sent_in_parts_are_adopted(server, proxy, study):
    """As `aws s3 sync` does, in parts of 8 MiB."""
    script = """
import sys, obstore
from pathlib import Path
from obstore.store import S3Store
store = S3Store("lab", client_options={"allow_http": True})
obstore.put(store, sys.argv[2], Path(sys.argv[1]), chunk_size=8 * 2**20)
"""
    variables = server.environment()
    image = "sub-04/micr/sub-04_sample-brain_acq-4x_SPIM.ims"
    source = next((study / "microscope").glob("*.ims"))
    with source.open("ab") as file:  # HDF5 readers ignore what lies behind the end of the file
        file.write(random.Random(1).randbytes(20 * 2**20))
    package(study)
    subprocess.run(
        [sys.executable, "-c", script, str(study / "bids" / image), f"parts/{image}"],
        env=clean_environment() | variables,
        check=True,
        timeout=120,
    )
    proxy.begin()
    done = publish(study, server.url("parts"), server.environment(proxy.endpoint))
    assert done.returncode == 0, done.stderr
    assert [key for key in proxy.keys("PUT") if key.endswith(".ims")] == []
    assert_published(server, "parts", study / "bids")


def test_a_run_with_another_state_takes_over_at_once(server, proxy, study):
    """The earlier run is held up at an object; the later one does not wait for its unit."""
    variables = server.environment(proxy.endpoint)
    held, go_on = threading.Event(), threading.Event()

    def hold(request):
        if request.kind == "PUT" and request.key.endswith("/0/0/0/0/0") and not held.is_set():
            held.set()
            go_on.wait(60)
        return ""

    proxy.begin(hold)
    command = [sys.executable, "-m", "spimpack_tasks.cli.main", "publish", str(study / "bids")]
    with subprocess.Popen(
        [*command, server.url("over")],
        env=clean_environment() | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as first:
        assert held.wait(60)
        table = study / "participants.tsv"
        table.write_text(table.read_text().replace("\tF\t", "\tM\t", 1))
        package(study)
        threading.Timer(2, go_on.set).start()
        done = publish(study, server.url("over"), variables)
        output = first.communicate(timeout=60)[0]
    assert done.returncode == 0, done.stderr
    assert first.returncode == 7, output
    assert_published(server, "over", study / "bids")
