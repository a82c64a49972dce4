"""Ranks of the positives computed on a device of PyTorch, in blocks as large as its memory allows.

The distances are those of `unveil.evaluation.distances`, by the same function on tensors.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from unveil.errors import is_out_of_memory
from unveil.evaluation.distances import block_slices, check_pair, put_last, shared_distances, sizes
from unveil.evaluation.protocols import Labels
from unveil.evaluation.ranking import Pairs, Ranks, check_labels, rank_blocks, rank_positives
from unveil.progress import track
from unveil.records import Embedding

log = logging.getLogger(__name__)
USED = 0.8  # of the free memory, at most
PAIR_BYTES = 64  # a distance, its sorted copy, and what PyTorch sorts with: positions of 8 bytes, more than once
BLOCK_PAIRS = 1 << 28  # of a block, at most


def rank_on_device(
    query: Embedding, gallery: Embedding, *, labels: Labels, device: torch.device, free: int | None = None
) -> Ranks:
    """Rank every query's positives as `rank_positives` does, with distances, sorting and counting on a device.

    The gallery is moved there once. Where its memory does not hold the gallery beside a block of distances, the
    processor ranks, and the log says so.

    Args:
        query: ``(Q, E, D)`` numpy embedding.
        gallery: ``(G, E, D)`` numpy embedding.
        labels: labels of the same Q and G crops.
        device: of PyTorch.
        free: bytes of its memory that are free; by default as CUDA says, 1 GiB on other devices.

    Raises:
        ValueError: embeddings or labels do not belong together.
        DataError: a vector is not finite, or a visibility is not in [0, 1].
    """
    check_labels(query, gallery, labels=labels)
    query, gallery = query.numpy(), gallery.numpy()
    check_pair(query, gallery)
    own, others = sizes(query), sizes(gallery)
    held = gallery.vectors.nbytes + gallery.visibility.nbytes + others.nbytes
    room = USED * (_free(device) if free is None else free) - held
    pairs = int(min(room // PAIR_BYTES, BLOCK_PAIRS))
    if pairs >= len(gallery):
        blocks = block_slices(len(query), len(gallery), limit=4 * pairs)
        distances = _blocks(query, gallery, own=own, others=others, blocks=blocks, device=device)
        try:
            with _exact_products():
                return rank_blocks(
                    track(distances, f"ranking on {device}", total=len(blocks)), labels, count=count_up_to
                )
        except RuntimeError as e:
            if not is_out_of_memory(e):
                raise
    log.warning("%s has no memory for the gallery, %.1f GiB, and a block: the processor ranks", device, held / 2**30)
    return rank_positives(query, gallery, labels=labels)


def count_up_to(distances: torch.Tensor, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Count as `unveil.evaluation.ranking.count_up_to` does, where the distances are."""
    row, crop, junk = (torch.from_numpy(array).to(distances.device) for array in pairs)
    values = distances[row, crop]
    # Positives of a query become a row of a table, filled up with infinity: all rows are searched at once.
    own = row[~junk]
    column = torch.arange(len(own), device=own.device) - torch.searchsorted(own, own)
    width = int(column.max()) + 1 if len(own) else 0
    table = distances.new_full((len(distances), width), torch.inf)
    table[own, column] = values[~junk]
    counts = torch.searchsorted(distances.sort(dim=1).values, table, right=True)[own, column]
    return values.cpu().numpy(), counts.cpu().numpy()


def _blocks(
    query: Embedding, gallery: Embedding, *, own: np.ndarray, others: np.ndarray, blocks: list[slice], device: Any
) -> Iterator[tuple[slice, torch.Tensor]]:
    gallery, sizes_there = _moved(gallery, device), torch.from_numpy(others).to(device)
    for rows in blocks:
        asked = _moved(query.select(rows), device)
        own_there = torch.from_numpy(own[:, rows]).to(device)
        distances = shared_distances(asked, gallery, own=own_there, others=sizes_there)
        put_last(distances)
        yield rows, distances


def _moved(embedding: Embedding, device: torch.device) -> Embedding:
    vectors, visibility = (torch.from_numpy(array).to(device) for array in (embedding.vectors, embedding.visibility))
    return dataclasses.replace(embedding, vectors=vectors, visibility=visibility)


def _free(device: torch.device) -> int:
    if device.type != "cuda":
        return 2**30
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept


@contextmanager
def _exact_products() -> Iterator[None]:
    """Multiply in float32 within a block, not in TF32, whatever is set; PyTorch before 2.9 has another name for it."""
    settings = torch.backends.cuda.matmul
    name, exact = ("fp32_precision", "ieee") if hasattr(settings, "fp32_precision") else ("allow_tf32", False)
    before = getattr(settings, name)
    setattr(settings, name, exact)
    try:
        yield
    finally:
        setattr(settings, name, before)
