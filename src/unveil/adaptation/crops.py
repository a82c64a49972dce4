"""Crops to adapt to: images, cameras, tracklets and times; whatever names people or clothes is put aside."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from unveil.data.augment.pipeline import normalise
from unveil.data.fitting import CropSize
from unveil.data.store.image_store import ImageStore, open_store
from unveil.errors import DataError
from unveil.gallery.ingest.people_check import people_on
from unveil.models.card import Source
from unveil.parsing.onnx_parser import OnnxParser
from unveil.progress import track
from unveil.recipe import InputSettings
from unveil.records import Batch, Dataset, Sample

log = logging.getLogger(__name__)
MIN_CROPS = 20
PLACE = "place"  # column of a manifest
PARSED = 64  # crops that are looked at at a time


@dataclass(frozen=True)
class UnlabelledCrops:
    """Decoded crops without labels of people.

    Args:
        store: their pixels, at the size of the model.
        rows: ``(N,)`` rows of the store that count: duplicates are left out.
        cameras: label of each crop's camera; None: unknown.
        units: ``(N,)`` int64: crops of one unit are certainly one person. A tracklet is a unit; so is a crop without.
        tracked: ``(N,)`` bool: the crop belongs to a tracklet.
        times: ``(N,)`` seconds, NaN where unknown.
        places: ``(N,)`` int64: nobody is in two places.
        sources: where they come from.
        unit_of: unit of a crop by ``NUMBER/KEY``, number of its dataset from 0 and key of the sample; crops that a
            tracklet was thinned by have theirs too.
    """

    store: ImageStore
    rows: np.ndarray
    cameras: tuple[str | None, ...]
    units: np.ndarray
    tracked: np.ndarray
    times: np.ndarray
    places: np.ndarray
    sources: tuple[Source, ...]
    unit_of: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def known_cameras(self) -> tuple[str, ...]:
        """Labels of the cameras, sorted."""
        return tuple(sorted({camera for camera in self.cameras if camera is not None}))

    def images(self, crops: np.ndarray) -> np.ndarray:
        """Return the pixels ``(B, H, W, 3)`` uint8 of crops by number."""
        return np.asarray(self.store.images[self.rows[crops]])

    def batch(self, crops: np.ndarray, size: InputSettings, *, device: torch.device) -> Batch:
        """Return crops by number as a normalised batch without labels."""
        images = torch.from_numpy(self.images(crops)).permute(0, 3, 1, 2).to(device)
        return normalise(Batch(images, torch.full((len(crops),), -1, device=device)), size)

    def select(self, crops: np.ndarray) -> UnlabelledCrops:
        """Return some of the crops, by number; units keep their numbers."""
        return dataclasses.replace(
            self,
            rows=self.rows[crops],
            cameras=tuple(self.cameras[i] for i in crops),
            units=self.units[crops],
            tracked=self.tracked[crops],
            times=self.times[crops],
            places=self.places[crops],
        )

    @classmethod
    def open(
        cls,
        datasets: Sequence[Dataset],
        size: CropSize,
        *,
        per_tracklet: int,
        apart: bool = False,
        cache: Path | None = None,
        parser: OnnxParser | None = None,
    ) -> UnlabelledCrops:
        """Decode crops; of a dataset with a training part only that.

        Args:
            datasets: at least one.
            size: of the model's input.
            per_tracklet: crops of one tracklet that are kept, evenly spread over it.
            apart: nobody is in two of the datasets. (The column ``place`` of a manifest tells more.)
            cache: folder of the image stores.
            parser: crops on which it sees nobody are left out; ``None`` takes every crop.

        Raises:
            DataError: there are fewer than `MIN_CROPS` different crops, or two datasets name different cameras alike.
        """
        _refuse_shared_cameras(datasets)
        samples = [
            sample
            for number, dataset in enumerate(datasets)
            for sample in _thinned(dataset, number, per_tracklet=per_tracklet)
        ]
        store = open_store(samples, size, cache=cache, maps="none")
        for bad in store.bad:
            log.warning("left out: %s", bad)
        first: dict[bytes, int] = {}
        for row in range(len(store)):
            first.setdefault(hashlib.sha256(store.images[row].tobytes()).digest(), row)
        rows = np.array(sorted(first.values()))
        if len(rows) < len(store):
            log.info("%d crops are exact duplicates of others and left out", len(store) - len(rows))
        different = len(rows)
        if parser is not None:
            rows = rows[_with_person(store, rows, parser=parser)]
        if len(rows) < different:
            log.warning("%d crops without a person are left out", different - len(rows))
        if len(rows) < MIN_CROPS:
            raise DataError(
                f"{len(rows)} different crops are too few to adapt to: expected at least {MIN_CROPS} (of a tracklet "
                f"at most {per_tracklet} count{_nobody(different - len(rows))})"
            )
        kept = [store.samples[row] for row in rows]
        names: dict[str, int] = {}
        units = np.array([names.setdefault(s.tracklet or f"crop {s.key}", len(names)) for s in kept])
        place_of = [(s.key.partition("/")[0] if apart else "", s.extra.get(PLACE, "")) for s in kept]
        unit_of = {key: names[unit] for key, unit in _units(datasets).items() if unit in names}
        return cls(
            store,
            rows,
            tuple(s.camera for s in kept),
            units,
            np.array([s.tracklet is not None for s in kept]),
            np.array([np.nan if s.time is None else s.time for s in kept]),
            np.unique(place_of, axis=0, return_inverse=True)[1].reshape(-1),
            tuple(Source(name=d.name, hash=d.hash, images=len(d.train or d.samples), persons=0) for d in datasets),
            unit_of,
        )


def _with_person(store: ImageStore, rows: np.ndarray, *, parser: OnnxParser) -> np.ndarray:
    batches = [rows[start : start + PARSED] for start in range(0, len(rows), PARSED)]
    shown = track(batches, f"looking for people on {len(rows)} crops")
    return np.concatenate([people_on(list(np.asarray(store.images[batch])), parser) for batch in shown])


def _nobody(count: int) -> str:
    return f"; {count} show no person" if count else ""


def _units(datasets: Sequence[Dataset]) -> dict[str, str]:
    """Return the name of the unit of every crop, by number of its dataset and key."""
    return {
        f"{number}/{s.key}": f"crop {number}/{s.key}" if s.tracklet is None else _tracklet(number, s)
        for number, dataset in enumerate(datasets)
        for s in dataset.train or dataset.samples
    }


def _tracklet(number: int, sample: Sample) -> str:
    # A tracklet is of one camera, whatever else has its label.
    return f"{number}/{sample.camera}/{sample.tracklet}"


def _thinned(dataset: Dataset, number: int, *, per_tracklet: int) -> list[Sample]:
    """Return the crops of a dataset without labels of people, the longest tracklets thinned out."""
    by_tracklet: dict[str, list[Sample]] = {}
    out = []
    for sample in dataset.train or dataset.samples:
        place = {PLACE: sample.extra[PLACE]} if sample.extra.get(PLACE) else {}
        bare = Sample(
            f"{number}/{sample.key}", sample.path, sample.data, camera=sample.camera, time=sample.time, extra=place
        )
        if sample.tracklet is None:
            out.append(bare)
        else:
            label = _tracklet(number, sample)
            by_tracklet.setdefault(label, []).append(dataclasses.replace(bare, tracklet=label))
    for crops in by_tracklet.values():
        if all(crop.time is not None for crop in crops):
            crops.sort(key=lambda crop: crop.time or 0.0)
        spread = np.linspace(0, len(crops) - 1, min(per_tracklet, len(crops))).round().astype(int)
        out += [crops[i] for i in spread]
    return sorted(out, key=lambda sample: sample.key)


def _refuse_shared_cameras(datasets: Sequence[Dataset]) -> None:
    owners: dict[str, int] = {}
    for number, dataset in enumerate(datasets):
        for camera in sorted({s.camera for s in dataset.train or dataset.samples if s.camera is not None}):
            if owners.setdefault(camera, number) != number:
                raise DataError(
                    f"{datasets[owners[camera]].name} and {dataset.name} both have a camera {camera!r}: give cameras "
                    "of different places different labels, so that each has its own statistics"
                )
