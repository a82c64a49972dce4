import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from callers import person
from unveil.server.search.batching import Batcher
from waiting import until


class Counting:
    """The real engine, with a gate that holds its first call, and a list of how much it was given."""

    def __init__(self, engine):
        self.engine, self.calls = engine, []
        self.gate = threading.Event()
        self.entered = threading.Event()

    def embed(self, images):
        self.calls.append(len(images))
        self.entered.set()
        assert self.gate.wait(20)
        return self.engine.embed(images)


def test_twenty_at_once_share_calls_of_the_engine_and_get_their_own_results(engine):
    counting = Counting(engine)
    batcher = Batcher(counting, most=32)
    pictures = [person(n) for n in range(20)]
    with ThreadPoolExecutor(20) as pool:
        first = pool.submit(batcher.embed, pictures[:1])
        assert counting.entered.wait(20)
        rest = [pool.submit(batcher.embed, [image]) for image in pictures[1:]]
        until(lambda: len(batcher._waiting) == 19)
        counting.gate.set()
        found = [future.result(20) for future in (first, *rest)]
    batcher.close()
    assert counting.calls == [1, 19]
    for image, embedding in zip(pictures, found, strict=True):
        np.testing.assert_allclose(embedding.vectors, engine.embed([image]).vectors, atol=1e-6)


def test_a_batch_has_a_limit_and_order_is_kept(engine):
    counting = Counting(engine)
    counting.gate.set()
    batcher = Batcher(counting, most=4)
    pictures = [person(n) for n in range(10)]
    embedding = batcher.embed(pictures)
    batcher.close()
    assert max(counting.calls) <= 4 and sum(counting.calls) == 10
    np.testing.assert_allclose(embedding.vectors, engine.embed(pictures).vectors, atol=1e-6)


def test_the_same_crop_is_embedded_once_and_a_turned_one_is_not_the_same(engine):
    counting = Counting(engine)
    batcher = Batcher(counting)
    image = np.ascontiguousarray(person(1)[:64])  # square: turning it keeps the number of bytes
    with ThreadPoolExecutor(5) as pool:
        held = pool.submit(batcher.embed, [person(2)])
        assert counting.entered.wait(20)
        same = [pool.submit(batcher.embed, [image, image.copy()]) for _ in range(2)]
        other = pool.submit(batcher.embed, [np.ascontiguousarray(image.transpose(1, 0, 2))])
        until(lambda: len(batcher._waiting) == 2)
        counting.gate.set()
        for future in (held, *same, other):
            future.result(20)
    batcher.close()
    assert counting.calls == [1, 2]
    assert len(same[0].result()) == 2
    assert not np.allclose(same[0].result().vectors[0], other.result().vectors[0])


def test_a_crop_that_the_engine_refuses_harms_only_who_sent_it(engine):
    counting = Counting(engine)
    batcher = Batcher(counting)
    with ThreadPoolExecutor(5) as pool:
        held = pool.submit(batcher.embed, [person(0)])
        assert counting.entered.wait(20)
        bad = pool.submit(batcher.embed, [np.zeros((8, 8, 4), np.uint8)])
        good = pool.submit(batcher.embed, [person(1)])
        until(lambda: len(batcher._waiting) == 2)
        counting.gate.set()
        with pytest.raises(ValueError, match="expected"):
            bad.result(20)
        assert len(good.result(20)) == 1 and len(held.result(20)) == 1
    batcher.close()


def test_a_closed_batcher_takes_nothing_more(engine):
    batcher = Batcher(engine)
    batcher.close()
    with pytest.raises(RuntimeError, match="closed"):
        batcher.embed([person(0)])
