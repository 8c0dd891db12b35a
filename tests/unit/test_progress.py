"""How far a task has come is told, seldom, and never at the expense of the work."""

from __future__ import annotations

from itertools import pairwise

import luigi
import pytest
from luigi.rpc import RPCError

from spimpack_tasks.luigi_setup import progress_of
from spimpack_tasks.progress import INTERVAL_S, Progress


class Listener:
    """Hears what is told, on a clock that the test moves."""

    def __init__(self, *, wants_more: bool = True, takes_s: float = 0) -> None:
        self.now = 100.0
        self.heard: list[tuple[float, int, str]] = []
        self.wants_more = wants_more
        self.takes_s = takes_s
        self.progress = Progress(self.tell, lambda: self.now)

    def tell(self, percentage: int, message: str) -> bool:
        self.heard.append((self.now, percentage, message))
        self.now += self.takes_s
        return self.wants_more

    def work(self, steps: int, step_s: float) -> None:
        for step in range(steps):
            self.progress.reach(step, steps, "chunks")
            self.now += step_s


@pytest.mark.parametrize(
    ("steps", "step_s", "tellings"),
    [
        pytest.param(1000, 0.001, 0, id="short work is not told of"),
        pytest.param(4000, 0.0025, 4, id="many short steps"),
        pytest.param(5, 10.0, 4, id="long steps, each told of"),
        pytest.param(0, 1.0, 0, id="nothing to do"),
    ],
)
def test_progress_is_told_seldom(steps: int, step_s: float, tellings: int) -> None:
    listener = Listener()
    listener.work(steps, step_s)
    assert len(listener.heard) == tellings
    times = [100.0, *(time for time, _, _ in listener.heard)]
    assert all(later - time >= INTERVAL_S for time, later in pairwise(times))
    percentages = [percentage for _, percentage, _ in listener.heard]
    assert percentages == sorted(percentages)
    assert all(0 <= percentage <= 100 for percentage in percentages)


def test_a_message_says_how_much_of_what() -> None:
    listener = Listener()
    listener.now += INTERVAL_S
    listener.progress.reach(1250, 5000, "MB")
    assert listener.heard == [(102.0, 25, "1,250 of 5,000 MB")]


def test_nothing_in_all_is_no_error() -> None:
    listener = Listener()
    listener.now += INTERVAL_S
    listener.progress.reach(0, 0, "bytes")
    assert [percentage for _, percentage, _ in listener.heard] == [0]


def test_who_wants_no_more_is_left_alone() -> None:
    listener = Listener(wants_more=False)
    listener.work(100, 1.0)
    assert len(listener.heard) == 1


def test_a_slow_listener_is_not_told_all_the_time() -> None:
    listener = Listener(takes_s=30.0)
    listener.work(10, 1.0)
    assert [time for time, _, _ in listener.heard] == [102.0, 134.0, 166.0, 198.0]


class Task(luigi.Task):
    """A task whose requests a test can make fail."""

    def connect(self, *, fails: bool = False) -> list[object]:
        requests: list[object] = []

        def request(value: object) -> None:
            requests.append(value)
            if fails:
                raise RPCError("away")

        self.set_status_message = self.set_progress_percentage = request
        return requests


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spimpack_tasks.progress.INTERVAL_S", 0)


@pytest.mark.usefixtures("at_once")
def test_the_scheduler_gets_message_and_percentage() -> None:
    task = Task()
    requests = task.connect()
    progress_of(task).reach(1, 4, "images made")
    assert requests == ["1 of 4 images made", 25]


@pytest.mark.usefixtures("at_once")
def test_a_scheduler_that_is_away_is_asked_once_and_fails_no_task() -> None:
    task = Task()
    requests = task.connect(fails=True)
    progress = progress_of(task)
    for step in range(3):
        progress.reach(step, 3, "images made")
    assert requests == ["0 of 3 images made"]


@pytest.mark.usefixtures("at_once")
def test_a_task_without_a_worker_tells_nobody() -> None:
    progress_of(Task()).reach(1, 4, "images made")
