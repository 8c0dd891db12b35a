"""Digests, addresses and requests of the DANDI archive, by its fake where a server is needed."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from contextlib import closing

import pytest
from dandi_server import TOKEN, DandiServer
from dandi_storage import Blob, etag_of, zarr_checksum_of

from spimpack_tasks.publishing.portals import dandi_http
from spimpack_tasks.publishing.portals.dandi_client import DandiClient
from spimpack_tasks.publishing.portals.dandi_digests import (
    PART_BYTES,
    BlobDigest,
    ChunkDigest,
    ZarrChecksum,
    parts_of,
)
from spimpack_tasks.publishing.portals.dandi_errors import (
    ConfigurationError,
    IngestError,
    PathTakenError,
)
from spimpack_tasks.publishing.portals.dandi_http import body_of, read_token
from spimpack_tasks.publishing.portals.dandi_look import check_schema, is_stated
from spimpack_tasks.publishing.portals.dandi_made import Made, MadeAssets
from spimpack_tasks.publishing.portals.dandi_records import parse_records, read_records
from spimpack_tasks.publishing.portals.dandi_target import DandiTarget
from spimpack_tasks.remote.errors import RefusedError, RemoteError

# Computed by dandischema 0.14.0 (DandiETag, PartGenerator) and zarr-checksum 0.4.7.
TAGS = {
    b"abc": "af5da9f45af7a300e3aded972f8ff687-1",
    bytes(PART_BYTES) + b"abc": "c7b3f2e8c7c3a388ad81515005d133ed-2",
}
PARTS = {
    1: (1, 1, 1),
    PART_BYTES: (1, PART_BYTES, PART_BYTES),
    PART_BYTES + 1: (2, PART_BYTES, 1),
    PART_BYTES * 9999: (9999, PART_BYTES, PART_BYTES),
    PART_BYTES * 9999 + 1: (10_000, 67_102_154, 67_093_291),
    10**12: (10_000, 100_000_000, 100_000_000),
    5 * 2**40: (10_000, 549_755_814, 549_754_694),
}
FILES = {
    ".zattrs": b"{}",
    "0.1/0": b"xyz",
    "0/.zarray": b"[]",
    "0/0/0": b"abc",
    "0/0/1": b"",
    "1/c/0/0/0": b"deep",
    "a b/\u00fc": b"u",
}
CHECKSUM = "d2f8257a72a2acc9aaba22634327f0b3-7--15"
EMPTY = "481a2f77ab786a0f45aafd5db0971caa-0--0"


@pytest.mark.parametrize("data", TAGS, ids=["one part", "two parts"])
def test_an_entity_tag_is_that_of_the_archive(data):
    digest = BlobDigest(len(data))
    for start in range(0, len(data), 10**6 + 1):
        digest.update(data[start : start + 10**6 + 1])
    assert digest.etag == TAGS[data]
    assert digest.sha256 == hashlib.sha256(data).hexdigest()
    assert etag_of(data, PART_BYTES) == TAGS[data]


@pytest.mark.parametrize("size", PARTS)
def test_a_file_is_divided_as_the_archive_does(size):
    parts = list(parts_of(size))
    assert (len(parts), parts[0].size, parts[-1].size) == PARTS[size]
    assert sum(part.size for part in parts) == size


def checksum_of(files):
    checksum = ZarrChecksum()
    for name in sorted(files, key=str.encode):
        digest = ChunkDigest()
        digest.update(files[name])
        checksum.add(name, len(files[name]), digest.etag)
    return checksum.value


def test_the_checksum_of_a_zarr_is_that_of_the_archive():
    assert checksum_of(FILES) == CHECKSUM
    assert checksum_of({}) == EMPTY
    sizes = {name: (len(d), hashlib.md5(d).hexdigest()) for name, d in FILES.items()}
    assert zarr_checksum_of(sizes) == CHECKSUM


def test_the_checksum_of_any_tree_is_that_of_the_fake_archive():
    random_ = random.Random(3)
    names = ["a", "b", "a.b", "a-b", "0", "1", "10", "c", "zarr.json"]
    for _ in range(200):
        files = {}
        for _ in range(random_.randrange(1, 30)):
            parts = [f"d{random_.choice(names)}" for _ in range(random_.randrange(4))]
            files["/".join([*parts, random_.choice(names)])] = random_.randbytes(3)
        sizes = {name: (len(d), hashlib.md5(d).hexdigest()) for name, d in files.items()}
        assert checksum_of(files) == zarr_checksum_of(sizes)


@pytest.mark.parametrize("given", ["", " ", "a b", "a\nb", "\u00fcber"])
def test_a_token_that_cannot_be_one_is_refused(given):
    with pytest.raises(ConfigurationError, match="DANDI_API_KEY") as caught:
        read_token({"DANDI_API_KEY": given})
    assert not given.strip() or given not in str(caught.value)


WRONG = {
    "000123": "no dandiset",
    "dandi:123": "six digits",
    "dandi:000123/0.1": "no dandiset",
    "s3://bucket/x": "no dandiset",
}


@pytest.mark.parametrize("address", WRONG)
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(IngestError, match=WRONG[address]):
        DandiTarget("/x", address, "dandi", "/r").location()


INSTANCES = {
    "http://example.org/api": "unencrypted",
    "ftp://example.org": "no address",
    "https://user:secret@example.org/api": "plain address",
    "https://example.org/api?token=secret": "plain address",
    "nowhere": "no address",
}


@pytest.mark.parametrize("instance", INSTANCES)
def test_an_instance_that_would_reveal_the_token_is_refused(instance):
    with pytest.raises(ConfigurationError, match=INSTANCES[instance]) as caught:
        DandiTarget("/x", "dandi:000123", instance, "/r").location()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("instance", ["dandi", "https://api.dandiarchive.org/api/"])
def test_an_instance_has_one_address(instance):
    location = DandiTarget("/x", "dandi:000123", instance, "/r").location()
    assert (str(location), location.endpoint_url) == (
        "dandi:000123",
        "https://api.dandiarchive.org/api",
    )


RECORDS = {
    "no JSON": ({"dandiset.json": "{", "assets.json": "{}"}, "no JSON"),
    "missing": ({"dandiset.json": '{"name": "x"}'}, "assets.json is missing"),
    "a list": ({"dandiset.json": '{"name": "x"}', "assets.json": "[]"}, "no object"),
    "no name": ({"dandiset.json": "{}", "assets.json": "{}"}, "has no name"),
    "no object": ({"dandiset.json": '{"name": "x"}', "assets.json": '{"a": 1}'}, "a is no object"),
}


@pytest.mark.parametrize("case", RECORDS)
def test_records_that_cannot_be_used_are_refused(case):
    texts, said = RECORDS[case]
    with pytest.raises(IngestError, match=said):
        parse_records(texts)


def test_records_are_read_from_a_folder_or_from_dandi_in_it(tmp_path):
    with pytest.raises(IngestError, match="there is no"):
        read_records(str(tmp_path))
    for folder in (tmp_path, tmp_path / "dandi"):
        folder.mkdir(exist_ok=True)
        for name in ("dandiset.json", "assets.json"):
            (folder / name).write_text(json.dumps({"name": folder.name}))
        assert json.loads(read_records(str(tmp_path))["assets.json"]) == {"name": folder.name}


def test_the_archive_must_take_the_schema():
    check_schema("0.8.0", "0.8.1", ())
    check_schema("", "0.8.1", ())
    check_schema("0.7.0", "0.8.1", ("0.7.0",))
    with pytest.raises(IngestError, match=r"0\.7\.0"):
        check_schema("0.7.0", "0.8.1", ("0.6.10",))


def test_metadata_that_the_archive_computes_are_not_compared():
    assert is_stated({"name": "x", "version": "draft"}, {"name": "x", "version": "0.1", "more": 1})
    assert not is_stated({"name": "x"}, {"name": "y"})


def test_the_last_line_of_an_asset_counts(tmp_path):
    made = MadeAssets(str(tmp_path / "made"))
    assert made.read() == {}
    made.note("a", "", "m")
    made.note("a", "id", "m")
    made.note("b", "id", "m")
    made.forget("b")
    with (tmp_path / "made").open("ab") as file:
        file.write(b'["c", "torn')
    made.note("d", "id", "m")
    assert made.read() == {"a": Made("id", "m"), "d": Made("id", "m")}


@pytest.fixture
def server():
    started = DandiServer()
    yield started
    started.stop()


@pytest.fixture
def client(server, monkeypatch):
    monkeypatch.setattr(dandi_http, "_FIRST_PAUSE_S", 0.001)
    made = DandiClient(server.api, "000123", TOKEN)
    yield made
    made.close()


def test_pages_are_followed(server, client):
    server.page = 2
    server.storage.blobs["b"] = Blob("b", "x", b"1")
    for name in "abcde":
        metadata = {"path": name, "schemaKey": "Asset", "encodingFormat": "text/plain"}
        client.add_asset(metadata, blob="b")
    server.begin()
    assert [asset.path for asset in client.assets()] == list("abcde")
    assert server.counts() == {"assets": 3}
    with pytest.raises(PathTakenError, match="another asset"):
        client.add_asset({"path": "a", "schemaKey": "Asset", "encodingFormat": "x"}, blob="b")


@pytest.mark.parametrize("fault", ["busy", "drop", "lose"])
def test_a_passing_error_is_tried_again(server, client, fault):
    server.begin(lambda request: fault if request.number <= 3 else "")
    zarr, is_new = client.make_zarr("a.ome.zarr")
    assert [each.zarr_id for each in server.zarrs.values()] == [zarr.zarr_id]
    assert is_new == (fault != "lose")


@pytest.mark.parametrize("fault", ["busy", "idle", "chunked", "drop", "lose"])
def test_a_passing_error_of_the_storage_is_tried_again(server, client, fault):
    zarr, _ = client.make_zarr("a.ome.zarr")
    tag = base64.b64encode(hashlib.md5(b"abc").digest()).decode()
    [address] = client.sign_files(zarr.zarr_id, [("0/0", tag)])
    server.begin(lambda request: fault if request.number <= 3 else "")
    client.put_file("0/0", address, tag, body_of(b"abc"))
    assert server.zarrs[zarr.zarr_id].files["0/0"][0] == b"abc"
    assert len(server.requests) >= 4


def test_the_files_of_a_zarr_are_listed_page_by_page(server, client):
    zarr, _ = client.make_zarr("a.ome.zarr")
    names = [f"0/{number}" for number in range(10)]
    for name in names:
        server.put_chunk(zarr.zarr_id, name, name.encode())
    server.file_page = 3
    server.begin()
    assert sorted(client.zarr_files(zarr.zarr_id)) == names
    assert server.counts() == {"zarr-files": 4}


def test_bytes_that_are_damaged_on_the_way_are_refused(client):
    zarr, _ = client.make_zarr("a.ome.zarr")
    tag = base64.b64encode(hashlib.md5(b"abc").digest()).decode()
    [address] = client.sign_files(zarr.zarr_id, [("0/0", tag)])
    with pytest.raises(RemoteError, match="0/0: the bytes were refused"):
        client.put_file("0/0", address, tag, body_of(b"abd"))


REFUSALS = {
    "token": ("000123", "wrong-token-7Zq", RefusedError, "DANDI_API_KEY"),
    "dandiset": ("000124", TOKEN, RefusedError, "number of the dandiset"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_one_line_without_the_token(server, case):
    dandiset, token, kind, said = REFUSALS[case]
    with (
        closing(DandiClient(server.api, dandiset, token)) as made,
        pytest.raises(kind, match=said) as caught,
    ):
        made.draft()
    assert "\n" not in str(caught.value)
    assert token not in str(caught.value)


def test_a_service_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(dandi_http, "_FIRST_PAUSE_S", 0.001)
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1:9: the service cannot be reached"):
        DandiClient("http://127.0.0.1:9/api", "000123", TOKEN).draft()
