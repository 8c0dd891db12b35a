"""Addresses, credentials, digests, limits and processes of object stores, without a server."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest

from spimpack_tasks.errors import (
    ConflictError,
    InputError,
    MissingExtraError,
    OutputError,
    Place,
    Problem,
    Report,
    SpimpackError,
    UsageError,
)
from spimpack_tasks.files.atomic import Durability, replacing
from spimpack_tasks.files.processes import has_ended, identify_processes, start_of_process
from spimpack_tasks.publishing.journal import Journal
from spimpack_tasks.publishing.publication import Publication
from spimpack_tasks.remote.credentials import (
    CredentialsError,
    find_credentials,
    find_endpoint,
    profile_names,
)
from spimpack_tasks.remote.errors import ExpiredError, RefusedError, RemoteError, translate
from spimpack_tasks.remote.etags import digest_of
from spimpack_tasks.remote.isolated import IsolatedWorkError, run_isolated
from spimpack_tasks.remote.location import Location, LocationError, is_remote
from spimpack_tasks.remote.object_store import is_tamper_proof
from spimpack_tasks.remote.rate import ByteBudget, RateLimit, parse_rate
from spimpack_tasks.state.store import Store
from spimpack_tasks.volumes.errors import HeaderError, SourceRefusedError

SOUND = {
    "s3://lab/study": ("s3", "lab", "study"),
    "s3://lab": ("s3", "lab", ""),
    "s3://lab/": ("s3", "lab", ""),
    "s3://my.bucket-1/a/b c+%20#ü/": ("s3", "my.bucket-1", "a/b c+%20#ü"),
    "gs://Lab_1/x": ("gs", "Lab_1", "x"),
    "az://container/x": ("az", "container", "x"),
}


@pytest.mark.parametrize("url", SOUND)
def test_an_address_is_taken_apart(url):
    found = Location.parse(url)
    assert (found.scheme, found.bucket, found.prefix) == SOUND[url]
    assert str(found) == url.rstrip("/")


WRONG = {
    "lab/study": "scheme",
    "s4://lab/study": "s3://",
    "s3://": "bucket is missing",
    "s3:///x": "bucket is missing",
    "s3://LAB/x": "lower case",
    "s3://ab/x": "'ab'",
    "s3://lab/a//b": "empty part",
    "s3://lab/../b": "empty part",
    "s3://lab/a\\b": "backslash",
    "s3://lab\\b": "name of a bucket",
    "s3://key:s3cr3t@lab/x": "profile",
    "s3://key:s3/s3cr3t@lab/x": "profile",
    "s3://lab/x?X-Amz-Signature=s3cr3t": "profile",
    "az://lab/x?sig=s3cr3t": "profile",
}


@pytest.mark.parametrize("url", WRONG)
def test_a_wrong_address_is_refused_without_its_secret(url):
    with pytest.raises(LocationError) as refused:
        Location.parse(url)
    assert WRONG[url] in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("url", ["ftp://x", "s3.example.org", "https://u:s3cr3t@host"])
def test_a_wrong_endpoint_is_refused_without_its_secret(url):
    with pytest.raises(LocationError) as refused:
        Location.parse("s3://lab/x", url)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "expected"), [("s3://lab", True), ("C:\\x", False), ("/a", False), ("a:b", False)]
)
def test_addresses_are_told_from_paths(text, expected):
    assert is_remote(text) is expected


KEYS = {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "env-secret"}
CREDENTIALS_FILE = """\
[default]
aws_access_key_id = AKIADEFAULT
aws_secret_access_key = default-secret
[lab]
aws_access_key_id = AKIALAB
aws_secret_access_key = lab-secret
aws_session_token = lab-token
"""
CONFIGURATION_FILE = """\
[profile lab]
region = eu-central-1
endpoint_url = https://s3.lab.example.org
[profile process]
credential_process = cat {answer}
[profile broken]
credential_process = false
[profile sso]
sso_session = lab
"""


@pytest.fixture
def files(tmp_path):
    """Return the variables that name a configuration with profiles."""
    answer = {"Version": 1, "AccessKeyId": "AKIAP", "SecretAccessKey": "p-secret"}
    (tmp_path / "answer").write_text(json.dumps(answer))
    (tmp_path / "credentials").write_text(CREDENTIALS_FILE)
    (tmp_path / "config").write_text(CONFIGURATION_FILE.format(answer=tmp_path / "answer"))
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


ORDER = {
    # environment beside the files, profile that is named: key that counts, where it was found
    "environment first": (KEYS, "", "AKIAENV", "environment"),
    "named profile before environment": (KEYS, "lab", "AKIALAB", "'lab'"),
    "variable with a profile": ({"AWS_PROFILE": "lab"}, "", "AKIALAB", "'lab'"),
    "environment before that variable": (KEYS | {"AWS_PROFILE": "lab"}, "", "AKIAENV", "envir"),
    "default profile": ({}, "", "AKIADEFAULT", "'default'"),
}


@pytest.mark.parametrize("case", ORDER)
def test_credentials_are_found_in_the_order_of_the_aws_command_line(files, case):
    variables, profile, key, source = ORDER[case]
    location = Location.parse("s3://lab/x", profile=profile)
    found = find_credentials(location, files | variables)
    assert found.keys["access_key_id"] == key
    assert source in found.source
    secrets = {"env-secret", "lab-secret", "default-secret", "lab-token"}
    assert not any(secret in repr(found) for secret in secrets)
    # A token of the environment must not be mixed with keys of a profile.
    assert ("token" in found.keys) is (key == "AKIALAB")


def test_a_profile_may_name_a_program(files):
    found = find_credentials(Location.parse("s3://lab/x", profile="process"), files)
    assert found.keys == {"access_key_id": "AKIAP", "secret_access_key": "p-secret"}


def test_a_profile_names_region_and_service(files):
    location = Location.parse("s3://lab/x", profile="lab")
    found = find_credentials(location, files)
    assert (found.region, found.endpoint_url) == ("eu-central-1", "https://s3.lab.example.org")
    other = files | {"AWS_ENDPOINT_URL": "https://other.example.org"}
    assert find_endpoint(location, other) == "https://other.example.org"
    given = Location.parse("s3://lab/x", "https://given.example.org", "lab")
    assert find_endpoint(given, other) == "https://given.example.org"


NONE = {
    "nothing at all": ({"AWS_SHARED_CREDENTIALS_FILE": "/none"}, "", "AWS_ACCESS_KEY_ID"),
    "unknown profile": ({}, "nobody", "'nobody'"),
    "half of a pair": ({"AWS_ACCESS_KEY_ID": "AKIA"}, "", "AWS_SECRET_ACCESS_KEY"),
    "only the secret": ({"AWS_SECRET_ACCESS_KEY": "s"}, "", "AWS_ACCESS_KEY_ID"),
    "single sign-on": ({}, "sso", "export-credentials"),
    "failing process": ({}, "broken", "credential_process"),
}


@pytest.mark.parametrize("case", NONE)
def test_missing_credentials_are_told_with_the_remedy(files, case):
    variables, profile, said = NONE[case]
    location = Location.parse("s3://lab/x", profile=profile)
    with pytest.raises(CredentialsError, match=said):
        find_credentials(location, files | variables)


def test_i17_8_profiles_are_named_without_their_keys(files):
    with open(files["AWS_CONFIG_FILE"], "a") as file:
        file.write("[sso-session lab]\nsso_region = eu-central-1\n[services x]\n")
    assert profile_names(files) == ["broken", "default", "lab", "process", "sso"]
    nowhere = {"AWS_SHARED_CREDENTIALS_FILE": "/none", "AWS_CONFIG_FILE": "/none"}
    assert profile_names(nowhere) == []


def test_a_damaged_configuration_is_not_quoted(files, tmp_path):
    (tmp_path / "credentials").write_text("aws_secret_access_key = s3cr3t\n")
    with pytest.raises(CredentialsError) as refused:
        find_credentials(Location.parse("s3://lab/x"), files)
    assert "s3cr3t" not in str(refused.value)


MIB = 2**20


@pytest.mark.parametrize("size", [0, 1, 16 * MIB - 1, 16 * MIB, 16 * MIB + 1, 33 * MIB])
def test_entity_tags_are_those_of_s3(size):
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    digest = digest_of(data)
    if size <= 16 * MIB:
        expected = hashlib.md5(data).hexdigest()
    else:
        parts = [data[at : at + 16 * MIB] for at in range(0, size, 16 * MIB)]
        joined = b"".join(hashlib.md5(part).digest() for part in parts)
        expected = f"{hashlib.md5(joined).hexdigest()}-{len(parts)}"
    assert digest.etag == expected
    assert (digest.size, digest.sha256) == (size, hashlib.sha256(data).hexdigest())


ERRORS = {
    "403 Forbidden: <Code>ExpiredToken</Code>": (ExpiredError, "expired"),
    "403 Forbidden: <Code>AccessDenied</Code>": (RefusedError, "AWS_SECRET_ACCESS_KEY, or name a"),
    "404 Not Found: <Code>NoSuchBucket</Code>": (RefusedError, "no such bucket"),
    "301 Moved: <Code>PermanentRedirect</Code>": (RefusedError, "AWS_REGION"),
    "400 Bad Request": (RefusedError, "--endpoint-url"),
    "503 Slow Down: <Code>SlowDown</Code>": (RemoteError, "busy"),
    "500 Internal": (RemoteError, "later"),
    "400: <Code>XAmzContentSHA256Mismatch</Code>": (RemoteError, "damaged"),
}


@pytest.mark.parametrize("answer", ERRORS)
def test_errors_are_one_line_without_the_request(answer):
    kind, said = ERRORS[answer]
    text = f"Error performing PUT http://h/lab/x?sig=s3cr3t in 1ms - status code: {answer}\nDebug"
    found = translate(ValueError(text), Location.parse("s3://lab/x"), "writing a")
    assert type(found) is kind
    assert said in str(found)
    assert "s3cr3t" not in str(found)
    assert "\n" not in str(found)


def test_a_rate_is_kept_by_all_threads_together():
    slept = []
    limit = RateLimit(100.0, clock=lambda: 0.0, sleep=slept.append)
    for _ in range(4):
        limit.wait(50)
    assert slept == [0.5, 1.0, 1.5, 2.0]
    RateLimit(0, clock=lambda: 0.0, sleep=slept.append).wait(10**12)
    assert len(slept) == 4


RATES = {
    "5M": 5_000_000,
    "500k": 500_000,
    "1.5MB/s": 1_500_000,
    "2G": 2_000_000_000,
    "7": 7,
    "0.5": 1,  # never none, which is no limit
    "0": 0,
    "abc": None,
    "-5M": None,
    "5 m": None,
    "5Mi": None,
    "٣": None,
    "": None,
}


@pytest.mark.parametrize("text", RATES)
def test_i17_10_rates_are_read(text):
    if RATES[text] is None:
        with pytest.raises(ValueError, match="5M, for 5,000,000 bytes a second"):
            parse_rate(text)
    else:
        assert parse_rate(text) == RATES[text]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--limit-rate", "abc", "'abc' is no rate; write it as 5M"),
        ("--limit-rate", "0", "would send nothing"),
        ("--price-per-1000-requests", "-1", "'-1' is no price; write it as 0.005"),
        ("--price-per-1000-requests", "nan", "'nan' is no price"),
    ],
)
def test_i17_10_wrong_numbers_are_told_in_words(option, value, said, capsys):
    from spimpack_tasks.cli.main import main

    assert exit_code(main, ["publish", "bids", "s3://lab/x", f"{option}={value}"]) == 2
    text = capsys.readouterr().err
    assert said in text
    assert "_rate" not in text.replace("--limit-rate", "")


def exit_code(main, words):
    try:
        return main(words)
    except SystemExit as error:
        return error.code


def test_i17_10_luigi_reads_rates_as_well():
    from spimpack_tasks import PublishDataset

    parameter = dict(PublishDataset.get_params())["limit_rate"]
    assert parameter.parse("5M") == 5_000_000
    assert parameter.parse(parameter.serialize(5_000_000)) == 5_000_000


def test_bytes_in_memory_are_bounded():
    budget, most, now, lock = ByteBudget(100), [0], [0], threading.Lock()

    def hold(count):
        with budget.holding(count):
            with lock:
                now[0] += min(count, 100)
                most[0] = max(most[0], now[0])
            time.sleep(0.005)
            with lock:
                now[0] -= min(count, 100)

    threads = [threading.Thread(target=hold, args=(count,)) for count in [60, 60, 30, 500, 10] * 4]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert most[0] <= 100
    assert now[0] == 0


def test_isolated_work_returns_and_tells():
    heard = []
    here = os.getpid()

    def work(tell):
        threads = [threading.Thread(target=tell, args=((n, "x" * 70_000),)) for n in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return os.getpid()

    assert run_isolated(work, heard.append) != here
    assert sorted(n for n, _ in heard) == list(range(8))
    assert {len(text) for _, text in heard} == {70_000}


def test_isolated_work_raises_what_it_raised():
    def refuse(_):
        message = "the disk is full"
        raise OutputError(message)

    with pytest.raises(OutputError, match="the disk is full"):
        run_isolated(refuse)
    with pytest.raises(IsolatedWorkError, match="ZeroDivisionError"):
        run_isolated(lambda _: 1 / 0)
    with pytest.raises(IsolatedWorkError, match="killed"):
        run_isolated(lambda _: os.kill(os.getpid(), signal.SIGKILL))


PLACE = Place("scans.tsv", 2, 1)
REPORT = Report([Problem("file.missing", PLACE, "spim_path", "is not there", "look")])
RAISED = {
    "plain": OutputError("the disk is full"),
    "missing extra": MissingExtraError("obstore", "publish"),
    "report": InputError(REPORT),
    "conflict": ConflictError(REPORT),
    "usage": UsageError("give a path", "spimpack publish"),
    "source": SourceRefusedError("source.content", "is damaged", "get another one"),
    "header": HeaderError("a.tif", "is damaged"),
}


@pytest.mark.parametrize("name", RAISED)
def test_each_error_of_ours_comes_out_as_it_is(name):
    raised = RAISED[name]

    def refuse(_):
        raise raised

    with pytest.raises(type(raised)) as caught:
        run_isolated(refuse)
    assert str(caught.value) == str(raised)
    assert caught.value.exit_code == raised.exit_code
    if isinstance(raised, InputError):
        assert caught.value.report.lines() == REPORT.lines()


def test_an_error_of_the_system_keeps_its_file():
    with pytest.raises(FileNotFoundError) as caught:
        run_isolated(lambda _: os.stat("/no/such/file"))
    assert (caught.value.errno, caught.value.filename) == (2, "/no/such/file")


def test_isolated_work_ends_with_its_parent(tmp_path):
    """A child whose parent was killed ends at its next message."""
    alive = tmp_path / "alive"
    parent = os.fork()
    if not parent:

        def work(tell):
            alive.write_text(str(os.getpid()))
            while True:
                tell(1)
                time.sleep(0.01)

        run_isolated(work)
    while not (alive.exists() and alive.read_text()):
        time.sleep(0.01)
    child = int(alive.read_text())
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    for _ in range(500):
        try:
            os.kill(child, 0)
            with open(f"/proc/{child}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child outlives its parent")


def test_a_storage_account_of_azure_names_its_service():
    location = Location.parse("az://container/x")
    account = {"AZURE_STORAGE_ACCOUNT_NAME": "us"}
    assert find_endpoint(location, account) == "https://us.blob.core.windows.net"
    other = account | {"AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:1/us"}
    assert find_endpoint(location, other) == "http://127.0.0.1:1/us"
    with pytest.raises(CredentialsError, match="AZURE_STORAGE_ACCOUNT_NAME"):
        find_credentials(location, {})


@pytest.mark.parametrize(
    ("endpoint_url", "expected"),
    [
        ("", True),  # the service of Amazon, by TLS
        ("https://minio.lab.edu:9000", True),
        ("HTTPS://minio.lab.edu", True),
        ("http://minio.lab.edu:9000", False),
        ("http://127.0.0.1:9000", True),
        ("http://localhost:9000", True),
        ("http://[::1]:9000", True),
        ("http://127.0.0.1.lab.edu", False),
        ("http://localhost.lab.edu", False),
        ("http://10.0.0.1:9000", False),
    ],
)
def test_only_tls_and_the_machine_itself_keep_content_as_it_is(endpoint_url, expected):
    assert is_tamper_proof(endpoint_url) is expected


def test_i17_11_a_full_disk_is_told_with_its_path(tmp_path):
    with pytest.raises(OSError, match="No space left") as refused, Full(tmp_path / "record"):
        pass
    assert refused.value.filename == str(tmp_path / "record")
    with pytest.raises(OSError, match="No space left") as refused:
        Journal("/dev/full")
    assert refused.value.filename == "/dev/full"


@contextmanager
def Full(path):  # noqa: N802  # stands for a place
    """Write a file on a disk that is full."""
    with replacing(str(path), Durability.WHOLE) as aside:
        with open("/dev/full", "wb", buffering=0) as full:
            os.dup2(full.fileno(), aside.file.fileno())
        aside.file.write(b"x")
        yield


def test_i17_11_a_dataset_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    store = Store(str(tmp_path))
    store.create()
    publication = Publication(store, Location.parse("s3://lab/x"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SpimpackError, match=r"keeps records in \.spimpack of the dataset"):
        publication.create()

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path))

    monkeypatch.setattr(os, "makedirs", refuse)
    with pytest.raises(SpimpackError, match=r"keeps records in \.spimpack of the dataset"):
        publication.create()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("ended", True),
        ("runs", False),
        ("other start", True),
        ("other machine", False),
        ("unknown start", False),
    ],
)
def test_i17_09_a_process_is_known_to_have_ended(state, expected):
    process = subprocess.Popen(["sleep", "60"])
    started, machine = start_of_process(process.pid), identify_processes()
    if state == "ended":
        process.kill()
        process.wait()
    started = {"other start": "1", "unknown start": ""}.get(state, started)
    machine = "elsewhere" if state == "other machine" else machine
    try:
        assert has_ended(process.pid, started, machine) is (expected and bool(machine))
    finally:
        process.kill()
        process.wait()


def test_i17_11_what_is_not_certain_is_no_credential(files, tmp_path):
    gs = find_credentials(Location.parse("gs://lab/x"), {})
    assert (gs.is_certain, "GOOGLE_APPLICATION_CREDENTIALS" in gs.source) == (
        os.path.isfile(os.path.expanduser("~/.config/gcloud/application_default_credentials.json")),
        True,
    )
    given = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path)}
    assert find_credentials(Location.parse("gs://lab/x"), given).is_certain
    assert find_credentials(Location.parse("s3://lab/x"), files).is_certain
    nothing = {"AWS_SHARED_CREDENTIALS_FILE": "/none", "AWS_CONFIG_FILE": "/none"}
    assert not find_credentials(Location.parse("s3://lab/x"), nothing).is_certain
