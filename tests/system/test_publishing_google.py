"""Publishing to Google Cloud Storage: statement 20, by the tests for S3, on a stand-in."""

from __future__ import annotations

import pytest
from google_server import start_google
from test_publishing import (  # noqa: F401  # collected here as well
    demo,
    proxy,
    study,
    test_a_dataset_is_published_and_a_second_run_does_nothing,
    test_s4_lost_state_sends_nothing,
    test_s5_an_edited_cell_sends_what_it_touches,
    test_s6_kill_anywhere_leaves_old_or_new,
    test_s7_a_replaced_image_cannot_be_opened_meanwhile,
    test_s7_objects_are_sent_in_their_order,
    test_s13_two_publishers_do_not_mix,
    test_s14_only_own_unchanged_objects_are_pruned,
    test_s15_verify_finds,
)
from test_streaming import (  # noqa: F401  # collected here as well
    test_s19_after_a_kill_only_what_lacks_is_sent,
    test_s19_streamed_images_are_those_that_are_made_here,
)

from spimpack_tasks.remote.errors import ChangedError
from spimpack_tasks.remote.location import Location
from spimpack_tasks.remote.object_store import ObjectStore

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("google")]


@pytest.fixture(scope="module")
def server():
    started = start_google()
    yield started
    started.stop()


def test_one_object_that_is_gone_does_not_keep_the_others(server, monkeypatch):
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    names = [f"{number}" for number in range(200)]
    for name in names[1:]:
        server.write(f"gone/{name}", b"x")
    ObjectStore(Location.parse(server.url("gone"))).delete(names)
    assert server.files("gone") == {}


def test_objects_of_equal_content_are_told_apart(server, monkeypatch):
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    store = ObjectStore(Location.parse(server.url("equal")))
    first, second = store.create("a", b"x"), store.create("b", b"x")
    assert first == second
    store.replace("a", b"y", first)
    with pytest.raises(ChangedError):
        store.replace("a", b"z", first)
    store.replace("b", b"z", second)
    assert server.files("equal") == {"a": b"y", "b": b"z"}
