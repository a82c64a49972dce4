"""Search in a gallery: a first stage over all that the filter lets through, exact re-scoring by parts, then words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import numpy as np

from unveil.errors import DataError
from unveil.gallery.records import GalleryInfo, Mode
from unveil.gallery.scoring import calibration
from unveil.gallery.scoring.ranking import first_stage_query, named_parts, part_means, rank
from unveil.gallery.scoring.reasons import reasons
from unveil.gallery.search import reranking
from unveil.gallery.search.by_attributes import count_unseen, unseen_notes
from unveil.gallery.search.in_memory_index import LIMIT_BYTES, InMemoryIndex
from unveil.gallery.search.notes import notes_of, protocol_of
from unveil.gallery.search.records import MAX_CROPS, Hit, Query, SearchResult
from unveil.gallery.store.protocol import Store
from unveil.records import Embedding


class Searcher:
    """Searches one gallery; safe to use from several threads.

    Args:
        store: where it is.
        name: its name.
        limit: bytes of first-stage vectors that may be in memory; see `InMemoryIndex`.
        in_memory: to share between the searchers of a process.

    Raises:
        DataError: there is no such gallery.
    """

    def __init__(
        self, store: Store, name: str, *, limit: int = LIMIT_BYTES, in_memory: InMemoryIndex | None = None
    ) -> None:
        self.store = store
        self.name = name
        self.in_memory = in_memory or InMemoryIndex(store, limit)
        store.info(name)

    def search(self, query: Query) -> SearchResult:
        """Return the rows nearest to a query.

        Raises:
            DataError: the query was embedded by another model or shows nothing, or the gallery is empty.
            UnveilError: the store does not answer.
        """
        start = time.perf_counter()
        info = self.store.info(self.name)
        positives, negatives = self._sides(query, info)
        where = query.where if query.where.rows else replace(query.where, rows=query.rows)
        left_out = (*query.rejected, *query.own)
        wanted = max(query.rescore, query.top) + len(left_out)
        near, candidates, first_stage = self.in_memory.nearest(
            info, first_stage_query(positives, query.mode), where=where, top=wanted
        )
        near = near[~np.isin(near, np.array(left_out, np.int64))][: max(query.rescore, query.top)]
        ids, gallery = self.store.embeddings(self.name, near.tolist())
        hits = (
            self._hits(query, info, ids=ids, gallery=gallery, positives=positives, negatives=negatives)
            if len(ids)
            else ()
        )
        if self.store.info(self.name).generation != info.generation:
            return self.search(query)  # switched to another model's vectors in between: some of what was read is new
        model = calibration.of(info, query.mode)
        match = None if model is None else any(hit.distance <= model.threshold for hit in hits)
        unseen = count_unseen(self.store, self.name, where=where, candidates=candidates)
        hidden = unseen_notes(self.store, self.name, where=where, unseen=unseen)
        return SearchResult(
            hits=hits,
            calibrated=model is not None,
            match=match,
            rescored=len(ids),
            candidates=candidates,
            milliseconds=1000 * (time.perf_counter() - start),
            query_hash=query.hash,
            first_stage=first_stage,
            notes=(*hidden, *notes_of(query, info, candidates=candidates, model=model, match=match)),
            threshold=None if model is None else model.threshold,
            protocol=protocol_of(query, info, where=where, first_stage=first_stage),
            model=info.space.identity,
            confirmed=query.confirmed,
            unseen=unseen,
        )

    def query_of(self, ids: Sequence[int], **settings: object) -> Query:
        """Return a query by rows of the gallery, for example a tracklet that was found.

        Args:
            ids: the rows.
            settings: other arguments of `Query`.

        Raises:
            DataError: a row is not there.
        """
        there, embedding = self.store.embeddings(self.name, ids)
        if missing := sorted(set(ids) - set(there.tolist())):
            raise DataError(f"gallery {self.name!r} has no row {missing[0]}: was it deleted?")
        fingerprint = self.store.info(self.name).space.fingerprint
        return Query(embedding, fingerprint, **{"own": tuple(ids), **settings})  # type: ignore[arg-type]

    def give_feedback(self, query: Query, item: int, *, same: bool, who: str) -> Query:
        """Keep that a row shows, or does not show, the person, and return the query that knows it.

        Raises:
            DataError: there is no such row.
        """
        self.keep_feedback(query.positives, query.hash, item=item, same=same, who=who)
        return _with(query, item, same=same)

    def keep_feedback(self, positives: Embedding, query: str, *, item: int, same: bool, who: str) -> None:
        """Keep what somebody said about a result, with its distance from the query, to calibrate on.

        Args:
            positives: ``(Q, E, D)`` numpy embedding of the query.
            query: its hash.
            item: number of the row.
            same: whether the row shows the person.
            who: says so.

        Raises:
            DataError: there is no such row.
        """
        _, row = self.store.embeddings(self.name, [item])
        distances: dict[Mode, float] = {}
        # Rows that share no visible part with the query have no distance.
        if len(row) and not np.isnan(part_means(positives, row)).all():
            one = np.zeros(len(positives), np.int64)
            distances = {
                mode: float(rank(positives, row, top=1, groups=one, negatives=None, mode=mode)[1][0, 0])
                for mode in get_args(Mode)
            }
        self.store.feedback.give(self.name, query, item=item, same=same, who=who, distances=distances)

    def with_feedback(self, query: Query) -> Query:
        """Return the query with everything that was ever said about its results; the last word on a row counts."""
        for asked, item, same in self.store.feedback.all(self.name):
            if asked == query.hash:
                query = _with(query, item, same=same)
        return query

    def _sides(self, query: Query, info: GalleryInfo) -> tuple[Embedding, Embedding | None]:
        """Return positives and negatives, rows with feedback among them."""
        if not info.crops + info.tracklets:
            raise DataError(f"gallery {self.name!r} is empty: `unveil gallery add` fills it")
        sides: list[Embedding | None] = []
        for given, rows in ((query.positives, query.confirmed), (query.negatives, query.rejected)):
            parts = []
            if given is not None and len(given):
                info.space.check(given, query.fingerprint)
                parts.append(replace(given.numpy(), metric=info.space.metric, weights=info.space.weights))
            if rows:
                parts.append(self.store.embeddings(self.name, list(rows))[1])
            sides.append(Embedding.concatenate(parts) if parts else None)
        positives, negatives = sides
        assert positives is not None  # a Query has crops
        if not np.isfinite(positives.vectors).all() or not np.abs(positives.vectors).any():
            raise DataError("the query cannot be compared: its vectors are zero or not finite")
        if not (positives.visibility > 0).any():
            raise DataError("the query shows no part of a person: choose another image, or draw a box around someone")
        return positives, negatives

    def _hits(
        self, query: Query, info: GalleryInfo, *, ids: np.ndarray, gallery: Embedding, positives: Embedding,
        negatives: Embedding | None,
    ) -> tuple[Hit, ...]:  # fmt: skip
        one_person = np.zeros(len(positives), np.int64)
        # Rows of ascending id, so that equal distances are in the order of ids.
        order = np.argsort(ids)
        ids, gallery = ids[order], gallery.select(order)
        found, distances = rank(
            positives, gallery, top=len(ids), groups=one_person, negatives=negatives, mode=query.mode
        )
        if query.rerank and len(ids) > 1:
            places = np.argsort(found[0])
            new = reranking.reranked_order(positives, gallery, negatives=negatives, mode=query.mode)
            found, distances = new[None], distances[:, places[new]]
        parts = part_means(positives, gallery)
        model = calibration.of(info, query.mode)
        # The query's own sighting is no answer to where else somebody was.
        tracks = {item.tracklet or item.key for item in self.store.items(self.name, query.own)}
        hits: list[Hit] = []
        for start in range(0, len(ids), query.top):
            rows = found[0][start : start + query.top]
            said = reasons(info.space.names, parts, query_visibility=positives.visibility, rows=rows.tolist())
            items = {item.id: item for item in self.store.items(self.name, ids[rows].tolist())}
            for row, distance, reason in zip(rows, distances[0][start:], said, strict=False):
                item = items.get(int(ids[row]))  # none when it was deleted while we searched
                if item is not None and item.key not in tracks and item.tracklet not in tracks:
                    sure = None if model is None else model.probability(float(distance))
                    hits.append(Hit(item, float(distance), sure, named_parts(info.space.names, parts[row]), reason))
            if len(hits) >= query.top:
                break
        return tuple(hits[: query.top])


def _with(query: Query, item: int, *, same: bool) -> Query:
    confirmed = tuple(i for i in query.confirmed if i != item) + ((item,) if same else ())
    rejected = tuple(i for i in query.rejected if i != item) + (() if same else (item,))
    # The latest feedback counts when there is more than a query takes.
    return replace(query, confirmed=confirmed[-MAX_CROPS:], rejected=rejected[-MAX_CROPS:])
