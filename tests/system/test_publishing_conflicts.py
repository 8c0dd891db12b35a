"""What stands against a publication is told before a byte is sent, and nothing good is lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killed_runs import run_until
from test_publishing import (
    STATE,
    assert_published,
    clean_environment,
    demo,
    local_files,
    package,
    proxy,
    publish,
    published,
    replace_image,
    run,
    server,
    study,
)

__all__ = ["demo", "proxy", "server", "study"]  # fixtures

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("publishing")]

INVENTORY = f"{STATE}inventory.json"
IDENTITY = f"{STATE}publications/dataset.json"


def another_dataset(study: Path, folder: Path) -> Path:
    """Return a dataset of another name, whose files all have other paths."""
    shutil.copytree(study, folder, symlinks=True)
    shutil.rmtree(folder / "bids")
    manifest = folder / "manifest.yml"
    text = manifest.read_text()
    name = next(line for line in text.splitlines() if "Name:" in line).split("Name:")[1].strip()
    manifest.write_text(text.replace(name, "Kidneys of another lab", 1))
    for table, mark in (("scans.tsv", ""), ("participants.tsv", "sub-")):
        lines = (folder / table).read_text().splitlines()
        changed = [line.replace(f"{mark}0", f"{mark}9", 1) for line in lines[1:]]
        (folder / table).write_text("\n".join([lines[0], *changed]) + "\n")
    package(folder)
    return folder


def test_i17_01_another_dataset_is_not_replaced_without_a_word(server, proxy, study, tmp_path):
    variables, url = server.environment(proxy.endpoint), server.url("another")
    assert publish(study, url, variables).returncode == 0
    before = server.files("another")
    other = another_dataset(study, tmp_path / "other")
    for options in (["--dry-run"], []):
        proxy.begin()
        done = publish(other, url, variables, *options)
        assert done.returncode == 3, done.stdout + done.stderr
        assert json.loads((study / "bids/dataset_description.json").read_text())["Name"] in (
            done.stderr
        )
        assert "--replace-dataset" in done.stderr
        assert "Traceback" not in done.stderr
        assert [each for each in proxy.requests if each.written] == []
    assert server.files("another") == before
    done = publish(other, url, variables, "--replace-dataset", "--dry-run")
    assert (done.returncode, "replaces another dataset" in done.stdout) == (0, True), done.stderr
    assert publish(other, url, variables, "--replace-dataset").returncode == 0
    assert_published(server, "another", other / "bids")
    assert publish(study, url, variables).returncode == 3  # now it is the other one
    assert publish(other, url, variables).stdout.startswith("Nothing to do")
    # What only an inventory of the replaced dataset names is not ours to delete.
    name = next(name for name in before if name.endswith("sub-03_sample-brain_acq-4x_SPIM.json"))
    server.write(f"another/{name}", before[name])
    done = publish(other, url, variables)
    assert (done.returncode, name in done.stdout) == (0, True), done.stderr
    assert server.read(f"another/{name}") == before[name]


def test_i17_01_luigi_has_the_flag():
    from spimpack_tasks import PublishDataset

    assert "replace_dataset" in dict(PublishDataset.get_params())


def test_i17_01_copies_and_moved_datasets_share_their_identity(server, study, tmp_path):
    variables, url = server.environment(), server.url("share")
    assert publish(study, url, variables).returncode == 0
    identity = json.loads((study / "bids" / IDENTITY).read_text())["dataset"]
    assert json.loads(server.read(f"share/{INVENTORY}"))["dataset"] == identity
    moved = tmp_path / "moved"
    shutil.copytree(study, moved, symlinks=True)
    manifest = moved / "manifest.yml"
    manifest.write_text(manifest.read_text().replace("Name:", "Name: New", 1))
    package(moved)
    assert publish(moved, url, variables).returncode == 0
    assert_published(server, "share", moved / "bids")
    assert publish(study, url, variables).returncode == 0


@pytest.mark.parametrize("lost", ["all records", "identity"])
def test_i17_01_a_lost_identity_is_taken_from_the_inventory(server, study, lost):
    variables, url = server.environment(), server.url(f"adopt-{lost[:3]}")
    prefix = server.prefix(url)
    assert publish(study, url, variables).returncode == 0
    text = server.read(f"{prefix}/{INVENTORY}")
    if lost == "identity":
        (study / "bids" / IDENTITY).unlink()
    else:
        shutil.rmtree(study / "bids" / STATE / "publications")
    assert publish(study, url, variables).returncode == 0
    assert server.read(f"{prefix}/{INVENTORY}") == text
    assert (
        json.loads((study / "bids" / IDENTITY).read_text())["dataset"]
        == (json.loads(text)["dataset"])
    )


def without_identity(server, prefix: str) -> None:
    """Make the inventory one of an early version."""
    values = json.loads(server.read(f"{prefix}/{INVENTORY}"))
    for key in ("dataset", "name", "adopted"):
        values.pop(key, None)
    server.write(f"{prefix}/{INVENTORY}", json.dumps(values).encode())


def test_i17_01_an_early_inventory_is_accepted_if_it_is_of_this_dataset(server, study, tmp_path):
    variables, url = server.environment(), server.url("early")
    other = another_dataset(study, tmp_path / "other")
    assert publish(study, url, variables).returncode == 0
    without_identity(server, "early")
    assert publish(other, url, variables).returncode == 3
    assert publish(study, url, variables).returncode == 0
    assert "dataset" in json.loads(server.read(f"early/{INVENTORY}"))
    assert_published(server, "early", study / "bids")


def chunk_of(image: Path) -> Path:
    """Return a chunk of the full resolution."""
    return max(
        (p for p in (image / "0").rglob("*") if p.is_file() and p.name.isdigit()),
        key=lambda path: path.stat().st_size,
    )


DAMAGE = {
    "cut": lambda chunk: chunk.write_bytes(chunk.read_bytes()[:-1]),
    "gone": lambda chunk: chunk.unlink(),
    "other bytes": lambda chunk: chunk.write_bytes(bytes(len(chunk.read_bytes()))),
}


@pytest.mark.parametrize(
    ("backend", "damage"),
    [("copy", "cut"), ("copy", "other bytes"), ("ome-zarr:convert=all", "gone")],
)
def test_i17_02_a_damaged_image_is_not_published_over_a_good_one(
    server, proxy, study, backend, damage
):
    name = f"damaged-{backend[:4]}-{damage[:3]}"
    variables, url = server.environment(proxy.endpoint), server.url(name)
    package(study, "--backend", backend)
    assert publish(study, url, variables).returncode == 0
    before = server.files(name)
    image = study / "bids/sub-01/micr/sub-01_sample-brain_acq-4x_SPIM.ome.zarr"
    assert not image.is_symlink()
    DAMAGE[damage](chunk_of(image))
    for options in (["--dry-run"], []):
        proxy.begin()
        done = publish(study, url, variables, *options)
        assert done.returncode == 3, done.stdout + done.stderr
        assert "not as packaged" in done.stderr
        assert image.name in done.stderr
        assert [each for each in proxy.requests if each.written] == []
    assert server.files(name) == before
    shutil.rmtree(image)
    package(study, "--backend", backend)
    assert publish(study, url, variables).returncode == 0
    assert_published(server, name, study / "bids")


def test_i17_02_an_empty_chunk_of_a_linked_image_is_refused(server, study):
    variables, url = server.environment(), server.url("damaged-link")
    assert publish(study, url, variables).returncode == 0
    before = server.files("damaged-link")
    chunk_of(next((study / "microscope").glob("*A.ome.zarr"))).write_bytes(b"")
    done = publish(study, url, variables)
    assert done.returncode == 3
    assert "has no byte; restore its source" in done.stderr
    assert server.files("damaged-link") == before


@pytest.mark.parametrize("backend", ["copy", "hardlink"])
def test_i17_02_a_moved_dataset_is_as_it_was_packaged(server, study, tmp_path, backend):
    """Its inodes and times are others, and its content is the same."""
    variables, url = server.environment(), server.url(f"moved-{backend}")
    package(study, "--backend", backend)
    assert publish(study, url, variables).returncode == 0
    shutil.copytree(study, tmp_path / "moved", symlinks=True, copy_function=shutil.copyfile)
    done = publish(tmp_path / "moved", url, variables)
    assert done.returncode == 0, done.stderr


def write_derivatives(study: Path) -> dict[str, bytes]:
    folder = study / "bids" / "derivatives"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(name)
    return {f"derivatives/{name}": name.encode() for name in ("a.txt", "b.txt")}


def test_i17_03_what_was_included_stays_until_it_is_taken_out(server, study):
    variables, url = server.environment(), server.url("include")
    further = write_derivatives(study)

    def there() -> dict[str, bytes]:
        found = published(server, "include")
        return {name: found[name] for name in found if name.startswith("derivatives/")}

    done = publish(study, url, variables, "--include", "derivatives")
    count = len(local_files(study / "bids"))
    assert f"Published {count} objects" in done.stdout, done.stderr
    assert f": {count} sent\n" in done.stdout
    assert there() == further
    table = study / "participants.tsv"
    table.write_text(table.read_text().replace("\tF\t", "\tM\t", 1))
    package(study)
    done = publish(study, url, variables)
    assert ("sent as before: derivatives" in done.stdout, there()) == (True, further)
    assert ": 1 sent\n" in done.stdout
    assert_published(server, "include", study / "bids")
    done = publish(study, url, variables, "--no-include", "--dry-run")
    assert "no longer sent: derivatives; 2 objects to delete" in done.stdout
    assert there() == further
    done = publish(study, url, variables, "--no-include")
    assert (done.returncode, there()) == (0, {}), done.stderr
    assert "no longer sent: derivatives; 2 objects to delete" in done.stdout
    assert ": 0 sent, 2 deleted\n" in done.stdout
    assert "Nothing to do" in publish(study, url, variables).stdout


def test_i17_03_a_lost_record_of_what_was_included_deletes_nothing(server, study):
    variables, url = server.environment(), server.url("include-lost")
    further = write_derivatives(study)
    assert publish(study, url, variables, "--include", "derivatives").returncode == 0
    before = server.files("include-lost")
    shutil.rmtree(study / "bids" / STATE / "publications")
    for options in (["--dry-run"], []):
        done = publish(study, url, variables, *options)
        assert done.returncode == 3, done.stdout
        assert "2 objects there, such as derivatives/a.txt" in done.stderr
    assert server.files("include-lost") == before
    assert publish(study, url, variables, "--include", "derivatives").returncode == 0
    there = published(server, "include-lost")
    assert {name: there[name] for name in further} == further
    assert publish(study, url, variables, "--no-include").returncode == 0
    assert not further.keys() & published(server, "include-lost").keys()


def test_i17_03_luigi_keeps_what_was_included(server, study):
    variables, url = server.environment(), server.url("include-luigi")
    further = write_derivatives(study)

    def luigi(*options: str) -> set[str]:
        command = [
            *(sys.executable, "-m", "luigi", "--module", "spimpack_tasks", "PublishDataset"),
            *("--dataset", str(study / "bids"), "--url", url, "--local-scheduler", *options),
        ]
        done = subprocess.run(
            command,
            env=clean_environment() | variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return {n for n in published(server, "include-luigi") if n.startswith("derivatives/")}

    assert luigi("--include", "derivatives") == set(further)
    table = study / "participants.tsv"
    table.write_text(table.read_text().replace("\tF\t", "\tM\t", 1))
    package(study)
    assert luigi() == set(further)
    assert luigi("--no-include") == set()


@pytest.mark.parametrize("kind", ["other size", "same size", "altered"])
def test_i17_04_an_object_in_the_way_is_told_before_a_byte_is_sent(server, proxy, study, kind):
    prefix = f"way-{kind[:5].strip()}"
    variables, url = server.environment(proxy.endpoint), server.url(prefix)
    name = "sub-03/micr/sub-03_sample-brain_acq-4x_SPIM.json"
    data = (study / "bids" / name).read_bytes()
    if kind == "altered":
        assert publish(study, url, variables).returncode == 0
    other = b"{}" if kind == "other size" else data.replace(b"e", b"E")
    server.write(f"{prefix}/{name}", other)
    before = server.files(prefix)
    for options in (["--dry-run"], []):
        proxy.begin()
        done = publish(study, url, variables, *options)
        assert done.returncode == 3, done.stdout + done.stderr
        assert name in done.stdout
        assert [each.key for each in proxy.requests if each.written] == []
    assert server.files(prefix) == before
    server.remove(f"{prefix}/{name}")
    assert publish(study, url, variables).returncode == 0
    assert_published(server, prefix, study / "bids")


def test_i17_05_a_damaged_owner_is_made_anew(server, study):
    variables, url = server.environment(), server.url("owner")
    assert publish(study, url, variables).returncode == 0
    for text in (b"\0garbage", b'{"owner": 7, "here": 1}', b"[" * 100_000, b""):
        (owner,) = (study / "bids" / STATE / "publications").glob("*/owner.json")
        owner.write_bytes(text)
        table = study / "participants.tsv"
        lines = table.read_text()
        new = lines.replace("\tF\t", "\tX\t", 1) if "\tF\t" in lines else lines
        table.write_text(new.replace("\tM\t", "\tF\t", 1).replace("\tX\t", "\tM\t", 1))
        package(study)
        done = publish(study, url, variables)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert_published(server, "owner", study / "bids")


FOREIGN = {
    "torn": b'{"version": 1, "obj',
    "nested": b"[" * 200_000,
    "other program": b'{"files": ["a", "b"]}',
    "no text": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("case", FOREIGN)
def test_i17_05_what_is_no_inventory_of_ours_is_not_written_over(server, proxy, study, case):
    prefix = f"foreign-{case[:4]}"
    variables, url = server.environment(proxy.endpoint), server.url(prefix)
    if case == "torn":
        assert publish(study, url, variables).returncode == 0
    server.write(f"{prefix}/{INVENTORY}", FOREIGN[case])
    for options in (["--dry-run"], []):
        proxy.begin()
        done = publish(study, url, variables, *options)
        assert done.returncode == 3, done.stdout + done.stderr
        assert "move it away" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert [each.key for each in proxy.requests if each.written] == []
    assert server.read(f"{prefix}/{INVENTORY}") == FOREIGN[case]
    assert run(["verify", url], variables).returncode == 4
    server.remove(f"{prefix}/{INVENTORY}")
    assert publish(study, url, variables).returncode == 0
    assert_published(server, prefix, study / "bids")


@pytest.mark.parametrize("records", ["kept", "lost"])
def test_i17_06_an_adopted_object_is_never_deleted(server, study, records):
    prefix = f"adopted-{records}"
    variables, url = server.environment(), server.url(prefix)
    further = write_derivatives(study)
    server.write(f"{prefix}/derivatives/a.txt", further["derivatives/a.txt"])
    done = publish(study, url, variables, "--include", "derivatives")
    assert "1 adopted" in done.stdout, done.stderr
    assert json.loads(server.read(f"{prefix}/{INVENTORY}"))["adopted"] == ["derivatives/a.txt"]
    assert "Nothing to do" in publish(study, url, variables).stdout
    if records == "lost":
        shutil.rmtree(study / "bids" / STATE / "publications")
    done = publish(study, url, variables, "--no-include")
    assert done.returncode == 0, done.stderr
    assert "1 deleted" in done.stdout
    left = {n: d for n, d in published(server, prefix).items() if n.startswith("derivatives")}
    assert left == {"derivatives/a.txt": further["derivatives/a.txt"]}


def test_i17_07_a_backslash_is_refused(server, study):
    variables = server.environment()
    assert publish(study, server.url("back\\slash"), variables).returncode == 2
    write_derivatives(study)
    (study / "bids/derivatives/a\\b").write_text("x")
    done = publish(study, server.url("slash"), variables, "--include", "derivatives")
    assert done.returncode == 3
    assert "rename it" in done.stderr
    assert server.files("slash") == {}


def kill_before(proxy, study: Path, url: str, variables: dict[str, str], number: int) -> None:
    """Publish, and kill the run before its n-th writing request."""
    count = [0]

    def is_due(request):
        count[0] += request.written
        return count[0] >= number

    words = ["publish", str(study / "bids"), url]
    run_until(proxy, words, clean_environment() | variables, is_due)
    proxy.begin()


@pytest.mark.parametrize("state", ["first", "edited"])
def test_i17_08_verify_tells_that_a_publication_was_interrupted(server, proxy, study, state):
    prefix = f"broken-off-{state}"
    variables, url = server.environment(proxy.endpoint), server.url(prefix)
    if state == "edited":
        assert publish(study, url, variables).returncode == 0
        replace_image(study)
    kill_before(proxy, study, url, variables, 12 if state == "first" else 6)
    done = run(["verify", url], variables)
    assert done.returncode == (4 if state == "first" else 3)
    assert "a publication was interrupted; run spimpack publish again" in done.stderr
    assert "move it away" not in done.stderr
    assert publish(study, url, variables).returncode == 0
    assert run(["verify", url], variables).returncode == 0


def test_i17_08_a_changed_digest_is_no_reason_to_delete_an_object(server, study):
    variables, url = server.environment(), server.url("digest")
    assert publish(study, url, variables).returncode == 0
    values = json.loads(server.read(f"digest/{INVENTORY}"))
    values["objects"]["participants.tsv"][1] = "0" * 64
    server.write(f"digest/{INVENTORY}", json.dumps(values).encode())
    done = run(["verify", url, "--checksum", "full"], variables)
    assert done.returncode == 3
    assert "delete" not in done.stdout + done.stderr
    assert "publish again" in done.stderr
    assert publish(study, url, variables).returncode == 0
    assert run(["verify", url, "--checksum", "full"], variables).returncode == 0


def test_i17_11_verify_names_some_of_many_foreign_objects(server, study):
    variables, url = server.environment(), server.url("many")
    assert publish(study, url, variables).returncode == 0
    for number in range(33):
        server.write(f"many/other/{number:02}.txt", b"x")
    done = run(["verify", url], variables)
    named = [line for line in done.stdout.splitlines() if line.startswith("extra: other/")]
    assert (done.returncode, len(named)) == (3, 20)
    assert "extra: and 13 more objects" in done.stdout


@pytest.mark.parametrize("number", [8, 30])
def test_i17_09_a_run_killed_by_another_name_of_the_service_is_taken_up(
    server, proxy, study, number
):
    """Neither its lease nor what it has written is in the way."""
    url = server.url(f"name-{number}")
    kill_before(proxy, study, url, server.environment(proxy.endpoint), number)
    begin = time.monotonic()
    done = publish(
        study, url, server.environment(server.endpoint.replace("127.0.0.1", "localhost"))
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin < 60  # a lease lasts two minutes
    assert_published(server, f"name-{number}", study / "bids")
    assert [name for name in server.files(f"name-{number}") if "/unfinished/" in name] == []


def test_i17_11_a_denied_deletion_is_told_after_the_publication(server, proxy, study):
    variables, url = server.environment(proxy.endpoint), server.url("denied")
    write_derivatives(study)
    assert publish(study, url, variables, "--include", "derivatives").returncode == 0
    proxy.begin(lambda request: "deny" if request.kind == "DELETE" else "")
    done = publish(study, url, variables, "--no-include")
    assert done.returncode == 4
    assert "published to s3://lab/denied; 2 objects could not be deleted" in done.stderr
    assert not [
        n for n in json.loads(server.read(f"denied/{INVENTORY}"))["objects"] if "deriv" in n
    ]
    proxy.begin()
    done = publish(study, url, variables)
    assert done.returncode == 0, done.stderr
    assert_published_without(server, "denied", study, "derivatives/")


def assert_published_without(server, prefix: str, study: Path, folder: str) -> None:
    expected = {n: d for n, d in local_files(study / "bids").items() if not n.startswith(folder)}
    assert published(server, prefix) == expected


def test_i17_11_all_odd_files_of_an_image_are_named(server, study):
    source = next((study / "microscope").glob("*A.ome.zarr"))
    names = ["0/0/0/0/0.part", "notes.txt", "Thumbs.db"]
    for name in names:
        (source / name).write_text("x")
    package(study)
    done = publish(study, server.url("odd"), server.environment())
    assert done.returncode == 3
    assert [name for name in names if name not in done.stderr] == []
    assert server.files("odd") == {}


def test_i17_11_a_vanished_file_is_told_with_a_remedy(server, study):
    source = next((study / "microscope").glob("*A.ome.zarr"))
    package(study, "--backend", "symlink")
    chunk = chunk_of(source)
    chunk.unlink()
    chunk.symlink_to("nowhere")
    done = publish(study, server.url("vanished"), server.environment())
    assert done.returncode in {3, 4}
    assert chunk.name in done.stderr
    assert "run it again" in done.stderr
    assert server.files("vanished") == {}
