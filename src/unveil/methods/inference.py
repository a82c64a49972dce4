"""Embedding many batches: evaluation mode, no gradients, mirrored crops where the method tests with them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F

from unveil.label_sets import get_scheme
from unveil.methods.method import Method
from unveil.records import Batch, Embedding


def embed_batches(
    method: Method, batches: Iterable[Batch], *, flip: bool | None = None, bf16: bool = False
) -> Embedding:
    """Return the embedding of all crops, in order, as numpy arrays; the method is left in the mode it was in.

    Args:
        method: on the device of the batches.
        batches: normalised; one without crops is no error as long as another has some.
        flip: whether each crop is also seen mirrored; ``None`` follows the method.
        bf16: run under bfloat16 autocast, for GPUs.

    Raises:
        ValueError: there is no batch.
    """
    parts = []
    training = method.training
    method.eval()
    try:
        with torch.inference_mode():
            for batch in batches:
                with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=bf16):
                    parts.append(embed_for_search(method, batch, flip=flip).numpy())
    finally:
        method.train(training)
    return Embedding.concatenate(parts)


def mirror(batch: Batch, scheme: str | None) -> Batch:
    """Return the batch mirrored left to right, the left and right labels of its parsing maps exchanged.

    Args:
        batch: any batch.
        scheme: label set of the parsing maps; ``None`` has no left and right.
    """
    parsing = None if batch.parsing is None else batch.parsing.flip(-1)
    if parsing is not None and scheme is not None:
        table = torch.from_numpy(get_scheme(scheme).flip_table).to(parsing.device)
        parsing = table[parsing.long()]
    return batch.replace(images=batch.images.flip(-1), parsing=parsing)


def embed_for_search(method: Method, batch: Batch, *, flip: bool | None = None) -> Embedding:
    """Return the embedding of a normalised batch as it is searched by: mirrored and whitened where the method is.

    Args:
        method: in evaluation mode.
        batch: normalised.
        flip: whether each crop is also seen mirrored; ``None`` follows the method.
    """
    flip = method.flip_test if flip is None else flip
    embedding = _embed_twice(method, batch) if flip else method.embed(batch)
    return embedding if method.whitening is None else method.whitening(embedding)


def _embed_twice(method: Method, batch: Batch) -> Embedding:
    """Return the embedding of the crops and of their mirror images together, which go through as one batch."""
    other = mirror(batch, method.requirements.test_parsing)
    both = batch.map(lambda tensor: torch.cat([tensor, tensor])).replace(images=torch.cat([batch.images, other.images]))
    if batch.parsing is not None and other.parsing is not None:
        both = both.replace(parsing=torch.cat([batch.parsing, other.parsing]))
    found = method.embed(both)
    count = batch.images.shape[0]
    # CAL and Simple-ReID add the vectors of the crop and of its mirror image before they normalise.
    vectors = F.normalize(found.vectors[:count].float() + found.vectors[count:].float(), dim=-1)
    visibility = (found.visibility[:count] + found.visibility[count:]) / 2
    return Embedding(vectors, visibility, found.names, found.metric, found.weights)
