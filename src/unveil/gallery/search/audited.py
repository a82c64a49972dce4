"""A search that is noted in the audit log before anybody sees its answer."""

from __future__ import annotations

from dataclasses import asdict

from unveil.gallery.search.records import Query, SearchResult
from unveil.gallery.search.searcher import Searcher


def audited_search(searcher: Searcher, query: Query, *, who: str, why: str | None = None) -> SearchResult:
    """Search and note it: what cannot be logged is not answered.

    Args:
        searcher: of the gallery.
        query: whom to look for, and where.
        who: the name in the log.
        why: the reason.

    Raises:
        DataError: the query does not fit the gallery, or the gallery is empty.
        UnveilError: the store does not answer.
    """
    found = searcher.search(query)
    searcher.store.log(
        {
            "who": who, "action": "search", "why": why, "gallery": searcher.name,
            "query": found.query_hash, "results": [hit.item.id for hit in found.hits],
            "details": {"mode": query.mode, "where": {k: v for k, v in asdict(query.where).items() if v}},
        }
    )  # fmt: skip
    return found
