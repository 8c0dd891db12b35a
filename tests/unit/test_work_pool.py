"""The pool of threads: what is written counts until it is on the disk."""

from threading import Event, Thread

import pytest

from spimpack_tasks.arrays.parallel import WorkPool


def test_s3_each_thread_waits_for_what_another_one_waits_for():
    may_end, is_done = Event(), Event()

    def write():
        may_end.wait(10)
        is_done.set()

    with WorkPool(1) as pool:
        pool.write(1, write)
        found = []

        def wait():
            pool.settle()
            found.append(is_done.is_set())

        threads = [Thread(target=wait) for _ in range(3)]
        for thread in threads:
            thread.start()
            thread.join(0.1)
        may_end.set()
        for thread in threads:
            thread.join()
    assert found == [True, True, True]


def test_s3_what_could_not_be_written_is_not_forgotten():
    def write():
        raise OSError(28, "No space left on device")

    with WorkPool(1) as pool:
        pool.write(1, write)
        pool.write(1, lambda: None)
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                pool.settle()
