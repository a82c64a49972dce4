"""Figures of a trained model: embed the test crops of a dataset once, then measure under each protocol."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

from unveil.data.protocols import PROTOCOLS
from unveil.data.store.image_store import Maps, open_store
from unveil.datasets.names import told_apart
from unveil.datasets.splits import has_splits, hash_of, load_splits
from unveil.errors import ProtocolError
from unveil.evaluation.evaluate import Result, evaluate, evaluation_samples
from unveil.evaluation.protocols import select
from unveil.evaluation.ranking import Ranking, rank_positives
from unveil.evaluation.rerank import RerankSettings
from unveil.evaluation.splits import mean_of_splits
from unveil.methods import method_requirements
from unveil.models.embed import embed_samples
from unveil.models.embedder import Embedder
from unveil.recipe import DataSource, Recipe
from unveil.records import Dataset, Embedding, Protocol, Sample

log = logging.getLogger(__name__)
Watch = Callable[[str, Embedding, tuple[Sample, ...], Protocol], None]


def evaluate_model(
    model: Embedder,
    sources: Sequence[DataSource],
    *,
    protocols: Sequence[str] = (),
    cache: Path | None = None,
    rerank: RerankSettings | None = None,
    ranking: Ranking = rank_positives,
    watch: Watch | None = None,
) -> list[Result]:
    """Return the figures of a model, datasets in order, protocols in order.

    Args:
        model: the model.
        sources: datasets to test on; ``splits=10`` in one gives the mean of ten splits. Results of datasets of one name
            tell which source they are of; see `unveil.datasets.names.told_apart`.
        protocols: names of protocols of the datasets or stock ones; all of a dataset's own when empty.
        cache: folder of the image stores.
        rerank: also report each figure after k-reciprocal re-ranking.
        ranking: ranks the positives, by default on the processor; see `unveil.evaluation.evaluate.evaluate`.
        watch: called for each dataset, under its first split, and protocol with the dataset's name in the results, the
            embedding (numpy), its crops in the same order, and the protocol.

    Raises:
        DataError: a dataset cannot be read or has no crops to test on.
        ProtocolError: a protocol is unknown, or a dataset lacks what it needs.
    """
    results: list[Result] = []
    tests = test_sets(sources, protocols)
    for source, (splits, _) in zip(sources, tests, strict=True):
        _refuse_seen_people(model, source, splits=splits)
    for source, (splits, chosen) in zip(sources, tests, strict=True):
        embedding, store = embed_samples(model, _crops(splits), cache=cache, scheme=splits[0].parsing_scheme)
        for bad in store.bad:
            log.warning("left out: %s", bad)
        row = {sample.key: number for number, sample in enumerate(store.samples)}
        found: list[Result] = []
        for protocol, settings in product(chosen, (None, rerank) if rerank else (None,)):
            try:
                each = [
                    evaluate(
                        *_readable(embedding, row, dataset=dataset),
                        protocol=protocol,
                        dataset=dataset,
                        rerank=settings,
                        ranking=ranking,
                    )
                    for dataset in splits
                ]
            except ProtocolError as e:
                # Asked for by name it must be had; of a dataset's own protocols the data may allow only some.
                if protocols or (not found and protocol is chosen[-1]):
                    raise
                log.warning("%s: %s", source, e)
            else:
                found.append(mean_of_splits(each, hash_of(splits)))
                if watch and settings is None:
                    watch(splits[0].name, *_readable(embedding, row, dataset=splits[0]), protocol)
        unreadable = {bad.key: bad.reason for bad in store.bad}
        results += [dataclasses.replace(result, unreadable=unreadable, content=store.content_hash) for result in found]
    return results


def tested_on(recipe: Recipe, cache: Path | None = None) -> set[tuple[str, str, str]]:
    """Return the ``dataset``, ``dataset_hash`` and ``content`` that results of a recipe's model would have now.

    Raises:
        DataError: a dataset cannot be read or has no crops to test on.
        ProtocolError: a protocol is unknown, or a dataset lacks what it needs.
    """
    looks_at_maps = method_requirements(recipe.method.name, recipe.method.settings).test_parsing is not None
    found = set()
    for splits, _ in test_sets(recipe.data.test, recipe.data.protocols):
        maps: Maps = "any" if looks_at_maps and splits[0].parsing_scheme is not None else "none"
        store = open_store(_crops(splits), recipe.input, cache=cache, maps=maps)
        found.add((splits[0].name, hash_of(splits), store.content_hash))
    return found


def test_sets(
    sources: Sequence[DataSource], protocols: Sequence[str] = ()
) -> list[tuple[tuple[Dataset, ...], list[Protocol]]]:
    """Return datasets and protocols of several sources as `test_set` does of one, the datasets under different names.

    Raises:
        DataError: a dataset cannot be read.
        ProtocolError: one has no query and gallery split, or a named protocol is unknown or asks for what it lacks.
    """
    found = [test_set(source, protocols) for source in sources]
    names = told_apart([splits[0].name for splits, _ in found], sources)
    return [
        (splits if splits[0].name == name else tuple(dataclasses.replace(one, name=name) for one in splits), chosen)
        for name, (splits, chosen) in zip(names, found, strict=True)
    ]


def test_set(source: DataSource, protocols: Sequence[str] = ()) -> tuple[tuple[Dataset, ...], list[Protocol]]:
    """Return a dataset, under each of its splits where the source asks for several, and the protocols to test under.

    A wrong name is so known before a long run.

    Raises:
        DataError: the dataset cannot be read.
        ProtocolError: it has no query and gallery split, or a named protocol is unknown or asks for what it lacks.
    """
    splits = load_splits(source)
    chosen = [_protocol(splits[0], name) for name in protocols] or list(splits[0].protocols)
    for dataset in splits:
        if not evaluation_samples(dataset) or not chosen:
            raise ProtocolError(f"{source}: nothing to test on: it has no query and gallery split, or no protocol")
        for protocol in chosen if protocols else ():
            select(evaluation_samples(dataset), protocol)
    return splits, chosen


def _crops(splits: Sequence[Dataset]) -> tuple[Sample, ...]:
    """Return the crops to embed for a dataset under its splits, each once."""
    return tuple({sample.key: sample for dataset in splits for sample in evaluation_samples(dataset)}.values())


def _readable(embedding: Embedding, row: dict[str, int], *, dataset: Dataset) -> tuple[Embedding, tuple[Sample, ...]]:
    """Return the crops of a dataset that could be read, and their embedding."""
    readable = tuple(sample for sample in evaluation_samples(dataset) if sample.key in row)
    return embedding.select([row[sample.key] for sample in readable]), readable


def _refuse_seen_people(model: Embedder, source: DataSource, *, splits: Sequence[Dataset]) -> None:
    """Refuse other splits of a dataset than the model was trained on: they test its training people.

    Raises:
        ProtocolError: it was.
    """
    if source.name not in model.summary.datasets or not has_splits(source.name):
        return
    trained = model.summary.dataset_hashes
    if len(splits) > 1 or (trained and splits[0].hash not in trained):
        raise ProtocolError(
            f"{source}: the model was trained on a split of {source.name!r}, whose people the other splits test; "
            f"test it on its own split, or train one model a split (unveil bench ... --data {source})"
        )


def _protocol(dataset: Dataset, name: str) -> Protocol:
    own = {protocol.name for protocol in dataset.protocols}
    return PROTOCOLS[name] if name in PROTOCOLS and name not in own else dataset.protocol(name)
