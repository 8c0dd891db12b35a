"""One image over workers of a real luigid, of which some die: the image has the same bytes."""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cluster import Cluster, end, phase_out, shorten, wait_until
from test_divided_runs import IMAGE, SPLIT, WHOLE, again, space_of
from workspace import STATE, Workspace, leftovers

from spimpack_tasks.errors import ExitCode
from spimpack_tasks.model.buckets import PART


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    workspace = space_of(tmp_path / "data", (1, 1, 1024, 64, 64))
    workspace.write()
    return workspace


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    environment = {"LUIGI_CONFIG_PATH": str(shorten(tmp_path))}
    with Cluster(tmp_path / "cluster", environment) as cluster:
        yield cluster


def notes(space: Workspace) -> set[str]:
    return {note.name for note in (space.out / STATE / "unfinished").glob("*/*/.parts/*-16")}


def makers(space: Workspace) -> Counter[str]:
    """Return how many parts each process has made, by the logs of the runs."""
    made: Counter[str] = Counter()
    for log in (space.out / STATE / "runs").glob("*.jsonl"):
        lines = map(json.loads, log.read_text().splitlines())
        made[log.name] += sum(line.get("task") == PART and not line["error"] for line in lines)
    return made


def check(space: Workspace) -> None:
    found = space.tree()
    whole = replace(space, root=again(space))
    assert whole.run(backend=WHOLE).exit_code == ExitCode.OK
    assert found == whole.tree()
    assert list((space.out / STATE / "unfinished").iterdir()) == []
    assert not leftovers(space.out)


@pytest.mark.slow
@pytest.mark.parametrize("assistants", [1, 2])
def test_21_workers_share_an_image(cluster: Cluster, space: Workspace, assistants: int) -> None:
    split = ("--backend", SPLIT)
    names = [f"assistant {number}" for number in range(assistants)]
    helping = [cluster.start_worker(name, space, *split, "--assistant") for name in names]
    main = cluster.start_worker("main", space, *split)
    assert end(main) == ExitCode.OK, cluster.log("main")
    assert [phase_out(each) for each in helping] == [ExitCode.OK] * assistants
    made = makers(space)
    assert sum(made.values()) == 16
    assert sum(count > 0 for count in made.values()) == assistants + 1, made
    check(space)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_21_workers_die_and_the_others_do_the_rest(
    cluster: Cluster, space: Workspace, seed: int
) -> None:
    split, rng = ("--backend", SPLIT), random.Random(seed)
    dying = cluster.start_worker("dying", space, *split, "--assistant")
    main = cluster.start_worker("main", space, *split, "--workers", "2")
    wait_until("some parts are there", lambda: len(notes(space)) >= rng.randint(2, 8))
    os.killpg(dying.pid, signal.SIGKILL)
    assert end(main) == ExitCode.OK, cluster.log("main")
    check(space)


@pytest.mark.slow
def test_21_all_workers_die_and_the_next_run_makes_only_what_is_missing(
    cluster: Cluster, space: Workspace
) -> None:
    split = ("--backend", SPLIT)
    main = cluster.start_worker("main", space, *split, "--workers", "2")
    wait_until("some parts are there", lambda: len(notes(space)) >= 5)
    os.killpg(main.pid, signal.SIGKILL)
    main.wait()
    there = notes(space)
    assert not (space.out / IMAGE).exists()
    before = sum(makers(space).values())
    next_run = cluster.start_worker("next", space, *split, "--workers", "3")
    assert end(next_run) == ExitCode.OK, cluster.log("next")
    # A part may have been noted just before its task could log its end.
    assert sum(makers(space).values()) - before == 16 - len(there)
    check(space)
