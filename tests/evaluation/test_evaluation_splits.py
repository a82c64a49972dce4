"""The mean of a protocol over splits."""

import dataclasses
import statistics

import numpy as np
import pytest

from unveil.errors import ProtocolError
from unveil.evaluation.evaluate import Result, evaluate
from unveil.evaluation.splits import mean_of_splits
from unveil.records import Dataset, Embedding, Protocol, Sample

PROTOCOL = Protocol("viper", junk=())


def split(seed):
    rng = np.random.default_rng(seed)
    samples = [
        Sample(f"{part}/{p}", data=b"x", person=str(p), camera=part, split=part)
        for part in ("query", "gallery")
        for p in range(8)
    ]
    vectors = rng.normal(size=(16, 1, 3)).astype(np.float32)
    dataset = Dataset("viper", tuple(samples), (PROTOCOL,))
    return evaluate(Embedding(vectors, np.ones((16, 1), np.float32)), samples, protocol=PROTOCOL, dataset=dataset)


def test_figures_are_means_and_standard_deviations_over_splits():
    results = [
        dataclasses.replace(split(n), gallery=8 + n, dropped=n, unreadable={f"k{n}": "damaged"}) for n in range(10)
    ]
    mean = mean_of_splits(results, "abc")
    for name, value in mean.figures.items():
        each = [r.figures[name] for r in results]
        assert value == pytest.approx(statistics.fmean(each))
        assert mean.std[name] == pytest.approx(statistics.stdev(each))
        assert mean.intervals[name][0] == pytest.approx(np.mean([r.intervals[name][0] for r in results]))
    assert mean.curve[0] == pytest.approx(mean.cmc[1]) and len(mean.curve) == 50
    assert (mean.splits, mean.queries, mean.gallery, mean.dataset_hash) == (10, 80, 12, "abc")
    assert mean.dropped == 45
    assert len(mean.unreadable) == 10 and len(mean.per_query) == 80
    assert mean.protocol_hash == PROTOCOL.hash
    assert "mean of 10 splits; 10 crops cannot be read" in str(mean) and " ± " in str(mean)
    assert Result.from_json(mean.to_json()) == mean


def test_one_split_is_itself_and_different_rules_have_no_mean():
    one = split(0)
    assert mean_of_splits([one], "abc") is one
    named = f"viper viper#{PROTOCOL.hash}, viper viper#other"
    with pytest.raises(ProtocolError, match=f"under one protocol .* found {named}"):
        mean_of_splits([one, dataclasses.replace(one, protocol_hash="other")], "abc")
    with pytest.raises(ProtocolError, match="found none"):
        mean_of_splits([], "abc")
