"""Galleries in a program: crops that stay in a database, searched with filters, reasons and an audit log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from unveil.api.crops import Crops, dataset_of
from unveil.data.images import read_sample
from unveil.gallery.audit import audited, user
from unveil.gallery.ingest.adding import Added
from unveil.gallery.ingest.images import ImageSettings, add_images
from unveil.gallery.ingest.quality import find_parser
from unveil.gallery.records import Filter, GalleryInfo, Mode
from unveil.gallery.search.audited import audited_search
from unveil.gallery.search.query import embed_person
from unveil.gallery.search.records import Query, SearchResult
from unveil.gallery.search.searcher import Searcher
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.protocol import Store
from unveil.inference.engine import Engine
from unveil.inference.load import load_engine
from unveil.parsing.onnx_parser import OnnxParser
from unveil.pretrained import DEFAULT_MODEL
from unveil.records import Embedding


class Gallery:
    """A gallery in a store, and the model that embeds for it; `open_gallery` opens one.

    Use it in a ``with`` statement, or call `close`. Whatever is added or searched is noted in the audit log.

    Args:
        name: letters, digits, "-" and "_", at most 63.
        store: the database.
        engine: the model.
        parser: says which parts of a crop show; ``None`` takes every part for visible.
        who: the name in the audit log.
    """

    def __init__(self, name: str, store: Store, *, engine: Engine, parser: OnnxParser | None, who: str) -> None:
        self.name = name
        self.store = store
        self.engine = engine
        self.parser = parser
        self.who = who
        self._searcher: Searcher | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection to the store."""
        self.store.close()

    @property
    def info(self) -> GalleryInfo:
        """Counts, cameras, times and model of the gallery.

        Raises:
            DataError: nothing was ever added to it.
        """
        return self.store.info(self.name)

    def add(
        self, crops: Crops, *, camera: str | None = None, start_time: float | None = None, tags: Sequence[str] = ()
    ) -> Added:
        """Embed crops and keep them; what is there already is skipped, by content. The first call makes the gallery.

        Args:
            crops: an image, a list of images, or a source of many; see `unveil.api.crops.Crops`.
            camera: label of the camera, of crops that name none.
            start_time: when they were taken, seconds since the epoch, of crops that name no time.
            tags: words to filter by.

        Returns:
            How many rows are new, how many were known, and what could not be read.

        Raises:
            DataError: there is no crop, or the gallery was made with another model.
        """
        dataset = dataset_of(crops)
        settings = ImageSettings(camera, start_time, tuple(tags))
        entry = {"who": self.who, "action": "add", "gallery": self.name, "details": {"source": dataset.name}}
        with audited(self.store.log, entry) as outcome:
            added = add_images(
                self.store,
                self.name,
                engine=self.engine,
                samples=dataset.samples,
                source=dataset.name,
                settings=settings,
                parser=self.parser,
            )
            outcome |= {"crops": added.crops, "tracklets": added.tracklets, "known": added.known}
        return added

    def search(
        self,
        query: Crops,
        *,
        negatives: Crops | None = None,
        where: Filter | None = None,
        top: int = 20,
        mode: Mode = "same",
        why: str | None = None,
        skip_person_check: bool = False,
    ) -> SearchResult:
        """Return the rows that are nearest to a person.

        Args:
            query: one or several crops of one person; see `unveil.api.crops.Crops`.
            negatives: crops of people who are not meant; what resembles them more than the query moves away.
            where: cameras, times, tags and visible share that rows must have.
            top: how many rows at most.
            mode: "same" clothes, or "changed" if the clothes may differ: parts that clothes cover then weigh less.
            why: the reason, for the audit log.
            skip_person_check: search even if no person is detected on a crop of the query.

        Returns:
            The rows, nearest first, with distances, reasons and, in a calibrated gallery, probabilities.

        Raises:
            DataError: the gallery is empty or of another model, or no person is detected on the query.
        """
        if self._searcher is None:
            self._searcher = Searcher(self.store, self.name)
        positives = self._embedded(query, skip_person_check=skip_person_check)
        others = None if negatives is None else self._embedded(negatives, skip_person_check=True)
        asked = Query(positives, self.engine.fingerprint, others, where or Filter(), top=top, mode=mode)
        return audited_search(self._searcher, asked, who=self.who, why=why)

    def _embedded(self, crops: Crops, *, skip_person_check: bool) -> Embedding:
        samples = dataset_of(crops).samples
        images, names = [read_sample(sample) for sample in samples], [sample.key for sample in samples]
        return embed_person(images, names, engine=self.engine, parser=self.parser, skip_person_check=skip_person_check)


def open_gallery(
    name: str,
    *,
    model: str | Path = DEFAULT_MODEL,
    engine: str = "auto",
    address: str | None = None,
    folder: Path | None = None,
    who: str | None = None,
) -> Gallery:
    """Open a gallery by name; one that is not there is made by the first `Gallery.add`.

    Args:
        name: letters, digits, "-" and "_", at most 63.
        model: what embeds; see `unveil.load_model`. A gallery keeps to the model that it began with.
        engine: "torch", "onnx", "openvino", or "auto", the fastest that is installed and agrees with PyTorch.
        address: ``postgresql://...``; by default ``$UNVEIL_STORE``, else a private PostgreSQL below ``folder``.
        folder: where the private server keeps its data; the user's data folder by default.
        who: the name in the audit log; the user of the process by default.

    Raises:
        MissingExtraError: the extra ``gallery`` is not installed.
        CheckpointError: the model cannot be read.
        UnveilError: the database cannot be reached or started.
    """
    ready = load_engine(model, engine)
    return Gallery(name, open_store(address, folder), engine=ready, parser=find_parser(), who=who or user())
