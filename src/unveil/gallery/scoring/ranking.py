"""The one scoring core of searches, in a file of embeddings and in a gallery: modes, parts, and what a query weighs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unveil.evaluation.distances import part_distances
from unveil.evaluation.search import search
from unveil.gallery.records import Mode
from unveil.records import Embedding

# Share of its weight that a part keeps which clothes cover, where the clothes may have changed. With the stripes of PCB
# on rendered people mAP across clothes is 6.3 at 1 and 8.0 at this; with the same clothes 38.1 and 31.3. At 0, where
# heads alone are left, it is 8.7 and 10.7 (benchmarks/results/clothes_mode.csv).
CHANGED_CLOTHES = 0.25
# The same for a model with an identity vector, trained across clothes: with the default network among 200 rendered
# people Rank-1 across clothes is 4.2 at 1, 6.2 at 0.25 and 8.2 at 0; with the same clothes 82.4, 79.8 and 74.1.
CHANGED_CLOTHES_BY_IDENTITY = 0.0
IDENTITY = "identity"
_CLOTHED = re.compile(
    r"appearance|colours?|(left|right|upper|lower)?-?(arms?|legs?|torso|upper-clothes|tops?|bottoms?|dress|pants|skirt|coat|shoes?|feet|foot)"
)
_STRIPE = re.compile(r"stripe(\d+)")


def clothed(name: str) -> bool:
    """Whether clothes decide a vector: appearance, colours, arms, torso, legs, feet, stripes below the first."""
    name = name.replace("_", "-")
    stripe = _STRIPE.fullmatch(name)
    return int(stripe[1]) > 1 if stripe else _CLOTHED.fullmatch(name) is not None


def mode_weights(names: Sequence[str], weights: Sequence[float], *, mode: Mode) -> tuple[float, ...]:
    """Return the weights of the vectors in a mode; what clothes cover weighs less when they may have changed.

    A model whose vectors are all of clothed parts, or none of them, searches alike in both modes.
    """
    own = tuple(map(float, weights)) or (1.0,) * len(names)
    covered = [clothed(name) for name in names]
    if mode == "same" or not mode_counts(names):
        return own
    share = CHANGED_CLOTHES_BY_IDENTITY if IDENTITY in names else CHANGED_CLOTHES
    return tuple(w * share if c else w for w, c in zip(own, covered, strict=True))


def mode_counts(names: Sequence[str]) -> bool:
    """Whether a model has vectors of clothed parts and others, so that a mode can weigh them differently."""
    covered = [clothed(name) for name in names]
    return any(covered) and not all(covered)


def in_mode(embedding: Embedding, mode: Mode) -> Embedding:
    """Return the embedding with the weights of a mode."""
    return replace(embedding, weights=mode_weights(embedding.names, embedding.weights, mode=mode))


def rank(
    query: Embedding,
    gallery: Embedding,
    *,
    top: int,
    groups: Sequence[int] | np.ndarray | None = None,
    negatives: Embedding | None = None,
    mode: Mode = "same",
) -> tuple[np.ndarray, np.ndarray]:
    """Return indices and distances of the nearest gallery crops, exactly; see `unveil.evaluation.search.search`."""
    others = None if negatives is None else in_mode(negatives.numpy(), mode)
    return search(
        in_mode(query.numpy(), mode), in_mode(gallery.numpy(), mode), top=top, groups=groups, negatives=others
    )


def part_means(query: Embedding, gallery: Embedding) -> np.ndarray:
    """Return the distance of each vector, averaged over the query crops that show it.

    Args:
        query: ``(Q, E, D)`` numpy embedding of one person.
        gallery: ``(G, E, D)`` numpy embedding of the same model.

    Returns:
        ``(G, E)`` float32; NaN where no query crop, or not the gallery crop, shows the part.
    """
    each = np.stack([part_distances(query, row, gallery=gallery) for row in range(len(query))])
    seen = ~np.isnan(each)
    means = np.where(seen, each, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return np.where(seen.any(axis=0), means, np.nan).astype(np.float32)


def named_parts(names: Sequence[str], row: np.ndarray) -> dict[str, float]:
    """Return the distances of one row of `part_means` by name, occluded parts left out; empty for a single vector."""
    if len(names) == 1:
        return {}
    return {name: float(value) for name, value in zip(names, row, strict=True) if not np.isnan(value)}


def first_stage_query(query: Embedding, mode: Mode) -> np.ndarray:
    """Return the unit vector ``(E * D,)`` float32 that stands for the crops of a query in the first stage.

    Its product with a row of `first_stage_vectors` weighs parts as the mode does, although those rows do not know it.
    """
    query = query.numpy()
    stored = np.sqrt(np.asarray(query.weights, np.float32))
    wanted = np.asarray(mode_weights(query.names, query.weights, mode=mode), np.float32)
    share = np.divide(wanted, stored, out=np.zeros_like(wanted), where=stored > 0) * np.sqrt(query.visibility)
    sizes = np.maximum(np.linalg.norm(query.vectors, axis=2, keepdims=True), 1e-12)
    rows = (query.vectors / sizes * share[:, :, None]).reshape(len(query), -1)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    total = rows.sum(axis=0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-12), np.float32)


def query_hash(positives: Embedding, fingerprint: str) -> str:
    """Return what a search is known by in feedback and in the audit log: of the model and the crops (16 hex digits).

    Filters, negatives and feedback do not change whom it looks for, so they do not count.
    """
    positives = positives.numpy()
    digest = hashlib.sha256(fingerprint.encode())
    for array in (positives.vectors, positives.visibility):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
