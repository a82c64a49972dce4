"""Properties of every benchmark protocol: no query matches itself or what is junk, and order changes nothing."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.data.readers import ccvid, deepchange, grid, ltcc, market1501, pes3d, prcc, vc_clothes
from unveil.datasets import READERS, options_of, reader
from unveil.errors import DataError, ProtocolError
from unveil.evaluation.protocols import labels, select
from unveil.records import Sample

PROTOCOLS = [
    *prcc.PROTOCOLS,
    *ltcc.PROTOCOLS,
    *vc_clothes.PROTOCOLS,
    *deepchange.PROTOCOLS,
    *ccvid.PROTOCOLS,
    *pes3d.LAYOUT.protocols,
    *grid.LAYOUT.protocols,
    market1501.MARKET,
]
row = st.tuples(
    st.integers(0, 2),
    st.sampled_from(["A", "B", "C", "2", "3", "4"]),
    st.integers(0, 1),
    st.integers(0, 2),
    st.booleans(),
)


def matches(samples, protocol):
    """Pairs of keys that count, and the queries and gallery crops that take part."""
    query, gallery = select(samples, protocol)
    rows, crops, junk = labels(samples, query, gallery=gallery, protocol=protocol).pairs(slice(0, len(query)))
    by_key = [s.key for s in samples]
    return {(by_key[query[r]], by_key[gallery[c]]) for r, c, out in zip(rows, crops, junk, strict=True) if not out}, {
        by_key[q] for q in query
    }


@settings(max_examples=40, deadline=None)
@given(st.lists(row, min_size=4, max_size=14), st.randoms(use_true_random=False))
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_matches_obey_the_protocol_and_do_not_depend_on_order(protocol, rows, rng):
    samples = [
        Sample(
            f"{i:02d}", data=b"x", person=str(p), camera=c, clothes=f"{p}-{o}", tracklet=f"{p}-{t}",
            split="query" if is_query else "gallery",
        )
        for i, (p, c, o, t, is_query) in enumerate(rows)
    ]  # fmt: skip
    try:
        found, queries = matches(samples, protocol)
    except ProtocolError:  # a side is empty: said, not guessed
        return
    by_key = {s.key: s for s in samples}
    for q, g in ((by_key[a], by_key[b]) for a, b in found):
        assert q.key != g.key and q.person == g.person and (q.split, g.split) == ("query", "gallery")
        assert "same_camera" not in protocol.junk or q.camera != g.camera
        assert "same_clothes" not in protocol.junk or q.clothes != g.clothes
        assert "other_clothes" not in protocol.junk or q.clothes == g.clothes
        assert "same_tracklet" not in protocol.junk or q.tracklet != g.tracklet
        if protocol.name.startswith("prcc"):
            assert g.camera == "A" and q.camera == ("B" if protocol.name.endswith("_sc") else "C")
    if protocol.shots is None:
        shuffled = random.Random(rng.random()).sample(samples, len(samples))
        assert matches(shuffled, protocol) == (found, queries)


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_reader_says_what_it_reads_and_refuses_a_folder_without_it(tmp_path, name):
    read = reader(name)
    assert read.__doc__ and options_of(name) is not None
    if name in ("folder", "manifest"):
        return
    (tmp_path / "something").mkdir()
    with pytest.raises(DataError, match=str(tmp_path)):
        read(tmp_path)
