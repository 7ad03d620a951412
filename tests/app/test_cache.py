"""The cache that all sessions share: bounded in bytes, and safe between threads."""

import threading

import pytest

from app.cache import LRU


def test_what_was_not_asked_for_the_longest_is_forgotten_first():
    cache = LRU(30)
    for key in "abc":
        cache.put(key, key.upper(), 10)
    assert cache.get("a") == "A"  # now b is the oldest
    cache.put("d", "D", 10)
    assert [cache.get(key) for key in "abcd"] == ["A", None, "C", "D"]
    assert (len(cache), cache.nbytes) == (3, 30)


def test_as_many_are_forgotten_as_a_large_one_needs():
    cache = LRU(30)
    for key in "abc":
        cache.put(key, key, 10)
    cache.put("large", 1, 25)
    assert [cache.get(key) for key in ("a", "b", "c", "large")] == [None, None, None, 1]
    assert cache.nbytes == 25


def test_what_alone_is_too_large_is_not_kept_and_pushes_nothing_out():
    cache = LRU(30)
    cache.put("a", 1, 10)
    cache.put("huge", 2, 31)
    assert cache.get("huge") is None
    assert cache.get("a") == 1
    cache.put("a", 3, 31)  # the old value is no longer true either
    assert cache.get("a") is None
    assert (len(cache), cache.nbytes) == (0, 0)


def test_a_new_value_replaces_the_old_one_and_its_bytes():
    cache = LRU(30)
    cache.put("a", 1, 20)
    cache.put("a", 2, 5)
    assert (cache.get("a"), cache.nbytes, len(cache)) == (2, 5, 1)


def test_a_cache_of_no_bytes_keeps_nothing():
    cache = LRU(0)
    cache.put("a", 1, 1)
    assert cache.get("a") is None


@pytest.mark.parametrize("threads", [8])
def test_threads_may_use_it_at_once(threads):
    cache, failures = LRU(50), []
    ready = threading.Barrier(threads)

    def work(number):
        ready.wait()
        try:
            for i in range(3000):
                key = (i * number) % 17
                value = cache.get(key)
                assert value is None or value == key
                cache.put(key, key, key)
        except Exception as error:
            failures.append(error)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(1, threads + 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    assert cache.nbytes == sum(key for key in range(17) if cache.get(key) is not None) <= 50
