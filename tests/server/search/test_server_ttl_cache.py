"""What is held for callers in memory: for how long, and who has to give way."""

from unveil.server.search.ttl_cache import TTLCache


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_a_cache_gives_to_the_owner_and_lets_go_by_number_size_and_time():
    clock = Clock()
    cache = TTLCache(3, 100, seconds=10, clock=clock)
    first = cache.put("anna", "1", size=40)
    assert cache.get("anna", first) == "1" and cache.get("ben", first) is None and cache.get("anna", "x") is None
    second, third = cache.put("anna", "2", size=30), cache.put("anna", "3", size=30)
    cache.get("anna", first)
    fourth = cache.put("anna", "4", size=10)  # too many and too large: the one unused for longest goes
    assert [cache.get("anna", n) for n in (first, second, third, fourth)] == ["1", None, "3", "4"]
    clock.now += 11
    assert cache.get("anna", first) is None and len(cache) == 0
    assert cache.get("anna", cache.put("anna", "huge", size=101)) is None


def test_many_small_things_of_one_push_out_nothing_of_others():
    cache = TTLCache(20, 1000, seconds=10)
    bens = cache.put("ben", "ben's")
    annas = [cache.put("anna", n) for n in range(200)]
    assert cache.get("ben", bens) == "ben's" and len(cache) == 20
    assert [cache.get("anna", name) for name in annas[-19:]] == list(range(181, 200))


def test_large_things_of_one_push_out_nothing_of_others():
    cache = TTLCache(20, 1000, seconds=10)
    bens = [cache.put("ben", n, size=100) for n in range(3)]
    for n in range(50):
        cache.put("anna", n, size=150)
    assert [cache.get("ben", name) for name in bens] == [0, 1, 2]


def test_number_and_size_are_weighed_by_what_may_be_held_of_each():
    cache = TTLCache(20, 100, seconds=10)
    small, large = [cache.put("ben", n, size=10) for n in range(4)], [cache.put("anna", n, size=60) for n in range(2)]
    assert [cache.get("ben", name) for name in small] == [0, 1, 2, 3]
    assert [cache.get("anna", name) for name in large] == [None, 1]
    cache = TTLCache(4, 100, seconds=10)
    large, small = cache.put("ben", "large", size=30), [cache.put("anna", n) for n in range(4)]
    assert cache.get("ben", large) == "large"
    assert [cache.get("anna", name) for name in small] == [None, 1, 2, 3]


def test_what_somebody_let_go_of_is_not_counted_as_his():
    cache = TTLCache(10, 100, seconds=10)
    cache.put("anna", "gone", size=60)
    kept = cache.put("anna", "kept", size=30)
    cache.change(lambda value: None if value == "gone" else value)
    bens, cleos = cache.put("ben", "ben's", size=40), cache.put("cleo", "cleo's", size=40)
    assert cache.get("anna", kept) == "kept" and cache.get("ben", bens) is None and cache.get("cleo", cleos) == "cleo's"
    cache = TTLCache(4, 100, seconds=10)
    annas = [cache.put("anna", n) for n in range(3)]
    cache.change(lambda n: n or None)
    bens = [cache.put("ben", 10 + n) for n in range(2)]
    cache.put("cleo", 20)  # anna and ben hold two each, and anna's are older
    assert [cache.get("anna", name) for name in annas] == [None, None, 2]
    assert [cache.get("ben", name) for name in bens] == [10, 11]


def test_values_are_changed_and_dropped_in_place():
    cache = TTLCache(10, 100, seconds=10)
    names = [cache.put("anna", n, size=10) for n in range(4)]
    cache.change(lambda n: None if n % 2 else n + 10)
    assert [cache.get("anna", name) for name in names] == [10, None, 12, None]
    assert sorted(cache.values()) == [10, 12] and len(cache) == 2
