"""The training set: crops of one or several datasets with identities kept apart, and batches of them."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from unveil.data.store.image_store import ImageStore, open_store
from unveil.errors import DataError
from unveil.recipe import InputSettings
from unveil.records import Batch, Dataset, Sample

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DatasetSummary:
    """What one dataset brought into a training set."""

    name: str
    hash: str
    images: int
    persons: int


@dataclass(frozen=True)
class TrainingSet:
    """Crops to train on, decoded, with integer labels by sorted order.

    Args:
        stores: image stores, one a dataset; rows count through all of them.
        person_codes: ``(N,)`` int64; two datasets never share one.
        camera_codes: ``(N,)`` int64, -1 where unknown; ``None`` when no dataset knows cameras.
        clothes_codes: ``(N,)`` int64; ``None`` unless every crop of every dataset has an outfit.
        persons: number of identities.
        clothes: number of outfits, 0 when unknown.
        outfits: identity code of each outfit code.
        parsing_scheme: label set of the parsing maps; ``None`` unless every crop has a map of the same one.
        sources: the datasets.
        content_hash: hash of pixels and labels.
        notes: what a user should know of this set.
        kept: all crops on a device; see `kept_on`.
    """

    stores: tuple[ImageStore, ...]
    person_codes: np.ndarray
    camera_codes: np.ndarray | None
    clothes_codes: np.ndarray | None
    persons: int
    clothes: int
    outfits: tuple[int, ...]
    parsing_scheme: str | None
    sources: tuple[DatasetSummary, ...]
    content_hash: str
    notes: tuple[str, ...]
    kept: Batch | None = None

    def __len__(self) -> int:
        return len(self.person_codes)

    @classmethod
    def open(
        cls,
        datasets: Sequence[Dataset],
        size: InputSettings,
        *,
        cache: Path | None = None,
        workers: int | None = None,
        with_maps: bool = True,
    ) -> TrainingSet:
        """Decode the training crops of the datasets, or find them decoded.

        Args:
            datasets: at least one; only their split "train" is used.
            size: height, width and interpolation.
            cache: folder of the image stores.
            workers: threads that decode.
            with_maps: whether parsing maps are read.

        Raises:
            DataError: a dataset has nothing to train on, an outfit is worn by two people, or a map that is read is not
                of the size of its image.
        """
        if not datasets:
            raise DataError("expected at least one dataset to train on, got none")
        notes: list[str] = []
        stores = tuple(
            open_store(
                _to_train_on(dataset, notes), size, cache=cache, workers=workers, maps="all" if with_maps else "none"
            )
            for dataset in datasets
        )
        rows = [(part, sample) for part, store in enumerate(stores) for sample in store.samples]
        persons = _codes((part, s.person) for part, s in rows)
        cameras = _codes((part, s.camera) for part, s in rows)
        outfits = _codes((part, s.clothes) for part, s in rows)
        has_clothes = bool((outfits >= 0).all())
        if not has_clothes and (outfits >= 0).any():
            notes.append("clothes labels are not used: not every training crop has one")
        owners = _owners(outfits, persons, samples=[s for _, s in rows]) if has_clothes else ()
        scheme = _common_scheme(datasets, stores, notes=notes) if with_maps else None
        single = int((np.bincount(persons) == 1).sum())
        if single:
            notes.append(f"{single} of {persons.max() + 1} persons have a single image: samplers repeat it")
        for note in notes:
            log.info("%s", note)
        return cls(
            stores,
            persons,
            cameras if (cameras >= 0).any() else None,
            outfits if has_clothes else None,
            int(persons.max()) + 1,
            len(owners),
            owners,
            scheme,
            tuple(
                DatasetSummary(d.name, d.hash, len(s), len({x.person for x in s.samples}))
                for d, s in zip(datasets, stores, strict=True)
            ),
            _hash(stores, scheme, persons, cameras, outfits),
            tuple(notes),
        )

    def batch(self, indices: Sequence[int] | np.ndarray, device: torch.device | str | None = None) -> Batch:
        """Return crops by row as a uint8 Batch (channels-last in memory) on a device.

        Args:
            indices: ``(B,)`` rows in [0, N).
            device: where the batch goes; the CPU by default.
        """
        rows = np.asarray(indices, dtype=np.int64)
        if self.kept is not None:
            there = torch.from_numpy(rows).to(self.kept.images.device)
            return _moved(self.kept.map(lambda tensor: tensor[there]), device)
        images = self._gather([store.images for store in self.stores], rows)
        parsing = None
        if self.parsing_scheme is not None:
            parsing = self._gather([store.parsing for store in self.stores if store.parsing is not None], rows)
        without_clothes = [store.erased for store in self.stores if store.erased is not None]
        erased = self._gather(without_clothes, rows) if len(without_clothes) == len(self.stores) else None

        def labels(codes: np.ndarray | None) -> torch.Tensor | None:
            return None if codes is None else torch.from_numpy(codes[rows])

        batch = Batch(
            torch.from_numpy(images).permute(0, 3, 1, 2),
            torch.from_numpy(self.person_codes[rows]),
            labels(self.camera_codes),
            labels(self.clothes_codes),
            None if parsing is None else torch.from_numpy(parsing),
            None if erased is None else torch.from_numpy(erased).permute(0, 3, 1, 2),
        )
        return _moved(batch, device)

    def kept_on(self, device: torch.device) -> TrainingSet:
        """Return this set with all its crops on a device, where batches are then drawn, with the same bits.

        While this runs they are there twice.
        """
        parts = [self.batch(rows, device) for rows in np.array_split(np.arange(len(self)), len(self) // 1024 + 1)]
        whole = {
            field.name: torch.cat([getattr(part, field.name) for part in parts])
            for field in dataclasses.fields(Batch)
            if getattr(parts[0], field.name) is not None
        }
        return dataclasses.replace(self, kept=Batch(**whole))

    @property
    def pixel_bytes(self) -> int:
        """Size of all decoded crops, with their maps and their copies without clothes."""
        arrays = [(store.images, store.parsing, store.erased) for store in self.stores]
        return sum(array.nbytes for kinds in arrays for array in kinds if array is not None)

    def _gather(self, arrays: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
        if len(arrays) == 1:
            return np.array(arrays[0][rows])
        starts = np.cumsum([0, *(len(array) for array in arrays)])
        part = np.searchsorted(starts, rows, side="right") - 1
        out = np.empty((len(rows), *arrays[0].shape[1:]), np.uint8)
        for number in np.unique(part):
            out[part == number] = arrays[number][rows[part == number] - starts[number]]
        return out


def _moved(batch: Batch, device: torch.device | str | None) -> Batch:
    if device is None:
        return batch
    target = torch.device(device)

    def moved(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_cpu and target.type == "cuda":
            # A copy from pinned memory waits for nothing that the GPU has still to do, and nothing waits for it.
            return tensor.pin_memory().to(target, non_blocking=True)
        return tensor.to(target)

    return batch.map(moved)


def _to_train_on(dataset: Dataset, notes: list[str]) -> tuple[Sample, ...]:
    train = dataset.train
    if not train:
        hint = ", or say that all of it is for training with the option split=train"
        unsplit = all(sample.split is None for sample in dataset.samples)
        raise DataError(f"dataset {dataset.name!r} has no crop in the split 'train'{hint if unsplit else ''}")
    known = tuple(sample for sample in train if sample.person is not None)
    if not known:
        raise DataError(f"dataset {dataset.name!r}: no training crop has a person")
    if len(known) < len(train):
        notes.append(f"{dataset.name}: {len(train) - len(known)} crops of unknown persons are left out of training")
    return known


def _codes(labels: Iterable[tuple[int, str | None]]) -> np.ndarray:
    """Return codes by sorted order of (dataset, label); -1 where the label is unknown."""
    labels = list(labels)
    known: set[tuple[int, str]] = {(part, label) for part, label in labels if label is not None}
    table: dict[Hashable, int] = {pair: code for code, pair in enumerate(sorted(known))}
    return np.array([table.get(pair, -1) for pair in labels], dtype=np.int64)


def _owners(outfits: np.ndarray, persons: np.ndarray, *, samples: Sequence[Sample]) -> tuple[int, ...]:
    owners = np.zeros(outfits.max() + 1, dtype=np.int64)
    owners[outfits] = persons
    shared = np.flatnonzero(owners[outfits] != persons)
    if shared.size:
        sample = samples[shared[0]]
        raise DataError(
            f"{sample.key}: the outfit {sample.clothes!r} of person {sample.person!r} is also worn by another; "
            "outfit labels must be unique over people, for example '<person>_<outfit>'"
        )
    return tuple(owners.tolist())


def _common_scheme(datasets: Sequence[Dataset], stores: Sequence[ImageStore], *, notes: list[str]) -> str | None:
    schemes = {dataset.parsing_scheme for dataset in datasets}
    complete = all(store.parsing is not None for store in stores)
    if len(schemes) == 1 and complete:
        return schemes.pop()
    if any(sample.parsing is not None for store in stores for sample in store.samples):
        named = ", ".join(sorted(scheme or "none" for scheme in schemes))
        why = "not every training crop has a map" if len(schemes) == 1 else f"label sets differ: {named}"
        notes.append(f"parsing maps are not used: {why}")
    return None


def _hash(stores: Sequence[ImageStore], scheme: str | None, *labels: np.ndarray) -> str:
    digest = hashlib.sha256(f"{[store.content_hash for store in stores]}{scheme}".encode())
    for codes in labels:
        digest.update(codes.tobytes())
    return digest.hexdigest()[:16]
