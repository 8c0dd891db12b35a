"""Publishing to Azure, whose entity tags are no MD5: statement 20, by the tests for S3."""

from __future__ import annotations

import pytest
from azure_server import start_azure
from test_publishing import (  # noqa: F401  # collected here as well
    demo,
    proxy,
    study,
    test_a_dataset_is_published_and_a_second_run_does_nothing,
    test_s4_lost_state_sends_nothing,
    test_s5_an_edited_cell_sends_what_it_touches,
    test_s6_kill_anywhere_leaves_old_or_new,
    test_s7_a_replaced_image_cannot_be_opened_meanwhile,
    test_s13_two_publishers_do_not_mix,
    test_s14_only_own_unchanged_objects_are_pruned,
    test_s15_verify_finds,
)
from test_streaming import (  # noqa: F401  # collected here as well
    test_s19_after_a_kill_only_what_lacks_is_sent,
    test_s19_streamed_images_are_those_that_are_made_here,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("azure")]


@pytest.fixture(scope="module")
def server():
    started = start_azure()
    yield started
    started.stop()
