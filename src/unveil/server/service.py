"""What the routes share: store, engine, detector, what is held in memory, and the rules that many routes follow."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

from fastapi import HTTPException, Request

from unveil.errors import DataError, UnveilError
from unveil.gallery.audit import audited
from unveil.gallery.ingest.quality import find_parser
from unveil.gallery.records import GalleryInfo, Item
from unveil.gallery.search.in_memory_index import InMemoryIndex
from unveil.gallery.search.searcher import Searcher
from unveil.gallery.sources.roots import SourceRoots
from unveil.gallery.store.protocol import Store
from unveil.inference.engine import Engine
from unveil.parsing.onnx_parser import OnnxParser
from unveil.server.access.cases import CaseAccess
from unveil.server.access.tokens import Caller, Tokens
from unveil.server.access.viewing import Views
from unveil.server.housekeeping import Housekeeping
from unveil.server.ingest.jobs import IngestJobs
from unveil.server.ingest.uploads import Uploads
from unveil.server.metrics import Metrics
from unveil.server.middleware.authenticator import Authenticator
from unveil.server.search.batching import Batcher
from unveil.server.search.decoding import Decoder
from unveil.server.search.held_searches import HeldClip, RemovalWatch, Search, clip_there, current
from unveil.server.search.queries import HeldImage, QueryReader
from unveil.server.search.ttl_cache import TTLCache
from unveil.server.settings import MEGABYTE, Settings
from unveil.video.detectors.detect import Detector, OneAtATime, load_detector

IMAGES, SEARCHES, CLIPS = 200, 500, 100
SEARCH_BYTES = 64 * MEGABYTE
SECONDS_BETWEEN_LOOKS = 2.0


class OtherModelError(DataError):
    """A gallery was embedded by another model than the one that queries are embedded with."""


class Service:
    """Everything that one server holds.

    Args:
        store: the galleries.
        engine: embeds query images; galleries of other models cannot be searched.
        detector: finds people on frames; ``None`` where none is there.
        settings: see `Settings`.
        parser: says whether somebody is on a query image, and which parts show; ``None`` takes every image.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        *,
        detector: Detector | None,
        settings: Settings,
        parser: OnnxParser | None = None,
    ) -> None:
        limits = settings.limits
        self.store = store
        self.engine = engine
        self.detector = detector
        self.decoder = Decoder(limits)
        self.settings = settings
        self.metrics = Metrics()
        self.authenticator = Authenticator(Tokens(settings.tokens) if settings.tokens else None, limits)
        self.batcher = Batcher(engine, watch=self.metrics.embedded)
        self.queries = QueryReader(store, self.batcher, parser=parser)
        self.images: TTLCache[HeldImage] = TTLCache(IMAGES, limits.held, seconds=limits.held_seconds)
        self.searches: TTLCache[Search] = TTLCache(SEARCHES, SEARCH_BYTES, seconds=limits.held_seconds)
        self.clips: TTLCache[HeldClip] = TTLCache(CLIPS, limits.clips, seconds=limits.clip_seconds)
        self.sources = SourceRoots((*settings.sources, *settings.sent))
        self.ingest_roots = SourceRoots(settings.ingest, option="--ingest", uploads=settings.uploads)
        self.uploads = Uploads(settings.uploads, most=limits.video)
        self.ingests = IngestJobs(
            store,
            engine,
            roots=self.ingest_roots,
            streams=settings.streams,
            detector=self._detector_of_jobs,
            parser=self._parser_of_jobs,
        )
        # One at a time: each takes a core for a while, and searches should not wait for them.
        self.cutting = threading.Lock()
        self.detecting = threading.Lock()
        self.heating = threading.Lock()
        self._in_memory = InMemoryIndex(store)
        self._searchers: dict[str, Searcher] = {}
        self._making = threading.Lock()
        self.removals = RemovalWatch(store, self.searches, clips=self.clips, in_memory=self._in_memory)
        self.views = Views(store.log)
        self.cases = CaseAccess(store, settings.galleries)
        self.packing = threading.Lock()
        self.grouping = threading.Lock()
        tasks = {self.removals.look: SECONDS_BETWEEN_LOOKS, self.views.tidy: 30.0, self._tidy: 60.0}
        self._housekeeping = Housekeeping(tasks)

    def close(self) -> None:
        """Finish the crops that wait, and forget what is held; the store stays open."""
        self._housekeeping.close()
        self.ingests.close()
        self.uploads.close()
        with suppress(UnveilError):
            self.views.close()
        self.batcher.close()
        for cache in (self.images, self.searches, self.clips):
            cache.clear()

    def _tidy(self) -> None:
        for cache in (self.images, self.searches, self.clips):
            cache.values()  # lets go of what is too old
        self.uploads.tidy()
        if self.authenticator.tokens is not None:
            self.authenticator.tokens.note_use()

    def _detector_of_jobs(self) -> Detector:
        return load_detector() if self.detector is None else OneAtATime(self.detector, self.detecting)

    def _parser_of_jobs(self) -> OnnxParser | None:
        # Of their own: queries should not wait for the crops of a video.
        return None if self.queries.parser is None else find_parser()

    def galleries(self, caller: Caller | None = None) -> list[GalleryInfo]:
        """Return the galleries that this server serves; with a caller, those that are open to him."""
        names = self.settings.galleries
        served = [info for info in self.store.galleries() if not names or info.name in names]
        return [info for info in served if caller is None or caller.may_see(info.name)]

    def gallery(self, name: str, caller: Caller) -> GalleryInfo:
        """Return a gallery; 404 when it is not served, or not open to the caller."""
        for info in self.galleries(caller):
            if info.name == name:
                return info
        raise HTTPException(404, f"no gallery {name!r} here")

    def distances(self, name: str) -> dict[frozenset[str], float]:
        """Return known metres between cameras of a gallery: by the operator's table, else by its plan."""
        plan = self.store.plans.get(name)
        return {**(plan.distances if plan else {}), **self.settings.distances}

    def searcher(self, info: GalleryInfo) -> Searcher:
        """Return what searches a gallery.

        Raises:
            OtherModelError: its rows were embedded by another model than this server's.
        """
        if info.space.fingerprint != self.engine.fingerprint:
            raise OtherModelError(
                f"gallery {info.name!r} was embedded by model {info.space.fingerprint}, this server embeds with "
                f"{self.engine.fingerprint}: serve it with its own model, or ingest it again with this one"
            )
        with self._making:
            if info.name not in self._searchers:
                self._searchers[info.name] = Searcher(self.store, info.name, in_memory=self._in_memory)
            return self._searchers[info.name]

    def item(self, name: str, number: int, *, caller: Caller) -> Item:
        """Return a row; 404 when it is gone."""
        found = self.store.items(self.gallery(name, caller).name, [number])
        if not found:
            raise HTTPException(404, f"no row {number} in gallery {name!r}")
        return found[0]

    def clip(self, caller: Caller, gallery: str, *, name: str) -> HeldClip:
        """Return a clip that the caller asked for; 410 when it is gone."""
        found = self.clips.get(caller.name, name)
        if found is None or found.gallery != gallery or clip_there(found, self.store) is None:
            raise HTTPException(410, "this clip is not held any more: ask for it again")
        return found

    def search(self, caller: Caller, gallery: str, *, name: str) -> Search:
        """Return a search that the caller made, without rows that were removed since; 410 when it is gone."""
        found = self.searches.get(caller.name, name)
        there = current(found, self.store) if found is not None and found.gallery == gallery else None
        if there is None:
            # Which of the two it was depends on who looked first, this request or the watch.
            raise HTTPException(
                410, "this search is not held any more, or rows of its query were removed: search again"
            )
        return there

    def log(
        self,
        caller: Caller,
        request: Request,
        *,
        action: str,
        gallery: str,
        why: str = "",
        query: str | None = None,
        results: Sequence[int] = (),
        **details: Any,
    ) -> None:
        """Append to the audit log; what cannot be logged does not happen.

        Args:
            caller: who.
            request: its id is kept too, so that an entry can be found in the server's own log.
            action: "search", "export", "feedback", "add" or "delete".
            gallery: name of the gallery.
            why: the reason that was given.
            query: hash of the query.
            results: ids of the rows that it was about.
            details: anything else that JSON can hold.
        """
        self.store.log(
            {
                "who": caller.name, "role": caller.role, "action": action, "why": why or None, "gallery": gallery,
                "query": query, "results": list(results), "details": {**details, "request": request.state.request},
            }
        )  # fmt: skip

    def audited(
        self, caller: Caller, request: Request, *, action: str, gallery: str, details: dict[str, Any], why: str = ""
    ) -> AbstractContextManager[dict[str, Any]]:
        """Enter into the audit log what is about to be done, and how it ended; see `unveil.gallery.audit.audited`."""
        entry = {
            "who": caller.name, "role": caller.role, "action": action, "why": why or None, "gallery": gallery,
            "details": {**details, "request": request.state.request},
        }  # fmt: skip
        return audited(self.store.log, entry)


def service_of(request: Request) -> Service:
    """Return the service of the application that got a request."""
    service: Service = request.app.state.service
    return service
