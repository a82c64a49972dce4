"""Figures of a trained model: embed the test crops of a dataset once, then measure under each protocol."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from unveil.data.catalog import load_dataset
from unveil.data.protocols import PROTOCOLS
from unveil.errors import ProtocolError
from unveil.evaluation.evaluate import Result, evaluate, evaluation_samples
from unveil.evaluation.protocols import select
from unveil.evaluation.rerank import RerankSettings
from unveil.models.checkpoint import TrainedModel
from unveil.models.embed import embed_samples
from unveil.recipe import DataSource
from unveil.records import Dataset, Protocol

log = logging.getLogger(__name__)


def evaluate_model(
    model: TrainedModel,
    sources: Sequence[DataSource],
    protocols: Sequence[str] = (),
    cache: Path | None = None,
    rerank: RerankSettings | None = None,
) -> list[Result]:
    """Return the figures of a model, datasets in order, protocols in order.

    Args:
        model: the model.
        sources: datasets to test on.
        protocols: names of protocols of the datasets or stock ones; all of a dataset's own when empty.
        cache: folder of the image stores.
        rerank: also report each figure after k-reciprocal re-ranking.

    Raises:
        DataError: a dataset cannot be read or has no crops to test on.
        ProtocolError: a protocol is unknown, or a dataset lacks what it needs.
    """
    results = []
    for source in sources:
        dataset, chosen = test_set(source, protocols)
        embedding, store = embed_samples(model, evaluation_samples(dataset), cache, dataset.parsing_scheme)
        for bad in store.bad:
            log.warning("left out: %s", bad)
        found = []
        for protocol in chosen:
            try:
                found.append(evaluate(embedding, store.samples, protocol, dataset))
                if rerank:
                    found.append(evaluate(embedding, store.samples, protocol, dataset, rerank))
            except ProtocolError as e:
                # Asked for by name it must be had; of a dataset's own protocols the data may allow only some.
                if protocols or (not found and protocol is chosen[-1]):
                    raise
                log.warning("%s: %s", source, e)
        results += found
    return results


def test_set(source: DataSource, protocols: Sequence[str] = ()) -> tuple[Dataset, list[Protocol]]:
    """Return a dataset and the protocols to test it under, so that a wrong name is known before a long run.

    Raises:
        DataError: the dataset cannot be read.
        ProtocolError: it has no query and gallery split, or a named protocol is unknown or asks for what it lacks.
    """
    dataset = load_dataset(source)
    chosen = [_protocol(dataset, name) for name in protocols] or list(dataset.protocols)
    if not evaluation_samples(dataset) or not chosen:
        raise ProtocolError(f"{source}: nothing to test on: it has no query and gallery split, or no protocol")
    for protocol in chosen if protocols else ():
        select(evaluation_samples(dataset), protocol)
    return dataset, chosen


def _protocol(dataset: Dataset, name: str) -> Protocol:
    own = {protocol.name for protocol in dataset.protocols}
    return PROTOCOLS[name] if name in PROTOCOLS and name not in own else dataset.protocol(name)
