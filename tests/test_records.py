from pathlib import Path

import numpy as np
import pytest
import torch

from unveil.errors import DataError, ProtocolError
from unveil.records import Batch, Dataset, Embedding, Protocol, Sample, Where


def sample(key="a.jpg", **labels):
    return Sample(key, Path(key), **labels)


def test_a_sample_needs_exactly_one_source_and_a_known_split():
    with pytest.raises(DataError, match="either a path or bytes"):
        Sample("a")
    with pytest.raises(DataError, match="split must be one of"):
        sample(split="test")
    assert sample(person="7", extra={"visible": "0.5"}).column("visible") == "0.5"
    assert sample(camera="c1").column("camera") == "c1"
    assert sample().column("clothes") is None


def test_a_dataset_refuses_nothing_and_twice_the_same():
    with pytest.raises(DataError, match="is empty"):
        Dataset("d", ())
    with pytest.raises(DataError, match=r"'a\.jpg' appears more than once"):
        Dataset("d", (sample(), sample("b.jpg"), sample()))


def test_the_hash_of_a_dataset_sees_labels_and_ignores_where_it_lies():
    one = Dataset("d", (sample(person="1", camera="2"),))
    moved = Dataset("d", (Sample("a.jpg", Path("/elsewhere/a.jpg"), person="1", camera="2"),))
    other = Dataset("d", (sample(person="1", camera="3"),))
    assert one.hash == moved.hash != other.hash


def test_a_protocol_is_found_by_name_or_its_absence_is_said():
    dataset = Dataset("d", (sample(),), (Protocol("market"), Protocol("cc")))
    assert dataset.protocol().name == "market"
    assert dataset.protocol("cc").name == "cc"
    with pytest.raises(ProtocolError, match="it has: market, cc"):
        dataset.protocol("sc")


def test_the_hash_of_a_protocol_changes_with_its_rules_only():
    base = Protocol("p", about="one")
    assert base.hash == Protocol("p", about="another").hash
    changed = [
        Protocol("q"),
        Protocol("p", junk=()),
        Protocol("p", query=(Where("camera", "in", ("1",)),)),
        Protocol("p", gallery=(Where("camera", "in", ("1",)),)),
        Protocol("p", shots=1, draws=10),
        Protocol("p", shots=1, draws=10, seed=4),
    ]
    assert len({p.hash for p in (base, *changed)}) == len(changed) + 1


def test_a_protocol_knows_the_columns_it_needs():
    protocol = Protocol("p", junk=("same_camera", "other_clothes"), query=(Where("visible", "<", 0.7),))
    assert protocol.columns == ("camera", "clothes", "person", "visible")
    with pytest.raises(ProtocolError, match="several draws need shots"):
        Protocol("p", draws=10)


def test_a_batch_checks_its_shapes():
    images = torch.zeros(2, 3, 8, 4)
    persons = torch.zeros(2, dtype=torch.long)
    with pytest.raises(ValueError, match=r"expected \(B, 3, H, W\), got \(2, 1, 8, 4\)"):
        Batch(images[:, :1], persons)
    with pytest.raises(ValueError, match=r"clothes: expected \(2,\), got \(3,\)"):
        Batch(images, persons, clothes=torch.zeros(3))
    with pytest.raises(ValueError, match=r"parsing: expected \(2, 8, 4\)"):
        Batch(images, persons, parsing=torch.zeros(2, 4, 8))
    doubled = Batch(images, persons).map(lambda t: torch.cat([t, t]))
    assert len(doubled) == 4 and doubled.cameras is None


def test_an_embedding_checks_its_shapes_and_stacks_only_its_like():
    vectors, visible = np.zeros((4, 2, 3), np.float64), np.ones((4, 2))
    embedding = Embedding(vectors, visible, ("a", "b"))
    assert embedding.weights == (1.0, 1.0)
    assert embedding.numpy().vectors.dtype == np.float32
    assert len(Embedding.concatenate([embedding, embedding.select([0])])) == 5
    with pytest.raises(ValueError, match=r"vectors: expected \(N, 1, D\)"):
        Embedding(vectors, visible)
    with pytest.raises(ValueError, match="visibility: expected"):
        Embedding(vectors, visible[:3], ("a", "b"))
    with pytest.raises(ValueError, match="different methods"):
        Embedding.concatenate([embedding, Embedding(vectors, visible, ("a", "c"))])
